"""Firewall rules: who reaches exporters, hosts and the platform. Pure; what renders them is elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_network

from components.settings import StackSettings

# pve-firewall's own set `management` opens the same: SSH, SPICE, the web interface and API, VNC.
ADMIN_PORTS = ("22", "3128", "5900:5999", "8006")
API_PORT = "8006"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule for incoming packets.

    Attributes:
        source: addresses and networks of one IP version by comma, the name of a set with a plus, or ""
            for everybody.
        ports: TCP ports, or "" for every packet.
    """

    action: str
    comment: str
    source: str = ""
    ports: str = ""


def exporter_ports(settings: StackSettings) -> str:
    """The exporters' ports on hosts and in guests, by comma."""
    ports = settings.scrape.exporter_ports
    return ",".join(str(port) for port in sorted({ports.node, ports.windows, ports.linux, ports.gpu}))


def platform_ports(settings: StackSettings) -> str:
    """The published ports of the platform, by comma."""
    ports = {*settings.network.ports.model_dump().values(), *settings.gateway.ports}
    if settings.replica is not None:
        ports.add(settings.replica.gossip_port)
    return ",".join(str(port) for port in sorted(port for port in ports if port is not None))


def _by_version(addresses: Sequence[str]) -> Iterator[str]:
    """Lists of one IP version each: a rule takes no mixture."""
    for version in (4, 6):
        if found := sorted({a for a in addresses if ip_network(a).version == version}):
            yield ",".join(found)


def _accept(addresses: Sequence[str], ports: str, comment: str) -> list[Rule]:
    return [
        Rule(action="ACCEPT", comment=comment, source=source, ports=ports)
        for source in _by_version(addresses)
    ]


def exporters(settings: StackSettings, monitoring: str) -> tuple[Rule, ...]:
    """Rules for exporters: the monitoring host, and nobody else, whatever is accepted otherwise.

    Args:
        settings: the stack's settings.
        monitoring: the set of its addresses, with the plus.
    """
    ports = exporter_ports(settings)
    return (
        Rule(action="ACCEPT", comment="exporters: monitoring", source=monitoring, ports=ports),
        Rule(action="DROP", comment="exporters: nobody else", ports=ports),
    )


def hosts(settings: StackSettings, monitoring: str) -> tuple[Rule, ...]:
    """Rules for the members besides those for exporters.

    Those who administer and the members stand in the rules themselves and not in a set: a set is taken away
    and made anew when it changes, and the way in must not be closed even for a moment.
    """
    firewall = settings.firewall
    return (
        *_accept(firewall.admins, ",".join(ADMIN_PORTS), "administration"),
        *_accept(firewall.members, "", "members among each other"),
        Rule(action="ACCEPT", comment="API: monitoring", source=monitoring, ports=API_PORT),
    )


def platform(settings: StackSettings) -> tuple[Rule, ...]:
    """Rules for the machine with the platform: SSH for admins, its pages for admins and gateways."""
    firewall, ports = settings.firewall, platform_ports(settings)
    return (
        *_accept(firewall.admins, "22", "administration"),
        *_accept([*firewall.admins, *firewall.gateways], ports, "platform"),
        *_accept(settings.host_addresses, ports, "platform: its two machines among each other"),
        Rule(action="DROP", comment="platform: nobody else", ports=ports),
    )
