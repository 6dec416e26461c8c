"""`ops bench rules`: what a Prometheus that watches 100 guests takes: rules, series, memory."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from ops import bench_platform, dashboard_bench
from ops.bench_platform import Watcher
from ops.console import note, step
from ops.dashboard_bench import Snapshot
from ops.figures import Figure
from ops.machine import load

_MIB = 2**20
# Blocks of two minutes in place of two hours, so that the head is written out and cut off several times. With
# two hours the open chunk of a series grows to 120 samples, a kilobyte at most: 60 MiB at 60,000 series.
_BLOCK_SECONDS = 120
_OPTIONS = tuple(f"--storage.tsdb.{end}-block-duration={_BLOCK_SECONDS}s" for end in ("min", "max"))
# The rates of the rules look back five minutes: before that they cost less than ever after.
_SETTLED_SECONDS = 300
_MEASURED_SECONDS = 90
_PAUSE_SECONDS = 5


def measure() -> tuple[list[Figure], Snapshot]:
    """Measure; takes about seven minutes. Also returns what dashboards read, for their part."""
    step(f"a Prometheus that watches {bench_platform.GUESTS} guests on {bench_platform.HOSTS} hosts")
    with tempfile.TemporaryDirectory() as name, bench_platform.watched(Path(name), _OPTIONS) as watcher:
        peak = _rest(watcher, _SETTLED_SECONDS)
        step(f"its rules, for {_MEASURED_SECONDS} seconds ({load()})")
        before = watcher.own("process_cpu_seconds_total")
        peak = max(peak, _rest(watcher, _MEASURED_SECONDS))
        processor = (watcher.own("process_cpu_seconds_total") - before) / _MEASURED_SECONDS
        note(f"all of Prometheus took {processor:.1%} of a core")
        figures = [_rules(watcher), _of_windows(watcher), _memory(watcher, peak)]
        return figures, dashboard_bench.snapshot(watcher, Path(name))


def _rest(watcher: Watcher, seconds: float) -> int:
    """Let it run; returns the most memory that was resident."""
    end, peak = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        peak = max(peak, watcher.resident_bytes())
        time.sleep(_PAUSE_SECONDS)
    return peak


def _rules(watcher: Watcher) -> Figure:
    """What the groups take of their intervals, together: the median round of each.

    Time by the clock, so a busy machine makes it more; the median leaves out rounds that waited for long.
    """
    rounds = f"prometheus_rule_group_last_duration_seconds[{_MEASURED_SECONDS}s]"
    share = watcher.value(f"sum(quantile_over_time(0.5, {rounds}) / prometheus_rule_group_interval_seconds)")
    return Figure("rules: share of a core", f"{share:.2%}", "5 %", kept=0 < share <= 0.05)


def _of_windows(watcher: Watcher) -> Figure:
    kept, scraped = (
        watcher.value(f'max(scrape_samples_{kind}{{job="windows"}})')
        for kind in ("post_metric_relabeling", "scraped")
    )
    guests = watcher.value('count(up{job="windows"})')
    return Figure(
        f"series of a Windows guest, most of {guests:.0f} ({scraped:.0f} at the exporter)",
        f"{kept:.0f}",
        "1200",
        kept=0 < kept <= 1200,
    )


def _memory(watcher: Watcher, peak: int) -> Figure:
    series = watcher.own("prometheus_tsdb_head_series")
    compactions = watcher.own("prometheus_tsdb_compactions_total")
    return Figure(
        f"Prometheus, resident at most, {series:,.0f} series, head compacted {compactions:.0f} times",
        f"{peak / _MIB:.0f} MiB",
        "1024 MiB",
        kept=peak <= 1024 * _MIB and compactions >= 1,
    )
