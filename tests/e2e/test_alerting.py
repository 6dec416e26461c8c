"""From a fault to the people: a short game day on every channel, with inhibition and the all-clear."""

from __future__ import annotations

from dataclasses import replace

import pytest

from components.images import Service
from ops.gameday.command import GameDay, dependencies
from ops.gameday.course import slowest
from ops.gameday.model import LIMIT_S, Alert, Break, Drill
from ops.gameday.plan import DRILLS
from ops.gameday.show import problems, results
from ops.stack import load
from tests.support.platform import PATIENCE, Platform, wait_for

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("docker_ready")]

# A critical alert of a guest on the dead host, which is held back, and the same one elsewhere, which is told.
HOST_DOWN = replace(
    next(drill for drill in DRILLS if drill.name == "host down"),
    breaks=(Break("host_down", "pve2"), Break("ha_error", "103", after=45)),
    silences=(Alert("HaResourceFailed", "critical", {"vm_name": "win-sql01"}, within=240),),
)
OTHERS = {"HA gives up", "configuration broken"}


def unhurried(drill: Drill) -> Drill:
    """The drill with more time: here other stacks come up beside it. The figure is that of `make gameday`."""
    return replace(
        drill,
        expects=tuple(replace(alert, within=PATIENCE * alert.within) for alert in drill.expects),
        silences=tuple(replace(alert, within=PATIENCE * alert.within) for alert in drill.silences),
    )


SHORT = [unhurried(drill) for drill in (HOST_DOWN, *(one for one in DRILLS if one.name in OTHERS))]


def test_a_short_game_day(fresh: Platform) -> None:
    fresh.up()
    day = GameDay(load(fresh.name, fresh.stack_file), fresh.control, fresh.client)
    day.tidy()
    assert day.healthy() == []
    said: list[str] = []
    running = day.play(SHORT, dependencies(), said.append)
    assert problems(running) == [], said
    assert results(running).row_count == sum(len(one.courses) for one in running) == 4
    courses = [course for one in running for course in one.courses]
    assert [course.alert.name for course in courses if course.silent and course.held] == ["HaResourceFailed"]
    assert all(course.email for course in courses if not course.silent)
    seconds = slowest(courses)
    assert seconds is not None
    assert 60 < seconds <= PATIENCE * LIMIT_S
    # Everything is as it was.
    assert fresh.control.faults() == []
    wait_for("the configuration is whole again", lambda: reloaded(fresh), 30)
    broken_off(fresh, day)


def reloaded(platform: Platform) -> bool:
    (series,) = platform.query("prometheus_config_last_reload_successful")
    return float(series["value"][1]) == 1


def broken_off(platform: Platform, day: GameDay) -> None:
    """What is broken when somebody presses Ctrl-C is put back."""

    def ctrl_c(_: str) -> None:
        if platform.control.faults():
            raise KeyboardInterrupt

    expected = (Alert("HostDown", "critical"),)
    first = Drill("first", (Break("container_stopped", "discovery"), Break("host_down", "pve2")), expected)
    second = Drill("second", (Break("disk_full", "pve1"),), expected)
    with pytest.raises(KeyboardInterrupt):
        day.play([first, second], lambda _: False, ctrl_c)
    assert platform.control.faults() == []
    assert platform.container(Service.DISCOVERY).status == "running"
