"""The API of all members: routing, authentication, privileges, faults, and a count of the calls."""

# ruff: noqa: TID252 - the package is `lab.cluster` here and `cluster` in its image

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from ..state import Lab
from ..web import Hangup, Request, Response
from . import access, acl, cluster, content, firewall, guests, hardware, machines, nodes, tasks, users
from .agent import Agent
from .auth import Rightful, authenticate
from .call import ApiError, Call, Written, as_json
from .machine_config import PARAMETERS, indexed
from .spoiling import Spoiler
from .stats import BROADCAST, Stats

BASE = "/api2/json"
Operation = Callable[[Call], Awaitable[Any]]
# Paths whose route is remembered: a few for each of 5,000 guests.
KNOWN_PATHS = 1 << 15


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path template, what answers it, and the query parameters that it knows."""

    method: str
    template: str
    operation: Operation
    query: frozenset[str] = frozenset()


def routes(stats: Stats, agent: Agent) -> list[Route]:
    """Every call that the lab answers."""
    found = [
        Route("GET", "/version", access.version),
        Route("GET", "/access/permissions", access.permissions, frozenset({"path", "userid"})),
        Route("GET", "/cluster/status", cluster.status),
        Route("GET", "/cluster/resources", cluster.Resources(stats), frozenset({"type"})),
        Route("GET", "/cluster/backup-info/not-backed-up", cluster.not_backed_up),
        Route("GET", "/cluster/config/qdevice", cluster.qdevice),
        Route("GET", "/cluster/ha/status/current", cluster.ha_status),
        Route("GET", "/cluster/tasks", cluster.tasks),
        Route("GET", "/cluster/metrics/export", cluster.Export(stats),
              frozenset({"history", "local-only", "node-list", "start-time"})),
        Route("GET", "/cluster/mapping/pci", hardware.mappings, frozenset({"check-node"})),
        Route("GET", "/cluster/mapping/pci/{id}", hardware.mapping),
        Route("GET", "/storage", cluster.storage, frozenset({"type"})),
        Route("GET", "/pools", cluster.pools, frozenset({"poolid", "type"})),
        Route("GET", "/nodes", nodes.Nodes(stats)),
        Route("GET", "/nodes/{node}/status", nodes.status),
        Route("GET", "/nodes/{node}/version", access.version),
        Route("GET", "/nodes/{node}/subscription", nodes.subscription),
        Route("GET", "/nodes/{node}/hardware/pci", hardware.pci,
              frozenset({"pci-class-blacklist", "verbose"})),
        Route("GET", "/nodes/{node}/storage", nodes.storage,
              frozenset({"content", "enabled", "format", "storage", "target"})),
        Route("GET", "/nodes/{node}/replication", nodes.replication, frozenset({"guest"})),
        Route("GET", "/nodes/{node}/replication/{id}/status", nodes.replication_status),
        Route("GET", "/nodes/{node}/certificates/info", nodes.certificates),
        Route("GET", "/nodes/{node}/qemu", machines.qemu, frozenset({"full"})),
        Route("GET", "/nodes/{node}/lxc", guests.lxc),
        Route("GET", "/nodes/{node}/lxc/{vmid}/interfaces", guests.interfaces),
    ]  # fmt: skip
    for kind, module in (("qemu", machines), ("lxc", guests)):
        path = f"/nodes/{{node}}/{kind}/{{vmid}}"
        found.append(Route("GET", f"{path}/config", module.config, frozenset({"current", "snapshot"})))
        found.append(Route("GET", f"{path}/status/current", module.status))
    path = "/nodes/{node}/qemu/{vmid}/agent"
    found += [
        Route("GET", f"{path}/network-get-interfaces", agent.interfaces),
        Route("GET", f"{path}/get-osinfo", agent.osinfo),
        Route("GET", f"{path}/get-host-name", agent.host_name),
        Route("GET", f"{path}/get-fsinfo", agent.fsinfo),
        Route("GET", f"{path}/info", agent.info),
        Route("POST", f"{path}/ping", agent.ping),
        Route("POST", f"{path}/exec", agent.execute, frozenset({"command", "input-data"})),
    ]
    return found + writes() + governing() + firewalls()


def writes() -> list[Route]:
    """What changes the cluster, and the calls that follow from it."""
    node, vm = "/nodes/{node}", "/nodes/{node}/qemu/{vmid}"
    store = "/nodes/{node}/storage/{storage}"
    config = PARAMETERS | {"delete", "digest", "force", "skiplock"}
    return [
        Route("GET", f"{node}/query-url-metadata", content.url_metadata,
              frozenset({"url", "verify-certificates"})),
        Route("POST", f"{store}/download-url", content.download,
              frozenset({"checksum", "checksum-algorithm", "content", "filename", "node", "storage", "url",
                         "verify-certificates"})),
        Route("GET", f"{store}/content", content.content, frozenset({"content", "vmid"})),
        Route("GET", f"{store}/content/{{volume}}", content.volume),
        Route("DELETE", f"{store}/content/{{volume}}", content.delete, frozenset({"delay"})),
        Route("GET", f"{node}/tasks/{{upid}}/status", tasks.status),
        Route("GET", f"{node}/tasks/{{upid}}/log", tasks.log, frozenset({"limit", "start"})),
        Route("POST", f"{node}/qemu", machines.create, PARAMETERS | machines.CREATE),
        Route("PUT", f"{vm}/config", machines.change, config),
        Route("POST", f"{vm}/config", machines.change_later, config),
        Route("PUT", f"{vm}/resize", machines.resize, frozenset({"digest", "disk", "size", "skiplock"})),
        Route("PUT", f"{vm}/cloudinit", machines.cloudinit),
        Route("POST", f"{vm}/status/start", machines.start, frozenset({"skiplock", "timeout"})),
        Route("POST", f"{vm}/status/stop", machines.stop, frozenset({"skiplock", "timeout"})),
        Route("POST", f"{vm}/status/shutdown", machines.shutdown,
              frozenset({"forceStop", "keepActive", "skiplock", "timeout"})),
        Route("POST", f"{vm}/status/reboot", machines.reboot, frozenset({"timeout"})),
        Route("DELETE", vm, machines.delete,
              frozenset({"destroy-unreferenced-disks", "purge", "skiplock"})),
    ]  # fmt: skip


def governing() -> list[Route]:
    """Who there is and who may what."""
    user = "/access/users/{userid}"
    token = f"{user}/token/{{tokenid}}"
    role = "/access/roles/{roleid}"
    return [
        Route("POST", "/access/users", users.create, users.USER | {"password", "userid"}),
        Route("GET", user, users.read),
        Route("PUT", user, users.change, users.USER | {"append"}),
        Route("DELETE", user, users.delete),
        Route("POST", token, users.create_token, users.TOKEN),
        Route("GET", token, users.read_token),
        Route("PUT", token, users.change_token, users.TOKEN),
        Route("DELETE", token, users.delete_token),
        Route("POST", "/access/roles", acl.create_role, frozenset({"privs", "roleid"})),
        Route("GET", role, acl.read_role),
        Route("PUT", role, acl.change_role, frozenset({"append", "privs"})),
        Route("DELETE", role, acl.delete_role),
        Route("GET", "/access/acl", acl.read),
        Route("PUT", "/access/acl", acl.change,
              frozenset({"delete", "groups", "path", "propagate", "roles", "tokens", "users"})),
    ]  # fmt: skip


def firewalls() -> list[Route]:
    """The firewalls: options and rules of the cluster, of nodes and machines; groups and IP sets."""
    cluster_, node, machine = (
        "/cluster/firewall",
        "/nodes/{node}/firewall",
        "/nodes/{node}/qemu/{vmid}/firewall",
    )
    group, ipset = f"{cluster_}/groups/{{group}}", f"{cluster_}/ipset/{{name}}"
    found = []
    scopes = ((cluster_, firewall.CLUSTER), (node, firewall.NODE), (machine, firewall.MACHINE))
    for scope, options in scopes:
        found.append(Route("GET", f"{scope}/options", firewall.read_options))
        found.append(
            Route("PUT", f"{scope}/options", firewall.change_options, options | {"delete", "digest"})
        )
    for rules in (f"{cluster_}/rules", f"{node}/rules", f"{machine}/rules", group):
        fields = firewall.FIELDS | {"digest", "pos"}
        found += [
            Route("GET", rules, firewall.list_rules),
            Route("POST", rules, firewall.add_rule, fields),
            Route("GET", f"{rules}/{{pos}}", firewall.read_rule),
            Route("PUT", f"{rules}/{{pos}}", firewall.change_rule, fields | {"delete", "moveto"}),
            Route("DELETE", f"{rules}/{{pos}}", firewall.delete_rule, frozenset({"digest"})),
        ]
    return [
        *found,
        Route("GET", f"{cluster_}/groups", firewall.list_groups),
        Route("POST", f"{cluster_}/groups", firewall.add_group,
              frozenset({"comment", "digest", "group", "rename"})),
        Route("DELETE", group, firewall.delete_group),
        Route("GET", f"{cluster_}/ipset", firewall.list_ipsets),
        Route("POST", f"{cluster_}/ipset", firewall.add_ipset,
              frozenset({"comment", "digest", "name", "rename"})),
        Route("GET", ipset, firewall.read_ipset),
        Route("POST", ipset, firewall.add_entry, frozenset({"cidr", "comment", "nomatch"})),
        Route("DELETE", ipset, firewall.delete_ipset, frozenset({"force"})),
        Route("DELETE", f"{ipset}/{{cidr}}", firewall.delete_entry, frozenset({"digest"})),
    ]  # fmt: skip


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
