"""`ops bench`: measures the figures that the README promises, on the development stack."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import Any

import docker

from components.images import Service
from components.render.platform_tls import scheme
from ops import dashboard_bench, discovery_bench, docker_daemon, rule_bench
from ops.console import OpsError, console, note, step
from ops.discovery_pair import until
from ops.figures import Figure, table_of
from ops.platform_client import Clients
from ops.pulumi_cli import ROOT
from ops.stack import Stack, lab_of, load, parts

_MIB = 2**20
_LIVE_TIMEOUT_S = 120


class Part(StrEnum):
    """What is measured."""

    ALL = "all"
    STACK = "stack"
    DISCOVERY = "discovery"
    RULES = "rules"
    DASHBOARDS = "dashboards"


def bench(part: Part) -> None:
    """Measure, print the tables, and fail if a promise isn't kept."""
    figures = []
    if part in {Part.ALL, Part.STACK}:
        figures += _shown("The development stack", _stack())
    if part in {Part.ALL, Part.DISCOVERY}:
        figures += _shown("Discovery", discovery_bench.measure())
    figures += _watching(part)
    if not all(figure.kept for figure in figures):
        sys.exit(1)


def _watching(part: Part) -> list[Figure]:
    """Rules and dashboards: together, the dashboards' history is made of what the rules' Prometheus had."""
    figures, taken = [], None
    if part in {Part.ALL, Part.RULES}:
        measured, taken = rule_bench.measure()
        figures += _shown("Rules, 100 guests", measured)
    if part in {Part.ALL, Part.DASHBOARDS}:
        figures += _shown("Dashboards, 100 guests", dashboard_bench.measure(taken))
    return figures


def _shown(title: str, figures: list[Figure]) -> list[Figure]:
    console.print(table_of(title, figures))
    return figures


def _stack() -> list[Figure]:
    figures = [_cold_up(), _second_up()]
    stack, client = load("dev"), docker_daemon.connect()
    _settle()
    return [*figures, *_changed_rule(stack, client), _memory(stack, client)]


def _ops(*words: str) -> tuple[float, str]:
    """Run a command as a person would; returns seconds and output.

    Raises:
        OpsError: it failed.
    """
    started = time.monotonic()
    program = [sys.executable, "-m", "ops", *words, "--stack", "dev"]
    result = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise OpsError(f"ops {' '.join(words)} failed:\n{(result.stdout + result.stderr)[-3000:]}")
    return time.monotonic() - started, result.stdout


def _cold_up() -> Figure:
    step("make down, make up (images are present)")
    _ops("down")
    seconds, _ = _ops("up")
    return Figure("make up, images present, to all healthy", f"{seconds:.1f} s", "90 s", kept=seconds <= 90)


def _second_up() -> Figure:
    step("make up again")
    seconds, output = _ops("up")
    changed = [
        line for line in output.splitlines() if any(w in line for w in (" created", "updated", "replaced"))
    ]
    changed = [line for line in changed if " 0 created" not in line]
    return Figure(
        "make up again, no change",
        f"{seconds:.1f} s, {len(changed)} changes",
        "15 s, 0 changes",
        kept=seconds <= 15 and not changed,
    )


def _settle() -> None:
    """Let every target be scraped a few times, so that a missed scrape can be told."""
    step("letting it run for a minute")
    time.sleep(60)


def _prometheus(stack: Stack) -> str:
    network = stack.settings.network
    return f"{scheme(stack.settings)}://{network.bind_address}:{network.ports.prometheus}"


def _get(stack: Stack, path: str, **parameters: str) -> Any:
    url = _prometheus(stack)
    response = Clients(stack).of(url).get(f"{url}{path}", params=parameters, timeout=15)
    response.raise_for_status()
    return response.json()["data"]


def _started(stack: Stack, client: docker.DockerClient) -> str:
    (instance,) = stack.topology.of(Service.PROMETHEUS)
    return str(client.containers.get(instance.container_name).attrs["State"]["StartedAt"])


def _changed_rule(stack: Stack, client: docker.DockerClient) -> list[Figure]:
    """Change a rule's threshold in the file, bring it up, and put it back."""
    step("a changed rule")
    file = ROOT / "rules" / "alerts" / "zz_bench.yml"
    before, begun = _started(stack, client), time.time()
    try:
        file.write_text(_RULE, "utf-8")
        started = time.monotonic()
        _ops("up")
        until(
            lambda: "BenchmarkRule" in str(_get(stack, "/api/v1/rules")),
            "the reload of the changed rule",
            _LIVE_TIMEOUT_S,
            pause=0.5,
        )
        seconds = time.monotonic() - started
        time.sleep(45)
        missed = _missed_scrapes(stack, begun)
        same = _started(stack, client) == before
    finally:
        file.unlink()
        _ops("up")
    return [
        Figure("a changed rule is live", f"{seconds:.1f} s", "60 s", kept=seconds <= 60),
        Figure("Prometheus keeps its start time", "yes" if same else "no", "yes", kept=same),
        Figure("scrapes missed meanwhile", str(missed), "0", kept=missed == 0),
    ]


_RULE = """\
groups:
  - name: benchmark
    rules:
      - alert: BenchmarkRule
        expr: vector(0) > 1
        labels: {severity: info, scope: platform}
        annotations: {summary: never, description: never}
"""


def _missed_scrapes(stack: Stack, since: float) -> int:
    """Scrapes that should lie between two neighbouring samples of `up`, over all targets."""
    intervals = {
        target["scrapePool"]: _seconds(target["scrapeInterval"])
        for target in _get(stack, "/api/v1/targets", state="active")["activeTargets"]
    }
    span = int(time.time() - since) + 30
    missed = 0
    for series in _get(stack, "/api/v1/query", query=f"up[{span}s]")["result"]:
        interval = intervals[series["metric"]["job"]]
        times = [float(moment) for moment, _ in series["values"]]
        missed += sum(round((b - a) / interval) - 1 for a, b in itertools.pairwise(times))
    return missed


def _seconds(duration: str) -> float:
    minutes, _, rest = duration.rpartition("m")
    return 60 * float(minutes or 0) + float(rest.rstrip("s") or 0)


def _memory(stack: Stack, client: docker.DockerClient) -> Figure:
    step("memory")
    names = [part.instance.container_name for part in parts(stack, client)]
    lab = lab_of("dev")
    names += [lab.name] if lab is not None else []
    total = sum(_resident(client, name) for name in names)
    return Figure(
        f"whole stack with the simulated cluster ({len(names)} containers), resident",
        f"{total / _MIB:.0f} MiB",
        "1536 MiB",
        kept=total <= 1536 * _MIB,
    )


def _resident(client: docker.DockerClient, name: str) -> int:
    """Sum of VmRSS of a container's processes, in bytes: page cache, which cgroups count too, is left out."""
    pid = client.containers.get(name).attrs["State"]["Pid"]
    total = 0
    for process in [pid, *_descendants(pid)]:
        try:
            status = Path(f"/proc/{process}/status").read_text("utf-8")
        except OSError:
            note(f"/proc/{process} can't be read: {name} is counted without it")
            continue
        total += sum(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS"))
    return total


def _descendants(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    direct = [int(word) for word in children.read_text("utf-8").split()] if children.exists() else []
    return [*direct, *(deeper for child in direct for deeper in _descendants(child))]
