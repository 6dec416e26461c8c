"""Durations as Prometheus writes them: parsing, and the canonical spelling that Grafana answers with."""

from __future__ import annotations

import re

_UNITS_MS = {
    "y": 365 * 86_400_000,
    "w": 7 * 86_400_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1000,
    "ms": 1,
}
_EXACT = {"y", "w"}
"""Years and weeks are written only when nothing is left over (prometheus/common, model.Duration)."""

_PATTERN = re.compile(
    r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+)s)?(?:(\d+)ms)?", re.ASCII
)


def parse_ms(text: str) -> int:
    """Milliseconds of a duration such as "5m", "1h30m" or "5m0s".

    Raises:
        ValueError: not a duration; the message is Prometheus's.
    """
    if text == "0":
        return 0
    match = _PATTERN.fullmatch(text)
    if not text:
        raise ValueError("empty duration string")
    if match is None:
        raise ValueError(f'not a valid duration string: "{text}"')
    return sum(
        int(count) * size for count, size in zip(match.groups(), _UNITS_MS.values(), strict=True) if count
    )


def render(milliseconds: int) -> str:
    """The canonical spelling: 5400000 is "1h30m", 86400000 is "1d", 0 is "0s"."""
    text, rest = "", milliseconds
    for unit, size in _UNITS_MS.items():
        if unit in _EXACT and rest % size:
            continue
        count, rest = divmod(rest, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def canonical(text: str) -> str:
    """The canonical spelling of a duration.

    Raises:
        ValueError: not a duration.
    """
    return render(parse_ms(text))
