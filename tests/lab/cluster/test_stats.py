"""What the members broadcast: when it is computed anew, and that nothing is missing or there twice."""

import asyncio
import json

import pytest

from lab.cluster import commands
from lab.cluster.api.app import Api
from lab.cluster.api.stats import BROADCAST, Stats
from lab.cluster.build import build
from lab.cluster.settings import Settings
from lab.cluster.state import Lab

from .conftest import NOW, Clock


@pytest.fixture
def stats(lab: Lab) -> Stats:
    return Stats(lab)


def test_every_guest_is_there_once() -> None:
    settings = Settings(hosts=5, guests=200)
    lab = Lab(build(settings), settings, Clock())
    commands.migrate(lab, "103", "pve5", 0)
    commands.start(lab, "109")
    ids = sorted(entry["vmid"] for entry in Stats(lab).guests(NOW))
    assert ids == sorted(guest.vmid for guest in lab.cluster.guests)


def test_the_text_says_what_the_entries_say(stats: Stats) -> None:
    for known in stats.rounds(NOW):
        assert json.loads(b"[%b]" % known.guests_text) == known.guests
        assert json.loads(b"[%b]" % known.storages_text) == known.storages
        assert json.loads(known.node_text) == known.node


def test_each_member_has_a_time_of_its_own_once_in_ten_seconds(stats: Stats) -> None:
    seen = [tuple(id(known) for known in stats.rounds(NOW + i)) for i in range(11)]
    changes = [[i for i in range(1, 11) if seen[i][n] != seen[i - 1][n]] for n in range(3)]
    assert [len(times) for times in changes] == [1, 1, 1]
    assert len({times[0] for times in changes}) == 3
    assert BROADCAST == 10


def test_what_shows_is_told_at_once_and_by_those_who_see_it(lab: Lab, stats: Stats, clock: Clock) -> None:
    before = stats.rounds(clock.now)
    clock.now += 0.5
    fault = lab.break_("guest_down", "103", None, {})
    after = stats.rounds(clock.now)
    assert [old is new for old, new in zip(before, after, strict=True)] == [True, False, True]
    assert {entry["vmid"]: entry["status"] for entry in after[1].guests}[103] == "stopped"
    lab.faults.clear(fault.id, clock.now)
    again = stats.rounds(clock.now)[1]
    assert {entry["vmid"]: entry["status"] for entry in again.guests}[103] == "running"


@pytest.mark.parametrize(
    ("kind", "target"),
    [("agent_dead", "103"), ("exporter_gone", "103"), ("api_errors", "pve2"), ("answers_cut", "all")],
)
def test_what_does_not_show_makes_no_round(lab: Lab, stats: Stats, kind: str, target: str) -> None:
    before = stats.rounds(NOW)
    lab.break_(kind, target, None, {})
    assert all(old is new for old, new in zip(before, stats.rounds(NOW), strict=True))


def test_who_was_sent_elsewhere_is_told_of_as_of_now(lab: Lab, stats: Stats, clock: Clock) -> None:
    stats.rounds(clock.now)
    commands.migrate(lab, "103", "pve1", 3)
    for seconds, node, lock in ((1, "pve2", "migrate"), (3, "pve1", None)):
        found = {entry["vmid"]: entry for entry in stats.guests(NOW + seconds)}
        assert (found[103]["node"], found[103].get("lock")) == (node, lock)


def test_a_fault_only_counts_while_it_is_known(lab: Lab, stats: Stats, clock: Clock) -> None:
    """A fault with an end is over at its end, without anybody clearing it."""
    lab.break_("guest_stopped", "103", 3, {})
    states = []
    for _ in range(5):
        entries = {entry["vmid"]: entry for entry in stats.guests(clock.now)}
        states.append(entries[103]["status"])
        clock.now += 1
    assert states == ["stopped", "stopped", "stopped", "running", "running"]


def test_rounds_are_there_before_anybody_asks(lab: Lab) -> None:
    api = Api(lab)
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(api.broadcast(), 0.01))
    ready = dict(api.stats._rounds)
    assert set(ready) == {"pve1", "pve2", "pve3"}
    assert all(known is ready[known.node["node"]] for known in api.stats.rounds(NOW))
