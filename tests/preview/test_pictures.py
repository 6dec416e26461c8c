from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dashboards import DASHBOARDS, RENDERED
from lab.preview import manifest, views
from ops import pictures
from ops.console import OpsError


def test_every_view_is_of_a_dashboard_that_exists() -> None:
    uids = {entry.uid for entry in DASHBOARDS}
    assert set(views.MAY_BE_EMPTY) <= uids
    for entry in DASHBOARDS:
        found = views.views(entry.uid)
        assert {view.dashboard for view in found} == {entry.uid}
        assert found[0].name == entry.uid


def test_what_may_be_empty_is_a_panel_that_exists() -> None:
    for entry in DASHBOARDS:
        titles = {panel["title"] for panel in json.loads(entry.path.read_text("utf-8"))["panels"]}
        assert views.MAY_BE_EMPTY.get(entry.uid, frozenset()) <= titles


def test_the_first_view_is_drawn_in_both_themes_and_widths(tmp_path: Path) -> None:
    shots = [shot for entry in DASHBOARDS for shot in pictures._shots(entry, tmp_path)]
    names = {shot.out.name for shot in shots}
    assert {
        f"pve-vm-detail-{theme}-{width}.png" for theme in ("dark", "light") for width in (1280, 1920)
    } <= names
    assert "pve-vm-detail-gpu-light-1280.png" not in names
    assert len(names) == len(shots)


@pytest.fixture
def docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(pictures, "DOCS", tmp_path)
    return tmp_path


def test_check_fails_while_there_are_no_pictures(docs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        pictures.check()
    assert end.value.code == 1
    assert "pve-vm-detail.png is missing" in capsys.readouterr().out


def test_check_is_content_with_pictures_of_the_present_dashboards(
    docs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for shown in pictures._documented():
        (docs / shown.file).write_bytes(b"")
    manifest.write(docs, pictures._documented())
    pictures.check()
    assert "as they are" in capsys.readouterr().out


def test_comparing_with_an_unknown_commit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OpsError, match="no such commit"):
        pictures.compare("no-such-commit", tmp_path)


def test_comparing_with_the_same_dashboards_draws_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rendered = {path.stem: path for path in RENDERED.glob("*.json")}
    monkeypatch.setattr(pictures, "_of_commit", lambda *_: rendered)
    monkeypatch.setattr(pictures, "_draw_both", lambda *_: pytest.fail("drew something"))
    pictures.compare("main", tmp_path)
    assert (tmp_path / "summary.md").read_text("utf-8") == "The dashboards are the same as in `main`.\n"


def test_dashboards_of_a_commit_are_read_from_git(tmp_path: Path) -> None:
    known = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    if known.returncode != 0:
        pytest.skip("this is no clone with a history")
    found: dict[str, Any] = pictures._of_commit("HEAD", tmp_path / "before")
    assert "pve-vm-detail" in found
    assert json.loads(found["pve-vm-detail"].read_text("utf-8"))["uid"] == "pve-vm-detail"
