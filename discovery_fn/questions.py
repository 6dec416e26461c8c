"""Questions to guests: who is asked now, and what becomes of the answers."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable

from . import schedule
from .asking import Asker
from .filters import watched
from .knowledge import Knowledge
from .logs import event
from .metrics import Metrics
from .model import Guest, Reason
from .settings import Settings
from .tasks import Tasks

# Starting thousands of tasks takes a while, in which answers should be read.
_STARTED_AT_A_TIME = 100


class Questions:
    """Asks every guest that is due, beside the loop; knows when all were asked once."""

    def __init__(
        self,
        settings: Settings,
        asker: Asker,
        knowledge: Knowledge,
        metrics: Metrics,
        *,
        clock: Callable[[], float],
        chance: random.Random,
        changed: Callable[[], None],
        lost_sight: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._asker = asker
        self._known = knowledge
        self._metrics = metrics
        self._clock = clock
        self._chance = chance
        self._changed = changed
        self._lost_sight = lost_sight
        self._asking: set[int] = set()
        self._awaited: set[int] | None = None
        self._first_asks = 0
        self.complete = False
        self.news = False

    @property
    def pending(self) -> int:
        """How many guests are being asked."""
        return len(self._asking)

    async def start(self, tasks: Tasks, *, agents_allowed: bool) -> None:
        """Ask everyone who is due; those known to be bad come last."""
        due = sorted(self._due(), key=lambda item: (item[1].suspect, item[0]))
        self._asking.update(vmid for vmid, _ in due)
        if self._awaited is None:
            self._awaited = set(self._asking)
            self._check_complete()
        for count, (vmid, ask) in enumerate(due, start=1):
            tasks.start(self._ask(self._known.guests[vmid], ask, agents_allowed=agents_allowed))
            if count % _STARTED_AT_A_TIME == 0:
                await asyncio.sleep(0)

    def _due(self) -> list[tuple[int, schedule.Ask]]:
        around = self._known.around()
        due = []
        for vmid, guest in self._known.guests.items():
            wanted = watched(guest, self._settings.discovery_include, self._settings.discovery_exclude)
            busy = vmid in self._asking or vmid in self._known.held
            if busy or not wanted or not around.online(guest.node):
                continue
            ask = schedule.due(self._known.facts[vmid], guest, self._clock())
            if ask is not None:
                due.append((vmid, ask))
        return due

    async def _ask(self, guest: Guest, ask: schedule.Ask, *, agents_allowed: bool) -> None:
        try:
            facts = self._known.facts[guest.vmid]
            self._learn(guest, await self._asker.ask(guest, facts, ask, agent_allowed=agents_allowed))
        finally:
            self._asking.discard(guest.vmid)
            if self._awaited is not None:
                self._awaited.discard(guest.vmid)
                self._check_complete()

    def _learn(self, guest: Guest, outcome: schedule.Outcome) -> None:
        current = self._known.guests.get(guest.vmid)
        facts = self._known.facts.get(guest.vmid)
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
        if outcome.reason is not None:
            self._metrics.agent_failures.labels(outcome.reason.value).inc()
            event(logging.DEBUG, "guest not confirmed", vmid=guest.vmid, reason=outcome.reason.value)
        if outcome.reason in {Reason.MOVED, Reason.API_ERROR} and not facts.failures:
            self._lost_sight()
        if updated.address != facts.address and facts.source:
            event(logging.INFO, "address changed", vmid=guest.vmid, before=facts.address, now=updated.address)
        self._known.learn(guest.vmid, updated)
        self.news = True
        self._changed()

    def _check_complete(self) -> None:
        if self._awaited or self.complete:
            return
        self.complete = True
        self.news = True
        self._changed()
        event(
            logging.INFO,
            "inventory complete",
            guests=len(self._known.guests),
            nodes=len(self._known.nodes),
        )
