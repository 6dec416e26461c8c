"""The stack's rules over a recording: in which order they are evaluated, and which alerts fire when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.durations import seconds
from lab.preview.recording.exposition import names_in
from lab.preview.recording.platform import RuleGroup

Rule = Mapping[str, Any]
Document = Mapping[str, Any]
Result = Sequence[Mapping[str, Any]]


class CircularRules(Exception):  # noqa: N818 - says what is the case
    """Recording rules need each other."""


@dataclass(frozen=True)
class Alert:
    """An alerting rule."""

    name: str
    expr: str
    labels: Mapping[str, str]
    wait: int
    keep: int


@dataclass(frozen=True)
class Episode:
    """A span of time, in Unix seconds, in which an alert was pending or fired."""

    labels: Mapping[str, str]
    state: str
    times: tuple[int, ...]


def expressions(documents: Iterable[Document]) -> list[str]:
    """The PromQL of all rules."""
    return [rule["expr"] for rule in _rules(documents)]


def groups(documents: Mapping[str, Document], interval: int) -> list[RuleGroup]:
    """The groups by the names under which Prometheus reports them; `documents` by file name."""
    return [
        RuleGroup(
            name=f"/etc/prometheus/rules/{file};{group['name']}",
            interval=seconds(group["interval"]) if "interval" in group else interval,
            rules=len(group["rules"]),
        )
        for file, document in sorted(documents.items())
        for group in document["groups"]
    ]


def _rules(documents: Iterable[Document]) -> Iterator[Rule]:
    return (rule for document in documents for group in document["groups"] for rule in group["rules"])


def levels(documents: Sequence[Document], interval: int) -> list[Document]:
    """Recording rules as rule files that have to be evaluated one after the other.

    promtool evaluates a file over the data that is there: what a rule reads has to be recorded before.

    Args:
        documents: rule files.
        interval: seconds between two scrapes.

    Raises:
        CircularRules: no such order exists.
    """
    left = [
        (group, rule) for document in documents for group in document["groups"] for rule in group["rules"]
    ]
    left = [(group, rule) for group, rule in left if "record" in rule]
    found: list[Document] = []
    while left:
        ready = [(group, rule) for group, rule in left if not _needs(rule, left)]
        if not ready:
            names = ", ".join(sorted({rule["record"] for _, rule in left}))
            raise CircularRules(f"these recording rules need each other: {names}")
        found.append({"groups": list(_regrouped(ready, interval))})
        done = {id(rule) for _, rule in ready}
        left = [(group, rule) for group, rule in left if id(rule) not in done]
    return found


def _needs(rule: Rule, left: Iterable[tuple[Document, Rule]]) -> bool:
    read = names_in([rule["expr"]])
    return any(other["record"] in read for _, other in left if other is not rule)


def _regrouped(ready: Iterable[tuple[Document, Rule]], interval: int) -> Iterator[Document]:
    by_group: dict[str, tuple[Document, list[Rule]]] = {}
    for group, rule in ready:
        by_group.setdefault(group["name"], (group, []))[1].append(rule)
    for name, (group, rules) in by_group.items():
        # More often than something is scraped, nothing new comes out of it.
        every = max(interval, seconds(group["interval"]) if "interval" in group else 0)
        yield {"name": name, "interval": f"{every}s", "rules": rules}


def alerts(documents: Iterable[Document]) -> list[Alert]:
    """All alerting rules."""
    return [
        Alert(
            name=rule["alert"],
            expr=rule["expr"],
            labels=rule.get("labels", {}),
            wait=seconds(rule["for"]) if "for" in rule else 0,
            keep=seconds(rule["keep_firing_for"]) if "keep_firing_for" in rule else 0,
        )
        for rule in _rules(documents)
        if "alert" in rule
    ]


def episodes(alert: Alert, result: Result, step: int) -> Iterator[Episode]:
    """What `ALERTS` has for an alert: pending while it waits, firing afterwards.

    Args:
        alert: the rule.
        result: of its expression as a range query.
        step: seconds between its points.
    """
    for series in result:
        labels = {k: v for k, v in series["metric"].items() if k != "__name__"}
        labels |= {"alertname": alert.name, **alert.labels}
        times = [int(time) for time, _ in series["values"]]
        for run in _runs(times, step):
            fires_at = run[0] + alert.wait
            pending = tuple(t for t in run if t < fires_at)
            firing = tuple(t for t in run if t >= fires_at)
            if pending:
                yield Episode(labels, "pending", pending)
            if firing:
                kept = range(firing[-1] + step, firing[-1] + alert.keep + 1, step)
                yield Episode(labels, "firing", (*firing, *kept))


def _runs(times: Sequence[int], step: int) -> Iterator[list[int]]:
    run: list[int] = []
    for time in times:
        if run and time - run[-1] > step:
            yield run
            run = []
        run.append(time)
    if run:
        yield run
