"""The whole platform in Docker, watching the simulated cluster: all is scraped, faults reach people."""

from __future__ import annotations

import json

import pytest
import requests

from components.images import Service
from tests.support.containers import run
from tests.support.platform import Platform, wait_for

pytestmark = pytest.mark.docker

SECRETS = (
    "5b0c2d7e-3f41-4a86-9c1d-7e2f8a904b61",
    "c7e1a0f4-92b8-4d35-8f6a-1b3d5c7e9f20",
    "lab-admin",
)


def guest_targets(platform: Platform) -> set[str]:
    """Addresses of the guests that are scraped."""
    return {t["scrapeUrl"] for t in platform.targets() if t["scrapePool"] in ("windows", "linux")}


def test_every_container_is_healthy_and_limited(platform: Platform) -> None:
    for service in Service:
        container = platform.container(service)
        state, host = container.attrs["State"], container.attrs["HostConfig"]
        assert state["Health"]["Status"] == "healthy", service
        assert container.attrs["RestartCount"] == 0
        assert host["Memory"] > 0
        assert host["CapDrop"] == ["ALL"]
        assert host["SecurityOpt"] == ["no-new-privileges:true"]
        assert container.attrs["Config"]["User"].split(":")[0] not in ("", "0")
        bindings = [b for bs in (host["PortBindings"] or {}).values() for b in bs]
        assert {b["HostIp"] for b in bindings} <= {"127.0.0.1"}


def test_everything_is_scraped(platform: Platform) -> None:
    wait_for("all targets up", platform.all_up, 180)
    jobs = {target["scrapePool"] for target in platform.targets()}
    assert jobs == {
        *("pve-cluster", "pve-node", "node", "gpu", "windows", "linux"),
        *(str(service) for service in Service),
    }


def test_guest_targets_carry_the_labels_of_the_cluster(platform: Platform) -> None:
    labels = next(t["labels"] for t in platform.targets() if t["labels"].get("vm_name") == "win-dc01")
    assert {"vm_id", "vm_name", "node", "vcpus", "memory_gb", "disk_type", "tags", "os", "cluster"} <= set(
        labels
    )
    assert labels["cluster"] == "lab"


def test_load_moves(platform: Platform) -> None:
    def moving() -> bool:
        found = platform.query("changes(vm:cpu_utilization:avg5m[2m]) > 0")
        return len({series["metric"]["vm_id"] for series in found}) >= 6

    wait_for("utilization of several guests changes", moving, 120)


def test_the_rules_are_loaded_and_healthy(platform: Platform) -> None:
    groups = platform.get(Service.PROMETHEUS, "/api/v1/rules")["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) > 40
    assert [(r["name"], r.get("lastError")) for r in rules if r["health"] == "err"] == []


def test_dashboards_and_data_sources_are_in_grafana(platform: Platform) -> None:
    session = requests.Session()
    session.auth = ("admin", "lab-admin")
    url = platform.url(Service.GRAFANA)
    found = session.get(f"{url}/api/search", params={"type": "dash-db"}, timeout=15).json()
    assert {"pve-cluster-overview", "pve-vm-detail", "pve-platform-health"} <= {d["uid"] for d in found}
    for uid in ("prometheus", "alertmanager"):
        health = session.get(f"{url}/api/datasources/uid/{uid}/health", timeout=15).json()
        assert health["status"] == "OK", health


def test_the_double_of_grafana_refused_nothing(platform: Platform) -> None:
    response = requests.get(f"{platform.url(Service.GRAFANA)}/__double/refusals", timeout=15)
    if response.status_code == 404:
        pytest.skip("a real Grafana runs, not its double")
    assert response.json()["refusals"] == []


def test_no_secret_is_in_a_log_an_environment_or_a_command(platform: Platform) -> None:
    for service in Service:
        container = platform.container(service)
        visible = json.dumps(container.attrs) + platform.log(service)
        assert [secret for secret in SECRETS if secret in visible] == [], service


def test_secret_files_are_readable_by_their_service_only(platform: Platform) -> None:
    container = platform.container(Service.PVE_EXPORTER)
    _, output = run(container, "ls", "-ln", "/etc/pve-exporter/secrets", user="101")
    (line,) = [text for text in output.splitlines() if "pve.yml" in text]
    mode, _, uid, *_ = line.split()
    assert (mode, uid) == ("-r--------", "101")


def test_the_watchdog_reaches_the_dead_mans_switch(platform: Platform) -> None:
    beats = wait_for("a beat", lambda: platform.control.hooks("watchdog"), 90)
    assert beats[0]["body"]["commonLabels"]["alertname"] == "Watchdog"


def test_a_revoked_token_is_told_by_log_and_metric_and_never_printed(calm: Platform) -> None:
    wait_for("all targets up", calm.all_up, 180)
    before = guest_targets(calm)
    with calm.control.fault("token_revoked", "discovery@pve!monitoring"):

        def refused() -> bool:
            (series,) = calm.query("pve_discovery_authentication_ok")
            return float(series["value"][1]) == 0

        wait_for("the metric says so", refused, 90)
        assert "discovery@pve!monitoring" in calm.log(Service.DISCOVERY)
        # What it can't ask about any more is still there as far as anybody knows.
        assert guest_targets(calm) == before
    log = calm.log(Service.DISCOVERY)
    assert "Authentication failed!" in log
    assert "PVE_TOKEN_ID" in log
    assert [secret for secret in SECRETS if secret in log] == []
