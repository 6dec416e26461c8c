from __future__ import annotations

from typing import Any

import httpx
import pytest

from lab.images.grafana.grafana_double import NOTICE, variables

from .conftest import NOBODY, Start

VARIABLES = {
    "templating": {
        "list": [
            {"name": "ds", "type": "datasource", "current": {"value": "main"}},
            {"name": "node", "type": "query", "current": {"value": ["pve1"]}},
            {"name": "top", "type": "custom", "current": {"value": "5"}},
            {"name": "every", "type": "interval", "query": "2m,5m"},
            {"name": "all", "type": "custom", "includeAll": True, "current": {"value": ["$__all"]}},
        ]
    }
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('up{node="$node"}', 'up{node=~".*"}'),
        ('up{node=~"${node:regex}"}', 'up{node=~".*"}'),
        ('up{node!~"[[node]]",id="x"}', 'up{node=~".*",id="x"}'),
        ('up{id=~"$all/$node"}', 'up{id=~".*/.*"}'),
        ("topk($top, rate(a[$__rate_interval]))", "topk(5, rate(a[5m]))"),
        ("rate(a[$__range]) + rate(a[${__interval}])", "rate(a[1h]) + rate(a[1m])"),
        ("rate(a[$every])", "rate(a[2m])"),
        ('label_replace(up, "a", "$1", "b", "(.*)")', 'label_replace(up, "a", "$1", "b", "(.*)")'),
    ],
)
def test_variables_are_put_in(expression: str, expected: str) -> None:
    assert variables.query(expression, variables.current_values(VARIABLES)) == expected


PANELS: list[dict[str, Any]] = [
    {"type": "row", "title": "Guests on $node", "panels": [{"type": "stat", "title": "In the row"}]},
    {"type": "text", "title": "Read me", "options": {"content": "<b>words</b>"}},
    {
        "type": "timeseries",
        "title": "Load <1>",
        "description": "per node",
        "fieldConfig": {"defaults": {"unit": "percent"}},
        "datasource": {"type": "prometheus", "uid": "${ds}"},
        "targets": [
            {"expr": 'load{node="$node"}', "legendFormat": "{{ node }}"},
            {"expr": "many"},
            {"expr": "none"},
            {"expr": "bad("},
            {"expr": "hidden", "hide": True},
            {"expr": "up", "datasource": {"uid": "gone"}},
        ],
    },
]


def answers(request: httpx.Request) -> httpx.Response:
    expression = request.url.params["query"]
    if expression == "bad(":
        return httpx.Response(400, json={"status": "error", "error": "parse error"})
    found = {
        'load{node=~".*"}': [{"metric": {"node": "pve1"}, "value": [0, "0.123456"]}],
        "many": [{"metric": {"__name__": "many", "n": str(n)}, "value": [0, str(n)]} for n in range(22)],
        "none": [],
    }[expression]
    return httpx.Response(200, json={"status": "success", "data": {"resultType": "vector", "result": found}})


@pytest.fixture
def filled(start: Start) -> httpx.Client:
    grafana = start(answers=answers)
    grafana.post("/api/folders", json={"uid": "f", "title": "Lab <&>"})
    source = {"name": "Main", "type": "prometheus", "access": "proxy", "uid": "main", "url": "http://prom"}
    grafana.post("/api/datasources", json=source)
    model = {"uid": "d", "title": "Nodes", "panels": PANELS, **VARIABLES}
    grafana.post("/api/dashboards/db", json={"dashboard": model, "folderUid": "f"})
    return grafana


def test_the_list_says_what_it_is_and_links(filled: httpx.Client) -> None:
    for path in ("/", "/dashboards"):
        page = filled.get(path)
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert NOTICE in page.text
        assert "Lab &lt;&amp;&gt;" in page.text
        assert '<a href="/d/d/nodes">Nodes</a>' in page.text


def test_a_dashboard_shows_present_values(filled: httpx.Client) -> None:
    page = filled.get("/d/d/nodes").text
    assert NOTICE in page
    assert '<meta http-equiv="refresh" content="15">' in page
    assert "<h2>Guests on .*</h2>" in page
    assert "In the row" in page
    assert "&lt;b&gt;words&lt;/b&gt;" in page
    assert 'Load &lt;1&gt; <span class="kind">timeseries · unit percent</span>' in page
    assert "<p>per node</p>" in page
    assert '<td>pve1</td><td class="value">0.1235</td>' in page
    assert "many{n=&quot;19&quot;}" in page
    assert "many{n=&quot;20&quot;}" not in page
    assert "and 2 more" in page
    assert "no data" in page
    assert "parse error" in page
    assert "its data source does not exist here" in page
    assert "hidden" not in page
    assert filled.get("/d/d").text == page
    assert filled.get("/d/none/x").status_code == 404


def test_pages_ask_for_the_password(grafana: httpx.Client) -> None:
    page = grafana.get("/", auth=NOBODY)
    assert (page.status_code, page.headers["www-authenticate"][:5]) == (401, "Basic")
    assert NOTICE in page.text
    login = grafana.get("/login", auth=NOBODY)
    assert login.status_code == 200
    assert NOTICE in login.text
