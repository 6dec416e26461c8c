"""A simulated cluster that listens in a thread of the test, and ways to ask it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import requests

from lab.cluster.client import LabClient
from lab.cluster.identities import DISCOVERY, Token
from lab.cluster.server import Running, start
from lab.cluster.settings import Settings


class Live:
    """A lab that runs, and ways to ask it."""

    def __init__(self, running: Running, ca: Path) -> None:
        self.running = running
        self.lab = running.lab
        self.ca = ca
        self.control = f"http://127.0.0.1:{running.control_port}"
        self.proxy = f"http://127.0.0.1:{running.proxy_port}"
        self.client = LabClient(self.control)
        self._session = requests.Session()

    def api(
        self,
        path: str,
        token: Token | str | None = DISCOVERY,
        member: str = "pve1",
        method: str = "GET",
        form: dict[str, Any] | None = None,
    ) -> requests.Response:
        headers = {"Host": f"{member}.lab:8006"}
        if token:
            secret = token if isinstance(token, str) else f"{token.id}={token.secret}"
            headers["Authorization"] = f"PVEAPIToken={secret}"
        url = f"https://127.0.0.1:{self.running.api_port}/api2/json{path}"
        return self._session.request(method, url, headers=headers, data=form, verify=str(self.ca), timeout=10)

    def data(self, path: str, **kwargs: Any) -> Any:
        answer = self.api(path, **kwargs)
        assert answer.status_code == 200, (path, answer.status_code, answer.reason)
        return answer.json()["data"]

    def scrape(self, address: str, port: int, path: str = "/metrics") -> requests.Response:
        return self._session.get(f"http://{address}:{port}{path}", proxies={"http": self.proxy}, timeout=10)

    def upgrade(self) -> None:
        """From Proxmox VE 8 to 9, while everybody goes on asking."""
        self.lab.settings = replace(self.lab.settings, pve_release=9)
        self.lab.directory.release = 9
        self.lab.directory.version += 1

    def close(self) -> None:
        self.client.close()
        self._session.close()


def _thread(settings: Settings, started: list[Running], up: threading.Event, down: threading.Event) -> None:
    async def main() -> None:
        started.append(await start(settings))
        up.set()
        await asyncio.to_thread(down.wait)
        await started[0].close()

    asyncio.run(main())


@contextmanager
def live_lab(folder: Path, **values: Any) -> Iterator[Live]:
    """A lab on free ports of the loopback address, quick to fail; `values` are its settings.

    Args:
        folder: for its certificates.
    """
    settings = Settings(
        **{
            "listen": "127.0.0.1", "api_port": 0, "proxy_port": 0, "control_port": 0, "smtp_port": 0,
            "tls_dir": str(folder), "agent_delay": 0.0, "agent_ping_timeout": 0.02,
            "agent_command_timeout": 0.03, "auth_delay": 0.0, "node_timeout": 0.01,
            "proxy_timeout": 0.0, **values,
        }
    )  # fmt: skip
    started: list[Running] = []
    up, down = threading.Event(), threading.Event()
    thread = threading.Thread(target=_thread, args=(settings, started, up, down))
    thread.start()
    try:
        assert up.wait(10)
        live = Live(started[0], folder / "ca.pem")
        try:
            yield live
        finally:
            live.close()
    finally:
        down.set()
        thread.join(10)
