"""Settings of two Docker hosts: what the second has of its own, and what both need of the rest."""

from __future__ import annotations

from itertools import takewhile
from typing import Any

import pytest
import yaml
from pydantic.alias_generators import to_camel

from components.settings import ProxmoxDocker
from tests.support.examples import EXAMPLES, ROOT, TWO_HOSTS, TWO_VMS, settings

from .test_settings import changed, problems


@pytest.mark.parametrize(("beginning", "base"), [("    # ", "two-hosts"), ("  #   # ", "two-vms")])
def test_the_second_hosts_of_the_production_example_are_valid(beginning: str, base: str) -> None:
    text = (ROOT / "docs" / "examples" / "Pulumi.production.yaml").read_text("utf-8")
    lines = text[text.index(f"\n{beginning}replica:\n") + 1 :].splitlines()
    block = takewhile(lambda line: line.startswith(beginning), lines)
    replica = yaml.safe_load("\n".join(line.removeprefix(beginning) for line in block))["replica"]
    made = settings(changed("docker.replica", replica, EXAMPLES[base])).replica
    assert made is not None
    # They show every key.
    assert set(replica) == {to_camel(name) for name in type(made).model_fields}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"node": "pve1"}, "replica has the node of the first VM (pve1); the second VM needs its own"),
        ({"vmId": 9100}, "replica has the vmId of the first VM (9100)"),
        ({"address": "192.0.2.10/24"}, "replica has the address of the first VM (192.0.2.10)"),
        ({"node": "pve1", "vmId": 9100}, "replica has the node and the vmId of the first VM (pve1, 9100)"),
        ({"address": "192.0.3.20/24"}, "gateway 192.0.2.1 is not another address in 192.0.3.0/24"),
        ({"address": "192.0.2.1/24"}, "gateway 192.0.2.1 is not another address in 192.0.2.0/24"),
    ],
)
def test_the_second_vm_is_another_one_in_the_same_network(change: dict[str, Any], expected: str) -> None:
    replica = {**TWO_VMS["docker"]["replica"], **change}
    assert expected in problems(changed("docker.replica", replica, TWO_VMS))["docker"]


def test_the_second_vm_has_what_it_isnt_given_from_the_first() -> None:
    docker = settings(TWO_VMS).docker
    assert isinstance(docker, ProxmoxDocker)
    second = docker.second()
    assert second is not None
    assert (second.node, second.vm_id, second.host) == ("pve2", 9101, "192.0.2.20")
    assert (second.image_datastore, second.disk_datastore) == ("images", "fast")
    assert (second.gateway, second.cores, second.tags) == (docker.gateway, docker.cores, docker.tags)
    assert second.second() is None
    bare = {k: v for k, v in TWO_VMS["docker"]["replica"].items() if not k.endswith("Datastore")}
    like = settings(changed("docker.replica", bare, TWO_VMS)).docker
    assert isinstance(like, ProxmoxDocker)
    second = like.second()
    assert second is not None
    assert (second.image_datastore, second.disk_datastore) == ("local", "local-lvm")


@pytest.mark.parametrize("name", ["two-vms", "two-hosts"])
@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("tls.platform", False, "crosses the network; set tls.platform: true"),
        ("network.ports", {"prometheus": None}, "network.ports.prometheus is null; give it a port"),
        ("network.ports", {"alertmanager": None}, "network.ports.alertmanager is null; give it a port"),
        ("docker.replica.gossipPort", 9093, "gossipPort 9093 is network.ports.alertmanager too"),
        ("prometheus.externalLabels", {"replica": "x"}, "remove replica from prometheus.externalLabels"),
        ("firewall.monitoring", ["192.0.2.10"], "firewall.monitoring lacks 192.0.2.20, which scrapes too"),
        ("network.bindAddress", "127.0.0.1", "can't reach network.bindAddress 127.0.0.1"),
        (
            "alerting.groupInterval",
            "29s",
            "with alerting.groupInterval 29s two Alertmanagers tell what is over",
        ),
    ],
)
def test_two_hosts_are_told_what_they_need(name: str, key: str, value: Any, expected: str) -> None:
    values = changed("grafana.apiUrl", "http://127.0.0.1:13000", EXAMPLES[name])
    text = problems(changed(key, value, values))["(stack)"]
    assert text.startswith("docker.replica: ")
    assert expected in text


def test_the_second_host_is_another_machine() -> None:
    same = {"host": "monitoring-1.example.com", "address": "192.0.2.20"}
    assert (
        "replica is host monitoring-1.example.com itself"
        in problems(changed("docker.replica", same, TWO_HOSTS))["docker"]
    )
    text = problems(changed("docker.replica.address", "192.0.2.10", TWO_HOSTS))["(stack)"]
    assert "address 192.0.2.10 is network.bindAddress, the first host's own" in text
    everywhere = problems(changed("network.bindAddress", "0.0.0.0", TWO_HOSTS))["(stack)"]  # noqa: S104
    assert "write the first host's own IPv4 address" in everywhere


def test_guests_let_both_in() -> None:
    values = {key: value for key, value in TWO_VMS.items() if key != "firewall"}
    assert settings(values).monitoring_addresses == ("192.0.2.10", "192.0.2.20")
