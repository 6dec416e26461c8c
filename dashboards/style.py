"""Units, colours and words: what means the same on every dashboard looks the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

# Units, by Grafana's names.
RATIO = "percentunit"
BYTES = "bytes"
BYTES_PER_SECOND = "binBps"
OPERATIONS_PER_SECOND = "iops"
SECONDS = "s"
AGE = "dtdurations"
COUNT = "short"
# CPUs in use, host or virtual; Grafana has no unit of its own for them.
CORES = "suffix:cores"
CELSIUS = "celsius"
WATTS = "watt"
TEXT = "string"

_GREEN, _ORANGE, _RED, _NEUTRAL = "green", "orange", "red", "text"

# Colours of lines and marks that mean the same on every graph. The others come from the palette in the order
# of the series, which Prometheus sorts by labels: the same guests have the same colours in every graph.
HOST_COLOR = _NEUTRAL
ALERT_COLOR = _RED
LIMIT_COLOR, PROMISED_COLOR = _RED, "purple"
REST_COLOR = "#8e8e8e"
WATCHED_COLOR, UNWATCHED_COLOR = _GREEN, _ORANGE

# (value from which the colour holds, colour); None is minus infinity.
Steps: TypeAlias = tuple[tuple[float | None, str], ...]
NO_THRESHOLDS: Steps = ((None, _NEUTRAL),)
ANY_IS_BAD: Steps = ((None, _GREEN), (1, _RED))
ANY_IS_NOTABLE: Steps = ((None, _GREEN), (1, _ORANGE))
# Of shares that should be 100 %.
ALL_IS_GOOD: Steps = ((None, _ORANGE), (1, _GREEN))

# Value mappings: what a number means, and its colour.
Words: TypeAlias = dict[str, tuple[str, str]]
YES_NO: Words = {"1": ("yes", _GREEN), "0": ("no", _RED)}
ONLINE_OFFLINE: Words = {"1": ("online", _GREEN), "0": ("offline", _RED)}
RUNNING_STOPPED: Words = {"1": ("running", _GREEN), "0": ("stopped", _NEUTRAL)}
UP_DOWN: Words = {"1": ("up", _GREEN), "0": ("down", _RED)}
# Ranks, so that a table can be sorted by them.
SEVERITIES: Words = {"3": ("critical", _RED), "2": ("warning", _ORANGE), "1": ("info", _NEUTRAL)}
IN_USE: Words = {"1": ("in use", _NEUTRAL), "0": ("-", _NEUTRAL)}
ACCEPTED: Words = {"1": ("accepted", _GREEN), "0": ("refused", _RED)}
MISSING_GRANTED: Words = {"0": ("granted", _GREEN), "1": ("missing", _RED)}


def plain_words(texts: Mapping[str, str]) -> Words:
    """Words that explain without judging: none has a colour."""
    return {value: (text, _NEUTRAL) for value, text in texts.items()}


def high_is_bad(warning: float, critical: float | None = None) -> Steps:
    """Green below `warning`, orange from there, red from `critical`."""
    steps: Steps = ((None, _GREEN), (warning, _ORANGE))
    return steps if critical is None else (*steps, (critical, _RED))
