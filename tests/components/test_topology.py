"""Topology: what one host carries, and what two, under names that don't depend on an order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from components.images import Service
from components.topology import plan
from tests.support.examples import EXAMPLES, MINIMAL, TWO_GATEWAYS, settings


def test_one_instance_of_every_service_on_one_host() -> None:
    topology = plan(settings(MINIMAL))
    assert [host.key for host in topology.hosts] == ["a"]
    assert [len(topology.of(s)) for s in Service] == [s is not Service.GATEWAY for s in Service]
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
            *(host.network_name for host in topology.hosts),
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


TWO = [name for name in EXAMPLES if name.startswith("two-")]


@pytest.mark.parametrize("name", TWO)
def test_a_second_host_has_an_instance_of_everything_but_grafana(name: str) -> None:
    topology = plan(settings(EXAMPLES[name]))
    assert [host.key for host in topology.hosts] == ["a", "b"]
    for service in Service:
        keys = [instance.key for instance in topology.of(service)]
        both = [f"{service}-a", f"{service}-b"]
        assert keys == {Service.GRAFANA: both[:1], Service.GATEWAY: []}.get(service, both)
    assert {i.host for i in topology.instances if i.key.endswith("-b")} == {"b"}


@pytest.mark.parametrize("name", TWO)
def test_the_second_host_changes_nothing_of_the_first_but_what_it_tells_it(name: str) -> None:
    two = EXAMPLES[name]
    one = {**two, "docker": {k: v for k, v in two["docker"].items() if k != "replica"}}
    alone, first = plan(settings(one)), plan(settings(two))
    assert [i for i in alone.instances if i.service is not Service.ALERTMANAGER] == [
        i for i in first.instances if i.host == "a" and i.service is not Service.ALERTMANAGER
    ]
    (before,), (now, _) = (t.of(Service.ALERTMANAGER) for t in (alone, first))
    assert replace(now, gossip_port=None) == before
    assert replace(first.hosts[0], address=None) == alone.hosts[0]


def test_both_can_be_on_one_docker_without_sharing_a_name() -> None:
    topology = plan(settings(EXAMPLES["two-vms"]))
    names = [
        *(host.network_name for host in topology.hosts),
        *(i.container_name for i in topology.instances),
        *(i.config_volume for i in topology.instances),
        *(i.data_volume for i in topology.instances if i.data_volume),
    ]
    assert len(set(names)) == len(names) == 2 + 9 + 9 + 7


def test_an_endpoint_is_a_name_on_its_own_host_and_an_address_from_the_other() -> None:
    topology = plan(settings(EXAMPLES["two-vms"]))
    from_b = topology.seen_from("b")
    assert topology.endpoints(Service.PROMETHEUS) == ("prometheus-a:9090", "192.0.2.20:9090")
    assert from_b.endpoints(Service.PROMETHEUS) == ("192.0.2.10:9090", "prometheus-b:9090")
    assert [i.key for i in topology.near(Service.DISCOVERY)] == ["discovery-a"]
    assert [i.key for i in from_b.near(Service.DISCOVERY)] == ["discovery-b"]
    assert from_b.near(Service.GRAFANA) == ()
    (first, second) = topology.of(Service.ALERTMANAGER)
    assert topology.peers(first) == (second,)
    # Over the published port, which may be another one than inside.
    hosts = plan(settings(EXAMPLES["two-hosts"]))
    assert hosts.endpoints(Service.PROMETHEUS) == ("prometheus-a:9090", "192.0.2.20:19090")


@pytest.mark.parametrize(
    ("bind", "expected"),
    [("192.0.2.10", ["192.0.2.10", "192.0.2.20"]), ("0.0.0.0", ["0.0.0.0", "0.0.0.0"])],  # noqa: S104
)
def test_each_vm_listens_on_its_own_address_or_both_on_all(bind: str, expected: list[str]) -> None:
    topology = plan(settings({**EXAMPLES["two-vms"], "network": {"bindAddress": bind}}))
    assert [host.bind_address for host in topology.hosts] == expected
    assert {i.bind_address for i in topology.instances if i.host == "b"} == {expected[1]}
    assert [host.address for host in topology.hosts] == ["192.0.2.10", "192.0.2.20"]


@pytest.mark.parametrize(("name", "port"), [("two-vms", 9094), ("two-hosts", 19094)])
def test_only_alertmanagers_of_two_hosts_have_a_port_for_each_other(name: str, port: int) -> None:
    topology = plan(settings(EXAMPLES[name]))
    gossip = {i.key: i.gossip_port for i in topology.instances if i.gossip_port}
    assert gossip == {"alertmanager-a": port, "alertmanager-b": port}
    assert {i.gossip_port for i in plan(settings(EXAMPLES["proxmox"])).instances} == {None}


def test_the_second_host_is_reached_as_the_first() -> None:
    first, second = plan(settings(EXAMPLES["two-hosts"])).hosts
    assert (first.uri, second.uri) == (
        "ssh://deploy@monitoring-1.example.com:22",
        "ssh://deploy@monitoring-2.example.com:22",
    )
    assert first.ssh_options == second.ssh_options
    assert [h.uri for h in plan(settings(EXAMPLES["two-vms"])).hosts] == [
        "ssh://monitoring@192.0.2.10:22",
        "ssh://monitoring@192.0.2.20:22",
    ]


@pytest.mark.parametrize(
    ("address", "listens"),
    [
        ("0.0.0.0", ["0.0.0.0", "0.0.0.0"]),  # noqa: S104 - it is compared
        ("192.0.2.10", ["192.0.2.10", "192.0.2.20"]),
    ],
)
def test_each_of_two_gateways_listens_on_its_own_host(address: str, listens: list[str]) -> None:
    gateway = {"host": "monitoring.example.com", "bindAddress": address}
    topology = plan(settings({**TWO_GATEWAYS, "gateway": gateway}))
    entrances = [entrance for one in topology.of(Service.GATEWAY) for entrance in one.entrances]
    assert [(entrance.published, entrance.address) for entrance in entrances] == [
        (443, listens[0]),
        (443, listens[1]),
    ]
