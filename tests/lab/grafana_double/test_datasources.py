from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from components import pki
from components.settings import Group
from tests.support.pki import AUTHORITY
from tests.support.tls_server import tls_server

from .conftest import NOBODY, Start

SOURCE = {
    "name": "Main",
    "type": "prometheus",
    "access": "proxy",
    "uid": "main",
    "url": "http://prom.example.org",
}


def create(grafana: httpx.Client, **changed: Any) -> httpx.Response:
    return grafana.post("/api/datasources", json={**SOURCE, **changed})


def read(grafana: httpx.Client, uid: str = "main") -> dict[str, Any]:
    document = grafana.get(f"/api/datasources/uid/{uid}").json()
    assert isinstance(document, dict)
    return document


def test_secrets_are_never_answered_and_kept_when_left_out(start: Start) -> None:
    seen: list[httpx.Request] = []

    def answers(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(
            200, json={"status": "success", "data": {"resultType": "scalar", "result": [0, "2"]}}
        )

    grafana = start(answers=answers)
    create(
        grafana,
        basicAuth=True,
        basicAuthUser="u",
        jsonData={"httpHeaderName1": "X-Scope-OrgID"},
        secureJsonData={"basicAuthPassword": "p", "httpHeaderValue1": "lab"},
    )
    update = {
        **SOURCE,
        "basicAuth": True,
        "basicAuthUser": "u",
        "jsonData": {"httpHeaderName1": "X-Scope-OrgID"},
    }
    changed = grafana.put("/api/datasources/uid/main", json=update)
    assert (changed.status_code, changed.json()["message"]) == (200, "Datasource updated")
    document = read(grafana)
    assert document["version"] == 2
    assert document["secureJsonFields"] == {"basicAuthPassword": True, "httpHeaderValue1": True}
    assert "secureJsonData" not in document
    assert grafana.get("/api/datasources/uid/main/health").json() == {
        "status": "OK",
        "message": "Successfully queried the Prometheus API.",
    }
    assert str(seen[0].url) == "http://prom.example.org/api/v1/query?query=1%2B1"
    assert seen[0].headers["x-scope-orgid"] == "lab"
    assert seen[0].headers["authorization"] == "Basic " + base64.b64encode(b"u:p").decode()


def test_one_default_and_unique_names_and_uids(grafana: httpx.Client) -> None:
    create(grafana, isDefault=True)
    same_uid = create(grafana, name="Other")
    assert (same_uid.status_code, same_uid.json()["message"]) == (
        409,
        "data source with the same uid already exists",
    )
    same_name = create(grafana, uid="other")
    assert (same_name.status_code, same_name.json()["message"]) == (
        409,
        "data source with the same name already exists",
    )
    assert create(grafana, uid="other", name="Other", isDefault=True).status_code == 200
    assert not read(grafana)["isDefault"]
    assert read(grafana, "other")["isDefault"]
    renamed = grafana.put("/api/datasources/uid/other", json={**SOURCE, "uid": "other"})
    assert renamed.status_code == 409
    assert [one["uid"] for one in grafana.get("/api/datasources").json()] == ["main", "other"]


def test_missing_data_sources(grafana: httpx.Client) -> None:
    for method, path in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("GET", "/health")):
        response = grafana.request(method, f"/api/datasources/uid/none{path}", json=SOURCE)
        assert (response.status_code, response.json()) == (404, {"message": "Data source not found"})


@pytest.mark.parametrize("field", ["name", "type", "access"])
def test_fields_that_must_be_there(grafana: httpx.Client, field: str) -> None:
    body = {key: value for key, value in SOURCE.items() if key != field}
    response = grafana.post("/api/datasources", json=body)
    assert response.status_code == 400
    assert f"{field}: Field required" in response.json()["message"]


def test_a_header_value_needs_its_name(grafana: httpx.Client) -> None:
    response = create(grafana, secureJsonData={"httpHeaderValue2": "secret"})
    assert response.status_code == 400
    assert response.json()["message"] == "bad request data: httpHeaderValue2 has no httpHeaderName"


def test_health_says_what_is_wrong(start: Start) -> None:
    def answers(request: httpx.Request) -> httpx.Response:
        if request.url.host == "gone.example.org":
            raise httpx.ConnectError("connection refused")
        if request.url.path == "/api/v2/status":
            return httpx.Response(200, json={})
        return httpx.Response(200, json={"status": "error", "error": "bad data"})

    grafana = start(answers=answers)
    create(grafana)
    create(grafana, uid="gone", name="Gone", url="http://gone.example.org")
    create(grafana, uid="am", name="AM", type="alertmanager", jsonData={"implementation": "prometheus"})
    create(grafana, uid="loki", name="Loki", type="loki")
    bad = grafana.get("/api/datasources/uid/main/health")
    assert bad.status_code == 400
    assert bad.json()["message"] == "There was an error returned querying the Prometheus API: bad data"
    gone = grafana.get("/api/datasources/uid/gone/health")
    assert gone.json() == {"status": "ERROR", "message": "connection refused"}
    assert grafana.get("/api/datasources/uid/am/health").json()["status"] == "OK"
    assert grafana.get("/api/datasources/uid/loki/health").status_code == 404


def test_proxy_hands_on_path_query_and_form(start: Start) -> None:
    def answers(request: httpx.Request) -> httpx.Response:
        if request.url.host == "gone.example.org":
            raise httpx.ConnectError("connection refused")
        assert "authorization" not in request.headers
        text = f"{request.method} {request.url.raw_path.decode()} {request.content.decode()}"
        return httpx.Response(422, text=text, headers={"content-type": "text/x-test; charset=utf-8"})

    grafana = start(answers=answers)
    create(grafana, url="http://prom.example.org/base/")
    create(grafana, uid="gone", name="Gone", url="http://gone.example.org")
    path = "/api/datasources/proxy/uid/main/api/v1/label/a%2Fb/values?match=up%7B%7D"
    reply = grafana.get(path)
    assert (reply.status_code, reply.headers["content-type"]) == (422, "text/x-test; charset=utf-8")
    assert reply.text == "GET /base/api/v1/label/a%2Fb/values?match=up%7B%7D "
    posted = grafana.post("/api/datasources/proxy/uid/main/api/v1/query", data={"query": "up"})
    assert posted.text == "POST /base/api/v1/query query=up"
    assert grafana.get("/api/datasources/proxy/uid/gone/api/v1/query").status_code == 502


def test_plugin_settings(grafana: httpx.Client) -> None:
    assert grafana.get("/api/plugins/prometheus/settings").json()["id"] == "prometheus"
    assert grafana.get("/api/plugins/unheard-of/settings").status_code == 404


def over_tls(port: int, **json_data: Any) -> dict[str, Any]:
    return {
        **SOURCE,
        "url": f"https://127.0.0.1:{port}",
        "basicAuth": True,
        "basicAuthUser": "prometheus",
        "jsonData": {"tlsAuthWithCACert": True, "serverName": Group.PLATFORM.server_name, **json_data},
        "secureJsonData": {"basicAuthPassword": "p", "tlsCACert": AUTHORITY.certificate},
    }


def test_a_data_source_is_asked_over_tls_by_the_name_of_its_certificate(grafana: httpx.Client) -> None:
    # Of this name alone: the address isn't in it.
    pair = pki.issue(AUTHORITY, [Group.PLATFORM.server_name], datetime.now(UTC))
    with tls_server(pair, "prometheus:p") as server:
        server.answer = {"status": "success", "data": {"resultType": "scalar", "result": [0, "2"]}}
        grafana.post("/api/datasources", json=over_tls(server.port))
        assert grafana.get("/api/datasources/uid/main/health").json()["status"] == "OK"
        assert server.asked == [("GET", "/api/v1/query?query=1%2B1", True)]
        assert read(grafana)["secureJsonFields"] == {"basicAuthPassword": True, "tlsCACert": True}

        def refused(**changed: Any) -> str:
            body = {**over_tls(server.port, **changed), "uid": "main"}
            grafana.put("/api/datasources/uid/main", json=body)
            return str(grafana.get("/api/datasources/uid/main/health").json()["message"])

        assert "Hostname mismatch" in refused(serverName="elsewhere.example.com")
        assert "IP address mismatch" in refused(serverName="")
        # Without the switch Grafana looks at neither authority nor name.
        assert "CERTIFICATE_VERIFY_FAILED" in refused(tlsAuthWithCACert=False)
        assert len(server.asked) == 1


def test_an_authority_that_is_none_is_said_to_be_none(grafana: httpx.Client) -> None:
    body = over_tls(1)
    body["secureJsonData"]["tlsCACert"] = "no certificate"
    grafana.post("/api/datasources", json=body)
    health = grafana.get("/api/datasources/uid/main/health").json()
    assert health == {"status": "ERROR", "message": "tlsCACert holds no certificate in PEM"}


def test_metrics_take_a_login_of_their_own(start: Start) -> None:
    grafana = start(metrics_login=("prometheus", "p"))
    assert grafana.get("/metrics").status_code == 401
    assert grafana.get("/metrics", auth=("prometheus", "wrong")).status_code == 401
    assert grafana.get("/metrics", auth=("prometheus", "p")).status_code == 200
    assert start().get("/metrics", auth=NOBODY).status_code == 200
