"""Whether Prometheus sees a guest's exporter, and what discovery says of those that it doesn't see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import requests

from components.render.platform_tls import scheme
from components.settings import LocalDocker, SshDocker, StackSettings
from ops.platform_client import Clients
from ops.stack import Stack

TIMEOUT_SECONDS = 10
_JOBS = "windows|linux"


@dataclass(frozen=True)
class Watch:
    """Where Prometheus and discovery are asked; None for one that isn't reached from here.

    Attributes:
        client: gives the HTTP client for a URL.
    """

    cluster: str
    prometheus: str | None
    discovery: str | None
    client: Callable[[str], requests.Session] = lambda _: requests.Session()

    def up(self) -> dict[int, bool] | None:
        """By VMID, whether the exporter answered last; None if Prometheus doesn't answer."""
        expression = f'max by (vm_id) (up{{job=~"{_JOBS}",vm_id!="",cluster="{self.cluster}"}})'
        answer = self._get(self.prometheus, "/api/v1/query", query=expression)
        if answer is None:
            return None
        return {int(one["metric"]["vm_id"]): one["value"][1] == "1" for one in answer["data"]["result"]}

    def reasons(self) -> dict[int, str]:
        """By VMID, why a running guest is no target; empty if discovery doesn't answer."""
        answer = self._get(self.discovery, "/guests")
        return (
            {}
            if answer is None
            else {one["vm_id"]: one["reason"] for one in answer["guests"] if one["reason"]}
        )

    def why_not(self, vmid: int) -> str:
        """What is missing until the exporter answers Prometheus."""
        if reason := self.reasons().get(vmid):
            return f"discovery gives no target for it: {reason} (dashboard Coverage says what to do)"
        answer = self._get(self.prometheus, "/api/v1/targets", state="active")
        targets: list[dict[str, Any]] = [] if answer is None else answer["data"]["activeTargets"]
        for target in targets:
            labels = target["labels"]
            if labels.get("vm_id") == str(vmid) and labels.get("job") in _JOBS.split("|"):
                return f"{target['scrapeUrl']}: {target['lastError'] or 'not asked yet'}; a firewall between?"
        return "Prometheus has no target for it yet"

    def _get(self, base: str | None, path: str, **parameters: str) -> Any:
        if base is None:
            return None
        try:
            response = self.client(base).get(f"{base}{path}", params=parameters, timeout=TIMEOUT_SECONDS)
            response.raise_for_status()
            return response.json()
        except (requests.RequestException, ValueError):
            return None


def watch_of(stack: Stack, prometheus: str | None, discovery: str | None) -> Watch:
    """Where a stack's Prometheus and discovery are reached: as given, or at their published ports.

    None where nobody knows, as behind a gateway on another machine.
    """
    settings = stack.settings
    ports = settings.network.ports
    return Watch(
        settings.cluster.name,
        prometheus or _published(settings, ports.prometheus),
        discovery or _published(settings, ports.discovery),
        Clients(stack).of,
    )


def _published(settings: StackSettings, port: int | None) -> str | None:
    address = settings.network.bind_address
    elsewhere = not isinstance(settings.docker, LocalDocker) and ip_address(address).is_loopback
    if port is None or elsewhere:
        return None
    if isinstance(settings.docker, SshDocker):
        address = settings.docker.host if address == "0.0.0.0" else address  # noqa: S104 - a comparison
    elif address == "0.0.0.0":  # noqa: S104 - a comparison
        address = "127.0.0.1"
    host = f"[{address}]" if ":" in address else address
    return f"{scheme(settings)}://{host}:{port}"
