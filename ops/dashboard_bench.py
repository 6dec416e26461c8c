"""`ops bench dashboards`: how long the panels of every dashboard take over a day and over 30 days.

As Grafana asks when a dashboard opens in a window of 1,920 pixels: all hosts and guests where all of them can
be chosen, the first one where it is one. Medians of three runs, the first of which finds nothing in memory.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import yaml

from dashboards import DASHBOARDS, Entry
from lab.preview.recording import prometheus
from lab.preview.recording.prometheus import Binaries
from ops import bench_history, bench_platform
from ops.bench_history import DAY, DAYS, END_OF_HISTORY, Series
from ops.bench_platform import Watcher
from ops.console import OpsError, note, step
from ops.discovery_pair import until
from ops.figures import Figure
from ops.grafana_queries import Panel, Query, chosen, panels
from ops.machine import load
from ops.pulumi_cli import ROOT

# A browser opens six connections to a server (HTTP/1.1), so Grafana sends no more queries at a time.
_AT_A_TIME = 6
_RUNS = 3
_SLOWEST = 3
_TIMEOUT_S = 120
_NOW = END_OF_HISTORY - 60
# Rules read what others recorded, which read what is scraped every 30 s: each begins within a minute.
_LOOKS, _LOOK_SECONDS, _COMPLETE_SECONDS = 4, 20, 400


@dataclass(frozen=True)
class Span:
    """A time range and what is promised for it, in seconds."""

    name: str
    seconds: int
    panel: float
    dashboard: float


SPANS = (Span("24 hours", DAY, 0.25, 2.0), Span("30 days", DAYS * DAY, 1.0, 5.0))


@dataclass(frozen=True)
class Snapshot:
    """What a Prometheus had at one moment, and how often it got it."""

    found: list[Series]
    every: bench_history.Intervals


@dataclass(frozen=True)
class Timing:
    """Seconds that something took: the median of some runs."""

    name: str
    seconds: float


def snapshot(watcher: Watcher, folder: Path) -> Snapshot:
    """Everything that dashboards read, as of now; `folder` is where its configuration lies."""
    texts = [entry.path.read_text("utf-8") for entry in DASHBOARDS]
    found = bench_history.read_by(texts, watcher.query('{__name__=~".+"}'))
    config = yaml.safe_load((folder / "prometheus.yml").read_text("utf-8"))
    return Snapshot(found, bench_history.intervals(config, bench_history.rule_documents(folder / "rules")))


def measure(taken: Snapshot | None = None) -> list[Figure]:
    """Measure all dashboards over both spans; takes about four minutes.

    Args:
        taken: what the history is made of; None: of a cluster that is started for it.

    Raises:
        OpsError: a query fails, or Prometheus can't be had.
    """
    taken = taken or _own_snapshot()
    # Two gigabytes: more than a /tmp in memory should take.
    cache = ROOT / ".cache"
    cache.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as name, _serving(taken, Path(name)) as url:
        return [figure for span in SPANS for figure in _figures(span, taken, url)]


def _own_snapshot() -> Snapshot:
    step(f"a Prometheus that watches {bench_platform.GUESTS} guests on {bench_platform.HOSTS} hosts")
    with tempfile.TemporaryDirectory() as name, bench_platform.watched(Path(name)) as watcher:
        return _complete(lambda: snapshot(watcher, Path(name)), _LOOK_SECONDS)


def _complete(look: Callable[[], Snapshot], pause: float) -> Snapshot:
    """The snapshot once no rule begins to record something for a minute."""
    sizes: list[int] = []

    def settled() -> Snapshot | None:
        taken = look()
        sizes.append(len(taken.found))
        return taken if sizes[-_LOOKS:] == [sizes[-1]] * _LOOKS else None

    found: Snapshot = until(settled, "a value of every rule", _COMPLETE_SECONDS, pause)
    return found


@contextmanager
def _serving(taken: Snapshot, folder: Path) -> Iterator[str]:
    programs = bench_platform.programs()
    step(f"{DAYS} days of what dashboards read")
    try:
        data, samples = bench_history.make(taken.found, taken.every, programs, folder)
        note(
            f"{len(taken.found):,} series that dashboards read, {samples:,} samples a day at their own "
            "intervals; every day is the same, in blocks of its own"
        )
        with _prometheus(programs, data) as url:
            yield url
    except prometheus.PrometheusError as error:
        raise OpsError(str(error)) from error


@contextmanager
def _prometheus(programs: Binaries, data: Path) -> Iterator[str]:
    # Blocks as they are: none is put together with another meanwhile.
    kept = ("--storage.tsdb.min-block-duration=1d", "--storage.tsdb.max-block-duration=1d")
    with prometheus.serving(programs, data, 300, data.parent / "prometheus.log", kept) as url:
        yield url


def _figures(span: Span, taken: Snapshot, url: str) -> Iterator[Figure]:
    step(f"dashboards over {span.name} ({load()})")
    alone: list[Timing] = []
    for entry in DASHBOARDS:
        asked = _asked(entry, span, taken.every.default, url)
        alone += [Timing(f"{entry.uid}: {panel.title}", _median(url, span, panel.queries)) for panel in asked]
        whole = _median(url, span, [query for panel in asked for query in panel.queries])
        yield Figure(
            f"{entry.uid}, {span.name}",
            f"{whole:.2f} s",
            f"{span.dashboard:g} s",
            kept=whole <= span.dashboard,
        )
    for place, timing in enumerate(slowest(alone), start=1):
        yield Figure(
            f"slowest panel {place}, {span.name}: {timing.name}",
            f"{1000 * timing.seconds:.0f} ms",
            f"{1000 * span.panel:g} ms",
            kept=timing.seconds <= span.panel,
        )


def slowest(timings: Iterable[Timing]) -> list[Timing]:
    """The three that took longest, the longest first."""
    return sorted(timings, key=lambda timing: -timing.seconds)[:_SLOWEST]


def _asked(entry: Entry, span: Span, scrape: int, url: str) -> list[Panel]:
    """What Grafana asks for a dashboard as it opens: with all that can be chosen, or the first one."""
    document: dict[str, Any] = json.loads(entry.path.read_text("utf-8"))
    values = chosen(document, lambda expression, label: _label_values(url, expression, label))
    return panels(document, values, span.seconds, scrape)


def _label_values(url: str, expression: str, label: str) -> list[str]:
    found = _ask(url, Query(f"group by ({label}) ({expression})", 0), 0)
    return sorted(one["metric"][label] for one in found if label in one["metric"])


def _median(url: str, span: Span, queries: Sequence[Query]) -> float:
    return statistics.median(_seconds(url, span, queries) for _ in range(_RUNS))


def _seconds(url: str, span: Span, queries: Sequence[Query]) -> float:
    """Time until all are answered, as many at a time as a browser sends."""
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        began = time.perf_counter()
        list(pool.map(lambda query: _ask(url, query, span.seconds), queries))
        return time.perf_counter() - began


def _ask(url: str, query: Query, span: int) -> list[dict[str, Any]]:
    if query.step == 0:
        parameters: dict[str, str | int] = {"query": query.expr, "time": _NOW}
        kind = "query"
    else:
        # Grafana puts both ends on multiples of the step.
        start, end = ((moment // query.step) * query.step for moment in (_NOW - span, _NOW))
        parameters = {"query": query.expr, "start": start, "end": end, "step": query.step}
        kind = "query_range"
    answer = requests.post(f"{url}/api/v1/{kind}", data=parameters, timeout=_TIMEOUT_S)
    if not answer.ok:
        raise OpsError(f"Prometheus refuses {query.expr}: {answer.text[:500]}")
    found: list[dict[str, Any]] = answer.json()["data"]["result"]
    return found
