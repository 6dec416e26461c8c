"""The course of an expected alert, from samples of what Prometheus, Alertmanager and the sinks say; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ops.gameday.model import LIMIT_S, Alert, Labels

# Seconds without a beat after which somebody outside raises the alarm: one beat a minute, and half of one.
BEAT_GAP_S = 90


@dataclass(frozen=True)
class Raised:
    """An alert as Prometheus has it; `active_at` in Unix seconds."""

    labels: Labels
    firing: bool
    active_at: float


@dataclass(frozen=True)
class Message:
    """An alert in a message of the webhook; `received` in Unix seconds."""

    received: float
    resolved: bool
    labels: Labels


@dataclass(frozen=True)
class Mail:
    """An e-mail; `received` in Unix seconds."""

    received: float
    subject: str
    body: str

    def tells(self, alert: Alert) -> bool:
        """Whether it says that the alert fires: its labels stand in the title or the text."""
        if not self.subject.startswith("[FIRING"):
            return False
        text = f"{self.subject}\n{self.body}"
        return f"{alert.severity} {alert.name}" in self.subject and all(
            v in text for v in alert.labels.values()
        )


@dataclass(frozen=True)
class Sample:
    """What everybody said at one moment (`at`, Unix seconds); None where Prometheus didn't answer."""

    at: float
    raised: Sequence[Raised] | None = ()
    held: Sequence[Labels] = ()
    messages: Sequence[Message] = ()
    mails: Sequence[Mail] = ()
    beats: Sequence[float] = ()


@dataclass(frozen=True)
class Course:
    """An expected alert and when what happened to it, in Unix seconds.

    Attributes:
        alert: that is expected.
        since: when its fault began.
        mended: when its fault was over.
        silent: True if it has to be held back.
        mail: True if its severity has e-mail.
        pending, firing, webhook, email, held, resolved: when that was first seen.
        present: whether Prometheus has it now.
    """

    alert: Alert
    since: float
    silent: bool = False
    mail: bool = False
    mended: float | None = None
    pending: float | None = None
    firing: float | None = None
    webhook: float | None = None
    email: float | None = None
    held: float | None = None
    resolved: float | None = None
    present: bool = False

    @property
    def told(self) -> bool:
        """Whether all that has to happen while the fault lasts has happened."""
        if self.alert.pending:
            return self.pending is not None
        if self.silent:
            return self.held is not None
        by_webhook = self.webhook is not None or self.alert.by == "email"
        return by_webhook and (self.email is not None or not self.mail)

    @property
    def over(self) -> bool:
        """Whether there is nothing left to wait for."""
        quiet = self.alert.pending or self.alert.lasts or self.silent or self.webhook is None
        return self.mended is not None and (bool(quiet) or self.resolved is not None)

    @property
    def seconds(self) -> float | None:
        """From the fault to the first message on any channel."""
        times = [time for time in (self.webhook, self.email) if time is not None]
        return min(times) - self.since if times else None

    def after(self, time: float | None) -> float | None:
        """Seconds from the fault to `time`."""
        return None if time is None else max(0.0, time - self.since)

    def problem(self) -> str:
        """What went wrong, or an empty text."""
        name = f"{self.alert.name} {self.alert.subject}".strip()
        if self.silent:
            return self._problem_of_silence(name)
        if self.alert.pending:
            return "" if self.told else f"{name} wasn't pending within {self.alert.within:.0f} s"
        return self._late(name) if self.told else self._missing(name)

    def _late(self, name: str) -> str:
        seconds = self.seconds or 0.0
        if self.held is not None and self.held < self.since + seconds:
            return f"{name} was held back before it was told"
        if seconds > self.alert.within:
            return f"{name} took {seconds:.0f} s to be told, more than {self.alert.within:.0f} s"
        if self.resolved is None and not self.alert.lasts:
            return f"{name} was never resolved"
        return ""

    def _missing(self, name: str) -> str:
        if self.alert.severity == "none":
            return f"the beats come too seldom, or went on for {self.alert.within:.0f} s"
        if self.firing is None:
            return f"{name} didn't fire within {self.alert.within:.0f} s" + (
                " (pending)" if self.pending else ""
            )
        if self.held is not None:
            return f"{name} was held back"
        return f"{name} fired, and no {'e-mail' if self.webhook or self.alert.by else 'message'} came"

    def _problem_of_silence(self, name: str) -> str:
        if self.webhook is not None:
            return f"{name} should have been held back and was told"
        if self.held is None:
            return f"{name} wasn't held back within {self.alert.within:.0f} s"
        return ""


def observe(course: Course, sample: Sample) -> Course:
    """The course after one sample more."""
    if course.alert.severity == "none":
        return _beats(course, sample)
    return _channels(_state(course, sample), sample)


def _state(course: Course, sample: Sample) -> Course:
    if sample.raised is None:
        return course
    found = [one for one in sample.raised if course.alert.matches(one.labels)]
    pending = course.pending or min((max(one.active_at, course.since) for one in found), default=None)
    firing = any(one.firing for one in found)
    held = any(course.alert.matches(labels) for labels in sample.held) and firing
    return replace(
        course,
        present=bool(found),
        pending=pending,
        firing=course.firing or (sample.at if firing else None),
        held=course.held or (sample.at if held else None),
    )


def _channels(course: Course, sample: Sample) -> Course:
    mine = [m for m in sample.messages if m.received >= course.since and course.alert.matches(m.labels)]
    # What is told after the fault is over no longer counts.
    until = course.mended or float("inf")
    told = (m.received for m in mine if not m.resolved and m.received <= until)
    mails = (
        m.received for m in sample.mails if course.since <= m.received <= until and m.tells(course.alert)
    )
    done = (m.received for m in mine if m.resolved and m.received >= until)
    return replace(
        course,
        webhook=course.webhook or min(told, default=None),
        email=course.email or (min(mails, default=None) if course.mail else None),
        resolved=course.resolved or min(done, default=None),
    )


def _beats(course: Course, sample: Sample) -> Course:
    """The dead man's switch: what has to be seen is that the beats stop, and then begin again."""
    if course.mended is not None:
        again = min((beat for beat in sample.beats if beat > course.mended), default=None)
        return replace(course, present=False, resolved=course.resolved or again)
    before = [beat for beat in sample.beats if beat <= course.since]
    # Beats that come too seldom can't be seen to stop.
    seldom = len(before) > 1 and before[-1] - before[-2] > BEAT_GAP_S
    last = max((beat for beat in sample.beats if beat <= sample.at), default=course.since)
    quiet = not seldom and sample.at - max(last, course.since) > BEAT_GAP_S
    return replace(course, present=True, webhook=course.webhook or (sample.at if quiet else None))


def besides(messages: Sequence[Message], courses: Sequence[Course]) -> list[str]:
    """What was told since the first fault and wasn't expected, by name, severity and host or guest."""
    begun = min((course.since for course in courses), default=float("inf"))
    found = {
        " ".join(m.labels[key] for key in ("severity", "alertname", "vm_name", "node") if key in m.labels)
        for m in messages
        if not m.resolved and m.received >= begun and not any(c.alert.matches(m.labels) for c in courses)
    }
    return sorted(found)


def slowest(courses: Sequence[Course]) -> float | None:
    """Seconds from fault to first message of the slowest critical alert that isn't an exception."""
    times = [
        course.seconds
        for course in courses
        if course.alert.severity == "critical"
        and not (course.silent or course.alert.slow or course.alert.pending)
    ]
    known = [time for time in times if time is not None]
    return max(known) if known and len(known) == len(times) else None


def kept(figure: float | None) -> bool:
    """Whether the slowest one is within the limit."""
    return figure is not None and figure <= LIMIT_S
