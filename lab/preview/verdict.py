"""From the notes of all pictures to one verdict for each panel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lab.preview.drawing import PanelNote, ShotNote

# Panels that ask for nothing.
_WITHOUT_DATA = ("text", "row")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A panel over all pictures of its dashboard.

    Attributes:
        series: most series that its queries gave in one picture.
        values: most values that it showed in one picture.
        slowest: milliseconds of its slowest query.
        problem: why it fails; None: it doesn't.
        empty: nothing to show in any picture.
    """

    dashboard: str
    id: int | None
    type: str
    title: str
    series: int
    values: int
    slowest: int
    empty: bool
    errors: tuple[str, ...]
    unsupported: tuple[str, ...]
    problem: str | None


def verdicts(
    dashboard: str, notes: Iterable[ShotNote], may_be_empty: Mapping[str, frozenset[str]]
) -> list[Verdict]:
    """Judge the panels of a dashboard: one has to have data in one of its pictures, and errors in none."""
    by_key: dict[str, list[PanelNote]] = {}
    for note in notes:
        for panel in note.report.panels:
            by_key.setdefault(panel.key, []).append(panel)
    allowed = may_be_empty.get(dashboard, frozenset())
    judged = [_verdict(dashboard, panels, allowed) for panels in by_key.values()]
    return sorted(judged, key=lambda verdict: verdict.id or 0)


def _verdict(dashboard: str, panels: list[PanelNote], allowed: frozenset[str]) -> Verdict:
    first = panels[0]
    errors = tuple(dict.fromkeys(error for panel in panels for error in panel.errors))
    unsupported = tuple(dict.fromkeys(reason for panel in panels for reason in panel.unsupported))
    empty = first.type not in _WITHOUT_DATA and not any(panel.values for panel in panels)
    return Verdict(
        dashboard=dashboard,
        id=first.id,
        type=first.type,
        title=first.title,
        series=max(sum(query.series for query in panel.queries) for panel in panels),
        values=max(panel.values for panel in panels),
        slowest=max((query.milliseconds for panel in panels for query in panel.queries), default=0),
        empty=empty,
        errors=errors,
        unsupported=unsupported,
        problem=_problem(errors, unsupported, empty and first.title not in allowed),
    )


def _problem(errors: tuple[str, ...], unsupported: tuple[str, ...], empty: bool) -> str | None:
    if errors:
        return f"error: {errors[0]}"
    if unsupported:
        return f"not drawn: {unsupported[0]}"
    return "empty, and lab/preview/views.py doesn't allow that" if empty else None
