"""House builders for panels, variables and links; the only importer of grafana-foundation-sdk.

Every panel has a title, a description that says how to read it, a unit and, where a value can be good or
bad, thresholds. What would be fifty lines of a legend is a table. Sizes are in Grafana's grid: 24 columns
wide, rows of 30 pixels.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
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
# CPUs in use, host or virtual; Grafana has no unit of its own for them.
CORES = "suffix:cores"
CELSIUS = "celsius"
WATTS = "watt"
TEXT = "string"

_GREEN, _ORANGE, _RED, _NEUTRAL = "green", "orange", "red", "text"

# Colours of lines that mean the same on every graph. The others come from the palette in the order of the
# series, which Prometheus sorts by labels: the same guests have the same colours in every graph.
HOST_COLOR = _NEUTRAL
LIMIT_COLOR, PROMISED_COLOR = _RED, "purple"
REST_COLOR = "#8e8e8e"
WATCHED_COLOR, UNWATCHED_COLOR = _GREEN, _ORANGE

# (value from which the colour holds, colour); None is minus infinity.
Steps: TypeAlias = tuple[tuple[float | None, str], ...]
NO_THRESHOLDS: Steps = ((None, _NEUTRAL),)
ANY_IS_BAD: Steps = ((None, _GREEN), (1, _RED))
ANY_IS_NOTABLE: Steps = ((None, _GREEN), (1, _ORANGE))
# Of shares that should be 100 %.
ALL_IS_GOOD: Steps = ((None, _ORANGE), (1, _GREEN))

# Value mappings: what a number means, and its colour.
Words: TypeAlias = dict[str, tuple[str, str]]
YES_NO: Words = {"1": ("yes", _GREEN), "0": ("no", _RED)}
ONLINE_OFFLINE: Words = {"1": ("online", _GREEN), "0": ("offline", _RED)}
RUNNING_STOPPED: Words = {"1": ("running", _GREEN), "0": ("stopped", _NEUTRAL)}
UP_DOWN: Words = {"1": ("up", _GREEN), "0": ("down", _RED)}
# Ranks, so that a table can be sorted by them.
SEVERITIES: Words = {"3": ("critical", _RED), "2": ("warning", _ORANGE), "1": ("info", _NEUTRAL)}
IN_USE: Words = {"1": ("in use", _NEUTRAL), "0": ("-", _NEUTRAL)}
ACCEPTED: Words = {"1": ("accepted", _GREEN), "0": ("refused", _RED)}
MISSING_GRANTED: Words = {"0": ("granted", _GREEN), "1": ("missing", _RED)}


def plain_words(texts: Mapping[str, str]) -> Words:
    """Words that explain without judging: none has a colour."""
    return {value: (text, _NEUTRAL) for value, text in texts.items()}


_MIN_COLUMN_PIXELS = 90
# A legend that is a table takes at most a third of its panel: below nine rows its third line is cut.
_GRAPH_HEIGHT = 9

_Panel: TypeAlias = Any  # the builders share no base class but build()


def high_is_bad(warning: float, critical: float | None = None) -> Steps:
    """Green below `warning`, orange from there, red from `critical`."""
    steps: Steps = ((None, _GREEN), (warning, _ORANGE))
    return steps if critical is None else (*steps, (critical, _RED))


@dataclass(frozen=True, kw_only=True)
class Query:
    """A PromQL expression and how its series are drawn.

    Attributes:
        legend: name of its series, in Grafana's `{{label}}` form.
        color: of its series; None leaves it to the palette.
        reference: what the others are held against: a thick line of its own above a stack.
        dashed: a limit rather than something measured.
    """

    expr: str
    legend: str = ""
    color: str | None = None
    reference: bool = False
    dashed: bool = False


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table.

    Attributes:
        title: heading.
        label: label that it shows; None where it shows the value of `expr`.
        expr: query of the column; its result has just the labels that the table's other columns show.
        links: (title, URL) behind each cell; several open a menu.
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
    links: Sequence[tuple[str, str]] = ()
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


def text(content: str, *, height: int = 2, width: int = 24) -> _Panel:
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
    width: int = 6,
    height: int = 3,
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


def name_stat(
    title: str, description: str, expr: str, legend: str, *, link: tuple[str, str], width: int = 6
) -> _Panel:
    """A stat that shows the name of its series, such as the node that a guest is on, and leads there."""
    panel = stat(
        title,
        description,
        expr,
        legend=legend,
        text_mode=common.BigValueTextMode.NAME,
        unit=TEXT,
        width=width,
    )
    return panel.override_by_regexp(
        ".*", [model.DynamicConfigValue(id_val="links", value=_data_links([link]))]
    )


def ranked_stat(
    title: str, description: str, expr: str, legend: str, *, unit: str, steps: Steps = NO_THRESHOLDS
) -> _Panel:
    """A stat of the series that is first in a ranking: its name and its value."""
    return stat(
        title,
        description,
        expr,
        legend=legend,
        text_mode=common.BigValueTextMode.VALUE_AND_NAME,
        unit=unit,
        steps=steps,
        width=4,
        height=5,
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
    no_value: str = "",
    short_legend: bool = False,
    soft_maximum: float | None = None,
    width: int = 12,
    height: int = _GRAPH_HEIGHT,
) -> _Panel:
    """Lines over time from zero up, with a legend that gives mean, highest and last value.

    A `short_legend` has names only, for many series whose values stand in a table nearby. `soft_maximum` is
    the end of the axis while no value is higher, so that next to nothing looks like it.
    """
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
        .legend(_names_legend() if short_legend else _table_legend())
        .tooltip(
            common_builder.VizTooltipOptions()
            .mode(common.TooltipDisplayMode.MULTI)
            .sort(common.SortOrder.DESCENDING)
        )
        .height(height)
        .span(width)
    )
    if no_value:
        panel.no_value(no_value)
    if maximum is not None:
        panel.max(maximum)
    if soft_maximum is not None:
        panel.axis_soft_max(soft_maximum)
    if stacked:
        panel.stacking(common_builder.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
    if steps is not NO_THRESHOLDS:
        panel.thresholds_style(
            common_builder.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
        )
    for index, query in enumerate(queries):
        if properties := _line_properties(query):
            panel.override_by_query(_ref_id(index), properties)
    return panel


def _names_legend() -> common_builder.VizLegendOptions:
    return (
        common_builder.VizLegendOptions()
        .show_legend(True)
        .display_mode(common.LegendDisplayMode.LIST)
        .placement(common.LegendPlacement.BOTTOM)
    )


def _table_legend() -> common_builder.VizLegendOptions:
    return (
        common_builder.VizLegendOptions()
        .show_legend(True)
        .display_mode(common.LegendDisplayMode.TABLE)
        .placement(common.LegendPlacement.BOTTOM)
        .calcs(["mean", "max", "lastNotNull"])
        .sort_by("Max")
        .sort_desc(True)
    )


def _line_properties(query: Query) -> list[model.DynamicConfigValue]:
    properties: dict[str, object] = {}
    if query.color is not None:
        properties["color"] = {"mode": "fixed", "fixedColor": query.color}
    if query.reference or query.dashed:
        properties["custom.stacking"] = {"mode": "none", "group": "A"}
        properties["custom.fillOpacity"] = 0
    if query.reference:
        properties["custom.lineWidth"] = 3
    if query.dashed:
        properties["custom.lineStyle"] = {"fill": "dash", "dash": [10, 10]}
    return [model.DynamicConfigValue(id_val=key, value=value) for key, value in properties.items()]


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
        .legend(_names_legend())
        .height(height)
        .span(width)
    )


def _data_links(links: Sequence[tuple[str, str]]) -> list[dict[str, object]]:
    return [{"title": title, "url": url, "targetBlank": False} for title, url in links]


def _column_properties(column: Column) -> list[model.DynamicConfigValue]:
    # The panel's own `noValue` is for a table without rows; in a cell it would read like a statement.
    properties: dict[str, object] = {"unit": column.unit, "noValue": "-"}
    if column.decimals is not None:
        properties["decimals"] = column.decimals
    if column.width is None:
        # Grafana's own 150 pixels would push the last columns out of a picture of 1,280.
        properties["custom.minWidth"] = _MIN_COLUMN_PIXELS
    else:
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
    if column.links:
        properties["links"] = _data_links(column.links)
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
        .datasource(_source())
        .enable(True)
        .icon_color(_RED)
        # One mark for an alert about a guest or host, not one for each of its disks.
        .expr(f"max by (alertname, severity, cluster, node, vm_name) ({firing})")
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
