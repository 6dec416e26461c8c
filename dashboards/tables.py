"""House builder for tables: a row per host or guest, columns from labels and queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from dashboards.fields import data_links, instant_query, mappings, ref_id, thresholds
from dashboards.sdk import Panel, common_builder, model, source, table_builder
from dashboards.style import NO_THRESHOLDS, TEXT, Steps, Words

_MIN_COLUMN_PIXELS = 90


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
        properties["mappings"] = mappings(column.words)
    if column.words or column.colored:
        cell = {"type": "color-text"} if column.words else {"type": "color-background", "mode": "basic"}
        properties["custom.cellOptions"] = cell
    if column.expr is not None:
        # In a column of painted cells only what deserves a look has a colour.
        steps = ((None, "transparent"), *column.steps[1:]) if column.colored else column.steps
        properties["thresholds"] = thresholds(steps).build()
    if column.links:
        properties["links"] = data_links(column.links)
    return [model.DynamicConfigValue(id_val=key, value=value) for key, value in properties.items()]


def _organize(columns: Sequence[Column]) -> model.DataTransformerConfig:
    """Name, order and hide what the merged queries give."""
    values = [column for column in columns if column.expr is not None]
    fields = {
        column.title: column.label or _value_field(values.index(column), len(values)) for column in columns
    }
    return model.DataTransformerConfig(
        id_val="organize",
        options={
            "excludeByName": {"Time": True, "__name__": True},
            "indexByName": {fields[column.title]: index for index, column in enumerate(columns)},
            "renameByName": {fields[column.title]: column.title for column in columns},
        },
    )


def _value_field(index: int, count: int) -> str:
    # Grafana numbers the values only where several queries are merged.
    return f"Value #{ref_id(index)}" if count > 1 else "Value"


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
) -> Panel:
    """A row per label set, as of the end of the time range; columns come from labels and from queries."""
    queries = [column.expr for column in columns if column.expr is not None]
    panel = (
        table_builder.Panel()
        .title(title)
        .description(description)
        .datasource(source())
        .targets([instant_query(expr, index, table=True) for index, expr in enumerate(queries)])
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
