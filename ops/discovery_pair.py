"""A simulated cluster and a discovery service, both as processes on loopback, for measuring."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import re
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from lab.cluster.client import LabClient
from lab.cluster.identities import DISCOVERY
from ops.console import OpsError
from ops.pulumi_cli import ROOT

AGENT_SECONDS = 0.1
DEAD_SECONDS = 3.0
HUNG_SECONDS = 8.0
_START_SECONDS = 60.0
_STAMP = re.compile(r"^time=(\S+)")


def free_ports(count: int) -> list[int]:
    """Ports on loopback that nobody listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [entry.getsockname()[1] for entry in sockets]
    for entry in sockets:
        entry.close()
    return ports


@contextlib.contextmanager
def process(module: str, env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run `python -m module` until the block ends; its output goes to `log`."""
    with log.open("wb") as file:
        running = subprocess.Popen(
            [sys.executable, "-m", module], cwd=ROOT, env=os.environ | env, stdout=file, stderr=file
        )
        try:
            yield running
        finally:
            running.terminate()
            running.wait(20)


def until(check: Callable[[], Any], what: str, seconds: float, pause: float = 0.05) -> Any:
    """Wait for a true value and return it.

    Raises:
        OpsError: It took longer than `seconds`.
    """
    end = time.monotonic() + seconds
    while not (found := check()):
        if time.monotonic() > end:
            raise OpsError(f"{what} did not happen within {seconds:g} s")
        time.sleep(pause)
    return found


@dataclass
class Service:
    """A running discovery service."""

    port: int
    pid: int
    log: Path
    _connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        """Prepare the one connection that is used, as Prometheus does."""
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body; 0 where nothing answers."""
        for _ in range(2):  # the first one may meet a connection that was idle for too long
            try:
                self._connection.request("GET", path)
                answer = self._connection.getresponse()
                return answer.status, answer.read()
            except (OSError, http.client.HTTPException):
                self._connection.close()
        return 0, b""

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()

    def ok(self, path: str) -> bool:
        """Whether it answers 200."""
        return self.get(path)[0] == 200

    def targets(self) -> dict[int, dict[str, str]]:
        """The labels of all targets by VMID."""
        status, body = self.get("/targets")
        groups = json.loads(body) if status == 200 else []
        return {int(group["labels"]["vm_id"]): group["labels"] for group in groups}

    def guests(self) -> list[dict[str, Any]]:
        """The inventory."""
        found: list[dict[str, Any]] = json.loads(self.get("/guests")[1])["guests"]
        return found

    def calls(self) -> float:
        """API calls since the start."""
        text = self.get("/metrics")[1].decode()
        lines = re.findall(r"^pve_discovery_api_requests_total\{.*\} (\S+)$", text, re.MULTILINE)
        return sum(float(value) for value in lines)

    def resident_mib(self) -> float:
        """Resident memory at its highest."""
        text = Path(f"/proc/{self.pid}/status").read_text("ascii")
        match = re.search(r"VmHWM:\s+(\d+) kB", text)
        return int(match.group(1)) / 1024 if match else 0.0

    def first_inventory_seconds(self) -> float:
        """From the start of the first refresh until every guest was asked, by its own log.

        Raises:
            OpsError: It isn't complete.
        """
        log = self.log.read_text("utf-8")
        return self._logged(log, "inventory complete") - self._logged(log, "discovery starts")

    def _logged(self, log: str, what: str) -> float:
        for line in log.splitlines():
            if what in line and (match := _STAMP.match(line)):
                return datetime.fromisoformat(match.group(1)).timestamp()
        raise OpsError(f"discovery did not log {what!r}; its log is {self.log}")


class Pair:
    """One simulated cluster; services are started against it one after the other."""

    def __init__(self, folder: Path, *, hosts: int, guests: int) -> None:
        self.hosts = hosts
        self.guests = guests
        self._folder = folder
        self._api, self.proxy, self._control, self._smtp = free_ports(4)
        self.lab = LabClient(f"http://127.0.0.1:{self._control}")

    @contextlib.contextmanager
    def cluster(self) -> Iterator[LabClient]:
        """Run the cluster: every guest runs, every agent answers after 100 ms, nobody migrates."""
        env = {
            "LAB_LISTEN": "127.0.0.1",
            "LAB_HOSTS": str(self.hosts),
            "LAB_GUESTS": str(self.guests),
            "LAB_ODDITIES": "0",
            "LAB_AGENT_DELAY": str(AGENT_SECONDS),
            "LAB_API_PORT": str(self._api),
            "LAB_PROXY_PORT": str(self.proxy),
            "LAB_CONTROL_PORT": str(self._control),
            "LAB_SMTP_PORT": str(self._smtp),
            "LAB_TLS_DIR": str(self._folder / "tls"),
            "LAB_MIGRATE_EVERY": "1000000",
        }
        with process("lab.cluster", env, self._folder / "cluster.log"), self.lab:
            until(self.lab.healthy, "the start of the simulated cluster", _START_SECONDS)
            yield self.lab

    @contextlib.contextmanager
    def service(self, *, afresh: bool = True) -> Iterator[Service]:
        """Run discovery, from nothing or from the state that the one before left; it answers already."""
        state = self._folder / "state"
        if afresh:
            (state / "state.json").unlink(missing_ok=True)
        (port,) = free_ports(1)
        env = {
            "PVE_ENDPOINTS": f"https://127.0.0.1:{self._api}",
            "PVE_TOKEN_ID": DISCOVERY.id,
            "PVE_TOKEN_SECRET": DISCOVERY.secret,
            "PVE_CA_FILE": str(self._folder / "tls" / "ca.pem"),
            "DISCOVERY_HOST": "127.0.0.1",
            "DISCOVERY_PORT": str(port),
            "DISCOVERY_STATE_DIR": str(state),
        }
        log = self._folder / f"discovery-{port}.log"
        with process("discovery_fn", env, log) as running:
            service = Service(port, running.pid, log)
            try:
                until(lambda: service.ok("/healthz"), "the start of discovery", _START_SECONDS, pause=0.01)
                yield service
            finally:
                service.close()

    def break_agents(self, vmids: list[int], *, dead: int, hung: int, seed: int = 1) -> dict[int, float]:
        """Kill and hang agents, the same in every run; seconds that each call of them takes."""
        seconds = [DEAD_SECONDS] * dead + [HUNG_SECONDS] * hung
        chosen = random.Random(seed).sample(sorted(vmids), len(seconds))  # noqa: S311 - for repetition
        broken = dict(zip(chosen, seconds, strict=True))
        for vmid, wait in broken.items():
            self.lab.add("agent_dead" if wait == DEAD_SECONDS else "agent_hung", str(vmid))
        return broken


def floor_seconds(guests: list[dict[str, Any]], broken: dict[int, float] | None = None) -> float:
    """The time that the calls to agents alone take, two at a time on each node, on the slowest node."""
    total: Counter[str] = Counter()
    slow = broken or {}
    for guest in guests:
        if guest["address_source"] == "agent":
            total[guest["node"]] += round(1000 * slow.get(guest["vm_id"], AGENT_SECONDS))
    return max(total.values()) / 1000 / 2
