"""A Prometheus with the stack's configuration and rules, watching a simulated cluster of 100 guests.

Everything runs as a process on loopback; pve-exporter is played, since it would be a container.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import yaml

from components.images import Service
from components.render.prometheus import prometheus_yml
from components.render.rule_files import rule_files
from lab.preview.recording import prometheus
from lab.preview.recording.prometheus import Binaries
from ops import bench_pve
from ops.console import OpsError
from ops.discovery_pair import Pair, free_ports, until
from ops.pulumi_cli import ROOT
from ops.stack import Stack, load, prepare_lab

HOSTS, GUESTS = 5, 100
BINARIES = ROOT / ".cache" / "preview" / "bin"
_START_SECONDS = 120.0
_NOT_HERE = (Service.ALERTMANAGER, Service.GRAFANA)


@dataclass(frozen=True)
class Watcher:
    """A running Prometheus."""

    url: str
    pid: int

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The result of an instant query."""
        answer = requests.post(f"{self.url}/api/v1/query", data={"query": expression}, timeout=60)
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()["data"]["result"]
        return found

    def value(self, expression: str) -> float:
        """The value of an expression that has one series; 0 without any."""
        found = self.query(expression)
        return float(found[0]["value"][1]) if found else 0.0

    def own(self, name: str) -> float:
        """A number without labels that it tells of itself, of this moment.

        Raises:
            OpsError: there is no such number.
        """
        page = requests.get(f"{self.url}/metrics", timeout=10).text
        found = re.search(rf"^{name} (\S+)$", page, re.MULTILINE)
        if found is None:
            raise OpsError(f"Prometheus has no metric {name}")
        return float(found[1])

    def resident_bytes(self) -> int:
        """Memory that is resident now, files that it has mapped included."""
        status = Path(f"/proc/{self.pid}/status").read_text("ascii")
        found = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
        return int(found[1]) * 1024 if found else 0


def programs() -> Binaries:
    """Prometheus and promtool.

    Raises:
        OpsError: there is neither an installed one nor the image.
    """
    try:
        return prometheus.binaries(BINARIES)
    except prometheus.PrometheusError as error:
        raise OpsError(str(error)) from error


@contextmanager
def watched(folder: Path, options: tuple[str, ...] = ()) -> Iterator[Watcher]:
    """Run it all until the block ends; every target that the cluster has has been scraped.

    Args:
        folder: where configuration and data are written.
        options: more of Prometheus' own.
    """
    pair = Pair(folder, hosts=HOSTS, guests=GUESTS)
    with pair.cluster(), pair.service() as discovery:
        until(lambda: discovery.ok("/readyz"), "readiness of discovery", _START_SECONDS)
        exporter, own = free_ports(2)
        stack = _stack(pair)
        addresses = {
            Service.DISCOVERY: discovery.port,
            Service.PVE_EXPORTER: exporter,
            Service.PROMETHEUS: own,
        }
        _configure(stack, addresses, folder)
        with (
            bench_pve.exporter(exporter, str(folder / "tls" / "ca.pem")),
            _prometheus(folder, own, options) as watcher,
        ):
            until(lambda: _all_scraped(watcher), "a scrape of every target", _START_SECONDS, pause=1)
            yield watcher


def _stack(pair: Pair) -> Stack:
    """The development stack, reaching the cluster through its own proxy."""
    prepare_lab("dev")  # its settings name a file that this makes
    stack = load("dev")
    scrape = stack.settings.scrape.model_copy(update={"proxy_url": f"http://127.0.0.1:{pair.proxy}"})
    return Stack(stack.name, stack.settings.model_copy(update={"scrape": scrape}), stack.topology)


def _configure(stack: Stack, ports: dict[Service, int], folder: Path) -> None:
    text = prometheus_yml(stack.settings, stack.topology)
    for service, port in ports.items():
        for endpoint in stack.topology.endpoints(service):
            text = text.replace(endpoint, f"127.0.0.1:{port}")
    (folder / "prometheus.yml").write_text(yaml.safe_dump(_without_absent(yaml.safe_load(text))), "utf-8")
    (folder / "rules").mkdir()
    for name, rules in rule_files(ROOT / "rules", {}).items():
        (folder / "rules" / name).write_text(rules, "utf-8")


def _without_absent(document: dict[str, Any]) -> dict[str, Any]:
    """Leave out the parts that don't run here, and the retention, which is the development stack's."""
    jobs = [job for job in document["scrape_configs"] if job["job_name"] not in _NOT_HERE]
    rest = {name: value for name, value in document.items() if name not in ("alerting", "storage")}
    return {**rest, "scrape_configs": jobs}


@contextmanager
def _prometheus(folder: Path, port: int, options: tuple[str, ...]) -> Iterator[Watcher]:
    words = [
        str(programs().prometheus),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
        *options,
    ]
    url = f"http://127.0.0.1:{port}"
    try:
        with prometheus.running(words, url, folder / "prometheus.log", _START_SECONDS) as pid:
            yield Watcher(url, pid)
    except prometheus.PrometheusError as error:
        raise OpsError(str(error)) from error
    finally:
        shutil.rmtree(folder / "data", ignore_errors=True)


def _all_scraped(watcher: Watcher) -> bool:
    # The template is the one guest that doesn't run.
    guests = watcher.value('count(up{job=~"windows|linux"} == 1)')
    return guests >= GUESTS - 1 and watcher.value("count(up != 1)") == 0
