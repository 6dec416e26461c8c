"""What runs side by side, and what one after another."""

from __future__ import annotations

import pytest

from ops.gameday.command import dependencies
from ops.gameday.model import Alert, Break, Drill
from ops.gameday.plan import DRILLS
from ops.gameday.schedule import clash, expected_seconds, startable

HOMES = {
    **dict.fromkeys(("101", "102", "105", "107", "112"), "pve1"),
    **dict.fromkeys(("103", "104", "106", "108"), "pve2"),
    **dict.fromkeys(("109", "110", "111"), "pve3"),
}
BY_NAME = {drill.name: drill for drill in DRILLS}


def drill(name: str, kind: str, target: str, *, api: bool = False, needs: tuple[str, ...] = ()) -> Drill:
    return Drill(name, (Break(kind, target),), (Alert("Api" if api else "Own", "warning"),), needs=needs)


def api(alert: Alert) -> bool:
    return alert.name == "Api"


@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [
        (drill("a", "memory_leak", "pve1"), drill("b", "disk_full", "pve1"), False),
        (drill("a", "memory_leak", "pve1"), drill("b", "memory_leak", "pve1"), True),
        (drill("a", "memory_leak", "pve1"), drill("b", "memory_leak", "pve2"), False),
        (drill("a", "exporter_gone", "pve1"), drill("b", "disk_full", "pve1"), True),
        (drill("a", "exporter_gone", "pve1"), drill("b", "storage_offline", "pve1"), False),
        (drill("a", "exporter_gone", "pve1"), drill("b", "host_down", "pve1"), True),
        (drill("a", "corosync_down", "pve1"), drill("b", "storage_offline", "pve1"), True),
        (drill("a", "host_down", "pve2"), drill("b", "disk_full", "103"), True),
        (drill("a", "host_down", "pve2"), drill("b", "disk_full", "101"), False),
        (drill("a", "exporter_gone", "pve2"), drill("b", "disk_full", "103"), False),
        (drill("a", "api_down", "all"), drill("b", "guest_down", "101", api=True), True),
        (drill("a", "api_down", "all"), drill("b", "disk_full", "101"), False),
        (drill("a", "api_down", "pve3"), drill("b", "guest_down", "101", api=True), False),
        (drill("a", "container_stopped", "pve-exporter"), drill("b", "guest_down", "101", api=True), True),
        (drill("a", "container_stopped", "pve-exporter"), drill("b", "api_down", "all"), False),
        (
            drill("a", "container_stopped", "discovery"),
            drill("b", "disk_full", "1", needs=("discovery",)),
            True,
        ),
        (
            drill("a", "container_stopped", "discovery"),
            drill("b", "token_revoked", "discovery@pve!monitoring"),
            True,
        ),
        (drill("a", "container_stopped", "prometheus"), drill("b", "disk_full", "101"), True),
        (drill("a", "delivery_refused", "alerts"), drill("b", "disk_full", "101"), True),
        (drill("a", "rule_failing", "prometheus"), drill("b", "config_broken", "prometheus"), True),
        (drill("a", "rule_failing", "prometheus"), drill("b", "block_broken", "prometheus"), False),
    ],
)
def test_drills_run_side_by_side_where_they_dont_disturb_each_other(
    one: Drill, other: Drill, wanted: bool
) -> None:
    assert clash(one, other, HOMES, api) is wanted
    assert clash(other, one, HOMES, api) is wanted


def test_a_drill_that_breaks_a_part_may_need_the_same_part() -> None:
    alone = Drill("a", (Break("api_down", "all"),), (Alert("Api", "critical"),))
    assert startable([alone], [], frozenset(), HOMES, api) == [alone]


def test_the_order_is_the_plans_and_what_waits_lets_others_pass() -> None:
    first, second = drill("first", "disk_full", "101"), drill("second", "disk_full", "101")
    third = drill("third", "disk_full", "102")
    assert startable([first, second, third], [], frozenset(), HOMES, api) == [first, third]
    assert startable([second, third], [first], frozenset(), HOMES, api) == [third]


def test_one_that_runs_during_another_waits_until_that_one_has_been_told() -> None:
    outer, inner = BY_NAME["host's exporters gone"], BY_NAME["API away"]
    depends = dependencies()
    assert startable([outer, inner], [], frozenset(), HOMES, depends) == [outer]
    assert startable([inner], [outer], frozenset(), HOMES, depends) == []
    assert startable([inner], [outer], frozenset({outer.name}), HOMES, depends) == [inner]


def test_one_that_lost_its_surroundings_runs_alone() -> None:
    inner = BY_NAME["API away"]
    assert startable([inner], [], frozenset(), HOMES, dependencies()) == [inner]


def test_the_time_is_told_by_the_schedule() -> None:
    one, other = drill("a", "disk_full", "101"), drill("b", "disk_full", "102")
    alone = expected_seconds([one], HOMES, api)
    assert expected_seconds([one, other], HOMES, api) == alone
    assert expected_seconds([one, drill("b", "disk_full", "101")], HOMES, api) == 2 * alone
    assert expected_seconds([], HOMES, api) == 0


def test_the_whole_plan_takes_less_than_25_minutes_and_the_critical_part_6() -> None:
    depends = dependencies()
    assert expected_seconds(DRILLS, HOMES, depends) < 25 * 60
    critical = [one.brief for one in DRILLS if one.wakes]
    assert expected_seconds(critical, HOMES, depends) < 6 * 60
    assert len(critical) > 12
