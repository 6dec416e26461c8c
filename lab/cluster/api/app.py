"""The API of all members: routing, authentication, privileges, faults, and a count of the calls."""

# ruff: noqa: TID252 - the package is `lab.cluster` here and `cluster` in its image

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from ..state import Lab
from ..web import Hangup, Request, Response
from .agent import Agent
from .auth import Rightful, authenticate
from .call import ApiError, Call, Written, as_json
from .machine_config import indexed
from .routes import Route, routes
from .spoiling import Spoiler
from .stats import BROADCAST, Stats

BASE = "/api2/json"
# Paths whose route is remembered: a few for each of 5,000 guests.
KNOWN_PATHS = 1 << 15


@dataclass
class Api:
    """The API that listens on port 8006 for every member."""

    lab: Lab
    certificate: Any = None
    calls: Counter[tuple[str, str, str, int]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """Lay the routes out by method and number of parts."""
        self._routes: dict[tuple[str, int], list[tuple[list[str], Route]]] = {}
        self._find = lru_cache(KNOWN_PATHS)(self._search)
        self._members = {name: h.name for h in self.lab.cluster.hosts for name in (h.name, h.address)}
        self._spoiler = Spoiler(self.lab)
        self._kept: dict[Any, Written] = {}
        self._rightful = Rightful(self.lab)
        self.stats = Stats(self.lab)
        for route in routes(self.stats, Agent()):
            parts = route.template.strip("/").split("/")
            self._routes.setdefault((route.method, len(parts)), []).append((parts, route))

    async def broadcast(self) -> None:
        """Compute each member's round when it is due, so that no call waits for all of them at once."""
        while True:
            self.stats.rounds(self.lab.clock())
            await asyncio.sleep(BROADCAST / len(self.lab.cluster.hosts))

    async def __call__(self, request: Request) -> Response:
        """Answer a request.

        Raises:
            Hangup: The member that was asked isn't there.
        """
        member = self.member(request.headers.get("host", ""))
        t = self.lab.clock()
        self._alive(member, t)
        if request.path in ("/", ""):
            return Response(200, b"<title>Proxmox VE (lab)</title>", "text/html")
        raw = request.path.removeprefix(BASE).rstrip("/") or "/"
        template, status, response = "", 500, Response(500)
        try:
            found, params = self._find(request.method, raw)
            template = found.template if found else "(unknown)"
            response = await self._answer(request, member, unquote(raw), found, params)
            status = response.status
        except ApiError as error:
            status = error.status
            kind = "application/json;charset=UTF-8" if error.body else ""
            response = Response(status, error.body, kind, error.reason)
        finally:
            self.calls[member, request.method, template, status] += 1
        self._alive(member, self.lab.clock())
        cut = bool(response.body) and self._spoiler.cuts(member)
        return replace(response, cut=True) if cut else response

    def member(self, host: str) -> str:
        """The member that a Host header names: pve2, pve2.lab, or its address; else the first one."""
        name = host.rpartition(":")[0] or host
        known = self._members.get(name.partition(".")[0]) or self._members.get(name)
        return known or self.lab.cluster.hosts[0].name

    def _alive(self, member: str, t: float) -> None:
        faults = self.lab.faults
        if faults.hitting(member, "host_down", t) or faults.hitting(member, "api_down", t):
            raise Hangup

    def _search(self, method: str, path: str) -> tuple[Route | None, Mapping[str, str]]:
        # A volume's name holds a slash, which is encoded: parts first, then what they say.
        parts = [unquote(part) for part in path.strip("/").split("/")]
        for pattern, route in self._routes.get((method, len(parts)), []):
            if all(p[0] == "{" or p == q for p, q in zip(pattern, parts, strict=True)):
                params = {p[1:-1]: q for p, q in zip(pattern, parts, strict=True) if p[0] == "{"}
                return route, params | {"kind": "lxc" if "lxc" in pattern else "qemu"}
        return None, {}

    async def _answer(
        self, request: Request, member: str, path: str, route: Route | None, params: Mapping[str, str]
    ) -> Response:
        lab = self.lab
        slow = lab.faults.hitting(member, "api_slow", lab.clock())
        if slow is not None:
            await asyncio.sleep(slow.number("delay_seconds"))
        t = lab.clock()
        try:
            token = authenticate(lab, request.headers.get("authorization", ""), t)
        except ApiError:
            await asyncio.sleep(lab.settings.auth_delay)
            raise
        if route is None:
            raise ApiError(501, f"Method '{request.method} {path}' not implemented")
        query = request.query
        _verify(route, query)
        self._spoiler.trouble(member)
        await self._reach(member, params.get("node", query.get("check-node")), t)
        rights = self._rightful.rights(token, t)
        data = await route.operation(
            Call(lab, member, token, rights, params, query, lab.clock(), self.certificate, self._kept)
        )
        text = data.text if isinstance(data, Written) else as_json(data)
        return Response(200, b'{"data":%b}' % text, reason="OK")

    async def _reach(self, member: str, node: str | None, t: float) -> None:
        """A call that names a node is passed on to it."""
        if node is None or node == member:
            return
        if node not in self.lab.cluster.host:
            raise ApiError(500, f"no such cluster node '{node}'")
        if not self.lab.online(node, t):
            await asyncio.sleep(self.lab.settings.node_timeout)
            raise ApiError(595, "No route to host")
        if self.lab.faults.hitting(node, "api_down", t):
            raise ApiError(595, "Connection refused")


def _verify(route: Route, query: dict[str, str]) -> None:
    if not query:
        return
    unknown = sorted(
        name for name in set(query) - {"_dc"} if name not in route.query and indexed(name) not in route.query
    )
    if unknown:
        text = "property is not defined in schema and the schema does not allow additional properties"
        raise ApiError(400, "Parameter verification failed.", dict.fromkeys(unknown, text))
