"""What labels a PromQL expression can give, and what is wrong with it, without running it.

The catalogue says which labels each exporter's series have; this follows them through an expression the way
Prometheus does, as an upper bound: a label is possible or it isn't. A matcher, a grouping or a join on a
label that isn't possible matches nothing for ever, silently; here it is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import promql_parser as promql
import yaml

RULES = Path(__file__).parents[2] / "rules"

_COUNTER_FUNCTIONS = {"rate", "irate", "increase", "resets"}
_GAUGE_FUNCTIONS = {"deriv", "predict_linear", "delta", "idelta", "avg_over_time", "min_over_time"}
_RANGE_FUNCTIONS = {"rate", "irate", "increase"}
_NO_LABELS = {"absent", "absent_over_time", "scalar", "time", "vector"}
_SET_OPERATORS = {"and", "or", "unless"}
_SELECTING = {"topk", "bottomk", "limitk"}
_ALTERNATIVES = re.compile(r"[\w|-]+")

Labels = frozenset[str]


@dataclass(frozen=True)
class Series:
    """What is known about the series of one name: type, and labels by job."""

    kind: str
    by_job: Mapping[str, Labels]

    def labels(self, jobs: Iterable[str] | None) -> Labels:
        """Labels that occur under any of the jobs (None: any at all)."""
        chosen = self.by_job.keys() if jobs is None else jobs
        return frozenset().union(*(self.by_job[job] for job in chosen if job in self.by_job))


def _read(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))


def catalogue(*, lean: bool = False) -> dict[str, Series]:
    """Every series that an exporter or a scrape gives, with the labels of its targets."""
    targets = _read(RULES / "catalogue" / "targets.yml")
    common = frozenset(targets["common_labels"])
    of_job = {
        job: common | frozenset(entry["lean"] if lean and "lean" in entry else entry["labels"])
        for job, entry in targets["job_labels"].items()
    }
    found: dict[str, dict[str, Labels]] = {}
    kinds: dict[str, str] = {}

    def add(name: str, entry: Mapping[str, Any], jobs: Iterable[str]) -> None:
        kinds[name] = entry["type"]
        for job in jobs:
            found.setdefault(name, {})[job] = of_job[job] | frozenset(entry.get("labels", ()))

    for path in sorted((RULES / "catalogue").glob("*.yml")):
        document = _read(path)
        for name, entry in document.get("metrics", {}).items():
            add(name, entry, document["jobs"])
    for name, entry in targets["scrape_metrics"].items():
        add(name, entry, of_job)
    return {name: Series(kinds[name], by_job) for name, by_job in found.items()}


def made_by_the_program() -> dict[str, Labels]:
    """Labels of what rules record that the program writes from the settings of a stack."""
    documents = [_read(path) for path in sorted((RULES / "catalogue").glob("*.yml"))]
    found = [entry for document in documents for entry in document.get("recorded", {}).items()]
    return {name: frozenset(entry["labels"]) for name, entry in found}


def rule_files(kind: str) -> list[Path]:
    """Rule files of a kind (recording, alerts), without their tests."""
    return sorted(path for path in (RULES / kind).glob("*.yml") if not path.stem.endswith("_test"))


def rules(kind: str) -> list[dict[str, Any]]:
    """All rules of a kind, in the order of files and groups."""
    groups = (group for path in rule_files(kind) for group in _read(path)["groups"])
    return [rule for group in groups for rule in group["rules"]]


@dataclass(frozen=True)
class Range:
    """A rate over a range of a scraped counter: what of, in which jobs, over how long."""

    function: str
    name: str
    jobs: frozenset[str]
    seconds: float


@dataclass
class Checker:
    """Infers labels of expressions over a catalogue and recorded names; collects what is wrong.

    Attributes:
        series: what exporters give.
        recorded: labels of recorded names and of ALERTS.
        problems: what was found so far, in words.
        ranges: the rates that were met so far.
    """

    series: Mapping[str, Series]
    recorded: dict[str, Labels] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    ranges: list[Range] = field(default_factory=list)

    def labels(self, expression: str) -> Labels:
        """Labels that the result of an expression can have."""
        return self._walk(promql.parse(expression))

    def _walk(self, node: Any) -> Labels:
        match node:
            case promql.NumberLiteral() | promql.StringLiteral():
                return frozenset()
            case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
                return self._walk(node.expr)
            case promql.MatrixSelector():
                return self._selector(node.vector_selector)
        return self._rules[type(node)](node)

    @property
    def _rules(self) -> dict[type, Callable[[Any], Labels]]:
        return {
            promql.VectorSelector: self._selector,
            promql.AggregateExpr: self._aggregate,
            promql.Call: self._call,
            promql.BinaryExpr: self._binary,
        }

    def _require(self, wanted: Iterable[str], possible: Labels, where: str) -> None:
        if missing := sorted(set(wanted) - possible):
            self.problems.append(f"{where}: no such label {', '.join(missing)}")

    def _selector(self, node: Any) -> Labels:
        matchers = {matcher.name: matcher for matcher in node.matchers.matchers}
        if node.name in self.recorded:
            possible = self.recorded[node.name]
        elif node.name in self.series:
            jobs = self._jobs(matchers.get("job"))
            possible = self.series[node.name].labels(jobs)
            if not possible:
                self.problems.append(f"{node.name}: no job {jobs} gives it")
        else:
            self.problems.append(f"{node.name}: no exporter gives it and no rule records it")
            return frozenset(matchers)
        self._require(matchers, possible, node.name)
        return possible

    def _jobs(self, matcher: Any) -> list[str] | None:
        """Jobs that a matcher names literally; None where it doesn't narrow them so."""
        if matcher is None or str(matcher.op) not in {"MatchOp.Equal", "MatchOp.Re"}:
            return None
        return matcher.value.split("|") if _ALTERNATIVES.fullmatch(matcher.value) else None

    def _aggregate(self, node: Any) -> Labels:
        inner = self._walk(node.expr)
        grouping = node.modifier
        if grouping is None:
            return inner if str(node.op) in _SELECTING else frozenset()
        self._require(grouping.labels, inner, f"{node.op} by")
        if str(node.op) in _SELECTING:
            return inner
        if grouping.type == promql.AggModifierType.By:
            return frozenset(grouping.labels) & inner
        return inner - frozenset(grouping.labels)

    def _call(self, node: Any) -> Labels:
        name, arguments = node.func.name, node.args
        if name in _NO_LABELS:
            for argument in arguments:
                self._walk(argument)
            return frozenset()
        if name == "label_replace":
            return self._label_replace(*arguments)
        self._check_type(name, arguments)
        inner = frozenset().union(*(self._walk(argument) for argument in arguments))
        return inner - {"le"} if name == "histogram_quantile" else inner

    def _label_replace(self, vector: Any, target: Any, _value: Any, source: Any, _regex: Any) -> Labels:
        inner = self._walk(vector)
        if source.val:
            self._require([source.val], inner, "label_replace from")
        return inner | {target.val}

    def _check_type(self, function: str, arguments: Iterable[Any]) -> None:
        for argument in arguments:
            if not isinstance(argument, promql.MatrixSelector):
                continue
            self._note_range(function, argument)
            name = str(argument.vector_selector.name)
            kind = self.series[name].kind if name in self.series else ""
            wrong = kind == "gauge" if function in _COUNTER_FUNCTIONS else kind == "counter"
            if wrong and function in _COUNTER_FUNCTIONS | _GAUGE_FUNCTIONS:
                self.problems.append(f"{function} of {name}, which is a {kind}")

    def _note_range(self, function: str, argument: Any) -> None:
        selector = argument.vector_selector
        known = self.series.get(selector.name)
        if function not in _RANGE_FUNCTIONS or known is None:
            return
        matcher = next((one for one in selector.matchers.matchers if one.name == "job"), None)
        named = self._jobs(matcher)
        jobs = known.by_job.keys() if named is None else known.by_job.keys() & set(named)
        self.ranges.append(Range(function, selector.name, frozenset(jobs), argument.range.total_seconds()))

    def _binary(self, node: Any) -> Labels:
        operator = str(node.op)
        left, right = self._walk(node.lhs), self._walk(node.rhs)
        if operator == "or" and isinstance(node.rhs, promql.Call) and node.rhs.func.name == "vector":
            self.problems.append("`or vector(...)` hides that there is no data")
        if _is_scalar(node.lhs) or _is_scalar(node.rhs):
            return left | right
        matching = node.modifier.matching if node.modifier else None
        if matching is None:
            return self._unmatched(operator, left, right)
        if matching.type == promql.LabelModifierType.Exclude:
            return left if operator in _SET_OPERATORS else left - frozenset(matching.labels)
        self._require(matching.labels, left, f"left of `{operator} on`")
        self._require(matching.labels, right, f"right of `{operator} on`")
        return self._matched(operator, node.modifier, left, right)

    def _unmatched(self, operator: str, left: Labels, right: Labels) -> Labels:
        if operator == "or":
            return left | right
        if left != right:
            different = ", ".join(sorted(left ^ right))
            self.problems.append(f"`{operator}` without `on`, and the sides differ in {different}")
        return left

    def _matched(self, operator: str, modifier: Any, left: Labels, right: Labels) -> Labels:
        if operator == "or":
            return left | right
        if operator in _SET_OPERATORS:
            return left
        if modifier.card == promql.VectorMatchCardinality.OneToOne:
            return frozenset(modifier.matching.labels)
        included = frozenset(modifier.group_labels or ())
        many_is_left = modifier.card == promql.VectorMatchCardinality.ManyToOne
        many, one = (left, right) if many_is_left else (right, left)
        self._require(included, one, "group_left")
        return many | included


def _is_scalar(node: Any) -> bool:
    if isinstance(node, promql.ParenExpr | promql.UnaryExpr):
        return _is_scalar(node.expr)
    if isinstance(node, promql.BinaryExpr):
        return _is_scalar(node.lhs) and _is_scalar(node.rhs)
    return isinstance(node, promql.NumberLiteral) or (
        isinstance(node, promql.Call) and node.func.name in {"time", "scalar"}
    )


@cache
def _inferred(*, lean: bool) -> Checker:
    """The checker after it has been through all rules.

    Rules read each other's results, so labels are inferred until nothing new appears.
    """
    result = Checker(catalogue(lean=lean))
    recorded: dict[str, Labels] = {rule["record"]: frozenset() for rule in rules("recording")}
    recorded |= {"ALERTS": frozenset(), **made_by_the_program()}
    while True:
        result.recorded, result.problems = dict(recorded), []
        for rule in rules("recording"):
            found = result.labels(rule["expr"]) | frozenset(rule.get("labels", ()))
            recorded[rule["record"]] |= found
        for rule in (*rules("alerts"), *rules("grafana")):
            recorded["ALERTS"] |= alert_labels(result, rule) | {"alertname", "alertstate"}
        if recorded == result.recorded:
            return result


def checker(*, lean: bool = False) -> Checker:
    """A checker that knows every recorded name and ALERTS; its `problems` are those of the rules."""
    known = _inferred(lean=lean)
    return Checker(known.series, dict(known.recorded), list(known.problems))


def alert_labels(check: Checker, rule: Mapping[str, Any]) -> Labels:
    """Labels that an alert can carry."""
    return check.labels(rule["expr"]) | frozenset(rule["labels"])
