"""What each certificate is made out to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from components.settings import GATEWAY, Group, LocalDocker, StackSettings
from ops.console import OpsError

# From the monitoring host itself.
_LOCAL = ("localhost", "127.0.0.1", "::1")


def wanted(settings: StackSettings) -> Mapping[str, tuple[str, ...]]:
    """DNS names and addresses by whose certificate it is; the first is its common name.

    Servers on hosts and in guests have the name of their group alone: who scrapes them asks for it, and not
    for an address that changes.

    Raises:
        OpsError: a name in the settings can't stand in a certificate.
    """
    here = tuple(dict.fromkeys([*_LOCAL, *map(_name, _reached(settings))]))
    return {
        **{group: (group.server_name,) for group in Group},
        Group.PLATFORM: (Group.PLATFORM.server_name, *here),
        GATEWAY: here,
    }


def _reached(settings: StackSettings) -> Iterator[str]:
    """Names and addresses by which the settings reach the platform."""
    if not ip_address(settings.network.bind_address).is_unspecified:
        yield settings.network.bind_address
    if not isinstance(settings.docker, LocalDocker):
        yield from (one.host for one in (settings.docker, settings.docker.second()) if one is not None)
    yield from settings.host_addresses
    if settings.gateway.host is not None:
        yield settings.gateway.host
    urls = (
        settings.grafana.api_url,
        settings.grafana.external_url,
        settings.prometheus.external_url,
        settings.alerting.external_url,
    )
    yield from (urlsplit(url).hostname or "" for url in urls if url is not None)


def _name(host: str) -> str:
    """As certificates have it: addresses in their one spelling, names in ASCII and small letters."""
    try:
        return str(ip_address(host))
    except ValueError:
        pass
    try:
        return host.lower().encode("idna").decode("ascii")
    except UnicodeError as error:
        raise OpsError(
            f"{host!r} is neither a name nor an address that a certificate can have; correct it in "
            "docker.host, gateway.host, or in the URL that it stands in"
        ) from error
