"""`ops bench`, second part: discovery against simulated clusters of 100 and of 5,000 guests."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from ops.console import step
from ops.discovery_pair import Pair, Service, floor_seconds, until
from ops.figures import Figure

SMALL = {"hosts": 5, "guests": 100}
LARGE = {"hosts": 50, "guests": 5000}
_READY_SECONDS = 120.0
_POLL_SECONDS = 0.025
_LATENCY_SECONDS = 20.0
_STEADY_SECONDS = 180.0
_CHANGE_SECONDS = 60.0


def measure() -> list[Figure]:
    """Measure everything; takes about six minutes."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        quiet = _quiet(Path(folder) / "quiet", stack)
        figures = _small(Path(folder) / "small") + _large(Path(folder) / "large")
        return figures + quiet()


def _quiet(folder: Path, stack: ExitStack) -> Callable[[], list[Figure]]:
    """Start a pair that is left alone; returns what counts its calls once enough time has passed."""
    folder.mkdir()
    pair = Pair(folder, **SMALL)
    stack.enter_context(pair.cluster())
    service = stack.enter_context(pair.service())
    _ready(service)
    time.sleep(20)  # the calls that are made every few hours come right after the first inventory
    started, before = time.monotonic(), service.calls()

    def finish() -> list[Figure]:
        step("calls in the steady state")
        time.sleep(max(0.0, started + _STEADY_SECONDS - time.monotonic()))
        minutes = (time.monotonic() - started) / 60
        calls = (service.calls() - before) / minutes
        return [Figure("API calls a minute, 100 guests", f"{calls:.1f}", "10", kept=calls <= 10)]

    return finish


def _small(folder: Path) -> list[Figure]:
    folder.mkdir()
    pair = Pair(folder, **SMALL)
    with pair.cluster():
        step("100 guests on 5 nodes: from nothing")
        figures = [_cold(pair, 1.2)[0]]
        figures += _changes(pair)
        step("100 guests: 10 dead agents, 4 hung ones")
        figures += _broken(pair)
        pair.lab.clear()
        figures.append(_latency(pair, 5))
    return figures


def _large(folder: Path) -> list[Figure]:
    folder.mkdir()
    pair = Pair(folder, **LARGE)
    with pair.cluster():
        step("5,000 guests on 50 nodes: from nothing")
        return [*_cold(pair, 1.4), _latency(pair, 25)]


def _ready(service: Service, pause: float = 0.05) -> None:
    until(lambda: service.ok("/readyz"), "readiness", _READY_SECONDS, pause)


def _cold(pair: Pair, times: float) -> list[Figure]:
    with pair.service() as service:
        _ready(service, pause=0.25)
        time.sleep(2)
        floor = floor_seconds(service.guests())
        seconds, mib = service.first_inventory_seconds(), service.resident_mib()
    name = f"{pair.guests} guests on {pair.hosts} nodes, from nothing"
    return [
        Figure(
            name,
            f"{seconds:.2f} s = {seconds / floor:.2f} x floor",
            f"{times:g} x {floor:.2f} s",
            kept=seconds <= times * floor,
        ),
        Figure(f"{pair.guests} guests: resident", f"{mib:.0f} MiB", "250 MiB", kept=mib <= 250),
    ]


def _changes(pair: Pair) -> list[Figure]:
    """A guest that starts, and one that migrates."""
    step("a start and a migration")
    with pair.service() as service:
        _ready(service)
        time.sleep(1)
        vmid, labels = min(service.targets().items())
        pair.lab.stop(str(vmid))
        until(lambda: vmid not in service.targets(), "the stop", _CHANGE_SECONDS)
        started = time.monotonic()
        pair.lab.start(str(vmid))
        until(lambda: vmid in service.targets(), "the start", _CHANGE_SECONDS)
        found = time.monotonic() - started
        there = "pve2" if labels["node"] == "pve1" else "pve1"
        pair.lab.migrate(str(vmid), there, seconds=0.1)
        started = time.monotonic()
        until(lambda: service.targets()[vmid]["node"] == there, "the relabelling", _CHANGE_SECONDS)
        moved = time.monotonic() - started
    return [
        Figure("a guest that starts is a target", f"{found:.1f} s", "20 s", kept=found <= 20),
        Figure("a guest that migrates is relabelled", f"{moved:.1f} s", "20 s", kept=moved <= 20),
    ]


def _broken(pair: Pair) -> list[Figure]:
    with pair.service() as service:
        _ready(service)
        time.sleep(1)
        guests = service.guests()
    settled = {guest["vm_id"] for guest in guests if guest["address_source"] == "agent"}
    broken = pair.break_agents(sorted(settled), dead=10, hung=4)
    bound = floor_seconds(guests, broken)
    with pair.service(afresh=False) as service:
        again = _all_targets(service, settled)
    with pair.service() as service:
        healthy = _all_targets(service, settled - broken.keys())
    return [
        Figure("restart, 14 agents broken: every target", f"{again:.2f} s", "1 s", kept=again <= 1),
        Figure(
            "from nothing, 14 agents broken: all others",
            f"{healthy:.1f} s",
            f"{bound:.1f} s, what all calls of the slowest node take",
            kept=healthy <= bound + 1,
        ),
    ]


def _all_targets(service: Service, wanted: set[int]) -> float:
    """Seconds until all of `wanted` are targets, from the moment when the service answers."""
    started = time.monotonic()
    until(lambda: wanted <= service.targets().keys(), "the targets", _READY_SECONDS)
    return time.monotonic() - started


def _latency(pair: Pair, limit_ms: float) -> Figure:
    """The slowest of a hundred answers while everyone is asked and 20 agents hang."""
    step(f"{pair.guests} guests: answers while 20 agents hang")
    with pair.service() as service:
        _ready(service, pause=0.25)
        guests = [guest["vm_id"] for guest in service.guests() if guest["address_source"] == "agent"]
    pair.break_agents(guests, dead=0, hung=20)
    delays = []
    with pair.service() as service:
        until(lambda: service.ok("/targets"), "the first answer", _READY_SECONDS)
        end = time.monotonic() + _LATENCY_SECONDS
        while time.monotonic() < end:
            began = time.perf_counter()
            service.get("/targets")
            delays.append(1000 * (time.perf_counter() - began))
            time.sleep(_POLL_SECONDS)
    delays.sort()
    p99 = delays[math.ceil(0.99 * len(delays)) - 1]
    return Figure(
        f"{pair.guests} guests: /targets, 99th percentile",
        f"{p99:.1f} ms",
        f"{limit_ms:g} ms",
        kept=p99 <= limit_ms,
    )
