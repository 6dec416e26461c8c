"""House builders for panels.

Every panel has a title, a description that says how to read it, a unit and, where a value can be good or
bad, thresholds. What would be fifty lines of a legend is a table (dashboards.tables). Sizes are in Grafana's
grid: 24 columns wide, rows of 30 pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

from dashboards.fields import Query, data_links, instant_query, mappings, range_query, ref_id, thresholds
from dashboards.sdk import (
    Panel,
    bargauge_builder,
    builder,
    common,
    common_builder,
    model,
    source,
    stat_builder,
    text_builder,
    text_model,
    timeline_builder,
    timeseries_builder,
)
from dashboards.style import COUNT, NO_THRESHOLDS, TEXT, Steps, Words

# A legend that is a table takes at most a third of its panel: below nine rows its third line is cut.
_GRAPH_HEIGHT = 9


def text(content: str, *, height: int = 2, width: int = 24) -> Panel:
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
) -> Panel:
    """One number that answers one question, coloured by its thresholds or words."""
    panel = (
        stat_builder.Panel()
        .title(title)
        .description(description)
        .datasource(source())
        .with_target(instant_query(expr, 0, table=False).legend_format(legend or "__auto"))
        .unit(unit)
        .thresholds(thresholds(steps))
        .mappings(mappings(words or {}))
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
) -> Panel:
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
        ".*", [model.DynamicConfigValue(id_val="links", value=data_links([link]))]
    )


def ranked_stat(
    title: str, description: str, expr: str, legend: str, *, unit: str, steps: Steps = NO_THRESHOLDS
) -> Panel:
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
) -> Panel:
    """Lines over time from zero up, with a legend that gives mean, highest and last value.

    A `short_legend` has names only, for many series whose values stand in a table nearby. `soft_maximum` is
    the end of the axis while no value is higher, so that next to nothing looks like it.
    """
    panel = (
        timeseries_builder.Panel()
        .title(title)
        .description(description)
        .datasource(source())
        .targets([range_query(query, index) for index, query in enumerate(queries)])
        .unit(unit)
        .min(0)
        .line_width(1)
        .fill_opacity(30 if stacked else 8)
        .show_points(common.VisibilityMode.NEVER)
        .thresholds(thresholds(steps))
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
            panel.override_by_query(ref_id(index), properties)
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
) -> Panel:
    """Values of now, side by side, the way one compares how full things are."""
    panel = (
        bargauge_builder.Panel()
        .title(title)
        .description(description)
        .datasource(source())
        .with_target(instant_query(query.expr, 0, table=False).legend_format(query.legend))
        .unit(unit)
        .min(0)
        .thresholds(thresholds(steps))
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
) -> Panel:
    """States over time, a lane per series."""
    return (
        timeline_builder.Panel()
        .title(title)
        .description(description)
        .datasource(source())
        .with_target(range_query(query, 0))
        .unit(TEXT)
        .mappings(mappings(words))
        .thresholds(thresholds(NO_THRESHOLDS))
        .color_scheme(builder.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .show_value(common.VisibilityMode.AUTO)
        .merge_values(True)
        .row_height(0.8)
        .legend(_names_legend())
        .height(height)
        .span(width)
    )
