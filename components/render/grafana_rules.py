"""Alerts that Grafana evaluates, from rules/grafana to the rule groups of its API."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from components.durations import seconds
from components.render.links import Bases, complete_links

_JSON = dict[str, Any]
_EXPRESSION_SOURCE = "__expr__"
# How far back an instant query looks, seconds; Prometheus' own look-back is five minutes.
_LOOK_BACK_S = 300


@dataclass(frozen=True, kw_only=True)
class GrafanaRule:
    """One alert.

    Attributes:
        uid: identity in Grafana; never changes.
        expr: PromQL that gives one number.
        below: fires while the number is below it.
        wait: how long it has to be so, in Prometheus' spelling (`for`).
        no_data: state where the answer is empty.
        error: state where the query fails.
    """

    uid: str
    alert: str
    expr: str
    below: float
    wait: str
    no_data: Literal["Alerting", "OK", "KeepLast"]
    error: Literal["Alerting", "OK", "KeepLast"]
    labels: dict[str, str]
    annotations: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class GrafanaRuleGroup:
    """Rules that are evaluated together, every `interval_seconds`."""

    name: str
    interval_seconds: int
    rules: tuple[GrafanaRule, ...]


def _rule(document: _JSON, links: Bases) -> GrafanaRule:
    renamed = {**document, "wait": document["for"]}
    del renamed["for"]
    return GrafanaRule(**{**renamed, "annotations": complete_links(document["annotations"], links)})


def rule_groups(rules: Path, links: Bases) -> tuple[GrafanaRuleGroup, ...]:
    """Read the rule groups below `rules`/grafana.

    Args:
        rules: the project's directory of rules.
        links: where links start (components.render.links).
    """
    paths = sorted(p for p in (rules / "grafana").glob("*.yml") if not p.stem.endswith("_test"))
    groups = [group for path in paths for group in yaml.safe_load(path.read_text("utf-8"))["groups"]]
    return tuple(
        GrafanaRuleGroup(
            name=group["name"],
            interval_seconds=seconds(group["interval"]),
            rules=tuple(_rule(rule, links) for rule in group["rules"]),
        )
        for group in groups
    )


def prometheus_expression(rule: GrafanaRule) -> str:
    """A Prometheus expression that fires when the rule does: what promtool can test."""
    limit = f"({rule.expr}) < {rule.below}"
    return f"{limit} or absent({rule.expr})" if rule.no_data == "Alerting" else limit


def _node(ref: str, **model: Any) -> _JSON:
    """A step that Grafana computes itself."""
    source = {"type": _EXPRESSION_SOURCE, "uid": _EXPRESSION_SOURCE}
    return {
        "ref_id": ref,
        "datasource_uid": _EXPRESSION_SOURCE,
        "query_type": "",
        "relative_time_range": {"from_": 0, "to": 0},
        "model": json.dumps({"refId": ref, "datasource": source, **model}),
    }


def queries(rule: GrafanaRule, data_source: Any) -> list[Any]:
    """The rule's steps as the API takes them: the query, its last value, the comparison.

    Args:
        rule: the rule.
        data_source: uid of the data source that answers the query.
    """
    query = {"refId": "A", "expr": rule.expr, "instant": True, "range": False}
    condition = {"evaluator": {"type": "lt", "params": [rule.below]}}
    return [
        {
            "ref_id": "A",
            "datasource_uid": data_source,
            "query_type": "",
            "relative_time_range": {"from_": _LOOK_BACK_S, "to": 0},
            "model": json.dumps(query),
        },
        _node("B", type="reduce", reducer="last", expression="A"),
        _node("C", type="threshold", expression="B", conditions=[condition]),
    ]
