"""The simulated cluster inside this process, at any moment: its API, and the discovery that reads it."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from components.render import discovery as discovery_render
from components.settings import StackSettings
from discovery_fn.errors import of_status
from discovery_fn.metrics import Metrics, StatusCollector
from discovery_fn.pve import PveClient, connect
from discovery_fn.refresh import Refresher
from discovery_fn.settings import Settings as DiscoverySettings
from lab.cluster.api.app import BASE, Api
from lab.cluster.build import build
from lab.cluster.identities import DISCOVERY, EXPORTER, Token
from lab.cluster.settings import Settings as LabSettings
from lab.cluster.state import Lab
from lab.cluster.web import Request, Response

# Files that discovery can't have here; its token is given by value.
_FILES = ("PVE_TOKEN_SECRET_FILE", "PVE_CA_FILE", "DISCOVERY_STATE_DIR")
_OK = 200


class Clock:
    """The time of everything simulated, in Unix seconds; it stands until it is set."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        """The time."""
        return self.now


class ApiError(Exception):
    """The simulated API refused a call that the recording needs."""


def simulated(clock: Clock) -> Lab:
    """The cluster of the development stack, which answers at once: nobody waits for it here."""
    settings = LabSettings(
        agent_delay=0, agent_ping_timeout=0, agent_command_timeout=0, auth_delay=0, node_timeout=0
    )
    return Lab(build(settings), settings, clock=clock)


@dataclass(frozen=True)
class Member:
    """One member of the cluster, as a client sees it; calls need no network."""

    api: Api
    host: str
    token: Token

    async def fetch(self, path: str) -> Response:
        """GET a path below /api2/json; Proxmox VE says in the reason phrase what is wrong."""
        headers = {
            "host": self.host,
            "authorization": f"PVEAPIToken={self.token.id}={self.token.secret}",
        }
        return await self.api(Request("GET", f"{BASE}/{path}", headers, b""))

    async def get(self, path: str) -> Any:
        """GET a path below /api2/json; return its `data`.

        Raises:
            ApiError: the answer isn't 200.
        """
        response = await self.fetch(path)
        if response.status != _OK:
            raise ApiError(f"{path}: {response.status} {response.reason}")
        return json.loads(response.body)["data"]


def exporter_view(api: Api) -> Member:
    """What pve-exporter sees, through the first member."""
    return Member(api, api.lab.cluster.hosts[0].name, EXPORTER)


class DiscoveryMember:
    """A member as the discovery service talks to it, in place of its HTTPS connection."""

    def __init__(self, api: Api, url: str) -> None:
        self._member = Member(api, urlsplit(url).netloc, DISCOVERY)

    def authorize(self, token: str) -> None:
        """The token is the simulated cluster's own."""

    async def get(self, path: str) -> Any:
        """GET a path below /api2/json.

        Raises:
            discovery_fn.errors.PveError: as for an answer over the network.
        """
        response = await self._member.fetch(path)
        if response.status != _OK:
            raise of_status(response.status, response.reason)
        return json.loads(response.body)["data"]

    async def aclose(self) -> None:
        """Nothing is open."""


class Discovery:
    """The discovery service without its HTTP server, under the simulated clock."""

    def __init__(self, settings: StackSettings, api: Api, clock: Clock) -> None:
        chosen = discovery_settings(settings)
        self.metrics = Metrics()
        self._client: PveClient = connect(chosen, self.metrics, lambda url: DiscoveryMember(api, url))
        self._refresher = Refresher(
            chosen,
            self._client,
            self.metrics,
            clock=clock,
            wall=clock,
            chance=random.Random(api.lab.settings.seed),
        )
        self.metrics.registry.register(StatusCollector(self._refresher.status))

    async def refresh(self) -> None:
        """Read the cluster once and wait for all that was asked along with it."""
        await self._refresher.refresh()
        # Nothing tells when the last question is answered; everything it waits for is in this process.
        while self._refresher.status().pending:  # noqa: ASYNC110
            await asyncio.sleep(0)
        self._refresher.publish()

    def groups(self, name: str) -> list[dict[str, Any]]:
        """The target groups that HTTP service discovery would get at /targets/<name>."""
        bodies: dict[str, bytes] = {known: body.content for known, body in self._refresher.bodies.items()}
        found: list[dict[str, Any]] = json.loads(bodies[name])
        return found

    async def stop(self) -> None:
        """End the tasks that are left."""
        await self._refresher.stop()


def discovery_settings(settings: StackSettings) -> DiscoverySettings:
    """What the stack's container would be given, but for files."""
    environment = discovery_render.environment(settings)
    values: dict[str, Any] = {
        name.lower(): value for name, value in environment.items() if name not in _FILES
    }
    return DiscoverySettings.model_validate({**values, "pve_token_secret": DISCOVERY.secret})
