"""Creates the Grafana resources of the program through Grafana's HTTP API."""

from __future__ import annotations

import json
from typing import Any

import requests

from lab import trust
from lab.apply_docker import Note
from lab.apply_grafana_alerting import AlertingApplier

_TIMEOUT_S = 30


class GrafanaApplier:
    """Handlers for the types of pulumiverse-grafana that the program uses."""

    def __init__(self, note: Note) -> None:
        self._note = note
        self._session = requests.Session()
        self._url = ""
        self.handlers = {
            "pulumi:providers:grafana": self._provider,
            "grafana:oss/folder:Folder": self._folder,
            "grafana:oss/dataSource:DataSource": self._data_source,
            "grafana:oss/dashboard:Dashboard": self._dashboard,
            "grafana:oss/organizationPreferences:OrganizationPreferences": self._preferences,
            "grafana:oss/serviceAccount:ServiceAccount": self._no_account,
            "grafana:oss/serviceAccountToken:ServiceAccountToken": self._no_account,
            **AlertingApplier(note, self._call, self._must).handlers,
        }

    def _provider(self, _name: str, inputs: dict[str, Any]) -> dict[str, Any]:
        if inputs["auth"]:
            user, _, password = inputs["auth"].partition(":")
            self._session.auth = (user, password)
        self._url = inputs["url"]
        if inputs.get("caCert"):
            auth, self._session = self._session.auth, trust.session(inputs["caCert"])
            self._session.auth = auth
        return {}

    def _no_account(self, name: str, _inputs: dict[str, Any]) -> dict[str, Any]:
        # A token is told once, and there is no state to keep it in: the administrator does it all.
        return {"id": name, "key": ""}

    def _call(self, method: str, path: str, body: Any = None) -> requests.Response:
        return self._session.request(method, f"{self._url}{path}", json=body, timeout=_TIMEOUT_S)

    def _must(self, method: str, path: str, body: Any = None) -> Any:
        response = self._call(method, path, body)
        if not response.ok:
            raise RuntimeError(f"Grafana answered {response.status_code} to {method} {path}: {response.text}")
        return response.json() if response.content else None

    def _folder(self, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
        uid = inputs["uid"]
        exists = self._call("GET", f"/api/folders/{uid}")
        if exists.ok and exists.json()["title"] == inputs["title"]:
            self._note(name, changed=False)
        elif exists.ok:
            self._must("PUT", f"/api/folders/{uid}", {"title": inputs["title"], "overwrite": True})
            self._note(name, changed=True)
        else:
            self._must("POST", "/api/folders", {"uid": uid, "title": inputs["title"]})
            self._note(name, changed=True)
        return {"id": uid, "uid": uid}

    def _data_source(self, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
        uid = inputs["uid"]
        body = {
            "uid": uid,
            "name": inputs["name"],
            "type": inputs["type"],
            "url": inputs["url"],
            "access": inputs["accessMode"],
            "isDefault": inputs["isDefault"],
            "basicAuth": inputs["basicAuthEnabled"],
            "basicAuthUser": inputs.get("basicAuthUsername", ""),
            "jsonData": json.loads(inputs["jsonDataEncoded"]),
        }
        exists = self._call("GET", f"/api/datasources/uid/{uid}")
        unchanged = exists.ok and {k: exists.json().get(k) for k in body} == body
        secure = json.loads(inputs.get("secureJsonDataEncoded", "{}"))
        # Grafana never tells a secret again: whether it is another one isn't known, so it is always given.
        if not unchanged or secure:
            path = f"/api/datasources/uid/{uid}" if exists.ok else "/api/datasources"
            self._must("PUT" if exists.ok else "POST", path, {**body, "secureJsonData": secure})
        self._note(name, changed=not unchanged)
        return {"id": uid, "uid": uid}

    def _dashboard(self, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
        model = json.loads(inputs["configJson"])
        uid = model["uid"]
        exists = self._call("GET", f"/api/dashboards/uid/{uid}")
        stored = exists.json() if exists.ok else {"meta": {}, "dashboard": {}}
        same = {k: stored["dashboard"].get(k) for k in model} == model
        same = same and stored["meta"].get("folderUid") == inputs["folder"]
        if not same:
            body = {
                "dashboard": model,
                "folderUid": inputs["folder"],
                "overwrite": True,
                "message": inputs["message"],
            }
            self._must("POST", "/api/dashboards/db", body)
        self._note(name, changed=not same)
        return {"id": uid, "uid": uid}

    def _preferences(self, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
        wanted = {
            "homeDashboardUID": inputs["homeDashboardUid"],
            "timezone": inputs["timezone"],
            "weekStart": inputs["weekStart"],
            "theme": inputs["theme"],
        }
        current = self._call("GET", "/api/org/preferences")
        same = current.ok and {k: current.json().get(k) for k in wanted} == wanted
        if not same:
            self._must("PUT", "/api/org/preferences", wanted)
        self._note(name, changed=not same)
        return {"id": "preferences"}
