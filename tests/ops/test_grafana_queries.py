"""What Grafana asks for a dashboard, without a Grafana."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dashboards import DASHBOARDS
from ops.grafana_queries import Panel, Query, chosen, filled, panels, rounded, step_of

HOUR, DAY = 3600, 86_400


@pytest.mark.parametrize(
    ("span", "pixels", "step"),
    [
        (6 * HOUR, 960, 20),
        (DAY, 1920, 60),
        (DAY, 960, 120),
        (30 * DAY, 1920, 1200),
        (30 * DAY, 960, 3600),
        (HOUR, 1920, 15),
    ],
)
def test_step_is_round_fills_the_width_and_is_no_shorter_than_a_scrape(
    span: int, pixels: int, step: int
) -> None:
    assert step_of(span, pixels, 15) == step


def test_beyond_the_table_an_interval_is_a_day() -> None:
    assert [rounded(seconds) for seconds in (1, 32_399, 32_400, 90_000)] == [10, 21_600, 43_200, 86_400]


def test_macros_and_variables_are_filled_in_in_every_spelling() -> None:
    values = {"node": ".*", "vm": "101"}
    text = 'rate(x{a=~"$node", b="${vm}", c="\\x241"}[$__rate_interval])'
    assert filled(text, values, DAY, 60, 15) == 'rate(x{a=~".*", b="101", c="\\x241"}[75s])'
    text = "y[$__range] offset $__interval + $__range_s"
    assert filled(text, values, DAY, 60, 15) == "y[86400s] offset 60s + 86400"


def test_a_rate_sees_at_least_four_scrapes() -> None:
    assert filled("$__rate_interval", {}, HOUR, 15, 15) == "60s"


def test_an_unknown_variable_stays() -> None:
    assert filled("$other", {"node": "a"}, HOUR, 15, 15) == "$other"


def _variable(name: str, query: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "query": {"query": query}, **more}


def test_all_is_its_own_value_or_every_value_and_without_it_the_first_one() -> None:
    asked = []

    def find(expression: str, label: str) -> list[str]:
        asked.append((expression, label))
        return ["101", "102"]

    variables = [
        _variable("cluster", "label_values(up, cluster)", includeAll=True, allValue=".*"),
        _variable("node", 'label_values(up{cluster=~"$cluster"}, node)'),
        _variable(
            "vm",
            'query_result(info{node="$node"})',
            includeAll=True,
            regex='/vm_name="(?<text>[^"]+)|vm_id="(?<value>[^"]+)/g',
        ),
        _variable("tag", "query_result(tags)", regex='/tag="([^"]+)"/'),
    ]
    assert chosen({"templating": {"list": variables}}, find) == {
        "cluster": ".*",
        "node": "101",
        "vm": "(101|102)",
        "tag": "101",
    }
    assert asked == [('up{cluster=~".*"}', "node"), ('info{node="101"}', "vm_id"), ("tags", "tag")]


def test_a_variable_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="variable v: metrics"):
        chosen({"templating": {"list": [_variable("v", "metrics(.*)")]}}, lambda *_: [])


def test_panels_in_rows_instant_queries_and_annotations() -> None:
    def panel(title: str, width: int, *targets: dict[str, Any]) -> dict[str, Any]:
        return {"title": title, "gridPos": {"w": width}, "targets": list(targets)}

    board = {
        "panels": [
            {"title": "Row", "panels": [panel("In a row", 12, {"expr": "a"})]},
            panel("Now", 6, {"expr": "b", "instant": True}),
            {"title": "Text"},
        ],
        "annotations": {"list": [{"enable": True, "expr": "ALERTS"}, {"enable": False, "expr": "no"}]},
    }
    assert panels(board, {}, 30 * DAY, 15) == [
        Panel("In a row", (Query("a", 3600),)),
        Panel("Now", (Query("b", 0),)),
        Panel("(annotations)", (Query("ALERTS", 1200),)),
    ]


@pytest.mark.parametrize("entry", DASHBOARDS, ids=lambda entry: entry.uid)
def test_no_query_of_a_dashboard_keeps_a_dollar(entry: Any) -> None:
    document = json.loads(entry.path.read_text("utf-8"))
    found = panels(document, chosen(document, lambda *_: ["x"]), DAY, 15)
    assert len(found) > 5
    assert [query.expr for panel in found for query in panel.queries if "$" in query.expr] == []
