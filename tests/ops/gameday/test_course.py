"""The course of an expected alert: from samples to times, and from times to a verdict."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce

import pytest

from ops.gameday.course import (
    BEAT_GAP_S,
    Course,
    Mail,
    Message,
    Raised,
    Sample,
    besides,
    kept,
    observe,
    slowest,
)
from ops.gameday.model import LIMIT_S, Alert

DOWN = Alert("HostDown", "critical", {"node": "pve2"})
LABELS = {"alertname": "HostDown", "severity": "critical", "node": "pve2", "cluster": "lab"}
OTHER = {**LABELS, "node": "pve3"}
MAIL = Mail(103, "[FIRING:1] critical HostDown on pve2 (lab)", "Host pve2 is down\n")


def raised(at: float, *, firing: bool, labels: dict[str, str] = LABELS) -> Sample:
    return Sample(at, [Raised(labels, firing, 35.0)])


def followed(course: Course, *samples: Sample) -> Course:
    return reduce(observe, samples, course)


def told() -> Course:
    return followed(
        Course(DOWN, 10, mail=True),
        raised(40, firing=False),
        raised(95, firing=True),
        replace(raised(104, firing=True), messages=[Message(101, False, LABELS)], mails=[MAIL]),
    )


def test_what_happens_is_timed_from_the_fault() -> None:
    course = told()
    times = (course.pending, course.firing, course.webhook, course.email)
    assert [course.after(time) for time in times] == [25, 85, 91, 93]
    assert course.seconds == 91
    assert course.told


def test_it_is_over_when_the_resolved_message_came() -> None:
    mended = replace(told(), mended=120.0)
    assert not mended.over
    assert mended.problem() == "HostDown pve2 was never resolved"
    early = observe(mended, Sample(121, messages=[Message(119, True, LABELS)]))
    assert early.resolved is None
    done = observe(mended, Sample(190, messages=[Message(180, True, LABELS)]))
    assert (done.resolved, done.over, done.present, done.problem()) == (180, True, False, "")


def test_another_subject_another_time_or_a_resolved_message_doesnt_count() -> None:
    course = followed(
        Course(DOWN, 10, mail=True),
        raised(95, firing=True, labels=OTHER),
        Sample(
            110,
            messages=[Message(5, False, LABELS), Message(101, False, OTHER), Message(102, True, LABELS)],
            mails=[
                replace(MAIL, received=5),
                replace(MAIL, subject="[RESOLVED] critical HostDown on pve2 (lab)"),
                Mail(103, "[FIRING:1] critical HostDown on pve3 (lab)", "Host pve3 is down"),
            ],
        ),
    )
    assert course == Course(DOWN, 10, mail=True)
    assert course.problem() == "HostDown pve2 didn't fire within 150 s"


def test_a_message_after_the_fault_is_over_tells_nobody_of_it() -> None:
    course = observe(Course(DOWN, 10, mended=100.0), Sample(110, messages=[Message(105, False, LABELS)]))
    assert course.webhook is None


def test_a_prometheus_that_doesnt_answer_changes_nothing() -> None:
    course = told()
    assert observe(course, Sample(120, raised=None)) == course


def test_without_the_mail_a_critical_alert_isnt_told() -> None:
    course = replace(told(), email=None)
    assert not course.told
    assert course.problem() == "HostDown pve2 fired, and no e-mail came"
    assert replace(course, mail=False).told


def test_what_only_mail_can_tell_doesnt_wait_for_the_webhook() -> None:
    alert = replace(DOWN, by="email", lasts="it does")
    course = replace(told(), alert=alert, webhook=None)
    assert course.told
    assert course.problem() == ""


def test_a_late_message_is_a_problem() -> None:
    course = replace(told(), webhook=10 + LIMIT_S + 1, email=10 + LIMIT_S + 2, resolved=500.0)
    assert course.problem() == "HostDown pve2 took 151 s to be told, more than 150 s"


def test_what_is_held_back_has_to_fire_and_to_stay_silent() -> None:
    course = Course(DOWN, 10, silent=True)
    waiting = observe(course, replace(raised(60, firing=False), held=[LABELS]))
    assert waiting.held is None
    held = observe(course, replace(raised(95, firing=True), held=[OTHER, LABELS]))
    assert (held.held, held.told, held.problem()) == (95, True, "")
    leaked = observe(held, Sample(99, messages=[Message(98, False, LABELS)]))
    assert leaked.problem() == "HostDown pve2 should have been held back and was told"
    assert course.problem() == "HostDown pve2 wasn't held back within 150 s"


def test_what_must_not_be_held_back_says_so() -> None:
    course = observe(Course(DOWN, 10), replace(raised(95, firing=True), held=[LABELS]))
    assert course.problem() == "HostDown pve2 was held back"
    assert replace(told(), held=96.0).problem() == "HostDown pve2 was held back before it was told"
    assert replace(told(), held=130.0, resolved=200.0).problem() == ""


def test_what_waits_too_long_is_watched_until_it_is_pending() -> None:
    alert = replace(DOWN, pending="a day")
    assert Course(alert, 10).problem() == "HostDown pve2 wasn't pending within 150 s"
    course = observe(Course(alert, 10), raised(40, firing=False))
    assert (course.told, course.problem()) == (True, "")


def test_what_was_pending_before_the_fault_counts_from_the_fault() -> None:
    assert observe(Course(DOWN, 50), raised(60, firing=False)).pending == 50


WATCHDOG = Alert("Watchdog", "none", within=400)


def test_the_dead_mans_switch_shows_when_the_beats_stop() -> None:
    beats = (40.0, 100.0, 160.0)
    course = Course(WATCHDOG, 110)
    assert observe(course, Sample(160 + BEAT_GAP_S, None, beats=beats)).webhook is None
    stopped = observe(course, Sample(161 + BEAT_GAP_S, None, beats=beats))
    assert stopped.seconds == 161 + BEAT_GAP_S - 110
    assert stopped.told
    mended = replace(stopped, mended=300.0)
    assert not observe(mended, Sample(310, beats=beats)).over
    assert observe(mended, Sample(330, beats=(*beats, 325.0))).resolved == 325


def test_beats_that_go_on_are_a_problem() -> None:
    assert Course(WATCHDOG, 10).problem() == "the beats come too seldom, or went on for 400 s"


def test_beats_that_come_too_seldom_cant_be_seen_to_stop() -> None:
    course = observe(Course(WATCHDOG, 170), Sample(400, None, beats=(40.0, 160.0)))
    assert course.webhook is None


@pytest.mark.parametrize(
    ("courses", "figure"),
    [
        ([], None),
        ([told()], 91),
        ([told(), replace(told(), since=0)], 101),
        ([told(), replace(told(), since=0, alert=replace(DOWN, slow="a reason"))], 91),
        ([told(), replace(told(), since=0, alert=replace(DOWN, severity="warning"))], 91),
        ([told(), replace(told(), webhook=None, email=None)], None),
    ],
)
def test_the_slowest_counts_unless_it_is_an_exception(courses: list[Course], figure: float | None) -> None:
    assert slowest(courses) == figure


def test_what_was_told_besides_is_named_once() -> None:
    messages = [Message(5, False, OTHER), Message(50, True, OTHER), Message(60, False, LABELS)]
    assert besides(messages, [told()]) == []
    assert besides([*messages, Message(70, False, OTHER), Message(80, False, OTHER)], [told()]) == [
        "critical HostDown pve3"
    ]


def test_the_limit() -> None:
    assert [kept(figure) for figure in (None, 150.0, 150.1)] == [False, True, False]
