"""From what an exporter answers to the lines that promtool makes blocks of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from lab.cluster.exporters.page import escape
from lab.preview.recording.jobs import Target

# A label in the text format; its value stays escaped.
_LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"')
END = "# EOF\n"


def names_in(expressions: Iterable[str]) -> frozenset[str]:
    """Every word of PromQL texts that can be a metric's name; more than there are, never fewer."""
    return frozenset(word for text in expressions for word in re.findall(r"[a-zA-Z_:][\w:]*", text))


class Series:
    """Merges the labels of a target into its samples; what was merged once is remembered."""

    def __init__(self, wanted: frozenset[str]) -> None:
        self._wanted = wanted
        self._merged: dict[tuple[object, str], str] = {}

    def lines(self, page: str, target: Target, stamp: str) -> Iterator[str]:
        """The wanted samples of a page, with the target's labels and a time."""
        for line in page.splitlines():
            name = line.partition("{")[0].partition(" ")[0]
            if name in self._wanted:
                series, _, value = line.rpartition(" ")
                yield f"{self._merge(target, series)} {value} {stamp}\n"

    def _merge(self, target: Target, series: str) -> str:
        key = (target.key, series)
        if key not in self._merged:
            name, _, rest = series.partition("{")
            self._merged[key] = name + merged(dict(_LABEL.findall(rest)), dict(target.labels))
        return self._merged[key]


def merged(own: Mapping[str, str], of_target: Mapping[str, str]) -> str:
    """Both sets of labels in braces: where both have one, the exporter's gets the prefix `exported_`.

    `own` holds escaped values, as they stood on the page.
    """
    result = {name: escape(value) for name, value in of_target.items()}
    for name, value in own.items():
        if value:
            result[f"exported_{name}" if name in of_target else name] = value
    return "{" + ",".join(f'{name}="{value}"' for name, value in sorted(result.items())) + "}"


def sample(name: str, labels: Mapping[str, str], value: float, stamp: str) -> str:
    """One line."""
    return f"{name}{merged({}, labels)} {value!r} {stamp}\n"


def labels_of(series: str) -> dict[str, str]:
    """The labels of a series as it stands on a page, its name among them; values stay escaped."""
    name, _, rest = series.partition("{")
    return {"__name__": name, **dict(_LABEL.findall(rest))}


def samples_on(page: str) -> int:
    """How many samples a page has."""
    return sum(1 for line in page.splitlines() if line and not line.startswith("#"))
