"""Choice of the one address at which a guest is scraped. Pure.

Only addresses on the guest's own network cards count: the MAC of netN tells them from the bridges of
containers, overlays and tunnels, whose ranges and names are arbitrary.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .model import Interface, Nic

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")
# Global and unique local addresses (RFC 4291, RFC 4193); all others are reserved, local or outdated.
_UNICAST_IPV6 = (ipaddress.IPv6Network("2000::/3"), ipaddress.IPv6Network("fc00::/7"))
# Last resort only, for guests none of whose MACs is in the configuration (passed-through network cards).
_VIRTUAL_NAME = re.compile(
    r"^(?:lo\d*$|docker|br-|veth|virbr|vnet|cni|flannel|weave|cali|cilium|kube|nodelocaldns|podman|lxc|lxdbr|incusbr"
    r"|tailscale|wg\d|tun|tap|zt|ovs|dummy|sit\d|ip6tnl|vethernet|isatap|teredo|loopback)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Candidate:
    address: Address
    nic: int


def reachable(value: Any) -> Address | None:
    """Read an address, with or without prefix length and IPv6 zone, that another machine can reach.

    None for everything else: no address at all, loopback, link-local, APIPA, multicast, unspecified, ...
    """
    address = _parsed(value)
    if isinstance(address, ipaddress.IPv6Address):
        return address if any(address in network for network in _UNICAST_IPV6) else None
    if address is None or address in _THIS_NETWORK:
        return None
    local = address.is_loopback or address.is_link_local
    return None if local or address.is_multicast or address.is_reserved else address


def _parsed(value: Any) -> Address | None:
    if not isinstance(value, str):
        return None
    try:
        address = ipaddress.ip_address(value.strip().partition("/")[0].partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def choose(
    nics: Sequence[Nic], interfaces: Iterable[Interface], prefer: Sequence[Network] = (), previous: str = ""
) -> str:
    """Choose among the addresses that a guest reports; empty text where none can be used.

    Order: CIDRs in `prefer` (first listed first), the previous choice while it is still reported, netN
    in order, IPv4 before IPv6, lowest address. The preferred CIDRs stand before netN because the
    setting would otherwise say nothing about a guest with a network card for each network.

    Args:
        nics: Network cards in the guest's configuration.
        interfaces: What the guest reports.
        prefer: Networks to be preferred, in order.
        previous: The address chosen last time, empty at first.
    """
    seen = list(interfaces)
    index_of = {nic.mac: nic.index for nic in nics if nic.mac}
    own = [face for face in seen if face.mac in index_of]
    if not own:
        own = [face for face in seen if not _VIRTUAL_NAME.match(face.name)]
    return _best(
        [
            _Candidate(address, index_of.get(face.mac, len(index_of)))
            for face in own
            for address in _reachable(face.addresses)
        ],
        prefer,
        previous,
    )


def choose_static(nics: Sequence[Nic], prefer: Sequence[Network] = (), previous: str = "") -> str:
    """Choose among the addresses that the configuration gives (`ipconfigN`, `ip=` of a container)."""
    candidates = [_Candidate(address, nic.index) for nic in nics for address in _reachable(nic.static)]
    return _best(candidates, prefer, previous)


def _reachable(texts: Iterable[str]) -> list[Address]:
    return [address for text in texts if (address := reachable(text))]


def _best(candidates: Sequence[_Candidate], prefer: Sequence[Network], previous: str) -> str:
    def rank(candidate: _Candidate) -> tuple[int, bool, int, int, int]:
        address = candidate.address
        preference = next((i for i, network in enumerate(prefer) if address in network), len(prefer))
        return (preference, str(address) != previous, candidate.nic, address.version, int(address))

    return str(min(candidates, key=rank).address) if candidates else ""


def host_port(host: str, port: int) -> str:
    """Join host and port as Prometheus writes an address; IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
