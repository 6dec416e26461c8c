"""How many calls are in flight on one node, who comes first, and how far ahead is prepared."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable


class Gate:
    """At most `limit` calls at a time on one node.

    Agents known to be bad come last, and leave one slot to the others: a guest that has just started never
    waits behind a row of hung agents.

    Guests are prepared (their configuration is read) at most `ahead` at a time before their turn: reading all
    configurations first would keep the processor busy while agents could be asked already.
    """

    def __init__(self, limit: int = 2, ahead: int = 4) -> None:
        self._free = limit
        self._suspects_free = max(1, limit - 1)
        self._waiting: dict[bool, deque[asyncio.Future[None]]] = {False: deque(), True: deque()}
        self._places = asyncio.Semaphore(ahead)
        self._coming = 0

    async def prepare(self) -> Callable[[], None]:
        """Wait for a place among those who are prepared.

        Returns:
            What gives the place back when it is this guest's turn, or when it has none; it does so once,
            however often it is called.
        """
        self._coming += 1
        try:
            await self._places.acquire()
        except BaseException:
            self._coming -= 1
            raise
        left = False

        def leave() -> None:
            nonlocal left
            if not left:
                left = True
                self._coming -= 1
                self._places.release()
                self._admit()

        return leave

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
        if (waiter := self._first(suspect=False)) is not None:
            return waiter
        if self._coming or not self._suspects_free:
            return None
        if (waiter := self._first(suspect=True)) is not None:
            self._suspects_free -= 1
        return waiter

    def _first(self, *, suspect: bool) -> asyncio.Future[None] | None:
        queue = self._waiting[suspect]
        while queue:
            waiter = queue.popleft()
            if not waiter.done():
                return waiter
        return None
