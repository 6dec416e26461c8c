"""Runs the refresher in a thread with an event loop of its own.

While thousands of guests are asked, that loop is busy for hundreds of milliseconds at a time; answers to
Prometheus must not wait for it. The two sides share only values that are replaced as a whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading

from .refresh import Refresher

_STOP_SECONDS = 5.0


class Background:
    """The thread. It can be started once."""

    def __init__(self, refresher: Refresher) -> None:
        self._refresher = refresher
        self._thread = threading.Thread(target=self._main, name="refresh", daemon=True)
        self._running = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to refresh; return once the loop runs, so that `stop` can reach it."""
        self._thread.start()
        self._running.wait(_STOP_SECONDS)

    @property
    def alive(self) -> bool:
        """Whether refreshing goes on."""
        return self._thread.is_alive()

    async def stop(self) -> None:
        """End all calls, save what is known, and wait for that."""
        if self._loop is not None and self._task is not None:
            with contextlib.suppress(RuntimeError):  # it has ended already
                self._loop.call_soon_threadsafe(self._task.cancel)
        await asyncio.to_thread(self._thread.join, _STOP_SECONDS)

    def _main(self) -> None:
        asyncio.run(self._work())

    async def _work(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.ensure_future(self._refresher.run())
        self._running.set()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await self._refresher.stop()
