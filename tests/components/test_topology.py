"""Topology: one host carries everything today, under names that don't depend on an order."""

from __future__ import annotations

from typing import Any

from components.images import Service
from components.topology import plan
from tests.support.examples import EXAMPLES, MINIMAL, settings


def test_one_instance_of_every_service_on_one_host() -> None:
    topology = plan(settings(MINIMAL))
    assert [host.key for host in topology.hosts] == ["a"]
    assert [len(topology.of(service)) for service in Service] == [1] * len(Service)
    assert {instance.host for instance in topology.instances} == {"a"}


def test_names_come_from_the_service_and_the_host() -> None:
    (prometheus,) = plan(settings(MINIMAL)).of(Service.PROMETHEUS)
    assert prometheus.key == "prometheus-a"
    assert prometheus.container_name == "pve-monitoring-prometheus-a"
    assert prometheus.data_volume == "pve-monitoring-prometheus-a-data"
    assert prometheus.endpoint == "prometheus-a:9090"


def test_two_prefixes_share_no_name() -> None:
    def names(prefix: str) -> set[str]:
        topology = plan(settings({**MINIMAL, "containers": {"namePrefix": prefix}}))
        per_instance = {n for i in topology.instances for n in (i.container_name, i.config_volume)}
        return {
            topology.network_name,
            *per_instance,
            *(i.data_volume for i in topology.instances if i.data_volume),
        }

    assert names("one") & names("two") == set()
    # network, 5 containers, 5 configuration volumes, 4 data volumes: none collides with another
    assert len(names("one")) == 15


def test_only_the_exporter_keeps_no_data() -> None:
    topology = plan(settings(MINIMAL))
    assert [i.service for i in topology.instances if i.data_volume is None] == [Service.PVE_EXPORTER]


def test_unpublished_ports_and_memory_follow_the_settings() -> None:
    topology = plan(settings(EXAMPLES["lean-with-everything"]))
    published = {i.service: i.published_port for i in topology.instances}
    assert published[Service.DISCOVERY] is None
    assert published[Service.GRAFANA] == 3000
    (grafana,) = plan(settings({**MINIMAL, "containers": {"memoryMib": {"grafana": 700}}})).of(
        Service.GRAFANA
    )
    assert grafana.memory_mib == 700


def test_a_host_behind_ssh_is_reached_by_the_ssh_command() -> None:
    docker = {"target": "ssh", "host": "m.example.com", "user": "deploy", "identityFile": "/k"}
    values = {**MINIMAL, "docker": docker, "network": {"bindAddress": "192.0.2.10"}}
    (host,) = plan(settings(values)).hosts
    assert host.uri == "ssh://deploy@m.example.com:22"
    assert host.ssh_options[:2] == ("-i", "/k")
    assert "BatchMode=yes" in host.ssh_options


def test_a_vm_on_the_cluster_is_reached_by_the_address_that_it_is_given() -> None:
    (host,) = plan(settings(changed_docker(port=2222, user="ops"))).hosts
    assert host.uri == "ssh://ops@192.0.2.10:2222"
    assert "BatchMode=yes" in host.ssh_options
    assert "-i" not in host.ssh_options


def changed_docker(**values: object) -> dict[str, Any]:
    example = EXAMPLES["proxmox"]
    return {**example, "docker": {**example["docker"], **values}}
