"""House builders for what holds panels together: variables, links, sections, the dashboard itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from dashboards.panels import text
from dashboards.sdk import Dashboard, JSONEncoder, Panel, builder, model, source
from dashboards.style import ALERT_COLOR

COMMON_TAG = "pve-monitoring"


def label_variable(name: str, label: str, query: str, *, multi: bool = True) -> builder.QueryVariable:
    """A variable with the values of a label; `query` is Grafana's label_values(...)."""
    variable = (
        builder.QueryVariable(name)
        .label(label)
        .datasource(source())
        .query({"query": query, "refId": f"Variable-{name}"})
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC)
        .multi(multi)
        .include_all(multi)
    )
    if multi:
        variable.all_value(".*").current(model.VariableOption(text="All", value="$__all", selected=True))
    return variable


def named_variable(
    name: str, label: str, selector: str, *, value: str, shown: str, multi: bool = False
) -> builder.QueryVariable:
    """A variable whose value is one label and whose text is another of the same series."""
    pattern = f'/{shown}="(?<text>[^"]+)|{value}="(?<value>[^"]+)/g'
    variable = label_variable(name, label, f"query_result({selector})", multi=multi).regex(pattern)
    # All stands for what the selector finds, which other variables may narrow, and for nothing beyond.
    return variable.all_value("") if multi else variable


def found_variable(name: str, label: str, query: str, *, found: str) -> builder.QueryVariable:
    """A variable with the values that a label of a query's result has."""
    return label_variable(name, label, f"query_result({query})").regex(f'/{found}="([^"]+)"/')


def link_to(title: str, uid: str, *, keep: bool = True, tooltip: str = "") -> builder.DashboardLink:
    """A link in the head of a dashboard to another one, carrying time and variables along."""
    return (
        builder.DashboardLink(title)
        .type(model.DashboardLinkType.LINK)
        .icon("dashboard")
        .url(f"/d/{uid}")
        .tooltip(tooltip)
        .keep_time(True)
        .include_vars(keep)
    )


def _alert_annotation(matchers: str) -> builder.AnnotationQuery:
    firing = f'ALERTS{{alertstate="firing", severity=~"warning|critical"{matchers}}}'
    return (
        builder.AnnotationQuery()
        .name("Alerts")
        .datasource(source())
        .enable(True)
        .icon_color(ALERT_COLOR)
        # One mark for an alert about a guest or host, not one for each of its disks.
        .expr(f"max by (alertname, severity, cluster, node, vm_name) ({firing})")
    )


@dataclass(frozen=True, kw_only=True)
class Section:
    """A row of a dashboard: heading and panels, which wrap at 24 columns."""

    title: str
    panels: Sequence[Panel]


def dashboard(
    *,
    uid: str,
    title: str,
    question: str,
    folder: str,
    variables: Sequence[builder.QueryVariable],
    links: Sequence[builder.DashboardLink],
    head: Sequence[Panel],
    sections: Sequence[Section],
    alert_matchers: str = "",
    time_from: str = "now-6h",
) -> Dashboard:
    """Put a dashboard together.

    Args:
        uid: fixed identity in Grafana.
        title: name that people see.
        question: what the dashboard answers; it is its description and the first thing on it.
        folder: title of its folder, which is also one of its tags.
        variables: what can be chosen at the top.
        links: other dashboards, in the head.
        head: panels below the question, before the first section.
        sections: the rest, each under a heading.
        alert_matchers: more matchers (`, cluster=~"$cluster"`) for the alerts marked on the graphs.
        time_from: begin of the time range that is shown at first.
    """
    result = (
        builder.Dashboard(title)
        .uid(uid)
        .description(question)
        .tags([COMMON_TAG, folder.lower()])
        .timezone("browser")
        .time(time_from, "now")
        .refresh("1m")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .readonly()
        .annotation(_alert_annotation(alert_matchers))
    )
    for variable in variables:
        result.with_variable(variable)
    for link in links:
        result.link(link)
    for panel in (text(f"### {question}", height=2), *head):
        result.with_panel(panel)
    for section in sections:
        result.with_row(builder.Row(section.title))
        for panel in section.panels:
            result.with_panel(panel)
    return _numbered(result.build())


def _numbered(built: Dashboard) -> Dashboard:
    """Give every panel an id: links to a panel and the drawing of one need it."""
    for number, panel in enumerate(built.panels or [], start=1):
        panel.id_val = number
    return built


def to_json(built: Dashboard) -> str:
    """The classic dashboard JSON, in a form whose differences can be read."""
    document = json.loads(json.dumps(built, cls=JSONEncoder))
    # The SDK knows no other place for these than a closed menu; without it they stand in the head.
    for entry in (*document["links"], *document["annotations"]["list"]):
        entry.pop("placement", None)
    return json.dumps(document, sort_keys=True, indent=2) + "\n"
