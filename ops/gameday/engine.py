"""Runs drills: begins what can run side by side, follows the courses, mends, and puts everything back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from ops.gameday.course import Course, Sample, observe
from ops.gameday.model import Alert, Break, Drill
from ops.gameday.schedule import Depends, startable

Undo = Callable[[], None]
# Seconds for which the resolved message is awaited after the fault is over.
RESOLVES_S = 420


class Breaker(Protocol):
    """Something that breaks things."""

    def begin(self, fault: Break) -> Undo:
        """Break something; what is returned puts it back."""


@dataclass
class Running:
    """A drill that has begun.

    Attributes:
        drill: from the plan.
        since: when it began, in Unix seconds.
        courses: of the alerts that are expected, then of those that are held back.
        ahead: what is still to be broken.
        undo: what puts back what is broken.
        mended: when it was put back.
    """

    drill: Drill
    since: float
    courses: list[Course]
    ahead: list[Break]
    undo: list[Undo] = field(default_factory=list)
    mended: float | None = None

    @property
    def told(self) -> bool:
        """Whether everything that has to happen while it is broken has happened."""
        return not self.ahead and all(course.told for course in self.courses)

    def late(self, now: float) -> bool:
        """Whether it is no use to wait any longer."""
        return now - self.since > self.drill.within

    def gone(self, now: float) -> bool:
        """Whether it is mended and its alerts have left Prometheus, so that others may use what it used."""
        if self.mended is None:
            return False
        left = [c for c in self.courses if c.present and not (c.alert.lasts or c.alert.pending)]
        return not left or now - self.mended > RESOLVES_S

    def over(self, now: float) -> bool:
        """Whether there is nothing left to wait for."""
        return self.gone(now) and (
            all(course.over for course in self.courses) or now - (self.mended or now) > RESOLVES_S
        )


@dataclass
class Engine:
    """Runs the drills of a plan, one `step` after another.

    Attributes:
        drills: to be run.
        breaker: breaks things.
        homes: by guest, the host it is on.
        depends: whether an alert hears from the Proxmox API only.
        mailed: severities that have e-mail.
        say: called with what happens.
    """

    drills: Sequence[Drill]
    breaker: Breaker
    homes: Mapping[str, str]
    depends: Depends
    mailed: frozenset[str]
    say: Callable[[str], None] = lambda _: None
    running: list[Running] = field(default_factory=list)

    @property
    def waiting(self) -> list[Drill]:
        """Drills that haven't begun."""
        begun = {one.drill.name for one in self.running}
        return [drill for drill in self.drills if drill.name not in begun]

    def done(self, now: float) -> bool:
        """Whether everything is over."""
        return not self.waiting and all(one.over(now) for one in self.running)

    def step(self, sample: Sample) -> None:
        """Take a sample in, mend what has been told, and begin what can begin."""
        now = sample.at
        for one in self.running:
            before = one.courses
            one.courses = [observe(course, sample) for course in before]
            for old, new in zip(before, one.courses, strict=True):
                self._report(one, old, new)
            self._continue(one, now)
        self._mend(now)
        busy = [one.drill for one in self.running if not one.gone(now)]
        told = frozenset(one.drill.name for one in self.running if one.told or one.mended)
        for drill in startable(self.waiting, busy, told, self.homes, self.depends):
            self._begin(drill, now)

    def stop(self) -> list[Undo]:
        """Everything that is still to be put back."""
        return [undo for one in self.running for undo in one.undo]

    def _begin(self, drill: Drill, now: float) -> None:
        self.say(f"[bold]{drill.name}[/] begins")
        courses = [self._course(alert, now) for alert in drill.expects]
        courses += [self._course(alert, now, silent=True) for alert in drill.silences]
        ahead = sorted(drill.breaks, key=lambda one: one.after)
        made = Running(drill, now, courses, ahead)
        self.running.append(made)
        self._continue(made, now)

    def _course(self, alert: Alert, now: float, *, silent: bool = False) -> Course:
        return Course(alert, now, silent=silent, mail=not silent and alert.severity in self.mailed)

    def _continue(self, one: Running, now: float) -> None:
        while one.mended is None and one.ahead and now - one.since >= one.ahead[0].after:
            one.undo.append(self.breaker.begin(one.ahead.pop(0)))

    def _mend(self, now: float) -> None:
        inside = {one.drill.during for one in self.running if one.mended is None}
        awaited = {drill.during for drill in self.waiting}
        for one in self.running:
            # One that wasn't told in time is waited for no longer, whoever was to run during it.
            ready = one.drill.name not in awaited if one.told else one.late(now)
            if one.mended is None and ready and one.drill.name not in inside:
                self._undo(one)
                one.mended = now
                one.courses = [replace(course, mended=now) for course in one.courses]
                self.say(
                    f"[bold]{one.drill.name}[/] {'told' if one.told else '[red]not told in time[/]'}; mended"
                )

    def _undo(self, one: Running) -> None:
        # Taken off the list only when it succeeded: what fails is tried again at the end.
        while one.undo:
            one.undo[-1]()
            one.undo.pop()

    def _report(self, one: Running, old: Course, new: Course) -> None:
        name = f"{new.alert.name} {new.alert.subject}".strip()
        for what in ("pending", "firing", "webhook", "email", "held", "resolved"):
            time = getattr(new, what)
            if what == "pending" and not new.alert.pending:
                continue
            if getattr(old, what) is None and time is not None:
                base = new.mended if what == "resolved" and new.mended else new.since
                self.say(f"{one.drill.name}: {name} {_WORDS[what]} after {max(0.0, time - base):.0f} s")


_WORDS = {
    "pending": "is pending",
    "firing": "fires",
    "webhook": "reached the webhook",
    "email": "reached the mailbox",
    "held": "is held back",
    "resolved": "is resolved",
}
