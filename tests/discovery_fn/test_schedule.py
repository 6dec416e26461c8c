"""When a guest is asked."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from discovery_fn.model import Facts, Guest, GuestConfig, Reason
from discovery_fn.schedule import AGENT_SECONDS, Ask, Outcome, apply, backoff, due, observe, phase

GUEST = Guest(101, "qemu", "pve1", "running", "web", uptime=5000, vcpus=4, memory=8, disk=32)
CONFIG = GuestConfig(digest="a", agent=True)
FOUND = Outcome(config=CONFIG, asked_agent=True, address="192.0.2.1", source="agent")
DEAD = Outcome(asked_agent=True, reason=Reason.AGENT_DEAD)


def settled(now: float = 0.0, guest: Guest = GUEST) -> Facts:
    return apply(observe(Facts(), guest, now), guest, FOUND, now, fraction=1.0, jitter=1.0)


def later(guest: Guest, seconds: int) -> Guest:
    return replace(guest, uptime=guest.uptime + seconds)


def test_a_new_guest_is_asked_at_once_and_then_left_alone() -> None:
    assert due(observe(Facts(), GUEST, 0), GUEST, 0) == Ask(True, True, False)
    facts = settled()
    assert due(facts, GUEST, AGENT_SECONDS - 1) is None
    assert due(facts, GUEST, AGENT_SECONDS) == Ask(False, True, False)


@pytest.mark.parametrize(
    "change", [{"status": "stopped"}, {"status": "unknown"}, {"template": True}, {"status": "paused"}]
)
def test_who_cannot_answer_is_not_asked(change: dict[str, object]) -> None:
    guest = replace(GUEST, **change)  # type: ignore[arg-type]
    assert due(Facts(), guest, 0) is None


def test_reboot_migration_and_start_make_due() -> None:
    facts = settled()
    assert due(observe(facts, replace(GUEST, uptime=10), 300), GUEST, 300) == Ask(True, True, False)
    assert due(observe(facts, replace(later(GUEST, 300), node="pve2"), 300), GUEST, 300) == Ask(
        True, True, False
    )
    stopped = observe(facts, replace(GUEST, status="stopped", uptime=0), 300)
    assert (stopped.source, stopped.address) == ("", "192.0.2.1")
    started = replace(GUEST, uptime=3)
    assert due(observe(stopped, started, 315), started, 315) == Ask(True, True, False)


def test_an_uptime_that_lags_behind_is_no_reboot() -> None:
    facts = settled()
    assert due(observe(facts, later(GUEST, 270), 300), GUEST, 300) is None


def test_a_resized_guest_has_its_configuration_read_again() -> None:
    facts = observe(settled(), replace(later(GUEST, 15), vcpus=8), 15)
    assert due(facts, GUEST, 15) == Ask(True, False, False)


def test_a_guest_in_backup_is_left_alone_if_its_address_is_known() -> None:
    frozen = replace(GUEST, lock="backup")
    assert due(settled(), frozen, AGENT_SECONDS * 2) is None
    assert due(observe(Facts(), frozen, 0), frozen, 0) is not None


def test_failures_back_off_and_keep_the_address() -> None:
    facts = settled()
    waits = []
    now = AGENT_SECONDS
    for _ in range(10):
        facts = apply(facts, GUEST, DEAD, now, fraction=1.0, jitter=1.0)
        waits.append(facts.agent_due - now)
        now = facts.agent_due
    assert waits == [10, 20, 40, 80, 160, 320, 600, 600, 600, 600]
    assert (facts.address, facts.source, facts.reason) == ("192.0.2.1", "agent", Reason.AGENT_DEAD)
    assert due(facts, GUEST, now) == Ask(False, True, True)


def test_a_young_guest_is_asked_often() -> None:
    assert backoff(Reason.AGENT_DEAD, 7, uptime=60) == 10
    assert backoff(Reason.AGENT_DEAD, 7, uptime=6000) == 600


def test_a_static_address_stands_in_only_where_none_is_known() -> None:
    static = Outcome(
        config=CONFIG, asked_agent=True, address="192.0.2.9", source="static", reason=Reason.AGENT_DEAD
    )
    fresh = apply(observe(Facts(), GUEST, 0), GUEST, static, 0, fraction=1.0, jitter=1.0)
    assert (fresh.address, fresh.source) == ("192.0.2.9", "static")
    known = apply(settled(), GUEST, static, 1800, fraction=1.0, jitter=1.0)
    assert (known.address, known.source) == ("192.0.2.1", "agent")


def test_a_guest_that_moved_while_it_was_asked_is_asked_again() -> None:
    moved = observe(Facts(), replace(GUEST, node="pve2"), 0)
    facts = apply(moved, GUEST, FOUND, 1, fraction=1.0, jitter=1.0)
    assert facts.agent_due == 1
    assert facts.address == "192.0.2.1"


def test_an_unreadable_configuration_is_not_asked_for_each_time() -> None:
    denied = Outcome(asked_agent=True, reason=Reason.CONFIG_DENIED)
    facts = apply(observe(Facts(), GUEST, 0), GUEST, denied, 0, fraction=1.0, jitter=1.0)
    assert due(facts, GUEST, 9) is None
    assert due(facts, GUEST, 10) is not None


def test_first_intervals_are_spread_evenly() -> None:
    marks = sorted(phase(count) for count in range(1, 101))
    gaps = [after - before for before, after in itertools.pairwise(marks)]
    assert 0 < marks[0] <= marks[-1] <= 1
    assert max(gaps) < 0.03
