"""Data sources: stored, checked for health, and reached through the proxy."""

from __future__ import annotations

import httpx
from starlette.responses import Response

from .api import ORG_ID, Call, Route, answer, get, new_uid
from .errors import ApiError, plain, refuse
from .schemas import DataSourceBody
from .store import Document, Store

KIND = "data_source"

_LOGOS = {"prometheus": "prometheus_logo.svg", "alertmanager": "logo.svg"}
_FORWARDED = ("content-type", "accept")


def find(store: Store, uid: str) -> Document:
    """The stored data source.

    Raises:
        ApiError: 404.
    """
    source = store.get(KIND, uid)
    if source is None:
        raise _not_found()
    return source


def _not_found() -> ApiError:
    return plain(404, "Data source not found")


def default_prometheus(store: Store) -> Document | None:
    """The Prometheus that queries without a data source go to: the default one, else the first."""
    sources = [source for source in store.all(KIND) if source["type"] == "prometheus"]
    return next((source for source in sources if source["isDefault"]), sources[0] if sources else None)


def _shown(source: Document) -> Document:
    shown = {key: value for key, value in source.items() if key != "secureJsonData"}
    return shown | {"secureJsonFields": dict.fromkeys(source["secureJsonData"], True)}


def _document(command: DataSourceBody, number: int, uid: str, version: int, old: Document | None) -> Document:
    return {
        "id": number,
        "uid": uid,
        "orgId": ORG_ID,
        "name": command.name,
        "type": command.type,
        "typeLogoUrl": f"public/plugins/{command.type}/img/logo.svg",
        "access": command.access,
        "url": command.url,
        "user": command.user,
        "database": command.database,
        "basicAuth": command.basic_auth,
        "basicAuthUser": command.basic_auth_user,
        "withCredentials": command.with_credentials,
        "isDefault": command.is_default,
        "jsonData": command.json_data,
        "secureJsonData": {**(old["secureJsonData"] if old else {}), **command.secure_json_data},
        "version": version,
        "readOnly": False,
        "apiVersion": "",
    }


def _write(call: Call, source: Document, message: str) -> Response:
    for other in call.store.all(KIND):
        if other["uid"] == source["uid"]:
            continue
        if other["name"] == source["name"]:
            raise plain(409, "data source with the same name already exists")
        if source["isDefault"] and other["isDefault"]:
            call.store.put(KIND, other["uid"], {**other, "isDefault": False})
    call.store.put(KIND, source["uid"], source)
    return answer(
        {"datasource": _shown(source), "id": source["id"], "message": message, "name": source["name"]}
    )


def _check_headers(command: DataSourceBody) -> None:
    """Header names and values come in pairs; a value without a name would never be sent."""
    names = {
        key.removeprefix("httpHeaderName") for key in command.json_data if key.startswith("httpHeaderName")
    }
    values = {
        key.removeprefix("httpHeaderValue")
        for key in command.secure_json_data
        if key.startswith("httpHeaderValue")
    }
    if values - names:
        raise refuse(400, f"bad request data: httpHeaderValue{min(values - names)} has no httpHeaderName")


def _create(call: Call) -> Response:
    command = call.parse(DataSourceBody)
    _check_headers(command)
    uid = command.uid or new_uid()
    if call.store.get(KIND, uid):
        raise plain(409, "data source with the same uid already exists")
    source = _document(command, call.store.next_id(KIND), uid, 1, None)
    return _write(call, source, "Datasource added")


def _update(call: Call) -> Response:
    old = find(call.store, call.params["uid"])
    command = call.parse(DataSourceBody)
    _check_headers(command)
    if command.uid not in ("", old["uid"]):
        raise refuse(400, "bad request data: uid: a data source's uid can't be changed here")
    if command.version is not None and command.version != old["version"]:
        raise plain(409, "Datasource has already been updated by someone else. Please reload and try again")
    source = _document(command, old["id"], old["uid"], old["version"] + 1, old)
    return _write(call, source, "Datasource updated")


def _read(call: Call) -> Response:
    return answer(_shown(find(call.store, call.params["uid"])))


def _list(call: Call) -> Response:
    sources = [_shown(source) for source in call.store.all(KIND)]
    return answer(sorted(sources, key=lambda source: str(source["name"]).lower()))


def _delete(call: Call) -> Response:
    source = find(call.store, call.params["uid"])
    call.store.delete(KIND, source["uid"])
    return answer({"id": source["id"], "message": "Data source deleted"})


def _health(call: Call) -> Response:
    source = find(call.store, call.params["uid"])
    checks = {"prometheus": _prometheus_fault, "alertmanager": _alertmanager_fault}
    if source["type"] not in checks:
        raise plain(404, "Plugin not found")
    try:
        fault = checks[source["type"]](call, source)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        fault = str(error) or type(error).__name__
    if fault:
        return answer({"status": "ERROR", "message": fault}, 400)
    good = {
        "prometheus": "Successfully queried the Prometheus API.",
        "alertmanager": "Health check passed.",
    }
    return answer({"status": "OK", "message": good[source["type"]]})


def _prometheus_fault(call: Call, source: Document) -> str:
    try:
        call.client.instant_query(source, "1+1")
    except (ValueError, KeyError, TypeError) as error:
        return f"There was an error returned querying the Prometheus API: {error}"
    return ""


def _alertmanager_fault(call: Call, source: Document) -> str:
    own = source["jsonData"].get("implementation", "mimir") == "prometheus"
    response = call.client.send(source, "GET", f"{'' if own else 'alertmanager/'}api/v2/status")
    return "" if response.is_success else f"Alertmanager answers {response.status_code}"


def _proxy(call: Call) -> Response:
    source = find(call.store, call.params["uid"])
    path = call.params["rest"] + (f"?{call.query_string}" if call.query_string else "")
    headers = {name: call.headers[name] for name in _FORWARDED if name in call.headers}
    try:
        reply = call.client.send(source, call.method, path, content=call.content or None, headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise plain(502, f"Bad gateway: {type(error).__name__}") from error
    return Response(reply.content, reply.status_code, media_type=reply.headers.get("content-type"))


def _plugin(call: Call) -> Response:
    kind = call.params["type"]
    if kind not in _LOGOS:
        raise plain(404, "Plugin not found, no installed plugin with that id")
    return answer(
        {
            "name": kind.capitalize(),
            "type": "datasource",
            "id": kind,
            "enabled": True,
            "pinned": False,
            "module": f"core:plugin/{kind}",
            "baseUrl": f"public/plugins/{kind}",
            "info": {
                "description": "stand-in: the plugin's settings only, no plugin",
                "logos": {"small": f"public/plugins/{kind}/img/{_LOGOS[kind]}"},
            },
            "signature": "internal",
            "state": "",
        }
    )


ROUTES = (
    get("/api/datasources", _list),
    Route("POST", "/api/datasources", _create),
    get("/api/datasources/uid/{uid}", _read),
    Route("PUT", "/api/datasources/uid/{uid}", _update),
    Route("DELETE", "/api/datasources/uid/{uid}", _delete),
    get("/api/datasources/uid/{uid}/health", _health, locked=False),
    Route("GET", "/api/datasources/proxy/uid/{uid}/{rest*}", _proxy, None, "read", locked=False),
    Route("POST", "/api/datasources/proxy/uid/{uid}/{rest*}", _proxy, None, "read", locked=False),
    get("/api/plugins/{type}/settings", _plugin),
)
