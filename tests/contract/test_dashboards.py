"""Panels against the catalogue and the recorded names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from dashboards import DASHBOARDS
from lab.preview.recording.exposition import names_in
from tests.support.promql import checker

_MACROS = (("$__rate_interval", "5m"), ("$__range", "1h"), ("$__interval", "1m"))
_VARIABLE = re.compile(r"\$(?:\{)?(\w+)")
_LEGEND_LABEL = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_LABEL_VALUES = re.compile(r"label_values\((.+), (\w+)\)")
_QUERY_RESULT = re.compile(r"query_result\((.+)\)")

_PER_TARGET = {"up", "scrape_duration_seconds"}

BOARDS: dict[str, Any] = {entry.uid: json.loads(entry.path.read_text("utf-8")) for entry in DASHBOARDS}
by_board = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS.keys())


def _plain(expression: str) -> str:
    for macro, value in _MACROS:
        expression = expression.replace(macro, value)
    return expression


def _panels(board: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from (panel for panel in board["panels"] if panel["type"] != "row")


def _variables(board: dict[str, Any]) -> dict[str, Any]:
    return {variable["name"]: variable for variable in board["templating"].get("list", ())}


@by_board
def test_every_metric_and_label_of_a_panel_exists(board: dict[str, Any]) -> None:
    check = checker()
    for panel in _panels(board):
        for target in panel.get("targets", ()):
            before = len(check.problems)
            labels = check.labels(_plain(target["expr"]))
            wanted = set(_LEGEND_LABEL.findall(target.get("legendFormat", "")))
            assert check.problems[before:] == [], panel["title"]
            assert wanted <= labels, f"{panel['title']}: legend names {wanted - labels}"


@by_board
def test_lines_over_time_read_nothing_raw_that_grows_with_guests_or_hosts(board: dict[str, Any]) -> None:
    """A month of raw series of each guest would take a panel minutes: rules record what it needs of them."""
    check = checker()
    of_many = {"pve-cluster", "pve-node", "node", "windows", "linux", "gpu"}
    # Which targets are there and how long they take is about every target, and has no shorter form.
    raw = {name for name, series in check.series.items() if series.by_job.keys() & of_many} - _PER_TARGET
    for panel in _panels(board):
        for target in panel.get("targets", ()):
            if not target.get("instant"):
                assert names_in([target["expr"]]) & raw - check.recorded.keys() == set(), panel["title"]


@by_board
def test_columns_of_tables_are_labels_of_every_query(board: dict[str, Any]) -> None:
    check = checker()
    for panel in _panels(board):
        if panel["type"] != "table":
            continue
        organize = next(step for step in panel["transformations"] if step["id"] == "organize")
        columns = {name for name in organize["options"]["indexByName"] if not name.startswith("Value")}
        for target in panel["targets"]:
            assert check.labels(_plain(target["expr"])) == columns, panel["title"]


@by_board
def test_variables_are_defined_and_find_something(board: dict[str, Any]) -> None:
    check = checker()
    defined = _variables(board)
    for variable in defined.values():
        query = variable["query"]["query"]
        if values := _LABEL_VALUES.fullmatch(query):
            assert values[2] in check.labels(values[1])
        else:
            result = _QUERY_RESULT.fullmatch(query)
            assert result is not None, query
            groups = set(re.findall(r'(\w+)="\(\?<', variable["regex"]))
            assert groups <= check.labels(result[1])
    expressions = [target["expr"] for panel in _panels(board) for target in panel.get("targets", ())]
    used = {name for text in expressions for name in _VARIABLE.findall(_plain(text))}
    assert used <= defined.keys()
    assert check.problems == []


@by_board
def test_alert_marks_exist(board: dict[str, Any]) -> None:
    check = checker()
    for annotation in board["annotations"]["list"]:
        check.labels(annotation["expr"])
    assert check.problems == []


@by_board
def test_links_lead_to_dashboards_that_exist_and_variables_that_they_have(board: dict[str, Any]) -> None:
    text = json.dumps(board)
    for uid, query in re.findall(r'/d/([\w-]+)(?:\?([^"]*))?"', text):
        assert uid in BOARDS
        assert set(re.findall(r"var-(\w+)=", query)) <= _variables(BOARDS[uid]).keys()
