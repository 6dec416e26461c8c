from __future__ import annotations

import asyncio
import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.images import Service
from lab.cluster.api.app import Api
from lab.preview import views
from lab.preview.drawing import Source
from lab.preview.recording import prometheus, pve_exporter
from lab.preview.recording.cluster import Clock, exporter_view, simulated
from lab.preview.recording.exposition import names_in
from lab.preview.recording.history import Recorder, Scene, Span
from lab.preview.recording.platform import RuleGroup
from lab.preview.recording.tape import Wish

CATALOGUE = Path("rules/catalogue").resolve()
_MEASURED = re.compile(r"pve_discovery_(api_request|refresh)_duration_seconds_")
_SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(\{.*\})? \S+( \d+)?$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def catalogue(name: str) -> dict[str, set[str]]:
    """Labels by metric of an exporter."""
    found = yaml.safe_load((CATALOGUE / f"{name}.yml").read_text("utf-8"))["metrics"]
    return {metric: set(entry.get("labels", [])) for metric, entry in found.items()}


def parsed(text: str) -> dict[str, list[dict[str, str]]]:
    """Label sets by metric."""
    result: dict[str, list[dict[str, str]]] = {}
    for line in text.splitlines():
        match = _SAMPLE.match(line)
        if match is not None:
            result.setdefault(match[1], []).append(dict(_LABEL.findall(match[2] or "")))
    return result


def recording(wish: Wish, minutes: int = 10, scenes: tuple[Scene, ...] = ()) -> str:
    """The scrapes of some minutes; every metric is kept."""
    every = {
        name
        for path in CATALOGUE.glob("*.yml")
        for name in yaml.safe_load(path.read_text("utf-8")).get("metrics", {})
    }
    scraped = {"up", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_sample_limit"}
    group = RuleGroup(name="g", interval=60, rules=3)
    span = Span(wish.end - 60 * minutes, wish.end, 60)
    recorder = Recorder(wish.settings, wish.topology, frozenset(every | scraped), [group], span)
    out = io.StringIO()
    summary = asyncio.run(recorder.record(out, scenes))
    assert summary.steps == minutes + 1
    return out.getvalue()


@pytest.fixture(scope="module")
def text(wish: Wish) -> str:
    return recording(wish)


def test_the_same_time_gives_the_same_recording(wish: Wish, text: str) -> None:
    def told(recorded: str) -> list[str]:
        # How long discovery's own calls took is measured with the clock of this machine; no panel shows it.
        return [line for line in recorded.splitlines() if not _MEASURED.match(line)]

    assert told(recording(wish)) == told(text)
    assert len(told(text)) > 0.8 * len(text.splitlines())


def test_targets_have_the_labels_that_rules_and_dashboards_expect(text: str) -> None:
    expected = yaml.safe_load((CATALOGUE / "targets.yml").read_text("utf-8"))
    by_job: dict[str, set[str]] = {}
    for labels in parsed(text)["up"]:
        by_job.setdefault(labels["job"], set()).update(labels)
    common = set(expected["common_labels"])
    assert by_job.keys() == expected["job_labels"].keys()
    for job, names in by_job.items():
        assert names - common <= set(expected["job_labels"][job]["labels"]), job


def test_the_labels_of_a_guest_are_discovery_s_own(text: str) -> None:
    up = [labels for labels in parsed(text)["up"] if labels.get("vm_name") == "win-sql01"]
    assert up[0] == {
        "job": "windows", "instance": up[0]["instance"], "cluster": "lab", "node": "pve2", "vm_id": "103",
        "vm_name": "win-sql01", "os": "windows", "vcpus": up[0]["vcpus"], "memory_gb": up[0]["memory_gb"],
        "disk_type": up[0]["disk_type"], "tags": up[0]["tags"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("job", "name"),
    [
        ("pve-cluster", "pve_exporter_cluster"),
        ("pve-node", "pve_exporter_node"),
        ("discovery", "discovery"),
        ("prometheus", "prometheus"),
        ("grafana", "grafana"),
        ("pve-exporter", "pve_exporter_self"),
    ],
)
def test_every_series_is_one_that_the_catalogue_has(text: str, job: str, name: str) -> None:
    known = catalogue(name)
    targets = {"job", "instance", "cluster", "exported_cluster"}
    seen = 0
    for metric, sets in parsed(text).items():
        for labels in sets:
            if labels["job"] == job and not metric.startswith(("up", "scrape_")):
                assert metric in known
                assert set(labels) - targets <= known[metric] | {"le"}, metric
                seen += 1
    assert seen


def test_everything_that_dashboards_read_is_recorded(wish: Wish, text: str) -> None:
    """A metric that is missing here would leave a panel empty, and nobody would know why."""
    recorded = {
        rule["record"]: rule["expr"]
        for path in CATALOGUE.parent.glob("recording/*.yml")
        if not path.stem.endswith("_test")
        for group in yaml.safe_load(path.read_text("utf-8"))["groups"]
        for rule in group["rules"]
    }
    read = names_in(wish.read)
    while more := names_in(recorded[name] for name in read & recorded.keys()) - read:
        read |= more
    known = {
        name for path in CATALOGUE.glob("*.yml") if path.stem != "targets" for name in catalogue(path.stem)
    }
    # What Alertmanager says is made of the alerts, later.
    assert (read & known) - set(catalogue("alertmanager")) - set(parsed(text)) == set()


def test_a_guest_without_exporter_is_down_and_gives_nothing(wish: Wish) -> None:
    text = recording(wish, scenes=(Scene("exporter_gone", "101", before_end=120),))
    own = [line for line in text.splitlines() if 'vm_id="101"' in line]
    up = [line.split()[-2] for line in own if line.startswith("up{")]
    assert up == ["1"] * 8 + ["0"] * 3
    assert len([line for line in own if line.startswith("windows_memory_available_bytes{")]) == 8


def test_the_exporter_of_the_api_tells_guests_from_nodes() -> None:
    api = Api(simulated(Clock(views.NOW)))
    page = asyncio.run(pve_exporter.cluster_page(exporter_view(api)))
    up = {
        labels["id"]: line.split()[-1]
        for line in page.splitlines()
        if line.startswith("pve_up{")
        for labels in [dict(_LABEL.findall(line))]
    }
    assert up["cluster/lab"] == up["node/pve1"] == up["qemu/101"] == up["storage/pve1/local"] == "1"
    # Stopped, and a template.
    assert up["qemu/109"] == up["qemu/112"] == "0"
    onboot = asyncio.run(pve_exporter.node_page(exporter_view(api), "pve1"))
    assert 'pve_onboot_status{id="qemu/101",node="pve1",type="qemu"} 1' in onboot


class TestWithPrometheus:
    """What the recording is once Prometheus serves it."""

    pytestmark = pytest.mark.xdist_group("preview")

    def ask(self, source: Source, query: str) -> list[dict[str, Any]]:
        """Result at the end of the recording."""
        return prometheus.query_range(source.url, query, (views.NOW, views.NOW), 60)

    def test_rules_that_read_rules_are_evaluated(self, source: Source) -> None:
        (cpu,) = self.ask(source, 'vm:cpu_utilization:avg5m{vm_id="103"}')
        assert cpu["metric"]["source"] == "guest"
        assert 0 < float(cpu["values"][0][1]) < 1
        # Without an exporter inside: seen from outside, joined with a recorded name.
        (outside,) = self.ask(source, 'vm:cpu_utilization:avg5m{vm_id="108"}')
        assert (outside["metric"]["source"], outside["metric"]["vm_name"]) == ("proxmox", "lnx-appliance01")

    def test_a_guest_is_on_one_host_at_a_time(self, wish: Wish, source: Source) -> None:
        # A group of rules has its own moment within the minute: the first may lie before the recording.
        moments = list(wish.span)[1:]
        found = prometheus.query_range(
            source.url, 'count(vm:guest:info{vm_id="110"})', (moments[0], moments[-1]), 60
        )
        assert {value for _, value in found[0]["values"]} == {"1"}
        assert len(found[0]["values"]) == len(moments)
        hosts = prometheus.query_range(
            source.url, 'vm:guest:info{vm_id="110"}', (moments[0], moments[-1]), 60
        )
        assert {series["metric"]["node"] for series in hosts} == {"pve2", "pve3"}

    def test_alerts_fire_and_alertmanager_counts_them(self, source: Source) -> None:
        firing = {s["metric"]["alertname"] for s in self.ask(source, 'ALERTS{alertstate="firing"}')}
        assert {"Watchdog", "GuestExporterMissing"} <= firing
        (counted,) = self.ask(
            source, 'alertmanager_alerts{state="active"} == scalar(count(ALERTS{alertstate="firing"}))'
        )
        assert counted["metric"]["job"] == Service.ALERTMANAGER

    def test_a_wrong_query_is_told(self, source: Source) -> None:
        with pytest.raises(prometheus.PrometheusError, match="parse error"):
            self.ask(source, "sum(")


def test_a_span_has_its_moments_on_multiples_of_the_step() -> None:
    assert list(Span(61, 240, 60)) == [120, 180, 240]
    assert list(replace(Span(60, 200, 60))) == [60, 120, 180]


def test_discovery_knows_why_a_guest_is_not_watched(text: str) -> None:
    reasons = {
        labels["vm_name"]: labels["reason"]
        for labels in parsed(text)["pve_discovery_guest_info"]
        if "reason" in labels
    }
    assert reasons == {"win-legacy01": "agent_dead", "lnx-appliance01": "no_agent"}
