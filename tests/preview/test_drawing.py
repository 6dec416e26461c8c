from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.preview import drawing
from lab.preview.bundle import PreviewUnavailable, Programs
from lab.preview.drawing import Pair, PanelNote, Shot, ShotNote, Source

from .conftest import DASHBOARDS

pytestmark = pytest.mark.xdist_group("preview")

TYPES = DASHBOARDS / "types.json"
Read = Callable[[str], dict[str, Any]]


def size(path: Path) -> tuple[int, int]:
    """Width and height of a PNG, which stand at the begin of its first chunk."""
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", head[16:24])


@pytest.fixture(scope="module")
def drawn(programs: Programs, source: Source, tmp_path_factory: pytest.TempPathFactory) -> list[ShotNote]:
    """The same dashboard three times: twice alike, once light, narrow and with a palette."""
    folder = tmp_path_factory.mktemp("pictures")
    shots = [
        Shot(dashboard=TYPES, out=folder / "one.png", width=1400),
        Shot(dashboard=TYPES, out=folder / "two.png", width=1400),
        Shot(dashboard=TYPES, out=folder / "light.png", theme="light", colors=64),
    ]
    return drawing.draw(programs, source, shots)


@pytest.fixture(scope="module")
def panels(drawn: list[ShotNote]) -> dict[str, PanelNote]:
    return {panel.title: panel for panel in drawn[0].report.panels}


def test_the_same_data_and_time_give_the_same_bytes(drawn: list[ShotNote]) -> None:
    one, two, light = (note.out.read_bytes() for note in drawn)
    assert one == two
    assert light not in {one, two}


def test_pictures_are_as_wide_as_asked_and_as_tall_as_the_dashboard(drawn: list[ShotNote]) -> None:
    (width, height), (narrow, _) = size(drawn[0].out), size(drawn[2].out)
    assert (width, narrow) == (1400, 1280)
    # 22 units, three repeated rows of 11, and 10 more, of 38 pixels each, below the head.
    assert 38 * 60 < height < 38 * 75


def test_a_palette_makes_pictures_small(drawn: list[ShotNote]) -> None:
    assert drawn[2].out.stat().st_size < drawn[0].out.stat().st_size / 2


@pytest.mark.parametrize(
    ("title", "values"),
    [
        ("Targets of lab", 31),
        ("Memory", 1),
        ("Bars", 3),
        ("CPU", 10 * 30),
        ("Disks by size", 31),
        ("States", 9 * 31),
        ("History", 9 * 16),
        ("Joined", 9 * 3),
    ],
)
def test_every_type_is_drawn(panels: dict[str, PanelNote], title: str, values: int) -> None:
    panel = panels[title]
    assert (panel.errors, panel.unsupported) == ([], [])
    assert panel.values >= values
    assert panel.queries[0].series >= 1


def test_variables_get_their_choices_and_queries_see_them(
    drawn: list[ShotNote], panels: dict[str, PanelNote]
) -> None:
    shown = {variable["name"]: variable["text"] for variable in drawn[0].report.variables}
    assert shown == {
        "source": "Prometheus", "cluster": "lab", "node": "All", "job": "node + linux + windows",
        "every": "5m", "top": "3", "site": "lab",
    }  # fmt: skip
    assert panels["Bars"].queries[0].expr == "topk(3, vm:cpu_utilization:avg5m)"


def test_rows_and_panels_are_repeated(panels: dict[str, PanelNote]) -> None:
    for number in (1, 2, 3):
        node = f"pve{number}"
        assert panels[f"CPU of {node}"].queries[0].expr == f'node:cpu_utilization:avg5m{{node="{node}"}}'
        for job in ("node", "linux", "windows"):
            assert f"Job {job} on {node}" in panels


def test_what_cannot_be_drawn_says_so(panels: dict[str, PanelNote]) -> None:
    assert panels["Not drawn"].unsupported == ["panels of type piechart aren't drawn by this preview"]
    assert "timeSeriesTable" in panels["Left out"].unsupported[0]
    assert "calculated from raw series" in panels["Calculated"].unsupported[0]


def test_errors_are_told_with_the_query(panels: dict[str, PanelNote]) -> None:
    assert panels["Wrong"].errors[0].startswith("A: bad_data: ")
    assert panels["Elsewhere"].errors == ['A: there is no data source "none"']
    assert (panels["Nothing"].errors, panels["Nothing"].values) == ([], 0)


def test_alerts_are_marked(drawn: list[ShotNote]) -> None:
    assert drawn[0].report.marks >= 1


def test_the_browser_complains_about_nothing_and_asks_nobody_else(drawn: list[ShotNote]) -> None:
    # A refused query is an answer of the data source like any other; the console names it all the same.
    refused = "Failed to load resource: the server responded with a status of 400 (Bad Request)"
    for note in drawn:
        assert set(note.complaints) <= {refused}
        assert note.report.errors == []


def test_a_dashboard_of_another_schema_is_refused(
    programs: Programs, source: Source, tmp_path: Path, document: Read
) -> None:
    old = tmp_path / "old.json"
    old.write_text(json.dumps({**document("types"), "panels": None, "rows": []}), "utf-8")
    (note,) = drawing.draw(programs, source, [Shot(dashboard=old, out=tmp_path / "old.png")])
    assert "only the classic schema" in note.report.errors[0]


def test_without_its_data_source_every_query_fails(programs: Programs, tmp_path: Path) -> None:
    nowhere = Source(url="http://127.0.0.1:9", scrape="60s", now=1_768_391_400)
    (note,) = drawing.draw(programs, nowhere, [Shot(dashboard=TYPES, out=tmp_path / "x.png")])
    failed = [panel for panel in note.report.panels if panel.title == "CPU"]
    assert "no answer from http://127.0.0.1:9" in failed[0].errors[0]


def test_pictures_can_stand_side_by_side(
    programs: Programs, source: Source, drawn: list[ShotNote], tmp_path: Path
) -> None:
    out = tmp_path / "pair.png"
    pair = Pair(out=out, sides=(("before", drawn[0].out), ("after", drawn[2].out), ("none", None)))
    assert drawing.draw(programs, source, [], [pair]) == []
    width, height = size(out)
    assert width > 1400 + 1280 + 320
    assert height > size(drawn[0].out)[1]


def test_a_failing_program_is_told_with_its_last_words(
    source: Source, programs: Programs, tmp_path: Path
) -> None:
    broken = Programs(node=programs.node, npm=programs.npm, chromium="/nonexistent/chromium")
    with pytest.raises(PreviewUnavailable, match="/nonexistent/chromium"):
        drawing.draw(broken, source, [Shot(dashboard=TYPES, out=tmp_path / "x.png")])
