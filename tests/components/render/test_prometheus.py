"""prometheus.yml: what is in it for each example, and that Prometheus accepts it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from components.render import prometheus as render
from components.render import tls
from components.render.links import link_bases
from components.render.rule_files import rule_files
from components.topology import plan
from tests.support.examples import EXAMPLES, MINIMAL, ROOT, settings
from tests.support.promtool import promtool


def rendered(name: str, host: str = "a") -> dict[str, Any]:
    made = settings(EXAMPLES[name])
    document: dict[str, Any] = yaml.safe_load(render.prometheus_yml(made, plan(made).seen_from(host)))
    return document


def jobs(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {job["job_name"]: job for job in document["scrape_configs"]}


@pytest.mark.parametrize(
    ("name", "host"), [*((name, "a") for name in EXAMPLES), ("two-vms", "b"), ("two-hosts", "b")]
)
def test_prometheus_accepts_it_with_the_rules(name: str, host: str, tmp_path: Path) -> None:
    made = settings(EXAMPLES[name])
    text = render.prometheus_yml(made, plan(made).seen_from(host))
    (tmp_path / "prometheus.yml").write_text(text, "utf-8")
    (tmp_path / "rules").mkdir()
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "remote_write_password").write_text("x", "utf-8")
    for file, text in tls.client_files(made).items():
        (tmp_path / file).parent.mkdir()
        (tmp_path / file).write_text(text, "utf-8")
    for file, text in rule_files(ROOT / "rules", link_bases(made)).items():
        (tmp_path / "rules" / file).write_text(text, "utf-8")
    tmp_path.chmod(0o755)
    result = promtool("check", "config", "prometheus.yml", directory=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "SUCCESS" in result.stdout


def test_every_part_is_scraped() -> None:
    assert list(jobs(rendered("dev"))) == [
        *("pve-cluster", "pve-node", "node", "gpu", "windows", "linux"),
        *("prometheus", "alertmanager", "grafana", "pve-exporter", "discovery", "gateway"),
    ]


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_job_has_limits(name: str) -> None:
    for job in jobs(rendered(name)).values():
        assert job["sample_limit"] >= 10_000
        assert job["label_limit"] == 64
        assert job["label_value_length_limit"] == 2048
        assert "target_limit" in job or "static_configs" in job


def test_hosts_and_guests_come_by_http_sd() -> None:
    found = {
        name: job["http_sd_configs"][0]["url"]
        for name, job in jobs(rendered("minimal")).items()
        if "http_sd_configs" in job
    }
    assert found == {
        "pve-cluster": "http://discovery-a:8000/targets/pve",
        "pve-node": "http://discovery-a:8000/targets/pve",
        "node": "http://discovery-a:8000/targets/nodes",
        "gpu": "http://discovery-a:8000/targets/gpu",
        "windows": "http://discovery-a:8000/targets/windows",
        "linux": "http://discovery-a:8000/targets/linux",
    }


def test_the_cluster_is_asked_of_one_member_and_each_node_of_its_own() -> None:
    cluster, node = (jobs(rendered("minimal"))[name] for name in ("pve-cluster", "pve-node"))
    assert cluster["params"] == {"module": ["default"], "cluster": ["1"], "node": ["0"]}
    assert node["params"] == {"module": ["default"], "cluster": ["0"], "node": ["1"]}
    assert cluster["relabel_configs"][0] == {
        "source_labels": ["__meta_pve_endpoint_active"],
        "regex": "true",
        "action": "keep",
    }
    for job in (cluster, node):
        assert job["relabel_configs"][-1] == {
            "target_label": "__address__",
            "replacement": "pve-exporter-a:9221",
        }
        assert job["scrape_timeout"] == "30s"
    assert (cluster["scrape_interval"], node["scrape_interval"]) == ("30s", "120s")


def test_lean_labels_drop_what_changes_over_a_guests_life() -> None:
    lean, full = jobs(rendered("lean-with-everything")), jobs(rendered("minimal"))
    (rule,) = lean["windows"]["relabel_configs"]
    assert rule == {"action": "labeldrop", "regex": "node|vcpus|memory_gb|disk_type|tags|os"}
    assert "relabel_configs" not in full["windows"]


def test_the_proxy_is_for_hosts_and_guests_only() -> None:
    proxied = [name for name, job in jobs(rendered("lean-with-everything")).items() if "proxy_url" in job]
    assert proxied == ["node", "gpu", "windows", "linux"]


def test_retention_stands_in_the_file() -> None:
    assert rendered("minimal")["storage"] == {"tsdb": {"retention": {"time": "30d"}}}
    assert rendered("lean-with-everything")["storage"]["tsdb"]["retention"] == {"time": "90d", "size": "40GB"}


def test_remote_write_takes_its_password_from_a_file() -> None:
    (entry,) = rendered("lean-with-everything")["remote_write"]
    assert entry["basic_auth"] == {"username": "u", "password_file": "secrets/remote_write_password"}
    assert "remote_write" not in rendered("minimal")


def test_hosts_outside_discovery_are_static_targets() -> None:
    (group,) = jobs(rendered("lean-with-everything"))["node-static"]["static_configs"]
    assert group == {
        "targets": ["nas.example.com:9100"],
        "labels": {"job": "node", "cluster": "home", "node": "nas"},
    }


def test_the_timeout_is_never_longer_than_the_interval() -> None:
    fast = settings({**MINIMAL, "prometheus": {"scrapeInterval": "5s"}})
    assert yaml.safe_load(render.prometheus_yml(fast, plan(fast)))["global"]["scrape_timeout"] == "5s"


def test_rendering_is_deterministic() -> None:
    made = settings(EXAMPLES["production"])
    assert render.prometheus_yml(made, plan(made)) == render.prometheus_yml(made, plan(made))


def test_two_prometheus_are_told_apart_in_samples_and_are_one_in_alerts() -> None:
    for host in ("a", "b"):
        document = rendered("two-vms", host)
        assert document["global"]["external_labels"]["replica"] == host
        (rule,) = document["alerting"]["alert_relabel_configs"]
        assert rule == {"action": "labeldrop", "regex": "replica"}
    alone = rendered("proxmox")
    assert "external_labels" not in alone["global"]
    assert "alert_relabel_configs" not in alone["alerting"]


def test_each_prometheus_tells_both_alertmanagers() -> None:
    def told(host: str) -> list[str]:
        entries = rendered("two-vms", host)["alerting"]["alertmanagers"]
        return [target for e in entries for group in e["static_configs"] for target in group["targets"]]

    assert told("a") == ["alertmanager-a:9093", "192.0.2.20:9093"]
    assert told("b") == ["192.0.2.10:9093", "alertmanager-b:9093"]


@pytest.mark.parametrize("host", ["a", "b"])
def test_each_prometheus_asks_discovery_and_exporter_of_its_own_host(host: str) -> None:
    found = jobs(rendered("two-vms", host))
    urls = {config["url"] for job in found.values() for config in job.get("http_sd_configs", [])}
    assert {url.split("//")[1].split("/")[0] for url in urls} == {f"discovery-{host}:8000"}
    assert all(len(job.get("http_sd_configs", [0])) == 1 for job in found.values())
    assert found["pve-node"]["relabel_configs"][-1]["replacement"] == f"pve-exporter-{host}:9221"


def test_a_service_has_one_name_whichever_prometheus_watches_it() -> None:
    """Else an alert about it would be two."""

    def names(host: str) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for name, job in jobs(rendered("two-vms", host)).items():
            for group in job.get("static_configs", []):
                instances = [group["labels"].get("instance", target) for target in group["targets"]]
                found.setdefault(name, set()).update(instances)
        return found

    watched = {service: names("a")[service] for service in ("prometheus", "alertmanager", "grafana")}
    assert {service: names("b")[service] for service in watched} == watched
    assert watched["prometheus"] == {"prometheus-a:9090", "prometheus-b:9090"}
    assert watched["grafana"] == {"grafana-a:3000"}
    (near, far) = jobs(rendered("two-vms", "b"))["alertmanager"]["static_configs"]
    assert near["targets"] == ["alertmanager-b:9093"]
    assert far["targets"] == ["192.0.2.10:9093"]
    assert far["labels"] == {"cluster": "home", "instance": "alertmanager-a:9093"}


@pytest.mark.parametrize("host", ["a", "b"])
def test_what_tells_of_guests_is_watched_once(host: str) -> None:
    """Or rules would count every guest twice."""
    found = jobs(rendered("two-vms", host))
    targets = {
        job: [t for group in found[job]["static_configs"] for t in group["targets"]]
        for job in ("discovery", "pve-exporter")
    }
    assert targets == {"discovery": [f"discovery-{host}:8000"], "pve-exporter": [f"pve-exporter-{host}:9221"]}
