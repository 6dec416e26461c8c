"""The commands from begin to end, with one small dashboard and a short recording."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.preview import drawing
from lab.preview.bundle import Programs
from lab.preview.drawing import Source
from ops import pictures

pytestmark = pytest.mark.xdist_group("preview")


def dashboard(**panel: Any) -> dict[str, Any]:
    """A dashboard of one panel."""
    target = {"refId": "A", "expr": "count(up)", "instant": True}
    usual = {"id": 1, "type": "stat", "title": "Targets", "gridPos": {"x": 0, "y": 0, "w": 6, "h": 4}}
    return {"uid": "small", "title": "Small", "panels": [{**usual, "targets": [target], **panel}]}


@pytest.fixture
def write(programs: Programs, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes a dashboard the only one that there is."""
    rendered, docs = tmp_path / "rendered", tmp_path / "docs"
    rendered.mkdir()

    @contextmanager
    def recorded(*_: Any) -> Iterator[Source]:
        yield source

    def write_one(**panel: Any) -> None:
        path = rendered / "small.json"
        path.write_text(json.dumps(dashboard(**panel)), "utf-8")
        monkeypatch.setattr(pictures, "DASHBOARDS", (SimpleNamespace(uid="small", path=path),))

    monkeypatch.setattr(pictures, "_source", recorded)
    monkeypatch.setattr(pictures, "RENDERED", rendered)
    monkeypatch.setattr(pictures, "ROOT", tmp_path)
    monkeypatch.setattr(pictures, "DOCS", docs)
    return write_one


def test_every_picture_is_drawn_and_every_panel_reported(
    write: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write()
    out = tmp_path / "out"
    pictures.pictures(out, None)
    assert sorted(path.name for path in out.iterdir()) == [
        "report.json", "small-dark-1280.png", "small-dark-1920.png", "small-light-1280.png",
        "small-light-1920.png",
    ]  # fmt: skip
    (panel,) = json.loads((out / "report.json").read_text("utf-8"))["panels"]
    assert (panel["title"], panel["series"], panel["empty"], panel["problem"]) == ("Targets", 1, False, None)
    assert "Targets" in capsys.readouterr().out


def test_an_empty_panel_fails_and_is_named(
    write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # One picture is enough to see it.
    monkeypatch.setattr(drawing, "THEMES", drawing.THEMES[:1])
    monkeypatch.setattr(drawing, "WIDTHS", drawing.WIDTHS[:1])
    write(targets=[{"refId": "A", "expr": "absent_metric"}])
    with pytest.raises(SystemExit) as end:
        pictures.pictures(tmp_path / "out", None)
    assert end.value.code == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "small: panel 1 (Targets): empty, and lab/preview/views.py doesn't allow that" in said


def test_pictures_for_the_documentation_are_checked_afterwards(
    write: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write()
    pictures.docs()
    assert {path.name for path in (tmp_path / "docs").iterdir()} == {"small.png", "manifest.json"}
    pictures.check()
    write(title="Others")
    with pytest.raises(SystemExit):
        pictures.check()
    assert "small.png is older than the dashboard small" in capsys.readouterr().out


def test_both_sides_of_a_change_are_drawn(
    write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(title="Targets, all of them")
    old = tmp_path / "old.json"
    old.write_text(json.dumps(dashboard()), "utf-8")
    monkeypatch.setattr(pictures, "_of_commit", lambda *_: {"small": old, "gone": old})
    out = tmp_path / "out"
    pictures.compare("v1", out)
    assert {path.name for path in out.glob("*.png")} == {"small.png", "gone.png"}
    text = (out / "summary.md").read_text("utf-8")
    assert "### Small (`gone`): removed" in text
    assert "  - title: `Targets` → `Targets, all of them`" in text


def test_what_looks_the_same_is_listed_without_a_picture(
    write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(maxDataPoints=100)
    old = tmp_path / "old.json"
    old.write_text(json.dumps(dashboard()), "utf-8")
    monkeypatch.setattr(pictures, "_of_commit", lambda *_: {"small": old})
    pictures.compare("v1", tmp_path / "out")
    assert list((tmp_path / "out").glob("*.png")) == []
    assert "  - maxDataPoints: `null` → `100`" in (tmp_path / "out" / "summary.md").read_text("utf-8")
