"""prometheus.yml: what is in it for each example, and that Prometheus accepts it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from components.render import prometheus as render
from components.render import tls
from components.render.links import link_bases
from components.topology import plan
from tests.support.examples import EXAMPLES, MINIMAL, ROOT, settings
from tests.support.promtool import promtool

GRAFANA = "https://grafana.example.com"
LINKS = {"runbook_url": None, "dashboard_url": GRAFANA}


def rendered(name: str) -> dict[str, Any]:
    made = settings(EXAMPLES[name])
    document: dict[str, Any] = yaml.safe_load(render.prometheus_yml(made, plan(made)))
    return document


def jobs(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {job["job_name"]: job for job in document["scrape_configs"]}


@pytest.mark.parametrize("name", EXAMPLES)
def test_prometheus_accepts_it_with_the_rules(name: str, tmp_path: Path) -> None:
    made = settings(EXAMPLES[name])
    (tmp_path / "prometheus.yml").write_text(render.prometheus_yml(made, plan(made)), "utf-8")
    (tmp_path / "rules").mkdir()
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "remote_write_password").write_text("x", "utf-8")
    for file, text in tls.client_files(made).items():
        (tmp_path / file).parent.mkdir()
        (tmp_path / file).write_text(text, "utf-8")
    for file, text in render.rule_files(ROOT / "rules", link_bases(made)).items():
        (tmp_path / "rules" / file).write_text(text, "utf-8")
    tmp_path.chmod(0o755)
    result = promtool("check", "config", "prometheus.yml", directory=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "SUCCESS" in result.stdout


def test_every_part_is_scraped() -> None:
    assert list(jobs(rendered("dev"))) == [
        *("pve-cluster", "pve-node", "node", "gpu", "windows", "linux"),
        *("prometheus", "alertmanager", "grafana", "pve-exporter", "discovery"),
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


def test_rule_files_leave_tests_out_and_complete_runbook_links() -> None:
    files = render.rule_files(ROOT / "rules", {**LINKS, "runbook_url": "https://git.example.com/ops"})
    assert files
    assert not [name for name in files if "_test" in name]
    links = [
        rule["annotations"]["runbook_url"]
        for text in files.values()
        for group in yaml.safe_load(text)["groups"]
        for rule in group["rules"]
        if "alert" in rule
    ]
    assert links
    assert {link.split("/docs/runbooks/")[0] for link in links} == {"https://git.example.com/ops"}


def test_links_to_dashboards_lead_to_grafana() -> None:
    text = "".join(render.rule_files(ROOT / "rules", LINKS).values())
    assert text.count("dashboard_url:") == text.count(f"dashboard_url: {GRAFANA}/d/") > 0


def test_without_a_base_url_links_are_paths_in_the_project() -> None:
    files = render.rule_files(ROOT / "rules", LINKS)
    assert "runbook_url: docs/runbooks/" in "".join(files.values())
