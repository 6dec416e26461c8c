"""Measures the service against the simulated cluster, both as processes, over TLS on loopback.

From the root of the project: python tests/discovery_fn/bench.py --hosts 5 --guests 100 --dead 10 --hung 4
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import random
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from lab.cluster.identities import DISCOVERY

AGENT_SECONDS = 0.1


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [entry.getsockname()[1] for entry in sockets]
    for entry in sockets:
        entry.close()
    return ports


@contextlib.contextmanager
def process(module: str, env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as file:
        running = subprocess.Popen(
            [sys.executable, "-m", module], env=os.environ | env, stdout=file, stderr=subprocess.STDOUT
        )
        try:
            yield running
        finally:
            running.terminate()
            running.wait(20)


def until(url: str, seconds: float, pause: float = 0.01) -> float:
    """Wait for status 200; return when it came."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(url, timeout=5, trust_env=False).status_code == 200:
                return time.perf_counter()
        time.sleep(pause)
    raise SystemExit(f"{url} did not answer 200 within {seconds} s")


class Bench:
    """One simulated cluster, and services started against it."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options = options
        self.folder = folder
        self.api, self.proxy, self.control, self.smtp, self.port = free_ports(5)

    def lab_env(self) -> dict[str, str]:
        return {
            "LAB_LISTEN": "127.0.0.1",
            "LAB_HOSTS": str(self.options.hosts),
            "LAB_GUESTS": str(self.options.guests),
            "LAB_AGENT_DELAY": str(AGENT_SECONDS),
            "LAB_API_PORT": str(self.api),
            "LAB_PROXY_PORT": str(self.proxy),
            "LAB_CONTROL_PORT": str(self.control),
            "LAB_SMTP_PORT": str(self.smtp),
            "LAB_TLS_DIR": str(self.folder / "tls"),
            "LAB_MIGRATE_EVERY": "1000000",
        }

    def env(self) -> dict[str, str]:
        return {
            "PVE_ENDPOINTS": f"https://127.0.0.1:{self.api}",
            "PVE_TOKEN_ID": DISCOVERY.id,
            "PVE_TOKEN_SECRET": DISCOVERY.secret,
            "PVE_CA_FILE": str(self.folder / "tls" / "ca.pem"),
            "DISCOVERY_HOST": "127.0.0.1",
            "DISCOVERY_PORT": str(self.port),
            "DISCOVERY_STATE_DIR": str(self.folder / "state"),
        }

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def get(self, path: str) -> Any:
        return httpx.get(self.url(path), timeout=30, trust_env=False).json()

    def break_agents(self, guests: list[int]) -> None:
        """Kill and hang agents of some of the guests that answered, the same in every run."""
        kinds = ["agent_dead"] * self.options.dead + ["agent_hung"] * self.options.hung
        chosen = random.Random(self.options.seed).sample(guests, len(kinds))  # noqa: S311
        for kind, vmid in zip(kinds, chosen, strict=True):
            body = {"kind": kind, "target": str(vmid), "seconds": 86400}
            answer = httpx.post(
                f"http://127.0.0.1:{self.control}/faults", content=json.dumps(body), trust_env=False
            )
            answer.raise_for_status()

    def calls(self) -> float:
        text = httpx.get(self.url("/metrics"), timeout=30, trust_env=False).text
        return sum(
            float(v)
            for v in re.findall(r"^pve_discovery_api_requests_total\{.*\} (\S+)$", text, re.MULTILINE)
        )

    def watch(self, healthy: set[int], start: float) -> dict[str, float]:
        """Poll until ready; return when every healthy guest was a target and when it was ready."""
        found: dict[str, float] = {}
        delays = []
        with httpx.Client(base_url=self.url(""), timeout=30, trust_env=False) as client:
            while "ready" not in found:
                began = time.perf_counter()
                answer = client.get("/targets")
                delays.append(time.perf_counter() - began)
                if healthy and "healthy" not in found and answer.status_code == 200:
                    ids = {int(group["labels"]["vm_id"]) for group in answer.json()}
                    if healthy <= ids:
                        found["healthy"] = time.perf_counter() - start
                if client.get("/readyz").status_code == 200:
                    found["ready"] = time.perf_counter() - start
                time.sleep(0.02)
        found["p50"] = statistics.median(delays) * 1000
        found["p99"] = sorted(delays)[math.ceil(len(delays) * 0.99) - 1] * 1000
        return found


def resident(pid: int, field: str = "VmHWM") -> float:
    """Return MiB of resident memory at its highest."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    match = re.search(rf"{field}:\s+(\d+) kB", text)
    return int(match.group(1)) / 1024 if match else 0.0


def run(options: argparse.Namespace, folder: Path) -> None:
    bench = Bench(options, folder)
    log = folder / "log"
    with process("lab.cluster", bench.lab_env(), log):
        until(f"http://127.0.0.1:{bench.control}/healthz", 60)
        floor = options.guests / options.hosts / 2 * AGENT_SECONDS
        print(
            f"{options.guests} guests on {options.hosts} hosts; agent calls alone, two a node: {floor:.2f} s"
        )
        with process("discovery_fn", bench.env(), log) as service:
            start = until(bench.url("/healthz"), 30)
            cold = bench.watch(set(), start)
            settled = [g["vm_id"] for g in bench.get("/guests")["guests"] if g["address_source"] == "agent"]
            print(f"cold, as the lab is: ready after {cold['ready']:.2f} s, {len(settled)} answered by agent")
            print(f"  /targets meanwhile: p50 {cold['p50']:.1f} ms, p99 {cold['p99']:.1f} ms")
            if options.minutes:
                before = bench.calls()
                time.sleep(options.minutes * 60)
                print(f"steady: {(bench.calls() - before) / options.minutes:.1f} API calls a minute")
            print(f"memory: at most {resident(service.pid):.0f} MiB resident")
        fresh_run(bench, settled, log)
        if options.dead or options.hung:
            bad_run(bench, settled, log)


def fresh_run(bench: Bench, settled: list[int], log: Path) -> None:
    (bench.folder / "state" / "state.json").unlink()
    with process("discovery_fn", bench.env(), log):
        found = bench.watch(set(settled), until(bench.url("/healthz"), 30))
    print(f"again from nothing: everyone whose agent works is a target after {found['healthy']:.2f} s")


def bad_run(bench: Bench, settled: list[int], log: Path) -> None:
    bench.break_agents(settled)
    with process("discovery_fn", bench.env(), log):
        start = until(bench.url("/healthz"), 30)
        again = bench.watch(set(settled), start)
        print(f"restart with state, agents broken: every target after {again['healthy']:.2f} s")
    (bench.folder / "state" / "state.json").unlink()
    faults = httpx.get(f"http://127.0.0.1:{bench.control}/faults", trust_env=False).text
    broken = {int(vmid) for vmid in re.findall(r'"target":\s*"(\d+)"', faults)}
    with process("discovery_fn", bench.env(), log):
        start = until(bench.url("/healthz"), 30)
        bad = bench.watch(set(settled) - broken, start)
    print(
        f"from nothing, {len(broken)} agents broken: every healthy guest after {bad['healthy']:.2f} s,"
        f" ready after {bad['ready']:.2f} s"
    )
    print(f"  /targets meanwhile: p50 {bad['p50']:.1f} ms, p99 {bad['p99']:.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hosts", type=int, default=5)
    parser.add_argument("--guests", type=int, default=100)
    parser.add_argument("--dead", type=int, default=0, help="agents that fail after 3 s")
    parser.add_argument("--hung", type=int, default=0, help="agents that fail after 8 s")
    parser.add_argument("--minutes", type=float, default=0, help="how long to watch the steady state")
    parser.add_argument("--seed", type=int, default=1, help="which agents are broken")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(options, Path(folder))


if __name__ == "__main__":
    main()
