"""A real Prometheus reads every endpoint of a real discovery, over sockets, and scrapes what it finds."""

from __future__ import annotations

import json
import os
import re
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import pytest
import requests
import yaml

from components.images import DEFAULT_REFERENCES
from components.images import Service as Part
from ops.discovery_pair import Pair, Service, free_ports, until

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("docker_ready")]

ENDPOINTS = {
    "all": "/targets",
    "windows": "/targets/windows",
    "linux": "/targets/linux",
    "nodes": "/targets/nodes",
    "gpu": "/targets/gpu",
    "pve": "/targets/pve",
}
REFRESH_SECONDS = 2


def config(service: Service, proxy: int) -> dict[str, Any]:
    url = f"http://127.0.0.1:{service.port}"
    return {
        "global": {"scrape_interval": "2s", "scrape_timeout": "2s"},
        "scrape_configs": [
            {
                "job_name": job,
                "proxy_url": f"http://127.0.0.1:{proxy}",
                "http_sd_configs": [{"url": f"{url}{path}", "refresh_interval": f"{REFRESH_SECONDS}s"}],
            }
            for job, path in ENDPOINTS.items()
        ],
    }


@contextmanager
def prometheus(service: Service, proxy: int, folder: Path) -> Iterator[str]:
    """Run the pinned image on the machine's own network; gives its URL."""
    (port,) = free_ports(1)
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config(service, proxy)), "utf-8")
    folder.chmod(0o755)
    container = docker.from_env().containers.run(
        DEFAULT_REFERENCES[Part.PROMETHEUS],
        [
            "--config.file=/etc/prometheus/prometheus.yml",
            f"--web.listen-address=127.0.0.1:{port}",
            "--storage.tsdb.path=/tmp/data",
        ],
        name=f"pve-monitoring-sd-{port}",
        network_mode="host",
        volumes={str(file): {"bind": "/etc/prometheus/prometheus.yml", "mode": "ro"}},
        tmpfs={"/tmp": ""},
        detach=True,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        until(lambda: _ready(url), "the start of Prometheus", 60)
        yield url
    finally:
        container.remove(force=True, v=True)


def _ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/-/ready", timeout=5).ok
    except requests.ConnectionError:
        return False


def active(url: str) -> list[dict[str, Any]]:
    found = requests.get(f"{url}/api/v1/targets", params={"state": "active"}, timeout=10).json()
    targets: list[dict[str, Any]] = found["data"]["activeTargets"]
    return targets


def found_by_job(url: str) -> Counter[str]:
    return Counter(target["scrapePool"] for target in active(url))


def served(service: Service) -> Counter[str]:
    return Counter({job: len(json.loads(service.get(path)[1])) for job, path in ENDPOINTS.items()})


def failures(url: str) -> float:
    """Failed refreshes, by Prometheus' own metrics."""
    text = requests.get(f"{url}/metrics", timeout=10).text
    found = re.findall(
        r'^prometheus_sd_refresh_failures_total\{.*mechanism="http"\} (\S+)$', text, re.MULTILINE
    )
    assert len(found) == len(ENDPOINTS)
    return sum(float(value) for value in found)


def test_every_endpoint_is_read_and_scraped(tmp_path: Path) -> None:
    pair = Pair(tmp_path, hosts=3, guests=20)
    with pair.cluster(), pair.service() as service:
        until(lambda: service.ok("/readyz"), "readiness", 60)
        until(lambda: min(served(service)[job] for job in ENDPOINTS) > 0, "targets of all kinds", 30)
        with prometheus(service, pair.proxy, tmp_path) as url:
            until(lambda: found_by_job(url) == served(service), "the same targets in Prometheus", 30)
            _labels_are_those_served(url, service)
            until(lambda: not _down(url), "a good scrape of everyone", 60)
            vmid = min(service.targets())
            pair.lab.stop(str(vmid))
            until(lambda: vmid not in _vmids(url), "the end of a stopped guest's target", 60)
            # On a busy machine a refresh may fail meanwhile: Prometheus gives up after its interval, 2 s.
            before, failed = found_by_job(url), failures(url)
            _ends(service)
            until(lambda: failures(url) >= failed + 2 * len(ENDPOINTS), "failed refreshes of all", 60)
            assert found_by_job(url) == before


def _labels_are_those_served(url: str, service: Service) -> None:
    wanted = {vmid: labels["node"] for vmid, labels in service.targets().items()}
    shown = {
        int(target["labels"]["vm_id"]): target["labels"]["node"]
        for target in active(url)
        if target["scrapePool"] == "all"
    }
    assert shown == wanted


def _down(url: str) -> list[str]:
    """What isn't scraped well, with the reason; the members of the API are no exporters."""
    return [
        f"{target['scrapePool']} {target['scrapeUrl']}: {target['lastError']}"
        for target in active(url)
        if target["health"] != "up" and target["scrapePool"] != "pve"
    ]


def _vmids(url: str) -> set[int]:
    return {int(target["labels"]["vm_id"]) for target in active(url) if target["scrapePool"] == "all"}


def _ends(service: Service) -> None:
    os.kill(service.pid, signal.SIGTERM)
    until(lambda: not service.ok("/healthz"), "the end of discovery", 30)
