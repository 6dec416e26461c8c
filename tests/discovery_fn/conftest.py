"""A Proxmox VE cluster in memory, and an event loop whose time passes only while everyone waits."""

from __future__ import annotations

import asyncio
import json
import os
import random
import selectors
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx
import pytest
from prometheus_client import CollectorRegistry

from discovery_fn.errors import UnreachableError
from discovery_fn.metrics import Metrics, StatusCollector
from discovery_fn.proxmox import Answer, Body, Opener, read
from discovery_fn.pve import PveClient, connect
from discovery_fn.refresh import Refresher
from discovery_fn.settings import Settings

T = TypeVar("T")
Handler = Callable[[httpx.Request], httpx.Response | Coroutine[Any, Any, httpx.Response]]
SECRET = "11111111-2222-3333-4444-555555555555"
GIB = 2**30


class _JumpSelector(selectors.DefaultSelector):
    """Instead of waiting, moves the clock of its loop."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout != 0 and (timeout is None or self.loop.threads):
            return super().select(None)
        found = super().select(0)
        if not found:
            self.loop.now += max(0.0, timeout or 0.0)
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """Hours pass in milliseconds; work in threads stops the clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.threads = 0
        selector = _JumpSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        self.threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._thread_done)
        return future

    def _thread_done(self, _: object) -> None:
        self.threads -= 1


def run_virtual(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work())


@dataclass
class Vm:
    """A guest of the fake cluster; `error` is what its agent answers, as HTTP status and reason."""

    vmid: int
    node: str = "pve1"
    kind: str = "qemu"
    name: str = ""
    status: str = "running"
    tags: str = ""
    pool: str = ""
    lock: str = ""
    template: int = 0
    started: float = 0.0
    cores: int = 4
    ip: str = ""
    ostype: str = "l26"
    interfaces: Any = None
    error: tuple[int, str] | None = None
    delay: float | None = None
    config: dict[str, Any] = field(default_factory=dict)
    osinfo: Any = None

    @property
    def mac(self) -> str:
        return f"BC:24:11:00:{self.vmid // 256 % 256:02X}:{self.vmid % 256:02X}"

    @property
    def address(self) -> str:
        return self.ip or f"10.0.{self.vmid // 250}.{self.vmid % 250 + 1}"

    def row(self, now: float) -> dict[str, Any]:
        row: dict[str, Any] = {
            "id": f"{self.kind}/{self.vmid}",
            "vmid": self.vmid,
            "node": self.node,
            "type": self.kind,
            "status": self.status,
            "name": self.name or f"vm{self.vmid}",
            "template": self.template,
            "uptime": int(now - self.started) if self.status == "running" else 0,
            "maxcpu": self.cores,
            "maxmem": 8 * GIB,
            "maxdisk": 32 * GIB,
        }
        extra = {"tags": self.tags, "pool": self.pool, "lock": self.lock}
        return row | {key: value for key, value in extra.items() if value}

    def settings(self) -> dict[str, Any]:
        if self.kind == "lxc":
            base: dict[str, Any] = {
                "ostype": "debian",
                "rootfs": "local-lvm:vm-1-disk-0,size=8G",
                "net0": f"name=eth0,bridge=vmbr0,hwaddr={self.mac},ip=dhcp,type=veth",
            }
        else:
            base = {
                "agent": "1",
                "ostype": self.ostype,
                "boot": "order=scsi0;ide2;net0",
                "ide2": "none,media=cdrom",
                "scsi0": f"local-lvm:vm-{self.vmid}-disk-0,size=32G",
                "net0": f"virtio={self.mac},bridge=vmbr0",
            }
        merged = {key: value for key, value in (base | self.config).items() if value is not None}
        return merged | {"digest": str(hash(json.dumps(merged, sort_keys=True)))}

    def faces(self) -> Any:
        if self.interfaces is not None:
            return self.interfaces
        if self.kind == "lxc":
            return [{"name": "eth0", "hwaddr": self.mac.lower(), "inet": f"{self.address}/24"}]
        entry = {"ip-address": self.address, "ip-address-type": "ipv4", "prefix": 24}
        return [
            {"name": "lo", "ip-addresses": [{"ip-address": "127.0.0.1", "prefix": 8}]},
            {"name": "eth0", "hardware-address": self.mac.lower(), "ip-addresses": [entry]},
        ]


class FakeCluster:
    """Answers as the API does; faults are attributes."""

    def __init__(self, nodes: int = 3) -> None:
        self.name = "lab"
        self.nodes: dict[str, bool] = {f"pve{i}": True for i in range(1, nodes + 1)}
        self.vms: dict[int, Vm] = {}
        self.release = "9.2"
        self.permissions: dict[str, dict[str, int]] = {
            "/": dict.fromkeys(
                ("VM.Audit", "VM.GuestAgent.Audit", "Sys.Audit", "Datastore.Audit", "Pool.Audit"), 1
            )
        }
        self.secret = SECRET
        self.agent_seconds = 0.1
        self.call_seconds = 0.01
        self.down: set[str] = set()
        self.override: dict[str, Callable[[], httpx.Response]] = {}
        self.pci: dict[str, list[dict[str, str]]] = {}
        self.mappings: list[dict[str, Any]] = []
        self.tasks: list[dict[str, Any]] = []
        self.calls: list[tuple[float, str, str]] = []
        self.flying: Counter[str] = Counter()
        self.most_flying: defaultdict[str, int] = defaultdict(int)

    def add(self, *vms: Vm) -> FakeCluster:
        self.vms.update({vm.vmid: vm for vm in vms})
        return self

    def count(self, part: str, since: float = 0.0) -> int:
        return sum(part in path and at >= since for at, _, path in self.calls)

    # -- HTTP

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host
        path = request.url.path.removeprefix("/api2/json/")
        self.calls.append((asyncio.get_running_loop().time(), host, path))
        if host in self.down:
            raise httpx.ConnectError("Connection refused")
        if request.headers["Authorization"] != f"PVEAPIToken=prometheus@pve!discovery={self.secret}":
            await asyncio.sleep(3)
            return error(401, "Authentication failed!", body=b"")
        await asyncio.sleep(self.call_seconds)
        if path in self.override:
            return self.override[path]()
        return await self._route(host, path)

    async def _route(self, host: str, path: str) -> httpx.Response:
        parts = path.split("/")
        if parts[0] == "nodes":
            return await self._node(parts[1], parts[2:])
        answers: dict[str, Callable[[], Any]] = {
            "cluster/resources": self._resources,
            "cluster/status": lambda: self._status(host),
            "access/permissions": lambda: self.permissions,
            "version": lambda: {"release": self.release, "version": f"{self.release}.1"},
            "cluster/mapping/pci": lambda: self.mappings,
            "cluster/tasks": lambda: self.tasks,
        }
        if path == "cluster/status" and "Sys.Audit" not in self.permissions.get("/", {}):
            return error(403, "Permission check failed (/, Sys.Audit)")
        return (
            data(answers[path]()) if path in answers else error(501, f"Method 'GET /{path}' not implemented")
        )

    def sees(self, vm: Vm) -> bool:
        paths = ("/", "/vms", f"/vms/{vm.vmid}", f"/pool/{vm.pool}")
        return any("VM.Audit" in self.permissions.get(path, {}) for path in paths)

    def _resources(self) -> list[dict[str, Any]]:
        now = asyncio.get_running_loop().time()
        rows: list[dict[str, Any]] = []
        for vm in self.vms.values():
            row = vm.row(now)
            if not self.nodes.get(vm.node, True):
                row = {key: row[key] for key in ("id", "vmid", "node", "type", "tags") if key in row}
                row["status"] = "unknown"
            if self.sees(vm):
                rows.append(row)
        for node, online in self.nodes.items():
            rows.append({"type": "node", "node": node, "status": "online" if online else "offline"})
            rows.append({"type": "storage", "node": node, "storage": "local-lvm", "plugintype": "lvmthin"})
        rows.append({"type": "network", "network": "localnetwork", "node": "pve1", "status": "ok"})
        return rows

    def _status(self, host: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = [{"type": "cluster", "name": self.name, "quorate": 1}]
        for number, (node, online) in enumerate(self.nodes.items(), start=1):
            local = int(host.startswith(node))
            entries.append(
                {
                    "type": "node",
                    "name": node,
                    "ip": f"192.0.2.{number}",
                    "online": int(online),
                    "local": local,
                }
            )
        return entries

    async def _node(self, node: str, rest: list[str]) -> httpx.Response:
        if not self.nodes.get(node, False):
            await asyncio.sleep(3)
            return error(595, "No route to host", body=b"")
        if rest == ["hardware", "pci"]:
            return data(self.pci.get(node, []))
        vm = self.vms.get(int(rest[1]))
        if vm is None or vm.node != node:
            return error(500, f"Configuration file 'nodes/{node}/qemu-server/{rest[1]}.conf' does not exist")
        if rest[2] == "config":
            return data(vm.settings())
        self.flying[node] += 1
        self.most_flying[node] = max(self.most_flying[node], self.flying[node])
        try:
            return await self._agent(vm, rest[-1])
        finally:
            self.flying[node] -= 1

    async def _agent(self, vm: Vm, command: str) -> httpx.Response:
        if denied := self._agent_denied(vm):
            return denied
        await asyncio.sleep(self.agent_seconds if vm.delay is None else vm.delay)
        if vm.error is not None:
            return error(*vm.error)
        if command == "get-osinfo":
            return data({"result": vm.osinfo or {"id": "debian", "name": "Debian GNU/Linux"}})
        return data(vm.faces() if vm.kind == "lxc" else {"result": vm.faces()})

    def _agent_denied(self, vm: Vm) -> httpx.Response | None:
        if vm.kind == "lxc":
            return None
        old = int(self.release.partition(".")[0]) < 9
        names = "VM.Monitor" if old else "VM.GuestAgent.Audit|VM.GuestAgent.Unrestricted"
        held = {name for entry in self.permissions.values() for name in entry}
        if held & set(names.split("|")):
            return None
        return error(403, f"Permission check failed (/vms/{vm.vmid}, {names})")


class FakeMember:
    """A member of the API in memory: the handler answers, proxmoxer reads."""

    def __init__(self, url: str, handler: Handler) -> None:
        self.url = url
        self.handler = handler
        self.token = ""

    def authorize(self, token: str) -> None:
        self.token = token

    async def get(self, path: str) -> Any:
        headers = {"Authorization": f"PVEAPIToken={self.token}"}
        url = f"{self.url}/api2/json/{path}"
        try:
            found = self.handler(httpx.Request("GET", url, headers=headers))
            answer = found if isinstance(found, httpx.Response) else await found
        except httpx.TransportError as error:
            raise UnreachableError(str(error), status="unreachable") from error
        return read(url, Answer(answer.status_code, answer.reason_phrase, Body(answer.content)))

    async def aclose(self) -> None:
        """Nothing is open."""


def in_memory(handler: Handler) -> Opener:
    return lambda url: FakeMember(url, handler)


def data(value: Any) -> httpx.Response:
    return httpx.Response(200, json={"data": value})


def error(status: int, reason: str, body: bytes | None = None) -> httpx.Response:
    content = json.dumps({"data": None, "message": f"{reason}\n"}).encode() if body is None else body
    return httpx.Response(status, content=content, extensions={"reason_phrase": reason.encode()})


def settings(**values: Any) -> Settings:
    defaults: dict[str, Any] = {
        "pve_endpoints": "https://pve1.example.com:8006,https://pve2.example.com:8006",
        "pve_token_id": "prometheus@pve!discovery",
    }
    if "pve_token_secret_file" not in values:
        defaults["pve_token_secret"] = SECRET
    return Settings(**(defaults | values))


@dataclass
class Service:
    """A refresher with its cluster, driven in virtual time."""

    cluster: FakeCluster
    refresher: Refresher
    client: PveClient
    registry: CollectorRegistry
    loop: VirtualLoop
    task: asyncio.Task[None] | None = None

    def start(self) -> Service:
        self.refresher.load()
        self.task = asyncio.ensure_future(self.refresher.run())
        return self

    async def run(self, seconds: float) -> Service:
        await asyncio.sleep(seconds)
        return self

    async def until(self, condition: Callable[[], Any], limit: float = 60.0, every: float = 0.01) -> float:
        """Wait for a condition, looked at so often; return the virtual seconds that it took."""
        started = self.loop.now
        while not condition():
            assert self.loop.now - started < limit, "did not happen in time"
            await asyncio.sleep(every)
        return self.loop.now - started

    async def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
        await self.refresher.stop()

    def groups(self, name: Any = "all") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.refresher.bodies[name].content)
        return found

    def targets(self, name: Any = "all") -> dict[int, str]:
        return {int(g["labels"]["vm_id"]): g["targets"][0] for g in self.groups(name)}

    def reasons(self) -> dict[int, str]:
        return {guest.vmid: guest.reason for guest in self.refresher.inventory.guests if guest.reason}

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"pve_discovery_{name}", labels)


def build(
    cluster: FakeCluster,
    wall: Callable[[], float] | None = None,
    handler: Any = None,
    open_member: Opener | None = None,
    **values: Any,
) -> Service:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    metrics = Metrics()
    chosen = settings(**values)
    client = connect(chosen, metrics, open_member or in_memory(handler or cluster))
    refresher = Refresher(
        chosen,
        client,
        metrics,
        clock=loop.time,
        wall=wall or (lambda: 1_700_000_000 + loop.time()),
        chance=random.Random(7),  # noqa: S311 - the same in every run
    )
    metrics.registry.register(StatusCollector(refresher.status))
    return Service(cluster, refresher, client, metrics.registry, loop)


class Kit:
    """What the tests use of this file; import-mode importlib knows no neighbours."""

    Vm = Vm
    FakeCluster = FakeCluster
    Service = Service
    SECRET = SECRET
    data = staticmethod(data)
    error = staticmethod(error)
    in_memory = staticmethod(in_memory)
    settings = staticmethod(settings)
    build = staticmethod(build)
    run = staticmethod(run_virtual)


@pytest.fixture
def kit() -> type[Kit]:
    return Kit


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("PVE_", "DISCOVERY_")):
            monkeypatch.delenv(name)
