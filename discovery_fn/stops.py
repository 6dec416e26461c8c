"""Whether somebody stopped a guest that was seen running, or it went down by itself.

/cluster/resources says only that it is stopped. The cluster's task log says who did it, but each node keeps
just its latest 25 tasks there: it is read when a guest is found down, and not believed about the long past.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from . import wire
from .errors import ForbiddenError, PveError
from .knowledge import Knowledge
from .model import Facts, Guest, Stop, Task
from .pve import Observer, PveClient

# A shutdown may wait this long for the guest (180 s by default, more if so configured), and clocks differ.
_BEFORE_SECONDS = 900.0
# Longer ago than this, the task may have left the log.
_OLDEST_SECONDS = 900.0

# Types of pve-manager's tasks that end a guest, or that end and start it again, by `qm` and `vz` each.
_VERBS = ("stop", "shutdown", "suspend", "reboot", "reset", "rollback", "destroy", "template")
_OTHERS = ("qmigrate", "vzmigrate", "qmpause", "qmrestore", "vzrestore", "vzdump")
_BY_HA = ("hastop", "hashutdown", "hamigrate", "harelocate")
_ON_GUEST = frozenset({f"{kind}{verb}" for kind in ("qm", "vz") for verb in _VERBS} | {*_OTHERS, *_BY_HA})
# These are about all guests of a node.
_ON_NODE = frozenset({"stopall", "suspendall", "migrateall", "vzdump"})


def explained(guest: Guest, tasks: Iterable[Task], not_before: float) -> bool:
    """Whether a task ended the guest.

    Args:
        guest: The guest that is down.
        tasks: The cluster's task log.
        not_before: Unix time; tasks that began earlier have nothing to do with it.
    """
    return any(
        task.start >= not_before
        and (
            (task.vmid == guest.vmid and task.kind in _ON_GUEST)
            or (not task.vmid and task.node == guest.node and task.kind in _ON_NODE)
        )
        for task in tasks
    )


class Stops:
    """Judges the guests that were found down; one call of the API when there are any."""

    def __init__(
        self,
        client: PveClient,
        knowledge: Knowledge,
        observer: Observer,
        *,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._client = client
        self._known = knowledge
        self._observer = observer
        self._clock = clock
        self._wall = wall

    async def judge(self, *, log_visible: bool) -> None:
        """Judge all that are not judged yet; a log that can't be read is read again next time.

        Args:
            log_visible: Whether the token may read others' tasks; without that nobody is suspected.
        """
        open_cases = [vmid for vmid, facts in self._known.facts.items() if facts.stop is Stop.UNJUDGED]
        if not open_cases:
            return
        try:
            tasks = wire.tasks(await self._client.cluster("cluster/tasks")) if log_visible else ()
        except ForbiddenError as error:
            self._observer.denied(error.privilege)
            return
        except PveError:
            return
        for vmid in open_cases:
            facts, guest = self._known.facts[vmid], self._known.guests[vmid]
            found = self._verdict(guest, facts, tasks) if log_visible else Stop.NONE
            self._known.learn(vmid, replace(facts, stop=found))

    def _verdict(self, guest: Guest, facts: Facts, tasks: Iterable[Task]) -> Stop:
        down_for = self._clock() - facts.alive_at
        if down_for > _OLDEST_SECONDS or guest.lock:
            return Stop.NONE
        not_before = self._wall() - down_for - _BEFORE_SECONDS
        return Stop.NONE if explained(guest, tasks, not_before) else Stop.UNEXPECTED
