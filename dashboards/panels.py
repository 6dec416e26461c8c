"""House builders for panels, variables and links; the only importer of grafana-foundation-sdk.

Every panel has a title, a description that says how to read it, a unit and, where a value can be good or
bad, thresholds. What would be fifty lines of a legend is a table. Sizes are in Grafana's grid: 24 columns
wide, rows of 30 pixels.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

# The SDK would rather have the v2 schema written. The classic one is what Grafana's HTTP API and the
# Pulumi provider's Dashboard resource take.
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.builders import bargauge as bargauge_builder
    from grafana_foundation_sdk.builders import common as common_builder
    from grafana_foundation_sdk.builders import dashboard as builder
    from grafana_foundation_sdk.builders import prometheus as prometheus_builder
    from grafana_foundation_sdk.builders import stat as stat_builder
    from grafana_foundation_sdk.builders import statetimeline as timeline_builder
    from grafana_foundation_sdk.builders import table as table_builder
    from grafana_foundation_sdk.builders import text as text_builder
    from grafana_foundation_sdk.builders import timeseries as timeseries_builder
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.models import common, prometheus
    from grafana_foundation_sdk.models import dashboard as model
    from grafana_foundation_sdk.models import text as text_model

Dashboard: TypeAlias = model.Dashboard

# Fixed uids of the data sources: a dashboard that names them needs no import dialog.
PROMETHEUS_UID = "prometheus"
ALERTMANAGER_UID = "alertmanager"
COMMON_TAG = "pve-monitoring"

# Units, by Grafana's names.
RATIO = "percentunit"
BYTES = "bytes"
BYTES_PER_SECOND = "binBps"
OPERATIONS_PER_SECOND = "iops"
SECONDS = "s"
AGE = "dtdurations"
COUNT = "short"
CELSIUS = "celsius"
WATTS = "watt"
TEXT = "string"

_GREEN, _ORANGE, _RED, _NEUTRAL = "green", "orange", "red", "text"

# (value from which the colour holds, colour); None is minus infinity.
Steps: TypeAlias = tuple[tuple[float | None, str], ...]
NO_THRESHOLDS: Steps = ((None, _NEUTRAL),)
ANY_IS_BAD: Steps = ((None, _GREEN), (1, _RED))
ANY_IS_NOTABLE: Steps = ((None, _GREEN), (1, _ORANGE))
ONE_IS_GOOD: Steps = ((None, _RED), (1, _GREEN))

# Value mappings: what a number means, and its colour.
Words: TypeAlias = dict[str, tuple[str, str]]
YES_NO: Words = {"1": ("yes", _GREEN), "0": ("no", _RED)}
ONLINE_OFFLINE: Words = {"1": ("online", _GREEN), "0": ("offline", _RED)}
RUNNING_STOPPED: Words = {"1": ("running", _GREEN), "0": ("stopped", _NEUTRAL)}
UP_DOWN: Words = {"1": ("up", _GREEN), "0": ("down", _RED)}

_Panel: TypeAlias = Any  # the builders share no base class but build()


def high_is_bad(warning: float, critical: float | None = None) -> Steps:
    """Green below `warning`, orange from there, red from `critical`."""
    steps: Steps = ((None, _GREEN), (warning, _ORANGE))
    return steps if critical is None else (*steps, (critical, _RED))


@dataclass(frozen=True, kw_only=True)
class Query:
    """A PromQL expression and the legend of its series (Grafana's `{{label}}` form)."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table.

    Attributes:
        title: heading.
        label: label that it shows; None where it shows the value of `expr`.
        expr: query of the column; its result has just the labels that the table's other columns show.
        link: (title, URL) behind each cell.
        colored: paint the background by the thresholds.
        width: in pixels; None shares what is left.
    """

    title: str
    label: str | None = None
    expr: str | None = None
    unit: str = TEXT
    decimals: int | None = None
    steps: Steps = NO_THRESHOLDS
    words: Words = field(default_factory=dict)
    link: tuple[str, str] | None = None
    colored: bool = False
    width: int | None = None


def _source() -> common.DataSourceRef:
    return common.DataSourceRef(type_val="prometheus", uid=PROMETHEUS_UID)


def _ref_id(index: int) -> str:
    return chr(ord("A") + index)


def _thresholds(steps: Steps) -> builder.ThresholdsConfig:
    return (
        builder.ThresholdsConfig()
        .mode(model.ThresholdsMode.ABSOLUTE)
        .steps([model.Threshold(value=value, color=color) for value, color in steps])
    )


def _mappings(words: Words) -> list[model.ValueMapping]:
    if not words:
        return []
    options = {
        value: model.ValueMappingResult(text=text, color=color, index=index)
        for index, (value, (text, color)) in enumerate(words.items())
    }
    return [model.ValueMap(options=options)]


def _range_query(query: Query, index: int) -> prometheus_builder.Dataquery:
    return (
        prometheus_builder.Dataquery()
        .datasource(_source())
        .expr(query.expr)
        .legend_format(query.legend or "__auto")
        .range()
        .ref_id(_ref_id(index))
    )


def _instant_query(expr: str, index: int, *, table: bool) -> prometheus_builder.Dataquery:
    query = prometheus_builder.Dataquery().datasource(_source()).expr(expr).instant().ref_id(_ref_id(index))
    return query.format(prometheus.PromQueryFormat.TABLE) if table else query


def text(content: str, *, height: int = 3, width: int = 24) -> _Panel:
    """Markdown without a frame; opens a dashboard with its question."""
    return (
        text_builder.Panel()
        .title("")
        .description("")
        .mode(text_model.TextMode.MARKDOWN)
        .content(content)
        .transparent(True)
        .height(height)
        .span(width)
    )


def stat(
    title: str,
    description: str,
    expr: str,
    *,
    unit: str = COUNT,
    steps: Steps = NO_THRESHOLDS,
    words: Words | None = None,
    legend: str = "",
    text_mode: common.BigValueTextMode = common.BigValueTextMode.VALUE,
    decimals: int | None = None,
    no_value: str = "no data",
    width: int = 3,
    height: int = 4,
) -> _Panel:
    """One number that answers one question, coloured by its thresholds or words."""
    panel = (
        stat_builder.Panel()
        .title(title)
        .description(description)
        .datasource(_source())
        .with_target(_instant_query(expr, 0, table=False).legend_format(legend or "__auto"))
        .unit(unit)
        .thresholds(_thresholds(steps))
        .mappings(_mappings(words or {}))
        .no_value(no_value)
        .color_mode(common.BigValueColorMode.VALUE)
        .graph_mode(common.BigValueGraphMode.NONE)
        .text_mode(text_mode)
        .reduce_options(common_builder.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .height(height)
        .span(width)
    )
    return panel if decimals is None else panel.decimals(decimals)


def name_stat(title: str, description: str, expr: str, legend: str, *, width: int = 4) -> _Panel:
    """A stat that shows the name of its series, such as the node that a guest is on."""
    return stat(
        title,
        description,
        expr,
        legend=legend,
        text_mode=common.BigValueTextMode.NAME,
        unit=TEXT,
        width=width,
    )


def graph(
    title: str,
    description: str,
    queries: Sequence[Query],
    *,
    unit: str,
    steps: Steps = NO_THRESHOLDS,
    maximum: float | None = None,
    stacked: bool = False,
    width: int = 12,
    height: int = 8,
) -> _Panel:
    """Lines over time from zero up, with a legend that gives mean, highest and last value."""
    panel = (
        timeseries_builder.Panel()
        .title(title)
        .description(description)
        .datasource(_source())
        .targets([_range_query(query, index) for index, query in enumerate(queries)])
        .unit(unit)
        .min(0)
        .line_width(1)
        .fill_opacity(30 if stacked else 8)
        .show_points(common.VisibilityMode.NEVER)
        .thresholds(_thresholds(steps))
        .legend(
            common_builder.VizLegendOptions()
            .show_legend(True)
            .display_mode(common.LegendDisplayMode.TABLE)
            .placement(common.LegendPlacement.BOTTOM)
            .calcs(["mean", "max", "lastNotNull"])
            .sort_by("Max")
            .sort_desc(True)
        )
        .tooltip(
            common_builder.VizTooltipOptions()
            .mode(common.TooltipDisplayMode.MULTI)
            .sort(common.SortOrder.DESCENDING)
        )
        .height(height)
        .span(width)
    )
    if maximum is not None:
        panel.max(maximum)
    if stacked:
        panel.stacking(common_builder.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
    if steps is not NO_THRESHOLDS:
        panel.thresholds_style(
            common_builder.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
        )
    return panel


def bars(
    title: str,
    description: str,
    query: Query,
    *,
    unit: str,
    steps: Steps = NO_THRESHOLDS,
    maximum: float | None = None,
    width: int = 12,
    height: int = 8,
) -> _Panel:
    """Values of now, side by side, the way one compares how full things are."""
    panel = (
        bargauge_builder.Panel()
        .title(title)
        .description(description)
        .datasource(_source())
        .with_target(_instant_query(query.expr, 0, table=False).legend_format(query.legend))
        .unit(unit)
        .min(0)
        .thresholds(_thresholds(steps))
        .orientation(common.VizOrientation.HORIZONTAL)
        .display_mode(common.BarGaugeDisplayMode.BASIC)
        .value_mode(common.BarGaugeValueMode.TEXT)
        .reduce_options(common_builder.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .height(height)
        .span(width)
    )
    return panel if maximum is None else panel.max(maximum)


def timeline(
    title: str, description: str, query: Query, *, words: Words, width: int = 24, height: int = 5
) -> _Panel:
    """States over time, a lane per series."""
    return (
        timeline_builder.Panel()
        .title(title)
        .description(description)
        .datasource(_source())
        .with_target(_range_query(query, 0))
        .unit(TEXT)
        .mappings(_mappings(words))
        .thresholds(_thresholds(NO_THRESHOLDS))
        .color_scheme(builder.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .show_value(common.VisibilityMode.AUTO)
        .merge_values(True)
        .row_height(0.8)
        .legend(
            common_builder.VizLegendOptions()
            .show_legend(True)
            .display_mode(common.LegendDisplayMode.LIST)
            .placement(common.LegendPlacement.BOTTOM)
        )
        .height(height)
        .span(width)
    )


def _column_properties(column: Column) -> list[model.DynamicConfigValue]:
    # The panel's own `noValue` is for a table without rows; in a cell it would read like a statement.
    properties: dict[str, object] = {"unit": column.unit, "noValue": "-"}
    if column.decimals is not None:
        properties["decimals"] = column.decimals
    if column.width is not None:
        properties["custom.width"] = column.width
    if column.words:
        properties["mappings"] = _mappings(column.words)
    if column.words or column.colored:
        cell = {"type": "color-text"} if column.words else {"type": "color-background", "mode": "basic"}
        properties["custom.cellOptions"] = cell
    if column.expr is not None:
        # In a column of painted cells only what deserves a look has a colour.
        steps = ((None, "transparent"), *column.steps[1:]) if column.colored else column.steps
        properties["thresholds"] = _thresholds(steps).build()
    if column.link is not None:
        title, url = column.link
        properties["links"] = [{"title": title, "url": url, "targetBlank": False}]
    return [model.DynamicConfigValue(id_val=key, value=value) for key, value in properties.items()]


def _organize(columns: Sequence[Column]) -> model.DataTransformerConfig:
    """Name, order and hide what the merged queries give."""
    values = [column for column in columns if column.expr is not None]
    source = {
        column.title: column.label or _value_field(values.index(column), len(values)) for column in columns
    }
    return model.DataTransformerConfig(
        id_val="organize",
        options={
            "excludeByName": {"Time": True, "__name__": True},
            "indexByName": {source[column.title]: index for index, column in enumerate(columns)},
            "renameByName": {source[column.title]: column.title for column in columns},
        },
    )


def _value_field(index: int, count: int) -> str:
    # Grafana numbers the values only where several queries are merged.
    return f"Value #{_ref_id(index)}" if count > 1 else "Value"


def table(
    title: str,
    description: str,
    columns: Sequence[Column],
    *,
    sort_by: str,
    descending: bool = True,
    no_value: str = "no data",
    width: int = 24,
    height: int = 9,
) -> _Panel:
    """A row per label set, as of the end of the time range; columns come from labels and from queries."""
    queries = [column.expr for column in columns if column.expr is not None]
    panel = (
        table_builder.Panel()
        .title(title)
        .description(description)
        .datasource(_source())
        .targets([_instant_query(expr, index, table=True) for index, expr in enumerate(queries)])
        .with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(_organize(columns))
        .unit(TEXT)
        .no_value(no_value)
        .sort_by([common_builder.TableSortByFieldState().display_name(sort_by).desc(descending)])
        .height(height)
        .span(width)
    )
    for column in columns:
        panel.override_by_name(column.title, _column_properties(column))
    return panel


def label_variable(name: str, label: str, query: str, *, multi: bool = True) -> builder.QueryVariable:
    """A variable with the values of a label; `query` is Grafana's label_values(...)."""
    variable = (
        builder.QueryVariable(name)
        .label(label)
        .datasource(_source())
        .query({"query": query, "refId": f"Variable-{name}"})
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC)
        .multi(multi)
        .include_all(multi)
    )
    if multi:
        variable.all_value(".*").current(model.VariableOption(text="All", value="$__all", selected=True))
    return variable


def named_variable(name: str, label: str, selector: str, *, value: str, shown: str) -> builder.QueryVariable:
    """A variable of one choice whose value is one label and whose text is another of the same series."""
    pattern = f'/{shown}="(?<text>[^"]+)|{value}="(?<value>[^"]+)/g'
    return label_variable(name, label, f"query_result({selector})", multi=False).regex(pattern)


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
    return (
        builder.AnnotationQuery()
        .name("Alerts")
        .datasource(_source())
        .enable(True)
        .icon_color(_RED)
        .expr(f'ALERTS{{alertstate="firing", severity=~"warning|critical"{matchers}}}')
    )


@dataclass(frozen=True, kw_only=True)
class Section:
    """A row of a dashboard: heading and panels, which wrap at 24 columns."""

    title: str
    panels: Sequence[_Panel]


def dashboard(
    *,
    uid: str,
    title: str,
    question: str,
    folder: str,
    variables: Sequence[builder.QueryVariable],
    links: Sequence[builder.DashboardLink],
    head: Sequence[_Panel],
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
