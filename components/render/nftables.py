"""Rule files for nftables, where Proxmox VE's firewall is off: who reaches the exporters and the platform.

Each is a table of its own that accepts by default and drops only what is meant for its ports: it locks nobody
out, and lives beside other tables, which drop what they drop.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network

from components.render import firewall
from components.settings import StackSettings

# Before the kernel's own translation of addresses (-100): Docker rewrites published ports there, and what it
# has rewritten goes to `forward` and never to `input`.
_PRIORITY = -150

_HEADER = """\
#!/usr/sbin/nft -f
# {what}
# Managed by {project}: `pulumi stack output nftables` shows it as the settings have it.
# Put it at /etc/nftables.d/{table}.nft, add  include "/etc/nftables.d/*.nft"  to /etc/nftables.conf, then
#   nft -c -f /etc/nftables.d/{table}.nft && systemctl enable --now nftables && systemctl reload nftables
"""


def files(settings: StackSettings) -> dict[str, str]:
    """Files by kind of machine: `exporters` for hosts and Linux guests, `platform` for the Docker host.

    The latter only where it is known who may reach the platform.
    """
    wanted = settings.firewall
    known = {
        "exporters": _file(
            "pve_monitoring_exporters",
            "On hosts and in Linux guests: only the monitoring host reaches the exporters.",
            firewall.exporter_ports(settings),
            wanted.monitoring,
        ),
        "platform": _file(
            "pve_monitoring_platform",
            "On a Docker host: only admins, gateways and a second Docker host reach the platform's ports.",
            firewall.platform_ports(settings),
            (*wanted.admins, *wanted.gateways, *settings.host_addresses),
        ),
    }
    if not (wanted.admins or wanted.gateways):
        del known["platform"]
    return known


def _file(table: str, what: str, ports: str, sources: Sequence[str]) -> str:
    ports = ", ".join(ports.split(","))
    accepted = [
        f"        {family} saddr {{ {', '.join(found)} }} return"
        for family, version in (("ip", 4), ("ip6", 6))
        if (found := sorted({source for source in sources if ip_network(source).version == version}))
    ]
    lines = [
        _HEADER.format(what=what, project="pve-monitoring", table=table),
        # Declared and deleted first, so that the file can be loaded again.
        f"table inet {table}",
        f"delete table inet {table}",
        f"table inet {table} {{",
        "    chain incoming {",
        f"        type filter hook prerouting priority {_PRIORITY}; policy accept;",
        '        iifname "lo" return',
        "        fib daddr type != local return",
        # On another protocol the next one doesn't match, and what doesn't match goes on to the drop.
        "        meta l4proto != tcp return",
        f"        tcp dport != {{ {ports} }} return",
        *accepted,
        "        ct state established,related return",
        "        counter drop",
        "    }",
        "}",
        "",
    ]
    return "\n".join(lines)
