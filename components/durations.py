"""Durations in Prometheus' spelling: 15s, 5m, 1h30m, 30d."""

from __future__ import annotations

import re

# Prometheus' own spelling: units from large to small, each at most once (model/time.go ParseDuration).
_DURATION = re.compile(r"^(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$")
_SECONDS = (365 * 86400, 7 * 86400, 86400, 3600, 60, 1)


def seconds(duration: str) -> int:
    """Length of a duration in Prometheus' spelling, in seconds.

    Raises:
        ValueError: the text is not such a duration, or is zero.
    """
    match = _DURATION.match(duration)
    total = sum(int(n or 0) * unit for n, unit in zip(match.groups(), _SECONDS, strict=True)) if match else 0
    if total == 0:
        raise ValueError(duration)
    return total


# Letters of Prometheus' spelling, in the order of _SECONDS.
_UNITS = "ywdhms"


def canonical(duration: str) -> str:
    """The one spelling of a duration that Prometheus and Grafana answer with: 90m is 1h30m, 24h is 1d.

    Years and weeks are written only where nothing is left over: 90d, not 12w6d (model.Duration.String of
    prometheus/common).

    Raises:
        ValueError: the text is not such a duration, or is zero.
    """
    left = seconds(duration)
    parts = []
    for unit, length in zip(_UNITS, _SECONDS, strict=True):
        if unit in "yw" and left % length:
            continue
        count, left = divmod(left, length)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)
