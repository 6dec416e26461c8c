"""The apply without the Pulumi CLI: the same program, created, left alone if nothing changed, removed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from components.images import Service
from lab import apply as without_cli
from lab import environment
from lab.apply import ApplyError
from tests.support.platform import Platform, wait_for

pytestmark = [
    pytest.mark.docker,
    pytest.mark.usefixtures("docker_ready"),
    pytest.mark.xdist_group("without-cli"),
]


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A stack that was made without the CLI."""
    made = Platform("nocli", tmp_path_factory.mktemp("nocli"), offset=14_000)
    made.destroy()
    try:
        made.start_lab()
        summary = made.up_without_cli()
        assert {"prometheus-a", "grafana-a", "dashboard-pve-vm-detail"} <= set(summary.created)
        yield made
    finally:
        made.destroy()


def test_everything_is_healthy_and_scraped(applied: Platform) -> None:
    for service in Service:
        assert applied.container(service).attrs["State"]["Health"]["Status"] == "healthy", service
    wait_for("all targets up", applied.all_up, 180)


def test_it_is_as_hardened_as_with_the_cli(applied: Platform) -> None:
    for service in Service:
        host = applied.container(service).attrs["HostConfig"]
        assert host["CapDrop"] == ["ALL"]
        assert host["SecurityOpt"] == ["no-new-privileges:true"]
        assert host["Memory"] == host["MemorySwap"] > 0
        assert host["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "3"}
        assert host["ReadonlyRootfs"] is (service is not Service.GRAFANA)


def test_a_second_apply_changes_nothing(applied: Platform) -> None:
    before = {service: applied.container(service).id for service in Service}
    summary = applied.up_without_cli()
    assert summary.created == []
    assert {service: applied.container(service).id for service in Service} == before


def test_a_changed_setting_recreates_the_writer_and_prometheus_reads_it(applied: Platform) -> None:
    before = applied.container(Service.PROMETHEUS).id
    applied.write_config(**{"prometheus.externalLabels": {"site": "test"}})
    assert applied.up_without_cli().created == ["prometheus-a-config-writer"]
    assert applied.container(Service.PROMETHEUS).id == before

    def live() -> bool:
        return "site: test" in applied.get(Service.PROMETHEUS, "/api/v1/status/config")["data"]["yaml"]

    wait_for("the new configuration is live", live, 60)
    applied.write_config()
    applied.up_without_cli()


def test_somebody_elses_container_is_left_alone(applied: Platform) -> None:
    name = f"{applied.prefix}-pve-exporter-a"
    ours = applied.container(Service.PVE_EXPORTER)
    ours.remove(force=True)
    theirs = applied.client.containers.create("busybox:1.37.0", ["sleep", "1"], name=name)
    try:
        with pytest.raises(ApplyError, match="made by somebody else"):
            applied.up_without_cli()
        assert applied.client.containers.get(name).id == theirs.id
    finally:
        theirs.remove(force=True)
    assert applied.up_without_cli().created == ["pve-exporter-a"]


def test_the_cli_takes_over_and_history_stays(applied: Platform, cli: None) -> None:
    without_cli.release(applied.name, applied.client, lambda _: None)
    volumes = {str(v.name) for v in applied.client.volumes.list(filters={"name": applied.prefix})}
    assert f"{applied.prefix}-prometheus-a-data" in volumes
    assert f"{applied.prefix}-grafana-a-data" not in volumes
    result = applied.up_with_cli()
    assert result.returncode == 0, result.stdout + result.stderr
    applied.pulumi("destroy", "--yes", "--skip-preview")
    applied.up_without_cli()


def test_destroy_removes_what_was_made_and_nothing_else(applied: Platform, tmp_path: Path) -> None:
    bystander = applied.client.volumes.create(f"{applied.prefix}-bystander")
    try:
        count = without_cli.destroy(applied.name, applied.client, lambda _: None)
        environment.down(applied.lab, applied.client, lambda _: None)
        # Six services and their writers, eleven volumes, one network.
        assert count == 24
        left = applied.client.containers.list(all=True, filters={"name": applied.prefix})
        assert left == []
        assert [v.name for v in applied.client.volumes.list(filters={"name": applied.prefix})] == [
            bystander.name
        ]
    finally:
        bystander.remove()
