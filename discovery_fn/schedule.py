"""Which guest is asked, and when. Pure; times are seconds of the event loop's clock."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .model import Facts, Guest, GuestConfig, Reason, Stop

AGENT_SECONDS = 1800.0
# A configuration that changed in a way that shows in /cluster/resources is read at once.
CONFIG_SECONDS = 7200.0
# Uptime comes from a broadcast that is up to 10 s old and is read every 15 s.
_UPTIME_SLACK_SECONDS = 60.0
_YOUNG_SECONDS = 300
_BACKOFF_FIRST_SECONDS = 10.0
_BACKOFF_CAP_SECONDS = {
    Reason.AGENT_DEAD: 600.0,
    Reason.AGENT_DENIED: 600.0,
    Reason.CONFIG_DENIED: 600.0,
    Reason.AGENT_UNSUPPORTED: AGENT_SECONDS,
    Reason.NO_AGENT: AGENT_SECONDS,
    Reason.NO_ADDRESS: 300.0,
}
_BACKOFF_OTHERS_SECONDS = 60.0
# While these hold, file systems may be frozen or the guest on its way to another node.
_BUSY_LOCKS = frozenset({"backup", "migrate"})
_GOLDEN = 0.6180339887498949


@dataclass(frozen=True, slots=True)
class Ask:
    """What to ask about a guest; a suspect is one whose agent failed before."""

    config: bool
    agent: bool
    suspect: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What asking gave. `config` is None where it wasn't read, `os` empty where it wasn't learned."""

    config: GuestConfig | None = None
    asked_agent: bool = False
    address: str = ""
    source: str = ""
    os: str = ""
    os_asked: bool = False
    reason: Reason | None = None


def phase(count: int) -> float:
    """Return evenly spread fractions in (0, 1]: guests first asked together aren't asked again together."""
    return 1.0 - (count * _GOLDEN) % 1.0


def observe(facts: Facts, guest: Guest, now: float) -> Facts:
    """Note where and how the guest was seen; a start, reboot, move or new size makes it due."""
    shape = (guest.vcpus, guest.memory, guest.disk)
    seen = replace(facts, seen_node=guest.node, seen_uptime=guest.uptime, seen_at=now, seen_shape=shape)
    if not guest.alive:
        fell = bool(facts.seen_node) and facts.alive_at == facts.seen_at and guest.status == "stopped"
        return _forgotten(replace(seen, stop=Stop.UNJUDGED) if fell and not guest.template else seen)
    seen = replace(seen, alive_at=now, stop=Stop.NONE)
    if not facts.seen_node:
        return seen
    expected = facts.seen_uptime + (now - facts.seen_at) - _UPTIME_SLACK_SECONDS
    if guest.node != facts.seen_node or guest.uptime < expected:
        return replace(seen, config_due=now, agent_due=now, failures=0, asked_before=False)
    if shape != facts.seen_shape:
        return replace(seen, config_due=now)
    return seen


def _forgotten(facts: Facts) -> Facts:
    """A guest that is down has no address; what it had counts only as the previous choice."""
    return replace(
        facts,
        source="",
        reason=Reason.PENDING,
        failures=0,
        config_due=0.0,
        agent_due=0.0,
        asked_before=False,
        os_asked=False,
        seen_uptime=0,
    )


def due(facts: Facts, guest: Guest, now: float) -> Ask | None:
    """Return what is to be asked now, None where nothing is."""
    if not guest.alive or guest.status != "running":
        return None
    if guest.lock in _BUSY_LOCKS and facts.source:
        return None
    config = now >= facts.config_due
    agent = now >= facts.agent_due
    return Ask(config, agent, facts.failures > 0) if config or agent else None


def apply(
    facts: Facts, guest: Guest, outcome: Outcome, now: float, *, fraction: float, jitter: float
) -> Facts:
    """Return the facts after an answer.

    Args:
        facts: What is known, as it stands now (not as it stood when the question was sent).
        guest: The guest as it was asked.
        outcome: The answer.
        now: Time of the answer.
        fraction: Share of the usual interval after which a guest asked for the first time is due again.
        jitter: Factor of the back-off, about 1.
    """
    share = 1.0 if facts.asked_before else fraction
    result = facts
    if outcome.config is not None:
        result = replace(result, config=outcome.config, config_due=now + CONFIG_SECONDS * share)
    if not outcome.asked_agent and outcome.reason is None:
        return result
    failures = 0 if outcome.reason is None else facts.failures + 1
    wait = AGENT_SECONDS * share
    if outcome.reason is not None:
        wait = backoff(outcome.reason, failures, guest.uptime) * jitter
    if facts.seen_node != guest.node:
        wait = 0.0  # it has moved since it was asked
    retry = result.config_due
    if outcome.reason is not None and outcome.config is None:
        retry = max(retry, now + wait)  # the configuration, if it was due, could not be read either
    result = replace(
        result,
        config_due=retry,
        reason=outcome.reason,
        failures=failures,
        agent_due=now + wait,
        asked_before=facts.asked_before or outcome.reason is None,
        os=outcome.os or facts.os,
        os_asked=facts.os_asked or outcome.os_asked,
    )
    return _with_address(result, outcome)


def _with_address(facts: Facts, outcome: Outcome) -> Facts:
    """A confirmed address counts; a static one stands in where none was confirmed; else the old one stays."""
    if outcome.address and (outcome.reason is None or facts.source in {"", "static"}):
        return replace(facts, address=outcome.address, source=outcome.source)
    return facts


def backoff(reason: Reason, failures: int, uptime: int) -> float:
    """Return seconds until the next attempt: doubling from 10 s, capped by reason, short while it boots."""
    cap = _BACKOFF_CAP_SECONDS.get(reason, _BACKOFF_OTHERS_SECONDS)
    if reason in {Reason.NO_AGENT, Reason.AGENT_UNSUPPORTED}:
        return cap
    if uptime < _YOUNG_SECONDS:
        return _BACKOFF_FIRST_SECONDS
    return float(min(cap, _BACKOFF_FIRST_SECONDS * 2 ** min(failures - 1, 20)))
