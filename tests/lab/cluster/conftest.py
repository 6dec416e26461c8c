"""A lab that listens on free ports of the loopback address, in a thread of its own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from lab.cluster.build import build
from lab.cluster.settings import Settings
from lab.cluster.state import Lab
from tests.support.live_lab import Live, live_lab

__all__ = ["Clock", "Live"]

NOW = 1_795_000_000.0  # within a day, and well inside a period of 30 days


@dataclass
class Clock:
    """A clock that stands until it is set."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lab(clock: Clock) -> Lab:
    settings = Settings()
    return Lab(build(settings), settings, clock)


@pytest.fixture(scope="session")
def start_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Live]]:
    with ExitStack() as stack:

        def begin(**values: Any) -> Live:
            return stack.enter_context(live_lab(tmp_path_factory.mktemp("tls"), **values))

        yield begin


@pytest.fixture(scope="session")
def _live_9(start_lab: Callable[..., Live]) -> Live:
    return start_lab()


@pytest.fixture(scope="session")
def _live_8(start_lab: Callable[..., Live]) -> Live:
    return start_lab(pve_release=8)


@pytest.fixture
def live(_live_9: Live) -> Iterator[Live]:
    """A Proxmox VE 9 without faults, before and after."""
    yield _live_9
    _live_9.client.clear()


@pytest.fixture
def live8(_live_8: Live) -> Iterator[Live]:
    yield _live_8
    _live_8.client.clear()
