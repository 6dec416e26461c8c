"""How the Alertmanagers of two hosts are told of each other; that it works is seen end to end."""

from __future__ import annotations

import pytest
import yaml

from components.images import Service
from components.render import gossip
from components.topology import plan
from tests.support.examples import EXAMPLES, settings

DIRECTORY = "/etc/alertmanager"


@pytest.mark.parametrize("name", [name for name in EXAMPLES if not name.startswith("two-")])
def test_one_alertmanager_opens_no_port_for_others(name: str) -> None:
    topology = plan(settings(EXAMPLES[name]))
    (alone,) = topology.of(Service.ALERTMANAGER)
    assert gossip.options(alone, topology, DIRECTORY) == ("--cluster.listen-address=",)
    assert gossip.files(alone, DIRECTORY) == {}


@pytest.mark.parametrize(("name", "port"), [("two-vms", 9094), ("two-hosts", 19094)])
def test_two_name_each_other_by_address_and_published_port(name: str, port: int) -> None:
    topology = plan(settings(EXAMPLES[name]))
    first, second = topology.of(Service.ALERTMANAGER)
    assert gossip.options(first, topology, DIRECTORY) == (
        "--cluster.listen-address=0.0.0.0:9094",
        f"--cluster.advertise-address=192.0.2.10:{port}",
        f"--cluster.peer=192.0.2.20:{port}",
        "--cluster.tls-config=/etc/alertmanager/tls/gossip.yml",
    )
    # Whoever is asked: addresses, not names on one host's network.
    assert gossip.options(second, topology.seen_from("b"), DIRECTORY)[1:3] == (
        f"--cluster.advertise-address=192.0.2.20:{port}",
        f"--cluster.peer=192.0.2.10:{port}",
    )


def test_both_sides_want_the_platforms_certificate_and_no_other_of_the_same_authority() -> None:
    first, _ = plan(settings(EXAMPLES["two-vms"])).of(Service.ALERTMANAGER)
    files = gossip.files(first, DIRECTORY)
    document = yaml.safe_load(files[gossip.TLS_CONFIG_FILE])
    server, client = document["tls_server_config"], document["tls_client_config"]
    assert server["client_auth_type"] == "RequireAndVerifyClientCert"
    assert server["client_allowed_sans"] == [client["server_name"]] == ["platform.pve-monitoring.internal"]
    assert server["client_ca_file"] == client["ca_file"] == "/etc/alertmanager/tls/ca.pem"
    for side in (server, client):
        assert side["cert_file"] == "/etc/alertmanager/tls/server.pem"
        assert side["key_file"] == "/etc/alertmanager/secrets/tls_key"
