"""The catalogue's targets against the configuration that Prometheus really gets."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from components.render.alertmanager import API_UNREACHABLE_ALERT, HOST_DOWN_ALERT, WATCHDOG_ALERT
from components.render.prometheus import prometheus_yml
from components.topology import plan
from tests.support.examples import EXAMPLES, settings
from tests.support.promql import RULES, rules


def _document(name: str) -> dict[str, Any]:
    made = settings(EXAMPLES[name])
    document: dict[str, Any] = yaml.safe_load(prometheus_yml(made, plan(made)))
    return document


def _labels(job: dict[str, Any]) -> set[str]:
    """What its targets have as label `job`: two jobs may be one in the eyes of rules and dashboards."""
    static = {group.get("labels", {}).get("job") for group in job.get("static_configs", ())} - {None}
    renamed = {
        rule["replacement"] for rule in job.get("relabel_configs", ()) if rule.get("target_label") == "job"
    }
    return renamed or static or {job["job_name"]}


@pytest.mark.parametrize("name", ["minimal", "dev", "encrypted", "production"])
def test_jobs_are_those_of_the_catalogue(name: str) -> None:
    catalogue = yaml.safe_load((RULES / "catalogue" / "targets.yml").read_text("utf-8"))
    without = set() if EXAMPLES[name]["gateway"].get("enabled", True) else {"gateway"}
    labels = {label for job in _document(name)["scrape_configs"] for label in _labels(job)}
    assert labels == catalogue["job_labels"].keys() - without


def test_labels_of_static_targets_are_those_of_the_catalogue() -> None:
    catalogue = yaml.safe_load((RULES / "catalogue" / "targets.yml").read_text("utf-8"))["job_labels"]
    for job in _document("minimal")["scrape_configs"]:
        for group in job.get("static_configs", ()):
            assert group.get("labels", {}).keys() == set(catalogue[job["job_name"]]["labels"]), job[
                "job_name"
            ]


def test_alerts_that_routes_and_inhibitions_name_exist() -> None:
    levels = {rule["alert"]: rule["labels"] for rule in rules("alerts")}
    assert levels[HOST_DOWN_ALERT]["severity"] == levels[API_UNREACHABLE_ALERT]["severity"] == "critical"
    assert "depends" not in levels[API_UNREACHABLE_ALERT]
    assert levels[WATCHDOG_ALERT]["severity"] == "none"
