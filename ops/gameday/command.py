"""`ops gameday`: the command, from the healthy lab to the table."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import docker
import requests
import typer
import yaml

from components.settings import Channel, Severity
from lab import environment as lab_environment
from lab.cluster.client import LabClient, LabError
from ops import docker_daemon
from ops.console import OpsError, console, note, progress, step
from ops.gameday import show, stack_faults
from ops.gameday.course import besides
from ops.gameday.engine import Engine, Running, Undo
from ops.gameday.model import Alert, Break, Drill, facts
from ops.gameday.plan import BY_DESIGN, DRILLS
from ops.gameday.schedule import Depends, expected_seconds
from ops.gameday.stack_faults import StackFaults, undo
from ops.gameday.watch import Watcher, watcher
from ops.pulumi_cli import ROOT
from ops.stack import Stack, lab_of, load, parts
from ops.up import up

_PAUSE_S = 1.0
# Until every target has been scraped and what a start stirs up is over.
_SETTLE_TIMEOUT_S = 180


@dataclass(frozen=True)
class Breaker:
    """Breaks the simulated cluster and the stack."""

    lab: LabClient
    stack: StackFaults

    def begin(self, fault: Break) -> Undo:
        """Break something; what is returned puts it back."""
        if fault.kind in stack_faults.KINDS:
            return self.stack.begin(fault)
        try:
            fault_id = self.lab.add(fault.kind, fault.target, fault.seconds, **fault.params)
        except (LabError, requests.RequestException) as error:
            raise OpsError(
                f"the simulated cluster can't break {fault.kind} {fault.target}: {error}"
            ) from error
        return lambda: self.lab.clear(fault_id)


@dataclass
class GameDay:
    """A game day on one stack.

    Attributes:
        stack: that is tried.
        lab: the simulated cluster that it watches.
        client: Docker, where the stack runs.
    """

    stack: Stack
    lab: LabClient
    client: docker.DockerClient

    def __post_init__(self) -> None:
        self.watcher: Watcher = watcher(self.stack, self.lab)
        self.faults = StackFaults(self.stack, self.client)

    def tidy(self) -> None:
        """Put back what an earlier run that was killed may have left."""
        left = len(self.lab.faults())
        self.lab.clear()
        self.faults.tidy()
        if left:
            note(f"{left} faults were on when this began; they are over")

    def healthy(self) -> list[str]:
        """Wait until everything is scraped; what fires then though nothing is broken, a line each."""
        deadline = time.monotonic() + _SETTLE_TIMEOUT_S
        with progress("  waiting until everything is scraped") as line:
            while (down := self.watcher.down()) and time.monotonic() < deadline:
                line(", ".join(down))
                time.sleep(_PAUSE_S)
        found = [f"{target} isn't scraped" for target in down]
        lasting = {alert.name for drill in DRILLS for alert in drill.expects if alert.lasts}
        for one in self.watcher.alerts():
            name = one.labels["alertname"]
            if one.firing and name in lasting and name not in BY_DESIGN:
                note(f"{name} still fires from an earlier game day: its query looks back")
            elif one.firing and name not in BY_DESIGN:
                found.append(f"{name} fires: {facts(one.labels)}")
        return found

    def homes(self) -> dict[str, str]:
        """By guest, the host it is on."""
        return {str(guest["vmid"]): guest["node"] for guest in self.lab.state()["guests"]}

    def mailed(self) -> frozenset[str]:
        """Severities whose route has e-mail."""
        alerting = self.stack.settings.alerting
        return frozenset(
            str(severity) for severity in Severity if Channel.EMAIL in alerting.channels(severity)
        )

    def fresh(self, drills: Sequence[Drill]) -> list[Drill]:
        """The drills whose alerts don't fire already from an earlier run."""
        firing = [
            one.labels for one in self.watcher.alerts() if one.firing and one.labels["severity"] != "none"
        ]
        stale = {d.name for d in drills if any(a.matches(labels) for a in d.expects for labels in firing)}
        for name in sorted(stale):
            note(f"{name} is left out: its alert fires already; wait until it is over, or: make down up")
        return [drill for drill in drills if drill.name not in stale]

    def besides(self, running: Sequence[Running]) -> list[str]:
        """What was told and wasn't expected."""
        return besides(self.watcher.sample().messages, [course for one in running for course in one.courses])

    def play(self, drills: Sequence[Drill], depends: Depends, say: Callable[[str], None]) -> list[Running]:
        """Run the drills; whatever happens, everything is put back."""
        engine = Engine(drills, Breaker(self.lab, self.faults), self.homes(), depends, self.mailed(), say)
        try:
            with progress("  ") as line:
                sample = self.watcher.sample()
                engine.step(sample)
                while not engine.done(sample.at):
                    time.sleep(_PAUSE_S)
                    sample = self.watcher.sample()
                    engine.step(sample)
                    line(_where(engine, sample.at))
        except KeyboardInterrupt:
            note("broken off; putting everything back")
            raise
        finally:
            with _undisturbed():
                for text in undo(engine.stop()):
                    note(f"[red]not put back[/]: {text}")
        return engine.running


def _where(engine: Engine, now: float) -> str:
    going = [one.drill.name for one in engine.running if not one.over(now)]
    over = len(engine.running) - len(going)
    return f"{over} of {len(engine.drills)} over; going on: {', '.join(going)}"


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let no second Ctrl-C in while everything is put back."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _stopped(*_: Any) -> None:
    raise KeyboardInterrupt


def dependencies() -> Depends:
    """Whether an alert hears from the Proxmox API only, as its rule says."""
    found = {
        (rule["alert"], rule["labels"]["severity"]): "depends" in rule["labels"]
        for path in sorted((ROOT / "rules" / "alerts").glob("*.yml"))
        if not path.stem.endswith("_test")
        for group in yaml.safe_load(path.read_text("utf-8"))["groups"]
        for rule in group["rules"]
    }

    def depends(alert: Alert) -> bool:
        return found[alert.name, alert.severity]

    return depends


def selected(only: Sequence[str], critical: bool) -> list[Drill]:
    """The drills that are wanted, and those during which they run.

    Raises:
        OpsError: there is none of such a name.
    """
    names = {drill.name for drill in DRILLS}
    for name in only:
        if name not in names:
            raise OpsError(f"there is no drill {name!r}; there are: {', '.join(sorted(names))}")
    wanted = [d for d in DRILLS if (not only or d.name in only) and (d.wakes or not critical)]
    if critical:
        return [drill.brief for drill in wanted]
    needed = {drill.name for drill in wanted} | {drill.during for drill in wanted}
    return [drill for drill in DRILLS if drill.name in needed]


def _bring_up(stack: Stack, client: docker.DockerClient) -> None:
    lab = lab_of(stack.name)
    if lab is None:
        raise OpsError(
            f"stack {stack.name} watches a real cluster, which nobody may break; use the development stack"
        )
    if not lab_environment.runs(lab, client) or not all(part.healthy for part in parts(stack, client)):
        up(stack.name)


def main(
    only: Annotated[
        list[str] | None, typer.Option(help="One drill by its name; more than once for more.")
    ] = None,
    critical: Annotated[bool, typer.Option("--critical", help="Only what wakes people; 6 minutes.")] = False,
    listing: Annotated[bool, typer.Option("--list", help="Show the plan, break nothing.")] = False,
) -> None:
    """Break things in the simulated cluster and measure when who was told; ends in a table."""
    drills = selected(only or [], critical)
    if listing:
        console.print(show.listing(drills))
        return
    signal.signal(signal.SIGTERM, _stopped)
    stack, client = load("dev"), docker_daemon.connect()
    _bring_up(stack, client)
    lab = lab_of(stack.name)
    assert lab is not None  # noqa: S101 - _bring_up refuses a stack without one
    with LabClient(lab.control_url) as control:
        day = GameDay(stack, control, client)
        running, ill = _play(day, drills)
        others = day.besides(running)
    _conclude(running, ill, others)


def _play(day: GameDay, drills: list[Drill]) -> tuple[list[Running], list[str]]:
    step("a healthy lab")
    day.tidy()
    ill = day.healthy()
    for line in ill:
        console.print(f"  [red]✗[/] {line}")
    if not ill:
        console.print("  nothing fires but the watchdog, and what is meant to")
    drills, depends = day.fresh(drills), dependencies()
    minutes = expected_seconds(drills, day.homes(), depends) / 60
    step(f"{len(drills)} drills, about {minutes:.0f} minutes; Ctrl-C puts everything back")
    begun = time.monotonic()

    def say(text: str) -> None:
        passed = time.monotonic() - begun
        console.print(f"  [dim]{passed // 60:02.0f}:{passed % 60:02.0f}[/] {text}")

    return day.play(drills, depends, say), ill


def _conclude(running: list[Running], ill: list[str], others: list[str]) -> None:
    console.print()
    console.print(show.results(running))
    console.print(f"[dim]{show.legend()}[/]")
    for text in show.notes(running):
        console.print(f"[dim]{text}[/]")
    if others:
        console.print(f"[dim]Told besides: {', '.join(others)}[/]")
    for text in [*ill, *show.problems(running)]:
        console.print(f"[red]✗[/] {text}")
    line, well = show.verdict(running, not ill)
    console.print(line)
    if not well:
        sys.exit(1)
