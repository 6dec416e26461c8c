"""Choice of the one address at which a guest is scraped. Pure.

Only addresses on the guest's own network cards count: the MAC of netN tells them from the bridges of
containers, overlays and tunnels, whose ranges and names are arbitrary.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .model import Interface, Nic
from .wire import parse_address

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")
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


def usable(address: Address) -> bool:
    """Whether another machine can reach this kind of address at all: no loopback, link-local, APIPA, ..."""
    return not (
        address.is_loopback
        or address.is_link_local
        or address.is_unspecified
        or address.is_multicast
        or address.is_reserved
        or (address.version == 4 and address in _THIS_NETWORK)
    )


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
            for address in _parsed(face)
        ],
        prefer,
        previous,
    )


def choose_static(nics: Sequence[Nic], prefer: Sequence[Network] = (), previous: str = "") -> str:
    """Choose among the addresses that the configuration gives (`ipconfigN`, `ip=` of a container)."""
    parsed = [(parse_address(text), nic.index) for nic in nics for text in nic.static]
    return _best(
        [_Candidate(a, index) for a, index in parsed if a is not None and usable(a)], prefer, previous
    )


def _parsed(face: Interface) -> list[Address]:
    addresses = [parse_address(text) for text in face.addresses]
    return [address for address in addresses if address is not None and usable(address)]


def _best(candidates: Sequence[_Candidate], prefer: Sequence[Network], previous: str) -> str:
    def rank(candidate: _Candidate) -> tuple[int, bool, int, int, int]:
        address = candidate.address
        preference = next((i for i, network in enumerate(prefer) if address in network), len(prefer))
        return (preference, str(address) != previous, candidate.nic, address.version, int(address))

    return str(min(candidates, key=rank).address) if candidates else ""


def host_port(host: str, port: int) -> str:
    """Join host and port as Prometheus writes an address; IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
