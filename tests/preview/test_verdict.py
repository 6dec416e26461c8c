from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.preview.drawing import PageNote, PanelNote, QueryNote, ShotNote
from lab.preview.verdict import Verdict, verdicts


def panel(**values: Any) -> PanelNote:
    query = QueryNote(ref_id="A", expr="up", series=2, milliseconds=7)
    usual: dict[str, Any] = {
        "key": "1", "id": 1, "type": "stat", "title": "Up", "queries": [query], "frames": 1, "values": 2,
        "errors": [], "unsupported": [],
    }  # fmt: skip
    return PanelNote(**{**usual, **values})


def judge(*panels: PanelNote, allowed: frozenset[str] = frozenset()) -> list[Verdict]:
    """One picture for each panel."""
    notes = [
        ShotNote(
            out=Path("x.png"),
            milliseconds=1,
            complaints=[],
            report=PageNote(panels=[one], variables=[], marks=0, errors=[]),
        )
        for one in panels
    ]
    return verdicts("d", notes, {"d": allowed})


def test_a_panel_with_data_in_one_picture_is_fine() -> None:
    (verdict,) = judge(panel(values=0, queries=[]), panel())
    assert (verdict.problem, verdict.empty, verdict.series, verdict.slowest) == (None, False, 2, 7)


def test_an_empty_panel_fails_unless_it_is_allowed_to() -> None:
    (verdict,) = judge(panel(values=0))
    assert verdict.empty
    assert verdict.problem == "empty, and lab/preview/views.py doesn't allow that"
    (verdict,) = judge(panel(values=0), allowed=frozenset({"Up"}))
    assert (verdict.empty, verdict.problem) == (True, None)


@pytest.mark.parametrize("kind", ["text", "row"])
def test_what_asks_for_nothing_is_not_empty(kind: str) -> None:
    (verdict,) = judge(panel(type=kind, values=0))
    assert (verdict.empty, verdict.problem) == (False, None)


def test_errors_and_what_cannot_be_drawn_fail_even_where_empty_is_allowed() -> None:
    failed = judge(panel(errors=["A: parse error"]), panel(), allowed=frozenset({"Up"}))
    assert failed[0].problem == "error: A: parse error"
    strange = judge(panel(type="piechart", unsupported=["panels of type piechart aren't drawn"]))
    assert strange[0].problem == "not drawn: panels of type piechart aren't drawn"


def test_panels_are_in_the_order_of_their_ids() -> None:
    assert [v.id for v in judge(panel(key="7", id=7), panel(key="2", id=2))] == [2, 7]
