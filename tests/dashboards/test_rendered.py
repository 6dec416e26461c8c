"""What is committed is what the code gives, and it is what the house rules ask for."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import dashboards.__main__ as command
from dashboards import DASHBOARDS, PROMETHEUS_UID, Entry
from dashboards.layout import COMMON_TAG, to_json

ROOT = Path(__file__).parents[2]
by_entry = pytest.mark.parametrize("entry", DASHBOARDS, ids=[entry.uid for entry in DASHBOARDS])


def _board(entry: Entry) -> dict[str, Any]:
    board: dict[str, Any] = json.loads(entry.path.read_text("utf-8"))
    return board


def _panels(entry: Entry) -> Iterator[dict[str, Any]]:
    yield from (panel for panel in _board(entry)["panels"] if panel["type"] != "row")


@by_entry
def test_rendered_file_is_up_to_date(entry: Entry) -> None:
    assert to_json(entry.build()) == entry.path.read_text("utf-8"), "run `python -m dashboards`"


def test_check_finds_stale_missing_and_left_over_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "RENDERED", tmp_path)
    monkeypatch.setattr(sys, "argv", ["dashboards"])
    (tmp_path / "left-over.json").write_text("{}")
    assert command.main() == 0
    assert {path.stem for path in tmp_path.iterdir()} == {entry.uid for entry in DASHBOARDS}

    monkeypatch.setattr(sys, "argv", ["dashboards", "--check"])
    assert command.main() == 0
    (tmp_path / "pve-vm-detail.json").write_text("{}")
    (tmp_path / "pve-cluster-overview.json").unlink()
    (tmp_path / "left-over.json").write_text("{}")
    assert command.main() == 1
    assert "left-over.json, pve-cluster-overview.json, pve-vm-detail.json" in capsys.readouterr().err


def test_registry_needs_no_sdk() -> None:
    code = "import dashboards, sys; sys.exit('grafana_foundation_sdk' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_only_one_module_knows_the_sdk() -> None:
    users = [
        p.name for p in (ROOT / "dashboards").glob("*.py") if "grafana_foundation_sdk" in p.read_text("utf-8")
    ]
    assert users == ["sdk.py"]


@by_entry
def test_dashboard_says_who_it_is(entry: Entry) -> None:
    board = _board(entry)
    assert board["uid"] == entry.uid
    assert {COMMON_TAG, entry.folder.lower()} <= set(board["tags"])
    first = board["panels"][0]
    assert first["type"] == "text"
    assert board["description"].endswith("?")
    assert board["description"] in first["options"]["content"]


@by_entry
def test_every_dashboard_leads_to_all_others_with_time_and_choices(entry: Entry) -> None:
    links = _board(entry)["links"]
    assert {link["url"] for link in links} == {f"/d/{other.uid}" for other in DASHBOARDS if other != entry}
    assert all(link["keepTime"] and link["includeVars"] for link in links)


@by_entry
def test_every_panel_can_be_read_by_a_stranger(entry: Entry) -> None:
    for panel in _panels(entry):
        if panel["type"] == "text":
            continue
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["datasource"]["uid"] == PROMETHEUS_UID
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == PROMETHEUS_UID
            if panel["type"] in {"timeseries", "bargauge", "state-timeline"}:
                assert target["legendFormat"] not in {"", "__auto"}, panel["title"]


@by_entry
def test_panels_have_ids_and_lie_side_by_side(entry: Entry) -> None:
    panels = _board(entry)["panels"]
    assert [panel["id"] for panel in panels] == list(range(1, len(panels) + 1))
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        grid = panel["gridPos"]
        assert grid["x"] + grid["w"] <= 24, panel["title"]
        cells = {(grid["x"] + i, grid["y"] + j) for i in range(grid["w"]) for j in range(grid["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


@by_entry
def test_titles_are_unique(entry: Entry) -> None:
    titles = [panel["title"] for panel in _panels(entry) if panel["title"]]
    assert len(titles) == len(set(titles))


@by_entry
def test_columns_of_tables_get_their_own_values(entry: Entry) -> None:
    """Each value column is renamed from the query that was written for it."""
    for panel in (panel for panel in _panels(entry) if panel["type"] == "table"):
        renamed = next(t for t in panel["transformations"] if t["id"] == "organize")["options"][
            "renameByName"
        ]
        refs = [target["refId"] for target in panel["targets"]]
        wanted = {f"Value #{ref}" for ref in refs} if len(refs) > 1 else {"Value"}
        assert {name for name in renamed if name.startswith("Value")} == wanted
        styled = {override["matcher"]["options"] for override in panel["fieldConfig"]["overrides"]}
        assert styled == set(renamed.values())
