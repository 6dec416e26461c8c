"""Alerts that Grafana evaluates: read from the rules, written as its API takes them."""

from __future__ import annotations

import json
from pathlib import Path

from components.render.grafana_rules import prometheus_expression, queries, rule_groups
from components.render.links import link_bases
from tests.support.examples import EXAMPLES, ROOT, settings

RULES = ROOT / "rules"


def test_rules_are_grouped_by_an_interval_that_grafana_can_keep() -> None:
    groups = rule_groups(RULES, {})
    assert [rule.alert for group in groups for rule in group.rules] == [
        "PrometheusUnreachable",
        "PrometheusRulesSilent",
        "AlertmanagerUnreachable",
    ]
    # Its scheduler ticks every 10 s.
    assert {group.interval_seconds % 10 for group in groups} == {0}


def test_links_of_annotations_are_whole() -> None:
    bases = link_bases(settings(EXAMPLES["production"]))
    for rule in rule_groups(RULES, bases)[0].rules:
        assert rule.annotations["runbook_url"].startswith("https://git.example.com/ops/")
        assert rule.annotations["dashboard_url"].startswith("https://monitoring.example.com/d/")


def test_the_last_value_of_the_query_is_compared_with_the_limit() -> None:
    (group,) = rule_groups(RULES, {})
    query, last, compare = queries(group.rules[0], "prometheus")
    model = json.loads(query["model"])
    assert (query["datasource_uid"], model["expr"], model["instant"]) == ("prometheus", "vector(1)", True)
    assert json.loads(last["model"])["expression"] == query["ref_id"]
    step = json.loads(compare["model"])
    assert step["expression"] == last["ref_id"]
    assert step["conditions"] == [{"evaluator": {"type": "lt", "params": [1]}}]


def test_an_empty_answer_fires_where_it_means_that(tmp_path: Path) -> None:
    (tmp_path / "grafana").mkdir()
    text = (RULES / "grafana" / "platform.yml").read_text("utf-8").replace("no_data: Alerting", "no_data: OK")
    (tmp_path / "grafana" / "platform.yml").write_text(text, "utf-8")
    for before, after in zip(
        rule_groups(RULES, {})[0].rules, rule_groups(tmp_path, {})[0].rules, strict=True
    ):
        assert prometheus_expression(before) == f"({before.expr}) < 1 or absent({before.expr})"
        assert prometheus_expression(after) == f"({before.expr}) < 1"
