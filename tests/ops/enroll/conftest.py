"""A simulated cluster in a thread, and a stack that is to enroll guests of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from components.pve_api import Token
from components.topology import plan
from lab.cluster.client import LabClient
from lab.cluster.identities import ENROLLER
from lab.cluster.proxy import Proxy, ProxyError
from lab.cluster.server import Running, start
from lab.cluster.settings import Settings
from ops.enroll.choice import Choice, Options
from ops.enroll.command import Order
from ops.enroll.watch import Watch
from ops.stack import Stack
from tests.support.examples import EXAMPLES, settings

TOKEN = Token.parse(f"{ENROLLER.id}={ENROLLER.secret}")


@dataclass(frozen=True)
class Seen(Watch):
    """What a Prometheus would see that asked every exporter at this moment."""

    site: Site = field(kw_only=True)

    def up(self) -> dict[int, bool] | None:
        return {guest.vmid: self.site.answers(guest.vmid) for guest in self.site.running.lab.cluster.guests}

    def reasons(self) -> dict[int, str]:
        return {108: "excluded"}


class Site:
    """A cluster that runs, and orders for it."""

    def __init__(self, running: Running, authority: Path) -> None:
        self.running = running
        self.client = LabClient(f"http://127.0.0.1:{running.control_port}")
        self.endpoints = [f"https://127.0.0.1:{running.api_port}"]
        dev = EXAMPLES["dev"]
        values = settings({**dev, "cluster": {**dev["cluster"], "caFile": str(authority)}})
        self.stack = Stack("test", values, plan(values))
        self.watch = Seen("lab", None, None, site=self)

    def answers(self, vmid: int) -> bool:
        lab = self.running.lab
        guest = lab.cluster.guest[vmid]
        try:
            port = 9182 if guest.os == "windows" else 9100
            return bool(guest.address) and Proxy(lab).fetch(guest.address, port, "/metrics") is not None
        except ProxyError:
            return False

    def order(
        self, *vmids: int, token: Token = TOKEN, choice: Choice | None = None, **options: float
    ) -> Order:
        """An order that isn't asked about and doesn't wait for long."""
        given: Any = {"timeout": 5.0, "patience": 2.0, "yes": True, **options}
        chosen = choice or Choice(vmids)
        return Order(self.stack, chosen, Options(**given), token, self.watch, self.endpoints)

    @property
    def files(self) -> dict[tuple[int, str], bytes]:
        """What `enroll` left in guests."""
        return self.running.lab.provisioned.files

    def posts(self) -> set[str]:
        """What changed something in guests: path templates of POST calls."""
        return {call["path"].rpartition("/")[2] for call in self.client.calls() if call["method"] == "POST"}


@pytest.fixture(scope="session")
def start_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Site]]:
    with ExitStack() as stack:

        def begin(**values: Any) -> Site:
            folder = tmp_path_factory.mktemp("tls")
            quick = Settings(
                listen="127.0.0.1", api_port=0, proxy_port=0, control_port=0, smtp_port=0,
                tls_dir=str(folder), agent_delay=0.0, agent_ping_timeout=0.02, agent_command_timeout=0.03,
                auth_delay=0.0, node_timeout=0.01, proxy_timeout=0.0, install_seconds=0.3,
            )  # fmt: skip
            started: list[Running] = []
            up, down = threading.Event(), threading.Event()

            async def main() -> None:
                started.append(await start(replace(quick, **values)))
                up.set()
                await asyncio.to_thread(down.wait)
                await started[0].close()

            thread = threading.Thread(target=lambda: asyncio.run(main()))
            thread.start()
            stack.callback(thread.join, 10)
            stack.callback(down.set)
            assert up.wait(10)
            site = Site(started[0], folder / "ca.pem")
            stack.callback(site.client.close)
            return site

        yield begin


@pytest.fixture(scope="session")
def _site(start_site: Callable[..., Site]) -> Site:
    return start_site()


@pytest.fixture
def site(_site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A Proxmox VE 9 without faults, before and after."""
    monkeypatch.setattr("ops.enroll.work.POLL_SECONDS", 0.05)
    _site.client.clear_calls()
    yield _site
    _site.client.clear()
