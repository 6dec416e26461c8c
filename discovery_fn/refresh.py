"""The loop that keeps the inventory: reads the cluster, asks guests, publishes what it knows.

Nothing here ever removes a target because of a failure: a guest leaves when the cluster, asked by a
token that would have seen it, lists it no more, or says that it is stopped or a template.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from . import inventory as views
from . import privileges, schedule, wire
from .asking import Asker
from .errors import (
    BadAnswerError,
    ForbiddenError,
    PveError,
    TimedOutError,
    UnauthorizedError,
    UnreachableError,
)
from .filters import watched
from .logs import Conditions, event
from .metrics import Metrics, Status
from .model import EndpointView, Facts, Guest, GuestView, Inventory, Node, PciPass, Reason, Resources
from .pve import Endpoint, PveClient
from .settings import Settings
from .state import State, StateFile, rebased
from .targets import Body, Name, Renderer

# The list of the cluster itself is cached for 2 s on its nodes: asking more often gives the same answer.
_SHORTEST_PAUSE_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 60.0
_SIDE_CALL_SECONDS = 600.0
_SIDE_RETRY_SECONDS = 60.0
_PCI_SECONDS = 6 * 3600.0
_NO_SUCH_CALL = "501"
# A restarting pmxcfs shows a cluster without guests for moments; one that really lost them all stays so.
_EMPTY_SECONDS = 600.0
_SAVE_SECONDS = 30.0
_GUESTS_AT_A_TIME = 100
_PUBLISH_SECONDS = 0.05
_PUBLISH_SECONDS_PER_GUEST = 0.0002

_ADVICE = {
    "unauthorized": "the API refuses the token: check PVE_TOKEN_ID, its secret and its expiry",
    "forbidden": "the token lacks a privilege: give user and token the role PVEAuditor on /",
    "unreachable": "no member of PVE_ENDPOINTS can be reached: check network, firewall, TLS settings",
    "timeout": "the API doesn't answer in time: check the load and the quorum of the cluster",
    "invalid": "something that is not the Proxmox VE API answers: check PVE_ENDPOINTS",
    "empty": "the API lists no guests where there should be some: check the token's ACL for VM.Audit on /vms",
    "error": "the API answers with an error: check the cluster's pve-cluster and pveproxy services",
}


class SuspiciousError(Exception):
    """An answer that is well formed and can't be believed."""


def _result_of(error: PveError | SuspiciousError) -> str:
    kinds: tuple[tuple[type[Exception], str], ...] = (
        (SuspiciousError, "empty"),
        (UnauthorizedError, "unauthorized"),
        (ForbiddenError, "forbidden"),
        (UnreachableError, "unreachable"),
        (TimedOutError, "timeout"),
        (BadAnswerError, "invalid"),
    )
    return next((name for kind, name in kinds if isinstance(error, kind)), "error")


class Refresher:
    """Owns all that is known; everything else reads `inventory`, `bodies` and `status()`."""

    def __init__(
        self,
        settings: Settings,
        client: PveClient,
        metrics: Metrics,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        chance: random.Random | None = None,
    ) -> None:
        self._settings = settings
        self._client = client
        self._metrics = metrics
        self._clock = clock
        self._wall = wall
        self._chance = chance or random.Random()  # noqa: S311 - only spreads calls in time
        self._asker = Asker(client, settings.discovery_prefer_cidrs)
        self._file = StateFile(settings.discovery_state_dir)
        self._renderer = Renderer(settings.discovery_labels)
        self._conditions = Conditions()

        self._guests: dict[int, Guest] = {}
        self._facts: dict[int, Facts] = {}
        self._nodes: dict[str, Node] = {}
        self._storages: dict[str, str] = {}
        self._gpus: dict[str, frozenset[str]] = {}
        self._mappings: dict[str, tuple[tuple[str, str], ...]] = {}
        self._views: dict[int, GuestView] = {}
        self._cluster = settings.discovery_cluster
        self._permissions: dict[str, dict[str, bool]] | None = None
        self._version = ""
        self._major = 0
        self._authenticated: bool | None = None
        self._success_at = 0.0
        self._success_clock: float | None = None
        self._empty_since: float | None = None
        self._held: set[int] = set()
        self._complete = False
        self._awaited: set[int] | None = None
        self._first_asks = 0
        self._bad_in_a_row = 0

        self._due: dict[str, float] = {}
        self._asking: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._publishing: asyncio.TimerHandle | None = None
        self._saved_at = float("-inf")
        self._unsaved = False

        self.inventory = Inventory(self._cluster, endpoints=self._endpoint_views())
        self.bodies = self._served()

    # --- life

    def load(self) -> None:
        """Take over what an earlier process saved, so that all targets are there at once."""
        saved = self._file.load()
        if saved is None:
            return
        if self._settings.discovery_cluster and saved.cluster != self._settings.discovery_cluster:
            event(logging.WARNING, "state file is of another cluster; not used", cluster=saved.cluster)
            return
        state = rebased(saved, self._wall(), self._clock())
        self._take_over(state, age=max(0.0, self._wall() - saved.success_at))
        event(
            logging.INFO,
            "inventory loaded from the state file",
            guests=len(self._guests),
            age_seconds=round(self._age() or 0),
        )

    def _take_over(self, state: State, age: float) -> None:
        self._cluster = state.cluster
        self._guests = {guest.vmid: guest for guest in state.guests}
        self._facts = {vmid: facts for vmid, facts in state.facts.items() if vmid in self._guests}
        self._nodes = {node.name: node for node in state.nodes}
        self._storages = dict(state.storages)
        self._gpus = dict(state.gpus)
        self._mappings = dict(state.mappings)
        self._complete = state.complete
        self._success_at = state.success_at
        self._success_clock = self._clock() - age
        for endpoint in self._client.endpoints:
            endpoint.node = state.endpoint_nodes.get(endpoint.url, "")
        for vmid in self._guests:
            self._show(vmid)
        self.publish()

    async def run(self) -> None:
        """Refresh until cancelled."""
        while True:
            started = self._clock()
            await self._refresh_safely()
            pause = min(
                self._settings.discovery_refresh_seconds * 2**self._bad_in_a_row,
                max(self._settings.discovery_refresh_seconds, _LONGEST_PAUSE_SECONDS),
            )
            await asyncio.sleep(min(_SHORTEST_PAUSE_SECONDS, pause))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, started + pause - self._clock())):
                    await self._wake.wait()
            self._wake.clear()

    async def stop(self) -> None:
        """End all questions under way, save, close connections."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._publishing is not None:
            self._publishing.cancel()
        await self._save()
        await self._client.aclose()

    # --- one refresh

    async def _refresh_safely(self) -> None:
        try:
            await self.refresh()
        except Exception:  # the loop must outlive a bug: the last good inventory stands meanwhile
            logging.getLogger("discovery").exception("refresh failed unexpectedly; please report this")
            self._metrics.refreshes.labels("error").inc()

    async def refresh(self) -> str:
        """Read the cluster once, start what is to be asked, and return the result as counted."""
        started = self._clock()
        try:
            result = await self._refresh()
        except (PveError, SuspiciousError) as error:
            result = self._failed(error)
        self._metrics.refreshes.labels(result).inc()
        self._metrics.refresh_seconds.observe(self._clock() - started)
        return result

    async def _refresh(self) -> str:
        before = self._client.active
        found = wire.resources(await self._client.cluster("cluster/resources"))
        self._authenticated = True
        self._bad_in_a_row = 0
        if self._client.active is not before:
            self._due.pop("status", None)
            event(logging.WARNING, "failed over to another member", endpoint=self._client.active.label)
        await self._side_calls()
        self._held = await self._hidden(found)
        self._storages = found.storages or self._storages
        await self._accept(found)
        self._publish_soon()
        await self._launch()
        await self._save_if_due()
        if self._held or found.malformed:
            self._conditions.bad(
                "list",
                "some guests are kept although the API lists them no more",
                advice=_ADVICE["empty"],
                held=len(self._held),
                unreadable_rows=found.malformed,
            )
            return "partial"
        self._conditions.good("list", "the list of guests is whole again")
        self._conditions.good("api", "the API answers again", endpoint=self._client.active.label)
        self._success_at = self._wall()
        self._success_clock = self._clock()
        return "success"

    def _failed(self, error: PveError | SuspiciousError) -> str:
        result = _result_of(error)
        if result == "unauthorized":
            self._authenticated = False
            # A rotated secret counts at once; a refused token isn't tried at full speed.
            rotated = self._client.reload_secret()
            self._bad_in_a_row = 0 if rotated else min(self._bad_in_a_row + 1, 4)
        if isinstance(error, ForbiddenError):
            self._metrics.denied(error.privilege)
        self._conditions.bad("api", _ADVICE[result], error=error, endpoint=getattr(error, "endpoint", ""))
        self._publish_soon()
        return result

    # --- what else the cluster says, rarely

    async def _side_calls(self) -> None:
        await asyncio.gather(
            self._side_call("status", self._read_status),
            self._side_call("permissions", self._read_permissions),
            self._side_call("version", self._read_version),
        )
        for endpoint in self._client.endpoints:
            if endpoint is not self._client.active and self._is_due(f"probe {endpoint.url}"):
                self._start(self._probe(endpoint))
        if self._complete:
            self._start_gpu_calls()

    def _is_due(self, name: str, seconds: float = _SIDE_CALL_SECONDS) -> bool:
        due = self._clock() >= self._due.get(name, 0.0)
        if due:
            self._due[name] = self._clock() + seconds
        return due

    async def _side_call(self, name: str, call: Callable[[], Awaitable[None]]) -> None:
        if not self._is_due(name):
            return
        try:
            await call()
        except ForbiddenError as error:
            self._metrics.denied(error.privilege)
            self._conditions.bad(name, f"the API refuses {name}", error=error, advice=_ADVICE["forbidden"])
        except PveError as error:
            self._due[name] = self._clock() + _SIDE_RETRY_SECONDS
            self._conditions.bad(name, f"the API doesn't answer {name}", error=error)
        else:
            self._conditions.good(name, f"the API answers {name} again")

    async def _read_status(self) -> None:
        status = wire.cluster_status(await self._client.cluster("cluster/status"))
        self._client.active.node = status.local or self._client.active.node
        for name, ip in status.ips.items():
            known = self._nodes.get(name, Node(name, online=True))
            self._nodes[name] = replace(known, ip=ip or known.ip)
        name = self._settings.discovery_cluster or status.name
        if self._cluster and name and name != self._cluster:
            event(
                logging.WARNING, "another cluster than before; starting anew", before=self._cluster, now=name
            )
            self._guests.clear()
            self._facts.clear()
            self._views.clear()
        self._cluster = name or self._cluster

    async def _read_version(self) -> None:
        self._version, self._major = wire.release(await self._client.cluster("version"))

    async def _read_permissions(self) -> None:
        found = wire.permissions(await self._client.cluster("access/permissions"))
        if found != self._permissions and self._permissions is not None:
            self._ask_the_denied_again()
        self._permissions = found
        lacking = sorted(name for name, missing in self._missing().items() if missing)
        if lacking:
            self._conditions.bad(
                "privileges",
                f"the token lacks {', '.join(lacking)}",
                advice="give user and token the role PVEAuditor on / (README: privileges by release)",
            )
        else:
            self._conditions.good("privileges", "the token has all privileges")

    def _ask_the_denied_again(self) -> None:
        denied = {Reason.AGENT_DENIED, Reason.CONFIG_DENIED}
        for vmid, facts in self._facts.items():
            if facts.reason in denied:
                self._facts[vmid] = replace(facts, agent_due=0.0, config_due=0.0, failures=0)

    def _missing(self) -> dict[str, bool]:
        if self._permissions is None:
            return {}
        return privileges.missing(self._permissions, self._major)

    async def _probe(self, endpoint: Endpoint) -> None:
        try:
            data = await self._client.get("cluster/status", "cluster/status", endpoint=endpoint)
        except PveError as error:
            self._conditions.bad(
                endpoint.url,
                "a member that is not in use can't be used",
                endpoint=endpoint.label,
                error=error,
            )
            return
        self._conditions.good(endpoint.url, "a member can be used again", endpoint=endpoint.label)
        endpoint.node = wire.cluster_status(data).local or endpoint.node
        self._publish_soon()

    def _start_gpu_calls(self) -> None:
        for name, node in self._nodes.items():
            if node.online and self._is_due(f"pci {name}", _PCI_SECONDS):
                self._start(self._read_gpus(name))
        mapped = any(entry.mapping for facts in self._facts.values() for entry in _pci(facts))
        if mapped and self._is_due("mapping", _PCI_SECONDS):
            self._start(self._side_call("PCI mappings", self._read_mappings))

    async def _read_gpus(self, node: str) -> None:
        try:
            self._gpus[node] = await self._asker.pci(node)
        except ForbiddenError as error:
            self._metrics.denied(error.privilege)
        except PveError as error:
            if error.status != _NO_SUCH_CALL:
                self._due[f"pci {node}"] = self._clock() + _SIDE_CALL_SECONDS
        else:
            self._show_all_of(node)

    async def _read_mappings(self) -> None:
        self._mappings = wire.pci_mappings(await self._client.cluster("cluster/mapping/pci"))

    # --- believing the list

    async def _hidden(self, found: Resources) -> set[int]:
        """Return the guests that are listed no more and may be there all the same.

        Raises:
            SuspiciousError: The list is empty and can't be believed.
        """
        gone = self._guests.keys() - found.guests.keys()
        if found.guests:
            self._empty_since = None
        if found.guests and not gone:
            return set()
        if found.guests and found.malformed:
            return set(gone)
        permissions = await self._current_permissions()
        if not found.guests:
            self._check_empty(permissions)
        if permissions is None:
            return set(gone)
        return {vmid for vmid in gone if not privileges.sees(permissions, self._guests[vmid])}

    async def _current_permissions(self) -> dict[str, dict[str, bool]] | None:
        try:
            await self._read_permissions()
        except PveError:
            return None
        return self._permissions

    def _check_empty(self, permissions: dict[str, dict[str, bool]] | None) -> None:
        if not self._guests:
            if permissions is None or not privileges.anywhere(permissions, privileges.VM_AUDIT):
                raise SuspiciousError("no guests, and the token has VM.Audit on no path")
            return
        if permissions is None or not privileges.holds(permissions, "/vms", privileges.VM_AUDIT):
            self._empty_since = None
            raise SuspiciousError("no guests where there were some, and no VM.Audit on /vms")
        since = self._empty_since if self._empty_since is not None else self._clock()
        self._empty_since = since
        if self._clock() - since < _EMPTY_SECONDS:
            raise SuspiciousError("no guests where there were some; believed if it lasts")

    async def _accept(self, found: Resources) -> None:
        ips = {name: node.ip for name, node in self._nodes.items()}
        if found.nodes:
            self._nodes = {n.name: replace(n, ip=ips.get(n.name, "")) for n in found.nodes.values()}
        for vmid in self._guests.keys() - found.guests.keys() - self._held:
            event(logging.INFO, "guest is gone", vmid=vmid, name=self._guests[vmid].name)
            for known in (self._guests, self._facts, self._views):
                known.pop(vmid, None)
        for count, row in enumerate(found.guests.values(), start=1):
            guest = views.merge(self._guests.get(row.vmid), row)
            self._guests[row.vmid] = guest
            self._facts[row.vmid] = schedule.observe(self._facts.get(row.vmid, Facts()), guest, self._clock())
            self._show(row.vmid)
            if count % _GUESTS_AT_A_TIME == 0:
                await asyncio.sleep(0)  # answers to Prometheus come first

    # --- asking guests

    async def _launch(self) -> None:
        around = self._around()
        due: list[tuple[bool, int, schedule.Ask]] = []
        for vmid, guest in self._guests.items():
            wanted = watched(guest, self._settings.discovery_include, self._settings.discovery_exclude)
            if vmid in self._asking or vmid in self._held or not wanted or not around.online(guest.node):
                continue
            ask = schedule.due(self._facts[vmid], guest, self._clock())
            if ask is not None:
                due.append((ask.suspect, vmid, ask))
        self._asking.update(vmid for _, vmid, _ in due)
        if self._awaited is None:
            self._awaited = set(self._asking)
            self._check_complete()
        for count, (_, vmid, ask) in enumerate(sorted(due, key=lambda item: item[:2]), start=1):
            self._start(self._ask(self._guests[vmid], ask))
            if count % _GUESTS_AT_A_TIME == 0:
                await asyncio.sleep(0)

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            event(logging.ERROR, "a question failed unexpectedly; please report this", error=repr(error))

    async def _ask(self, guest: Guest, ask: schedule.Ask) -> None:
        try:
            outcome = await self._asker.ask(
                guest, self._facts[guest.vmid], ask, agent_allowed=self._agent_allowed()
            )
            self._learn(guest, outcome)
        finally:
            self._asking.discard(guest.vmid)
            if self._awaited is not None:
                self._awaited.discard(guest.vmid)
                self._check_complete()

    def _agent_allowed(self) -> bool:
        """Whether asking an agent may succeed; unknown counts as yes, the API has the last word."""
        if self._permissions is None or not self._major:
            return True
        return privileges.anywhere(self._permissions, privileges.agent_privileges(self._major))

    def _learn(self, guest: Guest, outcome: schedule.Outcome) -> None:
        current = self._guests.get(guest.vmid)
        facts = self._facts.get(guest.vmid)
        if current is None or facts is None or not current.alive:
            return
        self._first_asks += not facts.asked_before
        updated = schedule.apply(
            facts,
            guest,
            outcome,
            self._clock(),
            fraction=schedule.phase(self._first_asks),
            jitter=self._chance.uniform(0.8, 1.2),
        )
        self._facts[guest.vmid] = updated
        self._unsaved = True
        if outcome.reason is not None:
            self._metrics.agent_failures.labels(outcome.reason.value).inc()
            event(logging.DEBUG, "guest not confirmed", vmid=guest.vmid, reason=outcome.reason.value)
        if outcome.reason in {Reason.MOVED, Reason.API_ERROR} and not facts.failures:
            self._wake.set()  # the list tells where the guest is now, or finds another member
        if updated.address != facts.address and facts.source:
            event(logging.INFO, "address changed", vmid=guest.vmid, before=facts.address, now=updated.address)
        self._show(guest.vmid)
        self._publish_soon()

    def _check_complete(self) -> None:
        if self._awaited or self._complete:
            return
        self._complete = True
        self._unsaved = True
        self._saved_at = float("-inf")
        self._publish_soon()
        event(logging.INFO, "inventory complete", guests=len(self._guests), nodes=len(self._nodes))

    # --- showing

    def _around(self) -> views.Surroundings:
        return views.Surroundings(self._nodes, self._storages, self._gpus, self._mappings)

    def _show(self, vmid: int) -> None:
        guest, facts = self._guests[vmid], self._facts.get(vmid, Facts())
        view = views.view(guest, facts, self._around(), self._settings)
        if self._views.get(vmid) != view:
            self._views[vmid] = view

    def _show_all_of(self, node: str) -> None:
        for vmid, guest in self._guests.items():
            if guest.node == node:
                self._show(vmid)
        self._publish_soon()

    def _publish_soon(self) -> None:
        if self._publishing is None:
            delay = max(_PUBLISH_SECONDS, _PUBLISH_SECONDS_PER_GUEST * len(self._guests))
            self._publishing = asyncio.get_running_loop().call_later(delay, self.publish)

    def publish(self) -> None:
        """Make the current knowledge the one that is served; nothing is served while nothing is known."""
        self._publishing = None
        guests = tuple(self._views[vmid] for vmid in sorted(self._views))
        configs = {vmid: self._facts[vmid].config for vmid in self._guests if vmid in self._facts}
        gpus = views.free_gpus(self._around(), self._guests.values(), configs)
        self.inventory = Inventory(
            cluster=self._cluster,
            guests=guests,
            nodes=views.node_views(self._around(), gpus, self._settings),
            endpoints=self._endpoint_views(),
            conflicts=views.conflicts(guests),
            complete=self._complete,
        )
        self.bodies = self._served()

    def _served(self) -> Mapping[Name, Body]:
        """What can be answered: all, once anything was ever known; before that the members alone.

        The members come from the settings. Whoever scrapes through them has to learn that they don't answer.
        """
        bodies = self._renderer.render(self.inventory)
        if self._success_clock is not None or self._guests:
            return bodies
        return {"pve": bodies["pve"]} if self._cluster else {}

    def _endpoint_views(self) -> tuple[EndpointView, ...]:
        return tuple(
            EndpointView(e.label, e.address, e.node_name, e is self._client.active, e.up)
            for e in self._client.endpoints
        )

    def _age(self) -> float | None:
        return None if self._success_clock is None else self._clock() - self._success_clock

    def status(self) -> Status:
        """Return the condition of discovery at this moment."""
        age = self._age()
        return Status(
            inventory=self.inventory,
            age=age,
            success_at=self._success_at,
            fresh=age is not None and age <= self._settings.discovery_cache_seconds,
            authenticated=self._authenticated,
            missing=self._missing(),
            pve_version=self._version,
            held=len(self._held),
            pending=len(self._asking),
        )

    # --- keeping

    async def _save_if_due(self) -> None:
        age = self._clock() - self._saved_at
        if age >= _SIDE_CALL_SECONDS or (self._unsaved and age >= _SAVE_SECONDS):
            await self._save()

    async def _save(self) -> None:
        if self._success_clock is None and not self._guests:
            return
        self._saved_at = self._clock()
        self._unsaved = False
        state = State(
            version=1,
            cluster=self._cluster,
            saved_at=self._wall(),
            saved_clock=self._clock(),
            success_at=self._success_at,
            complete=self._complete,
            guests=tuple(self._guests.values()),
            facts=dict(self._facts),
            nodes=tuple(self._nodes.values()),
            storages=dict(self._storages),
            gpus=dict(self._gpus),
            mappings=dict(self._mappings),
            endpoint_nodes={e.url: e.node for e in self._client.endpoints if e.node},
        )
        try:
            await asyncio.to_thread(self._file.save, state)
        except OSError as error:
            self._metrics.state_errors.inc()
            self._conditions.bad("state", "the state file can't be written", error=error.strerror or error)
        else:
            self._conditions.good("state", "the state file is written again")


def _pci(facts: Facts) -> tuple[PciPass, ...]:
    return facts.config.pci if facts.config else ()
