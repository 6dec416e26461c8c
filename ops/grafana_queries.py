"""The queries that Grafana sends for a dashboard: which variables, range and step (pure, from its JSON)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# Pixels of a window that is as wide as a common screen; Grafana asks for one point per pixel of a panel.
WIDTH = 1920
_COLUMNS = 24
ALL = "$__all"

# Grafana's own table (packages/grafana-data, rangeutil.roundInterval), up to a day: below a bound, in
# seconds, the interval becomes the value beside it.
_ROUNDED = (
    (15, 10), (17.5, 15), (25, 20), (45, 30), (90, 60), (210, 120), (450, 300), (750, 600), (1050, 900),
    (1500, 1200), (2700, 1800), (5400, 3600), (9000, 7200), (16200, 10800), (32400, 21600), (86400, 43200),
)  # fmt: skip

_LABEL_VALUES = re.compile(r"label_values\((.+), (\w+)\)", re.DOTALL)
_QUERY_RESULT = re.compile(r"query_result\((.+)\)", re.DOTALL)
_VALUE_IN_REGEX = re.compile(r'(\w+)="\(\?<value>')
_ONLY_IN_REGEX = re.compile(r'(\w+)="\(')

# Gives the values that a label has in the result of an expression.
Find = Callable[[str, str], list[str]]


@dataclass(frozen=True)
class Query:
    """One request.

    Attributes:
        step: seconds between two points; 0: an instant query at the end.
    """

    expr: str
    step: int


@dataclass(frozen=True)
class Panel:
    """A panel and what it asks; the annotations of a dashboard count as one."""

    title: str
    queries: tuple[Query, ...]


def rounded(seconds: float) -> int:
    """An interval in seconds as Grafana rounds it; a day above 12 hours."""
    return next((value for bound, value in _ROUNDED if seconds < bound), 86400)


def step_of(span: int, pixels: int, least: int) -> int:
    """Seconds between two points of a panel.

    Args:
        span: seconds that the dashboard shows.
        pixels: width of the panel.
        least: scrape interval, below which the data source doesn't go.
    """
    return max(rounded(span / pixels), least)


def chosen(dashboard: Mapping[str, Any], find: Find) -> dict[str, str]:
    """What the variables are when the dashboard opens, as they are put into queries.

    "All" of a variable with a value of its own for that (`.*`) is that value; of one without, every value
    beside the others. A variable without "All" takes its first value.

    Raises:
        ValueError: a variable has a query of another kind than the dashboards here.
    """
    values: dict[str, str] = {}
    for variable in dashboard.get("templating", {}).get("list", ()):
        if variable.get("includeAll") and variable.get("allValue"):
            values[variable["name"]] = variable["allValue"]
            continue
        expression, label = _query_of(variable)
        found = find(filled(expression, values, 0, 0, 0), label)
        everything = variable.get("includeAll", False)
        values[variable["name"]] = f"({'|'.join(found)})" if everything else found[0]
    return values


def _query_of(variable: Mapping[str, Any]) -> tuple[str, str]:
    """The expression that gives a variable's values, and the label that holds them."""
    query, regex = variable["query"]["query"], variable.get("regex", "")
    if match := _LABEL_VALUES.fullmatch(query):
        return match[1], match[2]
    match = _QUERY_RESULT.fullmatch(query)
    label = _VALUE_IN_REGEX.search(regex) or _ONLY_IN_REGEX.search(regex)
    if match is None or label is None:
        raise ValueError(f"variable {variable['name']}: {query} with {regex} isn't understood")
    return match[1], label[1]


def filled(text: str, values: Mapping[str, str], span: int, step: int, scrape: int) -> str:
    """A query with its variables and macros filled in."""
    macros = {
        "__range": f"{span}s",
        "__range_s": str(span),
        "__interval": f"{step}s",
        # Four scrapes, or one more than the step: Prometheus' data source.
        "__rate_interval": f"{max(step + scrape, 4 * scrape)}s",
    }
    known = {**values, **macros}
    return re.sub(r"\$\{?(\w+)\}?", lambda match: known.get(match[1], match[0]), text)


def panels(dashboard: Mapping[str, Any], values: Mapping[str, str], span: int, scrape: int) -> list[Panel]:
    """Every panel that asks something, in the order in which they stand."""
    found = [
        Panel(panel["title"], tuple(_queries(panel, values, span, scrape)))
        for panel in _all(dashboard["panels"])
        if panel.get("targets")
    ]
    step = step_of(span, WIDTH, scrape)
    notes = tuple(
        Query(filled(entry["expr"], values, span, step, scrape), step)
        for entry in dashboard.get("annotations", {}).get("list", ())
        if entry.get("enable") and "expr" in entry
    )
    return [*found, Panel("(annotations)", notes)] if notes else found


def _all(entries: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for entry in entries:
        yield entry
        yield from _all(entry.get("panels", []))


def _queries(panel: Mapping[str, Any], values: Mapping[str, str], span: int, scrape: int) -> Iterator[Query]:
    step = step_of(span, WIDTH * panel["gridPos"]["w"] // _COLUMNS, scrape)
    for target in panel["targets"]:
        expression = filled(target["expr"], values, span, step, scrape)
        yield Query(expression, 0 if target.get("instant") else step)
