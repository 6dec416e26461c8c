"""Whether a list of guests can be believed: the API hides what a token may not see, without a word."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from . import privileges
from .model import Guest, Resources

# A restarting pmxcfs shows a cluster without guests for moments; one that really lost them all stays so.
_EMPTY_SECONDS = 600.0
CurrentPermissions = Callable[[], Awaitable[privileges.Permissions | None]]


class SuspiciousError(Exception):
    """An answer that is well formed and can't be believed."""


class Belief:
    """Compares each list with what was known before."""

    def __init__(self, clock: Callable[[], float], permissions: CurrentPermissions) -> None:
        self._clock = clock
        self._permissions = permissions
        self._empty_since: float | None = None

    async def hidden(self, known: Mapping[int, Guest], found: Resources) -> set[int]:
        """Return the guests that are listed no more and may be there all the same.

        Raises:
            SuspiciousError: The list is empty and can't be believed.
        """
        gone = known.keys() - found.guests.keys()
        if found.guests:
            self._empty_since = None
        if found.guests and not gone:
            return set()
        if found.guests and found.malformed:
            return set(gone)
        permissions = await self._permissions()
        if not found.guests:
            self._check_empty(known, permissions)
        if permissions is None:
            return set(gone)
        return {vmid for vmid in gone if not privileges.sees(permissions, known[vmid])}

    def _check_empty(self, known: Mapping[int, Guest], permissions: privileges.Permissions | None) -> None:
        if not known:
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
