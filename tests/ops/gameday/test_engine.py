"""The engine against a lab and an Alertmanager of paper."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from ops.gameday.course import Mail, Message, Raised, Sample
from ops.gameday.engine import RESOLVES_S, Engine
from ops.gameday.model import Alert, Break, Drill
from ops.gameday.show import problems, results, verdict
from ops.gameday.stack_faults import undo

LEAK = Drill("leak", (Break("memory_leak", "pve1"),), (Alert("HostMemoryLow", "critical", {"node": "pve1"}),))
STORM = Drill(
    "storm",
    (Break("disk_latency_storm", "pve1"),),
    (Alert("HostDiskLatencyHigh", "warning", {"node": "pve1"}),),
)
AGAIN = replace(LEAK, name="again")


@dataclass
class World:
    """Whatever is broken fires `delay` seconds later and is told at once; what is mended is over at once."""

    delay: float = 60
    now: float = 1000
    broken: dict[str, float] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    stubborn: bool = False

    def begin(self, fault: Break) -> Callable[[], None]:
        self.log.append(f"break {fault.kind}")
        self.broken[fault.kind] = self.now

        def mend() -> None:
            if self.stubborn:
                raise OSError("it stays broken")
            self.log.append(f"mend {fault.kind}")
            self.broken.pop(fault.kind, None)

        return mend

    def sample(self, engine: Engine) -> Sample:
        raised, mails = [], []
        for drill in engine.drills:
            kind, labels = drill.breaks[0].kind, drill.expects[0].wanted
            mine = [one for one in self.messages if one.labels == labels]
            since = self.broken.get(kind)
            if since is None or self.now - since < self.delay:
                if since is None and mine and not mine[-1].resolved:
                    self.messages.append(Message(self.now, True, labels))
                continue
            raised.append(Raised(labels, True, since))
            if not mine or mine[-1].resolved:
                self.messages.append(Message(self.now, False, labels))
            title = f"[FIRING:1] {labels['severity']} {labels['alertname']} on {labels['node']} (lab)"
            mails.append(Mail(self.now, title, ""))
        return Sample(self.now, raised, (), list(self.messages), mails)


def engine_of(world: World, *drills: Drill) -> Engine:
    return Engine(drills, world, {}, lambda _: False, frozenset({"critical"}), world.log.append)


def run(world: World, engine: Engine, seconds: float = 2000) -> None:
    end = world.now + seconds
    while world.now < end:
        sample = world.sample(engine)
        engine.step(sample)
        if engine.done(world.now):
            return
        world.now += 1


def breaks(world: World) -> list[str]:
    return [line for line in world.log if line.startswith(("break", "mend"))]


def test_what_can_run_side_by_side_does_and_everything_is_mended() -> None:
    world = World()
    engine = engine_of(world, LEAK, STORM)
    run(world, engine)
    assert breaks(world) == [
        "break memory_leak", "break disk_latency_storm", "mend memory_leak", "mend disk_latency_storm",
    ]  # fmt: skip
    assert engine.done(world.now)
    assert problems(engine.running) == []
    text, well = verdict(engine.running, healthy=True)
    assert (well, "60 s" in text) == (True, True)
    assert results(engine.running).row_count == 2
    assert not verdict(engine.running, healthy=False)[1]


def test_what_is_about_the_same_subject_waits_until_it_is_over() -> None:
    world = World()
    run(world, engine_of(world, LEAK, AGAIN))
    assert breaks(world) == ["break memory_leak", "mend memory_leak"] * 2


def test_an_alert_that_never_comes_ends_the_drill_in_time() -> None:
    world = World(delay=1e9)
    engine = engine_of(world, LEAK)
    run(world, engine)
    assert breaks(world) == ["break memory_leak", "mend memory_leak"]
    assert world.now - 1000 < LEAK.within + 5
    assert problems(engine.running) == ["leak: HostMemoryLow pve1 didn't fire within 150 s"]
    assert not verdict(engine.running, healthy=True)[1]


def test_an_alert_that_never_ends_doesnt_hold_the_others_up_for_ever() -> None:
    world = World()
    engine = engine_of(world, LEAK)
    run(world, engine, 70)
    stuck = World(delay=0, now=world.now, broken={"memory_leak": 0.0})
    run(stuck, engine)
    assert engine.done(stuck.now)
    assert stuck.now - world.now <= RESOLVES_S + 5


def test_a_break_that_comes_later_is_awaited() -> None:
    later = replace(LEAK, breaks=(*LEAK.breaks, Break("oom_kill", "pve1", after=100)))
    world = World()
    engine = engine_of(world, later)
    run(world, engine, 90)
    assert breaks(world) == ["break memory_leak"]
    run(world, engine)
    assert breaks(world) == ["break memory_leak", "break oom_kill", "mend oom_kill", "mend memory_leak"]


def test_a_drill_goes_on_while_another_one_runs_during_it() -> None:
    inner = replace(STORM, during="leak")
    world = World()
    engine = engine_of(world, LEAK, inner)
    run(world, engine)
    assert breaks(world) == [
        "break memory_leak", "break disk_latency_storm", "mend disk_latency_storm", "mend memory_leak",
    ]  # fmt: skip


def test_a_drill_that_is_never_told_doesnt_keep_the_one_during_it_for_ever() -> None:
    silent = replace(LEAK, expects=(Alert("GuestDown", "critical", {"node": "pve1"}),))
    world = World(delay=1e9)
    engine = engine_of(world, silent, replace(STORM, during="leak"))
    run(world, engine)
    assert engine.done(world.now)
    assert [line for line in breaks(world) if line.startswith("mend")] == [
        "mend memory_leak", "mend disk_latency_storm",
    ]  # fmt: skip


@pytest.mark.parametrize("after", [1, 30, 65])
def test_what_is_broken_when_it_is_broken_off_can_be_put_back(after: float) -> None:
    world = World()
    engine = engine_of(world, LEAK, STORM)
    run(world, engine, after)
    assert undo(engine.stop()) == []
    assert world.broken == {}


def test_what_cant_be_put_back_is_told_and_the_rest_is_put_back() -> None:
    world = World()
    engine = engine_of(world, LEAK, STORM)
    run(world, engine, 5)
    world.stubborn = True
    assert undo(engine.stop()) == ["it stays broken"] * 2
