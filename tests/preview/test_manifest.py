from __future__ import annotations

from pathlib import Path

import pytest

from lab.preview import manifest
from lab.preview.manifest import Shown


@pytest.fixture
def shown(tmp_path: Path) -> list[Shown]:
    """Two pictures, as they are after drawing."""
    found = []
    for uid in ("a", "b"):
        dashboard = tmp_path / f"{uid}.json"
        dashboard.write_text("{}", "utf-8")
        (tmp_path / f"{uid}.png").write_bytes(b"")
        found.append(Shown(f"{uid}.png", uid, dashboard))
    manifest.write(tmp_path, found)
    return found


def test_pictures_of_the_present_dashboards_are_fine(tmp_path: Path, shown: list[Shown]) -> None:
    assert manifest.stale(tmp_path, shown) == []


def test_a_changed_dashboard_makes_its_picture_stale(tmp_path: Path, shown: list[Shown]) -> None:
    shown[1].dashboard.write_text('{"title": "new"}', "utf-8")
    assert manifest.stale(tmp_path, shown) == ["b.png is older than the dashboard b"]


def test_missing_and_superfluous_pictures_are_told(tmp_path: Path, shown: list[Shown]) -> None:
    (tmp_path / "a.png").unlink()
    assert manifest.stale(tmp_path, shown[:1]) == ["b.png belongs to no dashboard", "a.png is missing"]


def test_without_a_manifest_everything_is_missing(tmp_path: Path, shown: list[Shown]) -> None:
    (tmp_path / "manifest.json").unlink()
    assert manifest.stale(tmp_path, shown) == ["a.png is missing", "b.png is missing"]
