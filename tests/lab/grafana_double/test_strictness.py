"""What Grafana doesn't know is refused and remembered; nothing secret is kept or logged."""

from __future__ import annotations

import logging
from typing import Any

import httpx
import pytest

from lab.images.grafana.grafana_double.store import Store

from .conftest import ADMIN, NOBODY


def refusals(grafana: httpx.Client) -> list[dict[str, Any]]:
    listed = grafana.get("/__double/refusals", auth=NOBODY).json()["refusals"]
    assert isinstance(listed, list)
    return listed


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/teams/search"),
        ("POST", "/api/health"),
        ("DELETE", "/api/folders"),
        ("GET", "/api/folders/a/b/c"),
        ("GET", "/apis/dashboard.grafana.app/v1beta1/namespaces/default/dashboards"),
    ],
)
def test_unknown_paths(grafana: httpx.Client, method: str, path: str) -> None:
    response = grafana.request(method, path)
    assert (response.status_code, response.json()) == (404, {"message": "Not found"})
    assert refusals(grafana) == [{"method": method, "path": path, "status": 404, "reason": "Not found"}]


@pytest.mark.parametrize(
    ("method", "path", "body", "fault"),
    [
        ("POST", "/api/folders", {"title": "a", "colour": "red"}, "colour: Extra inputs are not permitted"),
        ("POST", "/api/folders", {"title": 7}, "title: Input should be a valid string"),
        ("POST", "/api/folders", ["a"], "body: Input should be a valid dictionary"),
        (
            "POST",
            "/api/dashboards/db",
            {"dashboard": {"title": "a"}, "overwrite": "true"},
            "overwrite: Input should be a valid boolean",
        ),
        ("POST", "/api/dashboards/db", {"dashboard": {"title": "a"}, "isFolder": True}, "isFolder"),
        ("POST", "/api/dashboards/db", {}, "dashboard: Field required"),
        (
            "PUT",
            "/api/v1/provisioning/policies",
            {"receiver": "grafana-default-email", "routes": [{"receiver": "x", "matchers": ["a=b"]}]},
            "routes.0.matchers: Extra inputs are not permitted",
        ),
        ("POST", "/api/serviceaccounts", {"name": "a", "role": "Owner"}, "role: Input should be"),
        (
            "POST",
            "/api/v1/provisioning/contact-points",
            {"name": "a", "type": "pager", "settings": {}},
            "knows no contact point of type 'pager'",
        ),
    ],
)
def test_unknown_fields_and_wrong_types(
    grafana: httpx.Client, method: str, path: str, body: object, fault: str
) -> None:
    response = grafana.request(method, path, json=body)
    assert response.status_code == 400
    assert fault in response.json()["message"]
    assert [refusal["reason"] for refusal in refusals(grafana)] == [response.json()["message"]]


def test_no_json_and_unknown_query_parameters(grafana: httpx.Client) -> None:
    assert grafana.post("/api/folders", content="title=a").status_code == 400
    assert grafana.get("/api/dashboards/uid/a?apiVersion=v1beta1").status_code == 400
    assert [refusal["reason"] for refusal in refusals(grafana)] == [
        "bad request data: the body is no JSON",
        "bad request data: unknown query parameter apiVersion",
    ]


def test_ordinary_errors_are_no_refusals(grafana: httpx.Client) -> None:
    assert grafana.get("/api/folders/none").status_code == 404
    assert refusals(grafana) == []
    calls = grafana.get("/__double/calls").json()["calls"]
    assert calls == [{"method": "GET", "path": "/api/folders/none", "status": 404}]


def test_nothing_secret_is_kept_or_logged(grafana: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "grafana_double"):
        body = {"name": "n", "type": "webhook", "settings": {"password": "hook-secret"}, "hook-key": 1}
        grafana.post("/api/v1/provisioning/contact-points", json=body)
        grafana.post(
            "/api/datasources",
            json={
                "name": "n",
                "type": "t",
                "access": "proxy",
                "secureJsonData": {"basicAuthPassword": ["ds-secret"]},
            },
        )
        grafana.get("/api/folders?token=query-secret")
        grafana.get("/api/folders", auth=("admin", "wrong-secret"))
    kept = grafana.get("/__double/refusals").text + grafana.get("/__double/calls").text + caplog.text
    assert len(caplog.records) == 4
    assert "secret" not in kept.replace("secureJsonData", "")
    assert ADMIN[1] not in kept


def test_a_failed_call_changes_nothing(grafana: httpx.Client) -> None:
    grafana.post("/api/folders", json={"uid": "f", "title": "F"})
    query = {"refId": "A", "datasourceUid": "__expr__", "model": {}}
    rule = {
        "title": "r",
        "condition": "A",
        "data": [query],
        "for": "1m",
        "noDataState": "OK",
        "execErrState": "OK",
        "folderUID": "f",
        "ruleGroup": "g",
        "orgID": 1,
    }
    rules = [{**rule, "title": "good"}, {**rule, "title": "bad", "condition": "Z"}]
    path = "/api/v1/provisioning/folder/f/rule-groups/g"
    assert grafana.put(path, json={"interval": 60, "rules": rules}).status_code == 400
    assert grafana.get("/api/v1/provisioning/alert-rules").json() == []


def test_health_and_metrics_need_nobody(grafana: httpx.Client) -> None:
    grafana.post("/api/folders", json={"uid": "f", "title": "F"})
    health = grafana.get("/api/health", auth=NOBODY)
    assert health.json() == {"commit": "stand-in", "database": "ok", "version": "13.2.3"}
    assert health.headers["x-stand-in"] == "grafana-double"
    assert grafana.head("/api/health", auth=NOBODY).status_code == 200
    metrics = grafana.get("/metrics", auth=NOBODY).text
    assert 'grafana_build_info{branch="stand-in"' in metrics
    assert "grafana_instance_start_total 1.0" in metrics
    assert "grafana_stat_totals_folder 1.0" in metrics
    counted = 'handler="/api/folders",method="POST",status_code="200"'
    assert f"grafana_http_request_duration_seconds_count{{{counted}}} 1.0" in metrics
    assert 'grafana_api_response_status_total{code="200"}' in metrics
    assert "process_resident_memory_bytes" in metrics


def test_a_fault_of_the_stand_in_is_counted(grafana: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no such luck")

    monkeypatch.setattr(Store, "all", broken)
    with pytest.raises(RuntimeError, match="no such luck"):
        grafana.get("/api/folders")
    assert grafana.get("/__double/calls").json()["calls"][-1]["status"] == 500
