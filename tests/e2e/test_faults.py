"""Faults while the stack is made: each is told in words, nothing is lost, the next run finishes the work."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from components.images import Service
from ops import before
from ops.console import OpsError
from ops.stack import Stack, load
from tests.support.docker_proxy import FlakyDaemon
from tests.support.platform import Platform, wait_for

pytestmark = [pytest.mark.docker, pytest.mark.pulumi_cli, pytest.mark.usefixtures("docker_ready", "cli")]


def stack_of(platform: Platform) -> Stack:
    return load(platform.name, platform.stack_file)


def healthy(platform: Platform) -> bool:
    return all(
        platform.container(service).attrs["State"].get("Health", {}).get("Status") == "healthy"
        for service in Service
    )


def told(platform: Platform, name: str) -> bool:
    """Whether the webhook got an alert of this name."""
    alerts = (alert for hook in platform.control.hooks("alerts") for alert in hook["body"]["alerts"])
    return any(alert["labels"]["alertname"] == name for alert in alerts)


def test_bad_settings_are_listed_and_nothing_is_made(fresh: Platform) -> None:
    fresh.write_config(
        **{"prometheus.scrapeInterval": "15", "network.bind": "x", "grafanaAdminPassword": "plain-1"}
    )
    result = fresh.up_with_cli()
    output = result.stdout + result.stderr
    assert result.returncode != 0
    # Pulumi's own schema refuses the plain secret before the program runs; without it, ours lists the rest.
    assert "grafanaAdminPassword" in output
    assert fresh.state() == []
    fresh.write_config(**{"prometheus.scrapeInterval": "15", "network.bind": "x"})
    result = fresh.up_with_cli()
    output = result.stdout + result.stderr
    assert "2 problems in the stack configuration; nothing was created" in output
    assert "prometheus.scrapeInterval: '15' is not a duration" in output
    assert "network.bind: is not a known key" in output
    assert [r["type"] for r in fresh.state() if r.get("custom") and r["type"] != "pulumi:pulumi:Stack"] == []


def test_a_taken_port_is_named_with_the_key_to_change_and_the_next_run_goes_on(fresh: Platform) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", 9093 + fresh.offset))
        taken.listen()
        with pytest.raises(OpsError, match=r"network\.ports\.alertmanager") as caught:
            before.check_ports(stack_of(fresh), fresh.client)
        assert f"port {9093 + fresh.offset}" in str(caught.value)
        result = fresh.up_with_cli()
        assert result.returncode != 0
        assert re.search(r"address already in use|port is already allocated", result.stdout + result.stderr)
    again = fresh.up_with_cli()
    assert again.returncode == 0, again.stdout + again.stderr
    wait_for("all healthy", lambda: healthy(fresh), 60)


def test_an_image_that_cant_be_had_is_named(fresh: Platform) -> None:
    fresh.write_config(**{"images.alertmanager": "prom/alertmanager:v0.0.0-nowhere"})
    result = fresh.up_with_cli()
    assert result.returncode != 0
    assert "prom/alertmanager:v0.0.0-nowhere" in result.stdout + result.stderr
    fresh.write_config()
    again = fresh.up_with_cli()
    assert again.returncode == 0, again.stdout + again.stderr


def test_a_daemon_that_goes_away_costs_one_more_run(fresh: Platform, tmp_path: Path) -> None:
    daemon = FlakyDaemon(tmp_path / "docker.sock", b"/containers/create", cut_after=6)
    result = fresh.up_with_cli(DOCKER_HOST=daemon.host)
    assert daemon.gone.is_set()
    assert result.returncode != 0
    before.remove_orphans(fresh.state(), stack_of(fresh), fresh.client)
    again = fresh.up_with_cli()
    assert again.returncode == 0, again.stdout + again.stderr
    wait_for("all healthy", lambda: healthy(fresh), 60)
    assert fresh.pulumi("preview", "--expect-no-changes").returncode == 0


def test_a_full_disk_is_told_and_mended_by_the_next_run(fresh: Platform) -> None:
    volume = f"{fresh.prefix}-prometheus-a-config"
    # A disk of 16 KiB: the rules alone are larger.
    options = {"type": "tmpfs", "device": "tmpfs", "o": "size=16k"}
    fresh.client.volumes.create(volume, driver="local", driver_opts=options)
    result = fresh.up_with_cli()
    output = result.stdout + result.stderr
    assert result.returncode != 0
    assert "No space left on device" in output
    assert f"volume {volume}" in output
    assert "the configuration could not be written, the old one stays" in output
    # Prometheus isn't started on half a configuration.
    names = [f"^/{fresh.prefix}-prometheus-a$"]
    assert fresh.client.containers.list(all=True, filters={"name": names}) == []
    failed = before.failed_writers(fresh.state())
    assert len(failed) == 1
    fresh.client.containers.get(f"{volume}-writer").remove()
    fresh.client.volumes.get(volume).remove()
    fresh.client.volumes.create(volume)
    again = fresh.up_with_cli(*(f"--replace={urn}" for urn in failed))
    assert again.returncode == 0, again.stdout + again.stderr
    wait_for("all healthy", lambda: healthy(fresh), 60)


def test_an_api_that_is_away_at_the_start_leaves_everything_up_and_saying_why(fresh: Platform) -> None:
    for member in ("pve1", "pve2", "pve3"):
        fresh.control.add("api_down", member)
    result = fresh.up_with_cli()
    assert result.returncode == 0, result.stdout + result.stderr
    wait_for("discovery says so", lambda: "pve1.lab" in fresh.log(Service.DISCOVERY), 60)
    wait_for("the metric says so", lambda: fresh.query("max(pve_discovery_endpoint_up) == 0"), 60)
    wait_for("pve-exporter's log says so", lambda: "ConnectionError" in fresh.log(Service.PVE_EXPORTER), 120)
    wait_for("people are told", lambda: told(fresh, "ProxmoxApiUnreachable"), 240)
    for service in Service:
        container = fresh.container(service)
        assert container.attrs["RestartCount"] == 0, service
        assert container.attrs["State"]["Health"]["Status"] == "healthy", service
    fresh.control.clear()
    wait_for("targets come by themselves", lambda: len(fresh.targets()) >= 18, 120)


def test_a_wrong_token_is_told_by_log_and_metric_without_the_token(fresh: Platform) -> None:
    fresh.control.add("token_revoked", "discovery@pve!monitoring")
    fresh.control.add("token_revoked", "exporter@pve!monitoring")
    assert fresh.up_with_cli().returncode == 0
    wait_for("the metric says so", lambda: fresh.query("pve_discovery_authentication_ok == 0"), 90)
    wait_for("pve-exporter's metric says so", lambda: fresh.query("pve_request_errors_total > 0"), 120)
    assert "discovery@pve!monitoring" in fresh.log(Service.DISCOVERY)
    for service in Service:
        log = fresh.log(service)
        assert not re.search(r"5b0c2d7e|c7e1a0f4", log), service
        assert fresh.container(service).attrs["RestartCount"] == 0
