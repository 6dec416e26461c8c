"""Walks through a span of time and writes what Prometheus would have scraped, as OpenMetrics."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TextIO

import yaml
from prometheus_client import generate_latest

from components.durations import seconds
from components.images import Service
from components.render import prometheus as prometheus_render
from components.settings import StackSettings
from components.topology import Topology
from lab.cluster.api.app import Api
from lab.cluster.load import chance
from lab.cluster.proxy import Proxy, ProxyError
from lab.preview.recording import jobs, platform, pve_exporter
from lab.preview.recording.cluster import Clock, Discovery, exporter_view, simulated
from lab.preview.recording.exposition import END, Series, sample, samples_on
from lab.preview.recording.jobs import Target
from lab.preview.recording.kept import Kept
from lab.preview.recording.platform import RuleGroup, Seen

# Seconds that a scrape of each job takes about, as the pinned exporters do on a small machine.
_DURATIONS = {
    "windows": 0.34,
    "linux": 0.035,
    "node": 0.06,
    "gpu": 0.11,
    "pve-cluster": 0.42,
    "pve-node": 0.31,
}
_OTHER_DURATION = 0.004
# Seconds between a refresh of discovery and the scrape of everything.
_AFTER_REFRESH = 7


@dataclass(frozen=True)
class Span:
    """A span of time in Unix seconds; samples lie on multiples of the step, ends included."""

    start: int
    end: int
    step: int

    def __iter__(self) -> Iterator[int]:
        """The moments at which everything is scraped and evaluated."""
        first = -(-self.start // self.step) * self.step
        return iter(range(first, self.end + 1, self.step))


@dataclass(frozen=True)
class Scene:
    """A fault of the simulated cluster, so that dashboards have something to show.

    Attributes:
        before_end: seconds before the end of the recording at which it begins.
        lasts: seconds; None: until the end.
    """

    kind: str
    target: str
    before_end: int
    lasts: int | None = None
    params: dict[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True)
class Summary:
    """What was recorded."""

    steps: int
    targets: int
    series: int
    samples: int


class Recorder:
    """One recording of the simulated cluster under a stack's configuration."""

    def __init__(
        self,
        settings: StackSettings,
        topology: Topology,
        wanted: frozenset[str],
        groups: list[RuleGroup],
        span: Span,
    ) -> None:
        self._span = span
        self._clock = Clock(span.start)
        self._lab = simulated(self._clock)
        self._api = Api(self._lab)
        self._proxy = Proxy(self._lab)
        self._discovery = Discovery(settings, self._api, self._clock)
        config: dict[str, Any] = yaml.safe_load(prometheus_render.prometheus_yml(settings, topology))
        self._timeout = seconds(config["global"]["scrape_timeout"])
        self._jobs: list[dict[str, Any]] = config["scrape_configs"]
        self._kept = Kept(self._jobs)
        self._groups = groups
        self._services = {e: service for service in Service for e in topology.endpoints(service)}
        self._wanted = wanted
        self._series = Series(wanted)
        self._seen = Seen()
        self._pools: Counter[str] = Counter()

    async def record(self, out: TextIO, scenes: Sequence[Scene]) -> Summary:
        """Write the whole span."""
        waiting = sorted(scenes, key=lambda scene: -scene.before_end)
        count = steps = 0
        for moment in self._span:
            self._clock.now = moment - _AFTER_REFRESH
            while waiting and moment >= self._span.end - waiting[0].before_end:
                scene = waiting.pop(0)
                self._lab.break_(scene.kind, scene.target, scene.lasts, scene.params)
            await self._discovery.refresh()
            self._clock.now = moment
            found = jobs.targets(self._jobs, self._discovery.groups)
            self._pools = Counter(target.job for target in found)
            self._seen.per_step = 0
            for target in found:
                await self._scrape(target, moment, out)
            count, steps = len(found), steps + 1
        out.write(END)
        await self._discovery.stop()
        return Summary(steps, count, len(self._seen.series), self._seen.samples)

    async def _scrape(self, target: Target, moment: int, out: TextIO) -> None:
        page = await self._page(target, moment)
        stamp = str(moment)
        if page is not None:
            for line in self._series.lines(page, target, stamp):
                self._seen.series.add(line.partition(" ")[0])
                out.write(line)
        size = samples_on(page) if page is not None else 0
        kept = self._kept.count(page, target.job) if page is not None else 0
        self._seen.samples += kept
        self._seen.per_step += kept
        for name, value in self._about(target, page, (size, kept), moment):
            if name in self._wanted:
                out.write(sample(name, dict(target.labels), value, stamp))

    def _about(
        self, target: Target, page: str | None, sizes: tuple[int, int], moment: int
    ) -> Iterator[tuple[str, float]]:
        """What Prometheus notes of a scrape itself; `sizes`: samples before and after relabelling."""
        job = next((job for job in self._jobs if job["job_name"] == target.job), {})
        seed = int(hashlib.sha256(target.address.encode()).hexdigest()[:8], 16)
        spread = 0.9 + 0.2 * chance(seed, moment)
        usual = _DURATIONS.get(target.job, _OTHER_DURATION) * spread
        yield "up", int(page is not None)
        yield "scrape_duration_seconds", round(usual, 6)
        yield "scrape_samples_scraped", sizes[0]
        yield "scrape_samples_post_metric_relabeling", sizes[1]
        yield "scrape_sample_limit", job.get("sample_limit", 0)
        yield "scrape_timeout_seconds", seconds(job.get("scrape_timeout", f"{self._timeout}s"))
        yield "scrape_body_size_bytes", len(page or "")

    async def _page(self, target: Target, moment: int) -> str | None:
        """What a target answers; None where it doesn't."""
        service = self._services.get(target.address)
        if service is not None:
            return await self._platform_page(service, target, moment)
        host, _, port = target.address.rpartition(":")
        try:
            return self._proxy.fetch(host.strip("[]"), int(port), "/metrics")
        except ProxyError:
            return None

    async def _platform_page(self, service: Service, target: Target, moment: int) -> str:
        params = dict(target.params)
        if service is Service.PVE_EXPORTER and "target" in params:
            view = exporter_view(self._api)
            if params.get("cluster") == "1":
                return await pve_exporter.cluster_page(view)
            return await pve_exporter.node_page(view, dict(target.labels)["instance"])
        if service is Service.DISCOVERY:
            return generate_latest(self._discovery.metrics.registry).decode()
        if service is not Service.PROMETHEUS:
            return platform.memory_page(service, moment)
        own = platform.prometheus_page(self._seen, self._jobs, self._pools, self._groups, moment)
        return platform.memory_page(service, moment, self._seen.per_step) + own
