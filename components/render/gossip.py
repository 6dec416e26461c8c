"""How the Alertmanagers of two hosts find each other, and the TLS between them."""

from __future__ import annotations

from components.render import to_yaml
from components.render.platform_tls import CERTIFICATE_FILE, KEY_FILE
from components.render.tls import CA_FILE
from components.settings import Group
from components.topology import GOSSIP_PORT, Instance, Topology

# Below the configuration directory.
TLS_CONFIG_FILE = "tls/gossip.yml"


def options(instance: Instance, topology: Topology, directory: str) -> tuple[str, ...]:
    """Arguments of an Alertmanager: its peers, and where they reach it.

    Args:
        instance: the Alertmanager.
        topology: of the stack.
        directory: where the configuration is mounted.
    """
    if instance.gossip_port is None:
        # One instance: no gossip, no open port for it.
        return ("--cluster.listen-address=",)
    return (
        f"--cluster.listen-address=0.0.0.0:{GOSSIP_PORT}",
        f"--cluster.advertise-address={_address(instance, topology)}",
        *(f"--cluster.peer={_address(peer, topology)}" for peer in topology.peers(instance)),
        f"--cluster.tls-config={directory}/{TLS_CONFIG_FILE}",
    )


def _address(instance: Instance, topology: Topology) -> str:
    return f"{topology.host(instance.host).address}:{instance.gossip_port}"


def files(instance: Instance, directory: str) -> dict[str, str]:
    """Files that its gossip takes besides those of its own server, by path below the directory."""
    return {} if instance.gossip_port is None else {TLS_CONFIG_FILE: tls_config(directory)}


def tls_config(directory: str) -> str:
    """Both sides show the platform's certificate and want it shown; with TLS all of it goes over TCP.

    The authority signs for guests too: that it signed is not enough, the name has to be the platform's.
    """
    certificate = {"cert_file": f"{directory}/{CERTIFICATE_FILE}", "key_file": f"{directory}/{KEY_FILE}"}
    name = Group.PLATFORM.server_name
    return to_yaml(
        {
            "tls_server_config": {
                **certificate,
                "client_ca_file": f"{directory}/{CA_FILE}",
                "client_auth_type": "RequireAndVerifyClientCert",
                "client_allowed_sans": [name],
                "min_version": "TLS12",
            },
            "tls_client_config": {
                **certificate,
                "ca_file": f"{directory}/{CA_FILE}",
                "server_name": name,
            },
        }
    )
