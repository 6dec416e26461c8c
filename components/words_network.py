"""Words of the stack configuration that say where something is: addresses, URLs, hosts and their keys."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Interface, ip_address, ip_network
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from components.words import problem, spelled


def _check_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise problem(f"{value!r} is not a URL; write for example https://host.example.com:8443")
    return value.rstrip("/")


def _check_endpoint(value: str) -> str:
    parts = urlsplit(value if "//" in value else f"//{value}")
    if parts.scheme != "https" or not parts.hostname or parts.path not in ("", "/"):
        host = parts.hostname or "pve1.example.com"
        raise problem(f"{value!r} is not an API address; write https://{host}:8006")
    return f"https://{parts.netloc}" if parts.port else f"https://{parts.netloc}:8006"


def _check_address(value: str) -> str:
    try:
        return str(ip_address(value))
    except ValueError:
        raise problem(
            f"{value!r} is not an IP address; write 127.0.0.1 (this host only), the address of one "
            "interface, or 0.0.0.0 for all"
        ) from None


def _check_target(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536 or "/" in value:
        raise problem(f"{value!r} is not host:port; write for example nas.example.com:9100")
    return value


def _check_ipv4(value: str) -> str:
    try:
        return str(IPv4Address(value))
    except ValueError:
        raise problem(f"{value!r} is not an IPv4 address; write for example 192.0.2.1") from None


def _check_interface(value: str) -> str:
    text = f"{value!r} is not an address with its prefix length; write for example 192.0.2.10/24"
    try:
        interface = IPv4Interface(value)
    except ValueError:
        raise problem(text) from None
    network = interface.network
    ends = (network.network_address, network.broadcast_address) if network.prefixlen < 31 else ()
    if "/" not in value or interface.ip in ends:
        raise problem(text)
    return str(interface)


def _check_cidr(value: str) -> str:
    try:
        network = ip_network(value)
    except ValueError:
        raise problem(
            f"{value!r} is not an address or a network; write for example 192.0.2.10, 192.0.2.0/24 (with no "
            "bits set beyond the prefix) or 2001:db8::/64"
        ) from None
    if network.prefixlen == 0:
        raise problem(f"{value!r} is everybody; write the networks that are meant")
    # As Proxmox VE stores it: an address without the length of a single one.
    return str(network.network_address) if network.num_addresses == 1 else str(network)


# No RSA keys: the provider offers only their SHA-1 signatures, which OpenSSH refuses since 8.8.
_HOST_KEY = re.compile(
    r"(?:^|\s)((?:ssh-ed25519|ecdsa-sha2-nistp(?:256|384|521)) [A-Za-z0-9+/]{60,}={0,2})(?:\s|$)"
)


def _check_host_key(value: str) -> str:
    """The algorithm and the key, without the host's name that known_hosts puts before it."""
    if (match := _HOST_KEY.search(value)) is None:
        raise problem(
            f"{value!r} is not an SSH host key; run there: cat /etc/ssh/ssh_host_ed25519_key.pub, and write "
            "the line: ssh-ed25519 AAAA… (ssh-keyscan -t ed25519 prints it from afar, for whoever answers)"
        )
    return match[1]


def _check_fingerprint(value: str) -> str:
    digits = value.replace(":", "").lower()
    if not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise problem(
            f"{value!r} is not a SHA-256 fingerprint; on a host: openssl x509 -in /etc/pve/local/pve-ssl.pem "
            "-noout -fingerprint -sha256 (with a certificate of your own: pveproxy-ssl.pem)"
        )
    return digits


Url = Annotated[str, AfterValidator(_check_url)]
Endpoint = Annotated[str, AfterValidator(_check_endpoint)]
Address = Annotated[str, AfterValidator(_check_address)]
HostPort = Annotated[str, AfterValidator(_check_target)]
IPv4 = Annotated[str, AfterValidator(_check_ipv4)]
Interface = Annotated[str, AfterValidator(_check_interface)]
Cidr = Annotated[str, AfterValidator(_check_cidr)]
Host = Annotated[
    str,
    spelled(
        r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9a-fA-F:]*:[0-9a-fA-F:.]+",
        "is not a host; write its name or address alone: pve1.example.com, 192.0.2.11",
    ),
]
HostKey = Annotated[str, AfterValidator(_check_host_key)]
Fingerprint = Annotated[str, AfterValidator(_check_fingerprint)]
Port = Annotated[int, Field(ge=1, le=65535)]
