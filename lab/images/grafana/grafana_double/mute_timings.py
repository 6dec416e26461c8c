"""Mute timings: named sets of time intervals, in the syntax of Alertmanager's time intervals."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from starlette.responses import Response

from . import provenance, references
from .api import Call, Route, answer, empty, get
from .errors import public, refuse
from .references import INTERVALS, MUTE_TIMING
from .schemas import MuteTiming, TimeInterval, TimeRange
from .store import Document
from .templates import fingerprint, uid_of

PATH = "/api/v1/provisioning/mute-timings"

_WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_TIME = re.compile(r"(?:([01]\d|2[0-3]):[0-5]\d|24:00)")


def normalized(interval: TimeInterval) -> dict[str, Any]:
    """An interval as Grafana answers it: lower case, months as numbers, nothing empty.

    Raises:
        ValueError: a range that doesn't exist; the message names it.
    """
    shown = {
        "times": [_time(item) for item in interval.times or []],
        "weekdays": _ranges(interval.weekdays, _weekday),
        "days_of_month": _ranges(interval.days_of_month, _day),
        "months": _ranges(interval.months, _month),
        "years": _ranges(interval.years, _year),
        "location": _location(interval.location),
    }
    return {key: value for key, value in shown.items() if value}


def _time(item: TimeRange) -> dict[str, str]:
    for value in (item.start_time, item.end_time):
        if not _TIME.fullmatch(value):
            raise ValueError(f"couldn't parse timestamp {value}, invalid format")
    if item.start_time >= item.end_time:
        raise ValueError("start time cannot be equal or greater than end time")
    return {"start_time": item.start_time, "end_time": item.end_time}


def _ranges(items: Sequence[str] | None, member: Callable[[str], int]) -> list[str]:
    return [_range(item, member) for item in items or []]


def _range(item: str, member: Callable[[str], int]) -> str:
    parts = item.lower().split(":")
    if len(parts) > 2:
        raise ValueError(f"couldn't parse range {item}, invalid format")
    begin, end = member(parts[0]), member(parts[-1])
    if begin > end and (begin > 0) == (end > 0):
        raise ValueError(f"start of range {item} is after its end")
    if begin < 0 < end:
        raise ValueError(f"end of range {item} must be negative if its start is")
    if member is _weekday:
        return item.lower() if begin != end else parts[0]
    return f"{begin}:{end}" if begin != end else str(begin)


def _weekday(text: str) -> int:
    if text not in _WEEKDAYS:
        raise ValueError(f"{text} is not a valid weekday")
    return _WEEKDAYS.index(text) + 1


def _month(text: str) -> int:
    number = _MONTHS.index(text) + 1 if text in _MONTHS else _integer(text, "month")
    if not 1 <= number <= 12:
        raise ValueError(f"{text} is not a valid month: out of range")
    return number


def _day(text: str) -> int:
    number = _integer(text, "day of the month")
    if not 1 <= abs(number) <= 31:
        raise ValueError(f"{text} is not a valid day of the month: out of range")
    return number


def _year(text: str) -> int:
    return _integer(text, "year")


def _integer(text: str, what: str) -> int:
    if not re.fullmatch(r"-?\d+", text, re.ASCII):
        raise ValueError(f"{text} is not a valid {what}")
    return int(text)


def _location(name: str) -> str:
    if name:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"unknown time zone {name}") from error
    return name


def _shown(timing: Document) -> Document:
    intervals = timing["time_intervals"]
    return {
        "name": timing["name"],
        "time_intervals": intervals,
        "version": fingerprint(json.dumps(intervals, sort_keys=True)),
        "uid": uid_of(timing["name"]),
    } | provenance.shown(timing["provenance"])


def _document(call: Call, command: MuteTiming) -> Document:
    try:
        intervals = [normalized(interval) for interval in command.time_intervals]
    except ValueError as error:
        raise public(
            400,
            "alerting.notifications.time-intervals.invalidFormat",
            "Time interval is in invalid format. Correct the payload and try again.",
            {"Error": str(error)},
        ) from error
    return {"name": command.name, "time_intervals": intervals, "provenance": provenance.of(call)}


def _create(call: Call) -> Response:
    command = call.parse(MuteTiming)
    if call.store.get(MUTE_TIMING, command.name):
        raise public(
            400,
            "alerting.notifications.time-intervals.nameExists",
            "Time interval with this name already exists. Use a different name or update existing one.",
        )
    timing = _document(call, command)
    call.store.put(MUTE_TIMING, command.name, timing)
    return answer(_shown(timing), 201)


def _update(call: Call) -> Response:
    old = _find(call)
    command = call.parse(MuteTiming)
    if command.name != old["name"]:
        raise refuse(400, "this stand-in changes no name of a mute timing")
    if command.version and command.version != _shown(old)["version"]:
        raise public(409, "alerting.notifications.conflict", "Conflict")
    provenance.check_relaxed(old["provenance"], provenance.of(call))
    timing = _document(call, command)
    call.store.put(MUTE_TIMING, command.name, timing)
    return answer(_shown(timing), 202)


def _find(call: Call) -> Document:
    timing = call.store.get(MUTE_TIMING, call.params["name"])
    if timing is None:
        raise public(404, "alerting.notifications.time-intervals.notFound", "Not found")
    return timing


def _read(call: Call) -> Response:
    return answer(_shown(_find(call)))


def _list(call: Call) -> Response:
    timings = sorted(call.store.all(MUTE_TIMING), key=lambda timing: str(timing["name"]))
    return answer([_shown(timing) for timing in timings])


def _delete(call: Call) -> Response:
    name = call.params["name"]
    used = references.used_in_policies(call.store, INTERVALS) | references.used_in_rules(
        call.store, INTERVALS
    )
    if name in used:
        raise public(
            409,
            "alerting.notifications.time-intervals.used",
            "Time interval is used by one or many notification policies or alert rules",
        )
    call.store.delete(MUTE_TIMING, name)
    return empty()


ROUTES = (
    get(PATH, _list),
    Route("POST", PATH, _create),
    get(f"{PATH}/{{name}}", _read),
    Route("PUT", f"{PATH}/{{name}}", _update),
    Route("DELETE", f"{PATH}/{{name}}", _delete, frozenset({"version"})),
)
