"""What panels share: queries, thresholds, value mappings, links."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dashboards.sdk import builder, model, prometheus, prometheus_builder, source
from dashboards.style import Steps, Words


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


def ref_id(index: int) -> str:
    """Letter of a panel's query, A for the first."""
    return chr(ord("A") + index)


def thresholds(steps: Steps) -> builder.ThresholdsConfig:
    """Thresholds that change colour at each step."""
    return (
        builder.ThresholdsConfig()
        .mode(model.ThresholdsMode.ABSOLUTE)
        .steps([model.Threshold(value=value, color=color) for value, color in steps])
    )


def mappings(words: Words) -> list[model.ValueMapping]:
    """Value mappings that show words instead of numbers; none without words."""
    if not words:
        return []
    options = {
        value: model.ValueMappingResult(text=text, color=color, index=index)
        for index, (value, (text, color)) in enumerate(words.items())
    }
    return [model.ValueMap(options=options)]


def range_query(query: Query, index: int) -> prometheus_builder.Dataquery:
    """Values over the time range."""
    return (
        prometheus_builder.Dataquery()
        .datasource(source())
        .expr(query.expr)
        .legend_format(query.legend or "__auto")
        .range()
        .ref_id(ref_id(index))
    )


def instant_query(expr: str, index: int, *, table: bool) -> prometheus_builder.Dataquery:
    """Values as of the end of the time range."""
    query = prometheus_builder.Dataquery().datasource(source()).expr(expr).instant().ref_id(ref_id(index))
    return query.format(prometheus.PromQueryFormat.TABLE) if table else query


def data_links(links: Sequence[tuple[str, str]]) -> list[dict[str, object]]:
    """Links behind a value, from (title, URL)."""
    return [{"title": title, "url": url, "targetBlank": False} for title, url in links]
