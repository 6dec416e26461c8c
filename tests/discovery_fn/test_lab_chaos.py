"""Discovery against the simulated cluster's own API, in virtual time: hours of trouble in seconds."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from discovery_fn.errors import UnreachableError
from discovery_fn.proxmox import Answer, Body, read
from lab.cluster import commands
from lab.cluster.api.app import Api
from lab.cluster.build import build
from lab.cluster.identities import DISCOVERY
from lab.cluster.settings import Settings
from lab.cluster.state import Lab
from lab.cluster.web import Hangup, Request
from tests.support import hypothesis_profile

HOSTS = 5
GUESTS = hypothesis_profile.much(30, 60)
START = 1_700_000_000.0
Chaos = Callable[["Trial"], Awaitable[None]]


class Member:
    """A member of the simulated cluster in memory; sees how many agents are asked at once."""

    def __init__(self, url: str, api: Api, trial: Trial) -> None:
        self.base = f"{url}/api2/json"
        self.host = urlsplit(url).netloc
        self.api = api
        self.trial = trial
        self.token = ""

    def authorize(self, token: str) -> None:
        self.token = token

    async def get(self, path: str) -> Any:
        headers = {"host": self.host, "authorization": f"PVEAPIToken={self.token}"}
        with self.trial.watching(path):
            try:
                found = await self.api(Request("GET", f"/api2/json/{path}", headers, b""))
            except Hangup:
                raise UnreachableError("connection reset", status="unreachable") from None
        if found.cut:
            raise UnreachableError("the answer broke off", status="unreachable")
        return read(f"{self.base}/{path}", Answer(found.status, found.reason, Body(found.body)))

    async def aclose(self) -> None:
        """Nothing is open."""


class Trial:
    """A cluster, a service that watches it, and what it must never do."""

    def __init__(self, kit: Any, **settings: Any) -> None:
        self.loop = asyncio.get_running_loop()
        self.wall_jump = 0.0
        chosen = Settings(hosts=HOSTS, guests=GUESTS, oddities=0, agent_delay=0.1, migrate_every=10.0**9)
        self.lab = Lab(build(chosen), chosen, clock=lambda: START + self.loop.time())
        self.api = Api(self.lab)
        self.flying: Counter[str] = Counter()
        self.most: defaultdict[str, int] = defaultdict(int)
        self.asked: list[tuple[float, str]] = []
        self.service = kit.build(
            None,
            wall=lambda: START + self.loop.time() + self.wall_jump,
            open_member=lambda url: Member(url, self.api, self),
            pve_endpoints="https://pve1:8006,https://pve2:8006,https://pve3:8006",
            pve_token_id=DISCOVERY.id,
            pve_token_secret=DISCOVERY.secret,
            **settings,
        )

    @contextlib.contextmanager
    def watching(self, path: str) -> Any:
        node = path.split("/")[1] if "/agent/" in path or path.endswith("/interfaces") else ""
        self.asked.append((self.loop.time(), path))
        if node:
            self.flying[node] += 1
            self.most[node] = max(self.most[node], self.flying[node])
        try:
            yield
        finally:
            if node:
                self.flying[node] -= 1

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[dict[int, str]]:
        """Run the service; gives the targets of the complete inventory."""
        self.service.start()
        await self.service.until(lambda: self.service.refresher.inventory.complete)
        await self.service.run(1)
        yield self.service.targets()
        await self.service.stop()
        assert max(self.most.values()) <= 2

    def nodes(self) -> dict[int, str]:
        """Where each target is, by its labels."""
        return {int(g["labels"]["vm_id"]): g["labels"]["node"] for g in self.service.groups()}

    async def unchanged(self, targets: dict[int, str], seconds: float, step: float = 5.0) -> None:
        """Let time pass; the targets stay what they are at every moment."""
        for _ in range(int(seconds / step)):
            await self.service.run(step)
            assert self.service.targets() == targets

    async def fresh_within(self, seconds: float) -> None:
        await self.service.until(lambda: self.service.metric("inventory_fresh") == 1, seconds, every=0.25)


def run(kit: Any, chaos: Callable[[Trial, dict[int, str]], Awaitable[None]], **settings: Any) -> None:
    async def work() -> None:
        trial = Trial(kit, **settings)
        async with trial.running() as targets:
            assert len(targets) == len([g for g in trial.lab.cluster.guests if not g.template])
            await chaos(trial, targets)

    kit.run(work)


def test_the_api_is_down_for_ten_minutes(kit: Any) -> None:
    async def chaos(trial: Trial, targets: dict[int, str]) -> None:
        for host in trial.lab.cluster.hosts:
            trial.lab.break_("api_down", host.name, 600, {})
        await trial.unchanged(targets, 590)
        assert trial.service.metric("inventory_fresh") == 0
        assert trial.service.metric("inventory_age_seconds") == pytest.approx(590, abs=20)
        await trial.service.run(10)
        await trial.fresh_within(20)

    run(kit, chaos)


def test_a_node_dies(kit: Any) -> None:
    async def chaos(trial: Trial, targets: dict[int, str]) -> None:
        trial.lab.break_("host_down", "pve1", 1200, {})  # the member in use
        await trial.unchanged(targets, 60)
        assert trial.service.metric("inventory_fresh") == 1
        assert trial.service.metric("endpoint_active", endpoint="pve2:8006") == 1
        noticed = trial.loop.time()
        await trial.unchanged(targets, 1100)
        assert not [path for at, path in trial.asked if at > noticed and path.startswith("nodes/pve1/")]
        await trial.service.run(400)
        assert trial.service.targets() == targets

    run(kit, chaos)


def test_the_token_is_revoked_and_restored(kit: Any) -> None:
    async def chaos(trial: Trial, targets: dict[int, str]) -> None:
        trial.lab.break_("token_revoked", DISCOVERY.id, 300, {})
        await trial.unchanged(targets, 290)
        assert trial.service.metric("authentication_ok") == 0
        await trial.service.run(10)
        await trial.fresh_within(90)
        assert trial.service.metric("authentication_ok") == 1
        assert trial.service.targets() == targets

    run(kit, chaos)


@pytest.mark.parametrize("privilege", ["", "VM.Audit", "VM.GuestAgent.Audit", "Sys.Audit"])
def test_privileges_are_lost_and_come_back(kit: Any, privilege: str) -> None:
    async def chaos(trial: Trial, targets: dict[int, str]) -> None:
        trial.lab.break_("permission_lost", DISCOVERY.id, 4000, {"privilege": privilege})
        await trial.unchanged(targets, 3900, 60)
        shown = privilege or "VM.Audit"
        assert trial.service.metric("missing_privileges", privilege=shown) == 1
        await trial.service.run(800)
        assert trial.service.metric("missing_privileges", privilege=shown) == 0
        assert trial.service.targets() == targets
        assert trial.service.metric("inventory_fresh") == 1

    run(kit, chaos)


@pytest.mark.parametrize("mode", ["full", "lean"])
def test_a_guest_migrates_while_it_is_asked(kit: Any, mode: str) -> None:
    """The first inventory is being made when it moves: the question meets a node that has it no more."""

    async def work() -> None:
        trial = Trial(kit, discovery_labels=mode)
        guests = [g for g in trial.lab.cluster.guests if g.home == "pve1" and not g.template and not g.gpus]
        movers = [g for g in guests if g.kind == "qemu"][-3:]
        trial.service.start()
        await trial.service.until(lambda: any("agent" in path for _, path in trial.asked))
        for guest in movers:
            commands.migrate(trial.lab, str(guest.vmid), "pve2", 0.2)
        started = trial.loop.time()
        await trial.service.until(lambda: "all" in trial.service.refresher.bodies)
        wanted = {g.vmid for g in movers}
        await trial.service.until(lambda: wanted <= trial.service.targets().keys(), limit=25)
        await trial.service.run(max(0.0, started + 20 - trial.loop.time()))
        groups = {int(g["labels"]["vm_id"]): g for g in trial.service.groups()}
        for guest in movers:
            assert groups[guest.vmid]["targets"][0].startswith(guest.address)
            assert groups[guest.vmid]["labels"].get("node") == ("pve2" if mode == "full" else None)
        await trial.service.stop()
        assert max(trial.most.values()) <= 2

    kit.run(work)


def test_migrations_keep_every_target_and_lean_labels_keep_the_series(kit: Any) -> None:
    async def chaos(trial: Trial, targets: dict[int, str]) -> None:
        body = trial.service.refresher.bodies["all"].content
        movers = [g for g in trial.lab.cluster.guests if g.kind == "qemu" and not (g.template or g.gpus)]
        for count, guest in enumerate(movers):
            there = f"pve{(int(guest.home[3:]) + count % 4) % HOSTS + 1}"
            commands.migrate(trial.lab, str(guest.vmid), there, 5)
            await trial.unchanged(targets, 10)
        await trial.unchanged(targets, 60)
        assert trial.service.refresher.bodies["all"].content == body

    run(kit, chaos, discovery_labels="lean")


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_the_wall_clock_jumps(kit: Any, tmp_path: Any, jump: float) -> None:
    async def chaos(trial: Trial, targets: dict[int, str]) -> None:
        calls = len(trial.asked)
        trial.wall_jump = jump
        await trial.unchanged(targets, 120)
        assert trial.service.metric("inventory_fresh") == 1
        assert len(trial.asked) - calls < 40  # nobody is asked for it

    run(kit, chaos, discovery_state_dir=str(tmp_path))


@pytest.mark.parametrize("kind", ["answers_cut", "api_errors"])
@pytest.mark.parametrize("share", [0.01, 0.2])
def test_a_share_of_the_answers_is_spoilt(kit: Any, kind: str, share: float) -> None:
    async def work() -> None:
        trial = Trial(kit)
        trial.lab.break_(kind, "all", 3600, {"share": share})
        trial.service.start()
        await trial.service.until(lambda: trial.service.refresher.inventory.complete, 120)
        # An agent whose answer was spoilt is asked again after some 10 s.
        everyone = len([g for g in trial.lab.cluster.guests if not g.template])
        await trial.service.until(lambda: len(trial.service.targets()) == everyone, 300)
        await trial.unchanged(trial.service.targets(), 3600, 60)
        good = trial.service.metric("refreshes_total", result="success") or 0
        assert good > 0.5 * 3600 / 15
        await trial.service.stop()
        assert max(trial.most.values()) <= 2

    kit.run(work)


def test_agents_hang_and_die_at_random_for_hours(kit: Any) -> None:
    async def chaos(trial: Trial, targets: dict[int, str]) -> None:
        vmids = sorted(targets)
        for number in range(20):
            for vmid in vmids[number % 7 :: 7]:
                trial.lab.break_("agent_hung" if number % 2 else "agent_dead", str(vmid), 400, {})
            await trial.unchanged(targets, 300, 30)

    run(kit, chaos)


def test_who_was_stopped_and_who_went_down(kit: Any) -> None:
    async def chaos(trial: Trial, targets: dict[int, str]) -> None:
        def shown() -> set[int]:
            guests = trial.service.refresher.inventory.guests
            return {guest.vmid for guest in guests if guest.stopped_unexpectedly}

        stopped, died, rebooted = sorted(v for v in targets if trial.lab.cluster.guest[v].kind == "qemu")[:3]
        commands.stop(trial.lab, str(stopped))
        trial.lab.break_("guest_down", str(died), 600, {})
        commands.reboot(trial.lab, str(rebooted), 60)
        await trial.service.run(45)
        assert shown() == {died}
        labels = {"cluster": "lab", "vm_id": str(died)}
        guest = trial.lab.cluster.guest[died]
        labels |= {"vm_name": guest.name, "node": guest.home}
        assert trial.service.metric("guest_stopped_unexpectedly", **labels) == 1
        await trial.service.run(600)
        assert shown() == set()
        assert died in trial.service.targets()

    run(kit, chaos)
