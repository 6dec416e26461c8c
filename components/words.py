"""Words of the stack configuration: types whose error says what to write instead."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, StringConstraints
from pydantic_core import PydanticCustomError

from components.durations import seconds
from components.images import problem_with_reference


def problem(text: str) -> PydanticCustomError:
    """A validation error whose message is the text, without pydantic's own prefix."""
    return PydanticCustomError("setting", "{text}", {"text": text})


def spelled(pattern: str, otherwise: str) -> AfterValidator:
    """A check that the whole of a value matches.

    Args:
        pattern: regular expression.
        otherwise: what stands after the value in the message: what it is not, and what to write instead.
    """

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise problem(f"{value!r} {otherwise}")
        return value

    return AfterValidator(check)


def some(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Refuse an empty list; runs only when every item is right, so that one mistake is told once."""
    if not values:
        raise problem("is empty; give at least one")
    return values


def _check_duration(value: str) -> str:
    try:
        seconds(value)
    except ValueError:
        raise problem(f"{value!r} is not a duration; write for example 15s, 5m, 1h30m or 30d") from None
    return value


def _check_image(value: str) -> str:
    if (fault := problem_with_reference(value)) is not None:
        raise problem(f"{value!r} {fault}")
    return value


def _check_pattern(value: str) -> str:
    # Prometheus' expressions (RE2) know neither looking around nor references back.
    try:
        re.compile(value)
    except re.error as error:
        raise problem(f"{value!r} is not a regular expression: {error}") from None
    if re.search(r"\(\?[=!<P]|\\[1-9]", value) or not value.strip():
        raise problem(
            f"{value!r} is not a regular expression of Prometheus; write for example sqlservr or java.*"
        )
    return value


Duration = Annotated[str, AfterValidator(_check_duration)]
ImageReference = Annotated[str, AfterValidator(_check_image)]
Size = Annotated[
    str,
    spelled(r"[1-9]\d*(KB|MB|GB|TB)", "is not a size; write a whole number and KB, MB, GB or TB, e.g. 40GB"),
]
Digest = Annotated[str, spelled(r"[0-9a-f]{64}", "is not a SHA-256 checksum; write its 64 hex digits")]
Version = Annotated[
    str, spelled(r"\d+\.\d+\.\d+", "is not a version; write three numbers without a v, e.g. 1.12.1")
]
# Windows PowerShell reads scripts in the code page of the machine, and control characters end lines.
ScriptText = Annotated[
    str, spelled(r"[ -~]+", "can't stand in an installer: write printable ASCII without line breaks")
]
Pattern = Annotated[str, AfterValidator(_check_pattern)]
ProcessFilter = Annotated[ScriptText, AfterValidator(_check_pattern)]
LabelName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")]
NonEmpty = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
