"""Rules against the catalogue, the runbooks and their own tests."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.render.prometheus import prometheus_yml
from components.topology import plan
from dashboards import DASHBOARDS
from tests.support.examples import EXAMPLES, settings
from tests.support.promql import RULES, alert_labels, checker, rules

ROOT = RULES.parent
# Those of Prometheus, and the few of Grafana.
ALERTS = [*rules("alerts"), *rules("grafana")]
_IDS = [f"{rule['alert']}-{rule['labels']['severity']}" for rule in ALERTS]
_TEMPLATE_LABEL = re.compile(r"\$labels\.(\w+)")

NAMED_BY_THE_PROJECT = {
    "node:cpu_utilization:avg5m",
    "node:memory_utilization:ratio",
    "vm:cpu_utilization:avg5m",
    "vm:memory_utilization:ratio",
    "vm:disk_read_latency:avg5m",
    "gpu:utilization:avg5m",
    *(f"node:{what}:avg5m" for what in ("cpu_steal", "cpu_pressure", "io_pressure", "memory_pressure")),
    *(f"node:{what}:ratio" for what in ("swap_utilization", "vcpu_overcommit", "memory_overcommit")),
    *(f"node_disk:{what}:avg5m" for what in ("latency", "utilization", "queue")),
    *(f"{level}_interface:{what}:ratio" for level in ("node", "vm") for what in ("errors", "drops")),
    *(f"vm:{what}:avg5m" for what in ("disk_write_latency", "disk_queue", "cpu_steal", "cpu_pressure")),
    *(f"{level}:network_{way}_bytes:rate5m" for level in ("node", "vm") for way in ("receive", "transmit")),
    *(f"{level}:disk_{way}_bytes:rate5m" for level in ("node", "vm") for way in ("read", "written")),
    *(f"{level}:swap_pages:rate5m" for level in ("node", "vm")),
    "storage:utilization:ratio",
    "gpu:memory_utilization:ratio",
    "nvidia_gpu_duty_cycle",
    "nvidia_gpu_memory_used_bytes",
    "nvidia_gpu_temperature_celsius",
    "nvidia_gpu_power_usage_watts",
}


@pytest.mark.parametrize("lean", [False, True], ids=["full-labels", "lean-labels"])
def test_every_metric_and_label_exists(lean: bool) -> None:
    assert checker(lean=lean).problems == []


def test_promised_names_are_recorded() -> None:
    assert {rule["record"] for rule in rules("recording")} >= NAMED_BY_THE_PROJECT


def test_no_guest_series_is_identified_by_what_changes() -> None:
    """Node, size and tags change over a guest's life; only the info series may say them."""
    recorded = checker().recorded
    changing = {"node", "vcpus", "memory_gb", "disk_type", "tags", "instance", "job"}
    guests = {name: labels for name, labels in recorded.items() if name.startswith(("vm:", "vm_"))}
    assert {name: labels & changing for name, labels in guests.items() if labels & changing} == {
        "vm:guest:info": {"node"}
    }


@pytest.mark.parametrize("rule", ALERTS, ids=_IDS)
def test_alert_says_what_it_is(rule: dict[str, Any]) -> None:
    labels, annotations = rule["labels"], rule["annotations"]
    allowed = {"none"} if rule["alert"] == "Watchdog" else {"critical", "warning", "info"}
    assert labels["severity"] in allowed
    assert labels["scope"] in {"guest", "host", "cluster", "platform"}
    assert labels.get("depends", "pve-api") == "pve-api"
    assert annotations.keys() == {"summary", "description", "runbook_url", "dashboard_url"}


@pytest.mark.parametrize("rule", ALERTS, ids=_IDS)
def test_text_of_alert_names_labels_that_it_has(rule: dict[str, Any]) -> None:
    used = set(_TEMPLATE_LABEL.findall(" ".join(rule["annotations"].values())))
    assert used <= alert_labels(checker(), rule)


@pytest.mark.parametrize("rule", ALERTS, ids=_IDS)
def test_alert_names_what_it_is_about(rule: dict[str, Any]) -> None:
    needed = {
        "guest": {"cluster", "vm_id", "vm_name", "node"},
        "host": {"cluster", "node"},
        "cluster": {"cluster"},
    }
    scope = rule["labels"]["scope"]
    assert alert_labels(checker(), rule) >= needed.get(scope, set())
    if scope == "guest":
        assert {"vm_name", "vm_id"} <= set(_TEMPLATE_LABEL.findall(rule["annotations"]["summary"]))


@pytest.mark.parametrize("rule", ALERTS, ids=_IDS)
def test_runbook_has_the_heading(rule: dict[str, Any]) -> None:
    path, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    headings = re.findall(r"^## (\w+)$", (ROOT / path).read_text("utf-8"), re.MULTILINE)
    assert rule["alert"] in headings
    assert anchor == rule["alert"].lower()


def test_runbooks_speak_of_no_alert_that_is_gone() -> None:
    headings = {
        heading
        for path in (ROOT / "docs" / "runbooks").glob("*.md")
        for heading in re.findall(r"^## (\w+)$", path.read_text("utf-8"), re.MULTILINE)
    }
    assert headings == {rule["alert"] for rule in ALERTS}


_METRIC = re.compile(
    r"\b(?:(?:vm|vm_disk|vm_interface|node|node_disk|node_interface|storage|gpu|discovery):\w+:\w+"
    r"|(?:pve|node|windows|nvidia|prometheus|alertmanager|grafana|scrape|smartmon|nvme)_\w+)"
)
_PROGRAMS = {"node_exporter", "windows_exporter", "nvidia_gpu_exporter"}


def test_runbooks_name_metrics_that_exist() -> None:
    check = checker()
    spans = [
        span
        for path in (ROOT / "docs" / "runbooks").glob("*.md")
        for span in re.findall(r"`([^`]+)`", path.read_text("utf-8"))
    ]
    named = {name for span in spans for name in _METRIC.findall(span)} - _PROGRAMS
    assert named - check.series.keys() - check.recorded.keys() == set()
    assert len(named) > 20


@pytest.mark.parametrize("rule", ALERTS, ids=_IDS)
def test_dashboard_of_alert_exists(rule: dict[str, Any]) -> None:
    uid = re.match(r"d/([\w-]+)", rule["annotations"]["dashboard_url"])
    assert uid is not None
    assert uid[1] in {entry.uid for entry in DASHBOARDS}


@pytest.mark.parametrize("rule", ALERTS, ids=_IDS)
def test_dashboard_of_alert_has_the_variables_of_the_link(rule: dict[str, Any]) -> None:
    uid, _, query = rule["annotations"]["dashboard_url"].removeprefix("d/").partition("?")
    path = next(entry.path for entry in DASHBOARDS if entry.uid == uid)
    variables = json.loads(path.read_text("utf-8"))["templating"].get("list", ())
    defined = {variable["name"] for variable in variables}
    assert set(re.findall(r"var-(\w+)=", query)) <= defined


# Alerts that fire at once, and why that is right. All others wait, so that one bad round wakes nobody.
_AT_ONCE = {
    "Watchdog": "it is there to fire",
    "HostOomKill": "it has happened; the increase keeps it for a quarter of an hour",
    "PrometheusStorageFailing": "it has happened; the increase keeps it for half an hour",
    "AlertmanagerDeliveryFailing": "Alertmanager counts after its own retries",
    "PrometheusConfigReloadFailed": "max_over_time asks for a bad minute",
    "GatewayConfigReloadFailed": "max_over_time asks for a bad minute",
    "AlertmanagerConfigReloadFailed": "max_over_time asks for a bad minute",
    "GuestRebootLoop": "three restarts within an hour are the waiting time",
    # The waiting time stands in the query, so that a migration doesn't start it again.
    "GuestExporterMissing": "max_over_time and offset",
    "GuestCpuSaturated": "min_over_time and offset",
    "GuestMemoryLow": "min_over_time and offset",
    "GuestDiskFull": "min_over_time and offset",
    "GuestDiskLatencyHigh": "min_over_time and offset",
    "GuestCpuSteal": "min_over_time and offset",
    "GuestPaging": "min_over_time and offset",
    "GuestDiskQueueHigh": "min_over_time and offset",
    "GuestNetworkDrops": "min_over_time and offset",
    "GuestNetworkErrors": "min_over_time and offset",
}


def test_alerts_wait_or_say_why_not() -> None:
    assert {rule["alert"] for rule in ALERTS if "for" not in rule} == _AT_ONCE.keys()


def test_alerts_that_wait_in_the_query_do() -> None:
    waiting = {
        rule["alert"]: rule["expr"] for rule in ALERTS if "and offset" in _AT_ONCE.get(rule["alert"], "")
    }
    assert {
        name for name, text in waiting.items() if "_over_time(" not in text or "offset" not in text
    } == set()


def _scrape_intervals() -> dict[str, float]:
    made = settings(EXAMPLES["dev"])
    document = yaml.safe_load(prometheus_yml(made, plan(made)))
    default = document["global"]["scrape_interval"]
    return {
        job["job_name"]: _seconds(job.get("scrape_interval", default)) for job in document["scrape_configs"]
    }


def _seconds(duration: str) -> float:
    units = {"s": 1, "m": 60, "h": 3600}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([smh])", duration))


def test_rates_look_back_over_at_least_two_scrapes() -> None:
    """A rate needs two samples: over a shorter range it is empty, now and then or for ever."""
    check = checker()
    for rule in (*rules("recording"), *ALERTS):
        check.labels(rule["expr"])
    every = _scrape_intervals()
    short = {
        f"{one.function}({one.name}[{one.seconds:.0f}s]) of {job}"
        for one in check.ranges
        for job in one.jobs
        if one.seconds < 2 * every[job]
    }
    assert short == set()
    assert len(check.ranges) > 100


def test_levels_of_an_alert_are_inhibited_by_equal_labels() -> None:
    """The critical level silences the warning of the same labels: both have to have the same ones."""
    check = checker()
    by_name: dict[str, set[frozenset[str]]] = {}
    for rule in ALERTS:
        if rule["alert"] != "TargetDown":  # its levels are about different jobs
            by_name.setdefault(rule["alert"], set()).add(alert_labels(check, rule))
    assert {name for name, labels in by_name.items() if len(labels) > 1} == set()


_API_METRICS = re.compile(
    r"\bpve_(?!discovery_|monitoring_)|\bpve_discovery_guest_stopped|\bstorage:"
    r"|\bnode:(cluster_online|\w+_overcommit)|\bvm:(running|wanted|uptime)"
)


def test_alerts_that_the_api_feeds_depend_on_it() -> None:
    """An alert that only the Proxmox API can raise is silenced while the API is away."""
    fed = {
        rule["alert"]
        for rule in ALERTS
        if _API_METRICS.search(rule["expr"].split("unless")[0]) and "depends" not in rule["labels"]
    }
    assert fed == set()


def _unit_tests() -> list[dict[str, Any]]:
    files: list[Path] = sorted(RULES.glob("[ag]*/*_test.yml"))
    return [test for path in files for test in yaml.safe_load(path.read_text("utf-8"))["tests"]]


def _outcomes() -> tuple[set[tuple[str, str]], set[str]]:
    """(alert, severity) pairs that a unit test expects to fire; alerts that one expects not to fire."""
    fires: set[tuple[str, str]] = set()
    silent: set[str] = set()
    names = {rule["alert"] for rule in ALERTS}
    for test in _unit_tests():
        for case in test.get("alert_rule_test", ()):
            found = {(case["alertname"], alert["exp_labels"]["severity"]) for alert in case["exp_alerts"]}
            fires |= found
            silent |= {case["alertname"]} if not found else set()
        for case in test.get("promql_expr_test", ()):
            samples = " ".join(sample["labels"] for sample in case.get("exp_samples", ()))
            found = set(re.findall(r'alertname="(\w+)".*?severity="(\w+)"', samples))
            fires |= found
            pattern = re.search(r'alertname=~?"([^"]+)"', case["expr"])
            asked = {name for name in names if pattern and re.fullmatch(pattern[1], name)}
            silent |= asked - {name for name, _ in found}
    return fires, silent


def test_every_alert_was_seen_to_fire_at_each_level() -> None:
    fires, _ = _outcomes()
    # It fires when its query fails, and a unit test has no Prometheus that doesn't answer.
    assert {(rule["alert"], rule["labels"]["severity"]) for rule in ALERTS} - fires == {
        ("PrometheusUnreachable", "critical")
    }


def test_every_alert_was_seen_to_stay_silent() -> None:
    _, silent = _outcomes()
    assert {rule["alert"] for rule in ALERTS} - silent == {"Watchdog"}
