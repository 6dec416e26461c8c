"""What two Docker hosts need: addresses by which they reach each other, ports for it, and TLS on the way."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from components.durations import seconds
from components.settings_alerting import Alerting
from components.settings_cluster import Firewall, FirewallMode
from components.settings_docker import Docker, LocalDocker, Network, ProxmoxDocker, Replica
from components.settings_scraping import Prometheus
from components.settings_tls import Tls
from components.words import problem

# Tells the samples of the two Prometheus apart; alerts don't have it, or each would be two.
REPLICA_LABEL = "replica"

# Each Prometheus watches the other, and tells both Alertmanagers.
_ASKED_BY_THE_OTHER = ("prometheus", "alertmanager")

# Seconds. The second Alertmanager looks at a group and waits 15 s (--cluster.peer-timeout's default) for the
# first to tell it. Where the group's next turn comes earlier, its turns aren't the first's any more, and what
# the first told as over meanwhile is told as firing once more (prometheus/alertmanager#4008). Twice the wait
# leaves time to send.
_SHORTEST_GROUP_INTERVAL = 30


def replica_of(docker: Docker) -> Replica | None:
    """The second of two hosts; None where there is one."""
    return None if isinstance(docker, LocalDocker) else docker.replica


def addresses(docker: Docker, network: Network) -> tuple[str, ...]:
    """Addresses by which two hosts reach each other, the first one's first; empty where there is one."""
    if isinstance(docker, LocalDocker) or docker.replica is None:
        return ()
    if isinstance(docker, ProxmoxDocker):
        return tuple(vm.host for vm in (docker, docker.second()) if vm is not None)
    return network.bind_address, docker.replica.address


def check_replica(
    docker: Docker,
    network: Network,
    tls: Tls,
    *,
    firewall: Firewall,
    prometheus: Prometheus,
    alerting: Alerting,
) -> None:
    """Refuse settings with which two hosts couldn't work together.

    Raises:
        PydanticCustomError: with what is wrong and what to write.
    """
    replica = replica_of(docker)
    if replica is None:
        return
    faults = [
        *_address_faults(docker, network),
        *_port_faults(replica, network),
        *_other_faults(addresses(docker, network), tls, firewall, prometheus),
        *_alerting_faults(alerting),
    ]
    if faults:
        raise problem("docker.replica: " + "; ".join(faults))


def _address_faults(docker: Docker, network: Network) -> Iterator[str]:
    """The services of the first host listen where the second reaches them."""
    bind = ip_address(network.bind_address)
    if isinstance(docker, ProxmoxDocker):
        if str(bind) not in (docker.host, "0.0.0.0"):  # noqa: S104 - a comparison
            yield (
                f"the second VM can't reach network.bindAddress {bind}; write {docker.host}, which stands "
                "for either VM's own address"
            )
    elif bind.version != 4 or bind.is_loopback or bind.is_unspecified:
        yield (
            f"the second host can't reach network.bindAddress {bind}; write the first host's own IPv4 address"
        )
    elif network.bind_address == addresses(docker, network)[1]:
        yield f"address {bind} is network.bindAddress, the first host's own; write the second host's"


def _port_faults(replica: Replica, network: Network) -> Iterator[str]:
    ports = network.ports.model_dump(by_alias=True)
    for name in _ASKED_BY_THE_OTHER:
        if ports[name] is None:
            yield f"the other host asks {name}, but network.ports.{name} is null; give it a port"
    for name, port in ports.items():
        if port == replica.gossip_port:
            yield f"gossipPort {port} is network.ports.{name} too; give it another"


def _other_faults(
    hosts: tuple[str, ...], tls: Tls, firewall: Firewall, prometheus: Prometheus
) -> Iterator[str]:
    if not tls.platform:
        yield (
            "what the services of two hosts tell each other crosses the network; set tls.platform: true "
            "(python -m ops pki makes the certificate)"
        )
    if REPLICA_LABEL in prometheus.external_labels:
        yield f"remove {REPLICA_LABEL} from prometheus.externalLabels: it tells the two Prometheus apart"
    if firewall.mode is not FirewallMode.NONE:
        for address in hosts:
            if not any(ip_address(address) in ip_network(cidr) for cidr in firewall.monitoring):
                yield f"firewall.monitoring lacks {address}, which scrapes too; add it"


def _alerting_faults(alerting: Alerting) -> Iterator[str]:
    if seconds(alerting.group_interval) < _SHORTEST_GROUP_INTERVAL:
        yield (
            f"with alerting.groupInterval {alerting.group_interval} two Alertmanagers tell what is over as "
            f"firing once more; write {_SHORTEST_GROUP_INTERVAL}s or longer"
        )
