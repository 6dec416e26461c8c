"""The loop that keeps the inventory: reads the cluster, has guests asked, publishes what is known.

Nothing here ever removes a target because of a failure: a guest leaves when the cluster, asked by a
token that would have seen it, lists it no more, or says that it is stopped or a template.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Mapping

from . import wire
from .asking import Asker
from .belief import Belief, SuspiciousError
from .errors import (
    BadAnswerError,
    ForbiddenError,
    PveError,
    TimedOutError,
    UnauthorizedError,
    UnreachableError,
)
from .knowledge import Knowledge
from .logs import Conditions, event
from .metrics import Metrics, Status
from .model import EndpointView, Inventory, Resources
from .pve import PveClient
from .questions import Questions
from .seldom import FORBIDDEN_ADVICE, PERIOD_SECONDS, Seldom
from .settings import Settings
from .state import State, StateFile, rebased
from .stops import Stops
from .targets import Body, Name, Renderer
from .tasks import Tasks

# The list of the cluster itself is cached for 2 s on its nodes: asking more often gives the same answer.
_SHORTEST_PAUSE_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 60.0
_SAVE_SECONDS = 30.0
_GUESTS_AT_A_TIME = 100
# Writing all targets takes some 4 us for each guest: news are gathered for a moment.
_PUBLISH_SECONDS = 0.05
_PUBLISH_SECONDS_PER_GUEST = 0.0002

_ADVICE = {
    "unauthorized": "the API refuses the token: check PVE_TOKEN_ID, its secret and its expiry",
    "forbidden": FORBIDDEN_ADVICE,
    "unreachable": "no member of PVE_ENDPOINTS can be reached: check network, firewall, TLS settings",
    "timeout": "the API doesn't answer in time: check the load and the quorum of the cluster",
    "invalid": "something that is not the Proxmox VE API answers: check PVE_ENDPOINTS",
    "empty": "the API lists no guests where there should be some: check the token's ACL for VM.Audit on /vms",
    "error": "the API answers with an error: check the cluster's pve-cluster and pveproxy services",
}


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
        self._file = StateFile(settings.discovery_state_dir)
        self._renderer = Renderer(settings.discovery_labels)
        self._conditions = Conditions()
        self._tasks = Tasks()
        self._wake = asyncio.Event()

        asker = Asker(client, settings.discovery_prefer_cidrs)
        self._known = Knowledge(settings)
        self._seldom = Seldom(
            client, asker, self._known, self._conditions, metrics, clock=clock, changed=self._publish_soon
        )
        self._stops = Stops(client, self._known, metrics, clock=clock, wall=wall)
        self._belief = Belief(clock, self._seldom.permissions_now)
        self._questions = Questions(
            settings,
            asker,
            self._known,
            metrics,
            clock=clock,
            chance=chance or random.Random(),  # noqa: S311 - only spreads calls in time
            changed=self._publish_soon,
            # The list tells where the guest is now, or finds another member.
            lost_sight=self._wake.set,
        )

        self._authenticated: bool | None = None
        self._success_at = 0.0
        self._success_clock: float | None = None
        self._bad_in_a_row = 0
        self._publishing: asyncio.TimerHandle | None = None
        self._saved_at = clock()  # before the first inventory is complete there is little to be kept
        self._saved_complete = False

        self.inventory = Inventory(self._known.cluster, endpoints=self._endpoint_views())
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
            guests=len(self._known.guests),
            age_seconds=round(self._age() or 0),
        )

    def _take_over(self, state: State, age: float) -> None:
        self._known.gpus = dict(state.gpus)
        self._known.mappings = dict(state.mappings)
        self._known.restore(state.cluster, state.guests, state.facts, state.nodes, state.storages)
        self._questions.complete = self._saved_complete = state.complete
        self._success_at = state.success_at
        self._success_clock = self._clock() - age
        for endpoint in self._client.endpoints:
            endpoint.node = state.endpoint_nodes.get(endpoint.url, "")
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
        await self._tasks.cancel()
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
        found = await self._list()
        await self._seldom.read()
        self._seldom.start(self._tasks, gpus=self._questions.complete)
        held = await self._belief.hidden(self._known.guests, found)
        await self._accept(found, held)
        await self._stops.judge(log_visible=self._seldom.task_log_visible())
        self._publish_soon()
        await self._questions.start(self._tasks, agents_allowed=self._seldom.agents_allowed())
        await self._save_if_due()
        if held or found.malformed:
            self._conditions.bad(
                "list",
                "some guests are kept although the API lists them no more",
                advice=_ADVICE["empty"],
                held=len(held),
                unreadable_rows=found.malformed,
            )
            return "partial"
        self._conditions.good("list", "the list of guests is whole again")
        self._conditions.good("api", "the API answers again", endpoint=self._client.active.label)
        self._success_at = self._wall()
        self._success_clock = self._clock()
        return "success"

    async def _list(self) -> Resources:
        before = self._client.active
        found = wire.resources(await self._client.cluster("cluster/resources"))
        self._authenticated = True
        self._bad_in_a_row = 0
        if self._client.active is not before:
            self._seldom.failed_over()
            event(logging.WARNING, "failed over to another member", endpoint=self._client.active.label)
        return found

    async def _accept(self, found: Resources, held: set[int]) -> None:
        self._known.list_nodes(found)
        self._known.drop_all_but(found.guests, held)
        for count, row in enumerate(found.guests.values(), start=1):
            self._known.see(row, self._clock())
            if count % _GUESTS_AT_A_TIME == 0:
                await asyncio.sleep(0)  # answers of guests come first

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

    # --- showing

    def _publish_soon(self) -> None:
        if self._publishing is None:
            delay = max(_PUBLISH_SECONDS, _PUBLISH_SECONDS_PER_GUEST * len(self._known.guests))
            self._publishing = asyncio.get_running_loop().call_later(delay, self.publish)

    def publish(self) -> None:
        """Make the current knowledge the one that is served; nothing is served while nothing is known."""
        self._publishing = None
        self.inventory = self._known.inventory(self._endpoint_views(), complete=self._questions.complete)
        self.bodies = self._served()

    def _served(self) -> Mapping[Name, Body]:
        """What can be answered: all, once anything was ever known; before that the members alone.

        The members come from the settings. Whoever scrapes through them has to learn that they don't answer.
        """
        bodies = self._renderer.render(self.inventory)
        if self._success_clock is not None or self._known.guests:
            return bodies
        return {"pve": bodies["pve"]} if self._known.cluster else {}

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
            missing=self._seldom.missing(),
            pve_version=self._seldom.version,
            held=len(self._known.held),
            pending=self._questions.pending,
        )

    # --- keeping

    async def _save_if_due(self) -> None:
        age = self._clock() - self._saved_at
        first_complete = self._questions.complete and not self._saved_complete
        if first_complete or age >= PERIOD_SECONDS or (self._questions.news and age >= _SAVE_SECONDS):
            await self._save()

    async def _save(self) -> None:
        if self._success_clock is None and not self._known.guests:
            return
        self._saved_at = self._clock()
        self._saved_complete = self._questions.complete
        self._questions.news = False
        state = State(
            version=1,
            cluster=self._known.cluster,
            saved_at=self._wall(),
            saved_clock=self._clock(),
            success_at=self._success_at,
            complete=self._questions.complete,
            guests=tuple(self._known.guests.values()),
            facts=dict(self._known.facts),
            nodes=tuple(self._known.nodes.values()),
            storages=dict(self._known.storages),
            gpus=dict(self._known.gpus),
            mappings=dict(self._known.mappings),
            endpoint_nodes={e.url: e.node for e in self._client.endpoints if e.node},
        )
        try:
            await asyncio.to_thread(self._file.save, state)
        except OSError as error:
            self._metrics.state_errors.inc()
            self._conditions.bad("state", "the state file can't be written", error=error.strerror or error)
        else:
            self._conditions.good("state", "the state file is written again")
