"""How many calls are in flight on one node, who comes first, and how far ahead is prepared."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable


class Gate:
    """At most `limit` calls at a time on one node, all but one of them open to agents known to be bad.

    So a guest that has just started never waits behind a row of hung agents.
    """

    def __init__(self, limit: int = 2) -> None:
        self._free = limit
        self._suspects_free = max(1, limit - 1)
        self._waiting: dict[bool, list[asyncio.Future[None]]] = {False: [], True: []}

    @contextlib.asynccontextmanager
    async def slot(self, *, suspect: bool = False) -> AsyncIterator[None]:
        """Hold a slot."""
        await self.acquire(suspect=suspect)
        try:
            yield
        finally:
            self.release(suspect=suspect)

    async def acquire(self, *, suspect: bool = False) -> None:
        """Wait for a slot; those not suspect come first."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[suspect].append(waiter)
        self._admit()
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.release(suspect=suspect)
            raise

    def release(self, *, suspect: bool = False) -> None:
        """Give the slot back."""
        self._free += 1
        self._suspects_free += suspect
        self._admit()

    def _admit(self) -> None:
        while self._free and (waiter := self._next()) is not None:
            self._free -= 1
            waiter.set_result(None)

    def _next(self) -> asyncio.Future[None] | None:
        for suspect in (False, True):
            if suspect and not self._suspects_free:
                return None
            queue = self._waiting[suspect]
            while queue:
                waiter = queue.pop(0)
                if not waiter.done():
                    self._suspects_free -= suspect
                    return waiter
        return None


class Ahead:
    """At most `limit` guests of a node are prepared (their configuration read) before their agent's turn.

    Reading all configurations first would keep the processor busy while agents could be asked already.
    """

    def __init__(self, limit: int) -> None:
        self._slots = asyncio.Semaphore(limit)

    async def enter(self) -> Callable[[], None]:
        """Wait for a place; return what gives it back, once, however often it is called."""
        await self._slots.acquire()
        left = False

        def leave() -> None:
            nonlocal left
            if not left:
                left = True
                self._slots.release()

        return leave
