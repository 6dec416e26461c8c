from __future__ import annotations

from typing import Any

import pytest

from lab.preview.recording.rules import Alert, CircularRules, alerts, episodes, groups, levels


def document(*rules: dict[str, Any], name: str = "g", **group: Any) -> dict[str, Any]:
    return {"groups": [{"name": name, **group, "rules": list(rules)}]}


def record(name: str, expr: str) -> dict[str, Any]:
    return {"record": name, "expr": expr}


def names(found: list[Any]) -> list[list[str]]:
    return [[rule["record"] for group in level["groups"] for rule in group["rules"]] for level in found]


def test_rules_come_after_what_they_read() -> None:
    rules = [record("c:x", "b:x + a:x"), record("a:x", "up"), record("b:x", "rate(a:x[5m])")]
    assert names(levels([document(*rules)], 60)) == [["a:x"], ["b:x"], ["c:x"]]


def test_two_rules_of_one_name_may_complete_each_other() -> None:
    rules = [record("a:x", "up"), record("a:x", "down unless a:x")]
    assert names(levels([document(*rules)], 60)) == [["a:x"], ["a:x"]]


def test_groups_are_evaluated_as_often_as_something_is_scraped_and_alerts_left_out() -> None:
    slow = document(record("a:x", "up"), name="slow", interval="5m")
    quick = document(record("b:x", "up"), {"alert": "A", "expr": "a:x"}, name="quick", interval="15s")
    (level,) = levels([slow, quick], 60)
    assert [(group["name"], group["interval"]) for group in level["groups"]] == [
        ("slow", "300s"),
        ("quick", "60s"),
    ]
    found = groups({"recording_a.yml": slow, "alerts_b.yml": quick}, 60)
    assert [(group.name, group.interval, group.rules) for group in found] == [
        ("/etc/prometheus/rules/alerts_b.yml;quick", 15, 2),
        ("/etc/prometheus/rules/recording_a.yml;slow", 300, 1),
    ]


def test_a_circle_is_refused() -> None:
    with pytest.raises(CircularRules, match="a:x, b:x"):
        levels([document(record("a:x", "b:x"), record("b:x", "a:x"))], 60)


def test_waiting_times_are_read() -> None:
    rule = {
        "alert": "A",
        "expr": "up == 0",
        "for": "2m",
        "keep_firing_for": "1m",
        "labels": {"severity": "warning"},
    }
    (alert,) = alerts([document(rule, record("a:x", "up"))])
    assert (alert.wait, alert.keep, dict(alert.labels)) == (120, 60, {"severity": "warning"})


def test_an_alert_waits_fires_and_is_kept() -> None:
    alert = Alert("Down", "up == 0", {"severity": "critical"}, wait=120, keep=60)
    values = [[time, "0"] for time in (0, 60, 120, 180, 600, 660)]
    metric = {"__name__": "up", "node": "pve1", "severity": "hidden"}
    found = list(episodes(alert, [{"metric": metric, "values": values}], 60))
    assert [(one.state, one.times) for one in found] == [
        ("pending", (0, 60)),
        ("firing", (120, 180, 240)),
        # Too short to fire.
        ("pending", (600, 660)),
    ]
    assert found[1].labels == {"node": "pve1", "alertname": "Down", "severity": "critical"}
