from __future__ import annotations

import copy
from typing import Any

from lab.preview.changes import DashboardChange, compare, markdown

BASE: dict[str, Any] = {
    "title": "Hosts",
    "time": {"from": "now-6h", "to": "now"},
    "templating": {"list": []},
    "panels": [
        {
            "id": 1,
            "type": "stat",
            "title": "Up",
            "gridPos": {"x": 0, "y": 0, "w": 6, "h": 4},
            "targets": [{"refId": "A", "expr": "sum(up)"}],
            "fieldConfig": {
                "defaults": {"unit": "short"},
                "overrides": [{"matcher": {"id": "byName", "options": "Host"}, "properties": [
                    {"id": "custom.width", "value": 100}
                ]}],
            },
        },
        {"id": 2, "type": "row", "title": "More", "gridPos": {"x": 0, "y": 4, "w": 24, "h": 1}, "panels": [
            {"id": 3, "type": "text", "title": "Inside", "gridPos": {"x": 0, "y": 5, "w": 24, "h": 3}},
        ]},
    ],
}  # fmt: skip


def changed(**panel: Any) -> DashboardChange:
    """What differs if the first panel has other values."""
    after = copy.deepcopy(BASE)
    after["panels"][0].update(panel)
    return compare("hosts", BASE, after)


def only(change: DashboardChange) -> tuple[str, ...]:
    assert (change.added, change.removed, change.own) == ((), (), ())
    (panel,) = change.changed
    return panel.what


def test_what_is_the_same_is_said_to_be() -> None:
    assert compare("hosts", BASE, copy.deepcopy(BASE)).state == "same"


def test_a_new_and_a_removed_dashboard_list_all_their_panels() -> None:
    added = compare("hosts", None, BASE)
    assert (added.state, [p.title for p in added.added]) == ("added", ["Up", "More", "Inside"])
    removed = compare("hosts", BASE, None)
    assert (removed.state, [p.id for p in removed.removed]) == ("removed", [1, 2, 3])


def test_an_inserted_panel_is_the_only_one_that_is_new() -> None:
    after = copy.deepcopy(BASE)
    for panel in (*after["panels"], *after["panels"][1]["panels"]):
        panel["id"] += 1
        panel["gridPos"]["y"] += 4
    new = {"id": 1, "type": "stat", "title": "First", "gridPos": {"x": 0, "y": 0, "w": 6, "h": 4}}
    after["panels"].insert(0, new)
    change = compare("hosts", BASE, after)
    assert [panel.title for panel in change.added] == ["First"]
    assert (change.changed, change.removed) == ((), ())


def test_a_panel_inside_a_row_can_go() -> None:
    after = copy.deepcopy(BASE)
    after["panels"][1]["panels"] = []
    change = compare("hosts", BASE, after)
    assert [panel.name for panel in change.removed] == ["Inside (text, id 3)"]


def test_a_renamed_panel_is_found_by_its_id() -> None:
    assert only(changed(title="Answering")) == ("title: `Up` → `Answering`",)


def test_another_type_keeps_the_panel() -> None:
    assert only(changed(type="gauge")) == ("type: `stat` → `gauge`",)


def test_queries_are_told_by_their_letter() -> None:
    targets = [{"refId": "A", "expr": "sum(up)", "instant": True}, {"refId": "B", "expr": "vector(1)"}]
    assert only(changed(targets=targets)) == (
        "query A.instant: `null` → `true`",
        "query B added: `vector(1)`",
    )
    assert only(changed(targets=[])) == ("query A removed: `sum(up)`",)


def test_size_column_unit_and_overrides_are_told() -> None:
    field = copy.deepcopy(BASE["panels"][0]["fieldConfig"])
    field["defaults"]["unit"] = "percent"
    field["overrides"][0]["properties"][0]["value"] = 120
    assert only(changed(gridPos={"x": 6, "y": 9, "w": 12, "h": 4}, fieldConfig=field)) == (
        "size: 6×4 → 12×4",  # noqa: RUF001
        "column: 0 → 6",
        "field.unit: `short` → `percent`",
        "override `Host`.custom.width: `100` → `120`",
    )


def test_changes_beside_the_panels_are_told() -> None:
    after = copy.deepcopy(BASE)
    after["time"]["from"] = "now-3h"
    after["templating"]["list"] = [{"name": "node"}]
    assert compare("hosts", BASE, after).own == (
        'templating.list: `[]` → `[{"name": "node"}]`',
        "time.from: `now-6h` → `now-3h`",
    )


def test_long_values_are_cut() -> None:
    (text,) = only(changed(description="x" * 1000))
    assert len(text) < 250
    assert "…" in text


def test_the_summary_names_everything() -> None:
    change = changed(title="Answering")
    text = markdown("main", [change], {"hosts": ["hosts.png"]})
    assert text.splitlines()[0] == "## Dashboards, compared with `main`"
    assert "### Hosts (`hosts`): changed" in text
    assert "![Hosts: before and after](hosts.png)" in text
    assert "- **Changed**: Answering (stat, id 1)\n  - title: `Up` → `Answering`" in text
    assert markdown("main", [], {}) == "The dashboards are the same as in `main`.\n"
