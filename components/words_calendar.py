"""Words of the stack configuration about days and times, in Alertmanager's spelling."""

from __future__ import annotations

import re
from typing import Annotated
from zoneinfo import available_timezones

from pydantic import AfterValidator

from components.words import problem, spelled

_WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")


def _check_weekdays(value: str) -> str:
    days = value.lower().split(":")
    if len(days) > 2 or not {*days} <= {*_WEEKDAYS}:
        raise problem(f"{value!r} is neither a weekday nor a span of them; write saturday or monday:friday")
    if len(days) == 2 and _WEEKDAYS.index(days[0]) > _WEEKDAYS.index(days[1]):
        raise problem(f"{value!r} runs backwards: weeks begin with sunday; write the days one by one")
    return value.lower()


def _check_days_of_month(value: str) -> str:
    numbers = re.fullmatch(r"(-?\d{1,2})(?::(-?\d{1,2}))?", value)
    if numbers is None or not all(0 < abs(int(n)) <= 31 for n in numbers.groups() if n):
        raise problem(
            f"{value!r} is neither a day of the month nor a span of them; write 1, 1:7, or -1 for the last"
        )
    return value


def _check_time_zone(value: str) -> str:
    known = available_timezones()
    # A machine without a table of time zones can't tell; Alertmanager then refuses the wrong one.
    if known and value not in known:
        raise problem(f"{value!r} is not a time zone; write for example Europe/Berlin or UTC")
    return value


Weekdays = Annotated[str, AfterValidator(_check_weekdays)]
DaysOfMonth = Annotated[str, AfterValidator(_check_days_of_month)]
Clock = Annotated[
    str,
    spelled(
        r"([01]\d|2[0-3]):[0-5]\d|24:00",
        "is not a time of day; write for example 07:30, and 24:00 for its end",
    ),
]
TimeZone = Annotated[str, AfterValidator(_check_time_zone)]
