"""The checker that the contract tests rely on finds what it is there to find."""

from __future__ import annotations

import pytest

from tests.support.promql import Checker, Labels, Range, Series

JOBS = {
    "node": frozenset({"job", "cluster", "node", "mode"}),
    "linux": frozenset({"job", "cluster", "vm_id", "mode"}),
}
SERIES = {
    "cpu_seconds_total": Series("counter", JOBS),
    "memory_bytes": Series("gauge", {"node": frozenset({"job", "cluster", "node"})}),
    "guest_info": Series("gauge", {"linux": frozenset({"job", "cluster", "vm_id", "name"})}),
}


def _check(expression: str) -> tuple[Labels, list[str]]:
    checker = Checker(SERIES)
    return checker.labels(expression), checker.problems


@pytest.mark.parametrize(
    ("expression", "labels"),
    [
        ('sum by (cluster, node) (rate(cpu_seconds_total{job="node"}[5m]))', {"cluster", "node"}),
        ('sum without (mode) (cpu_seconds_total{job="node"})', {"job", "cluster", "node"}),
        ("count(memory_bytes)", set()),
        ("topk by (cluster) (1, memory_bytes)", {"job", "cluster", "node"}),
        ('label_replace(memory_bytes, "host", "$1", "node", "(.+)")', {"job", "cluster", "node", "host"}),
        ("vector(1)", set()),
        ("memory_bytes > 3", {"job", "cluster", "node"}),
        (
            "sum by (cluster, vm_id) (cpu_seconds_total) * on (cluster, vm_id) group_left (name) guest_info",
            {"cluster", "vm_id", "name"},
        ),
        ("memory_bytes / on (node) memory_bytes", {"node"}),
        (
            'memory_bytes or on (cluster) cpu_seconds_total{job="linux"}',
            {"job", "cluster", "node", "vm_id", "mode"},
        ),
        ("max_over_time(sum by (node) (memory_bytes)[1h:5m])", {"node"}),
    ],
)
def test_labels_are_followed(expression: str, labels: set[str]) -> None:
    found, problems = _check(expression)
    assert (set(found), problems) == (labels, [])


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("cpu_seconds", "no exporter gives it"),
        ('memory_bytes{vm_id="1"}', "no such label vm_id"),
        ('memory_bytes{job="linux"}', "no job"),
        ('cpu_seconds_total{job="node", vm_id="1"}', "no such label vm_id"),
        ("sum by (vm_name) (memory_bytes)", "no such label vm_name"),
        ("memory_bytes * on (vm_id) guest_info", "left of `* on`: no such label vm_id"),
        ("guest_info * on (node) memory_bytes", "left of `* on`: no such label node"),
        ("memory_bytes * on (cluster) group_left (tags) guest_info", "group_left: no such label tags"),
        ('label_replace(memory_bytes, "a", "$1", "b", "(.+)")', "label_replace from: no such label b"),
        ("memory_bytes / guest_info", "without `on`"),
        ("rate(memory_bytes[5m])", "which is a gauge"),
        ("predict_linear(cpu_seconds_total[5m], 60)", "which is a counter"),
        ("sum(memory_bytes) or vector(0)", "hides that there is no data"),
    ],
)
def test_what_can_match_nothing_is_found(expression: str, problem: str) -> None:
    _, problems = _check(expression)
    assert any(problem in found for found in problems), problems


@pytest.mark.parametrize(
    ("expression", "jobs"),
    [
        ('rate(cpu_seconds_total{job="node"}[30s])', {"node"}),
        ('sum by (job) (increase(cpu_seconds_total{job=~"node|linux"}[30s]))', {"node", "linux"}),
        ("max(rate(cpu_seconds_total[30s]))", {"node", "linux"}),
    ],
)
def test_rates_are_noted_with_the_jobs_that_they_are_about(expression: str, jobs: set[str]) -> None:
    checker = Checker(SERIES)
    checker.labels(expression)
    function = "increase" if "increase" in expression else "rate"
    assert checker.ranges == [Range(function, "cpu_seconds_total", frozenset(jobs), 30.0)]
