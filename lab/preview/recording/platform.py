"""What Prometheus, Alertmanager, Grafana and pve-exporter say about themselves.

No such process runs while a recording is made. What follows from the recording is counted (series, samples,
targets, alerts, notifications); sizes and durations are plausible numbers made of those counts and of chance.
The report of the pictures names these jobs, so that nobody takes them for measurements.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from components.images import Service
from lab.cluster.exporters.page import labels
from lab.cluster.load import chance

MADE_UP = (Service.PROMETHEUS, Service.ALERTMANAGER, Service.GRAFANA, Service.PVE_EXPORTER)

_MIB = 2**20
# Resident memory of an idle process in MiB; Prometheus takes about 3 KiB for a series on top.
_RESIDENT = {
    Service.PROMETHEUS: 96,
    Service.ALERTMANAGER: 34,
    Service.GRAFANA: 152,
    Service.PVE_EXPORTER: 58,
    Service.DISCOVERY: 71,
    Service.GATEWAY: 44,
}
_BYTES_PER_SERIES = 3 * 1024
# A block takes 1.3 to 1.5 bytes for a sample, the write-ahead log about 10.
_BYTES_PER_SAMPLE = 1.4
_WAL_BYTES_PER_SAMPLE = 10
_WAL_SECONDS = 3 * 3600
_ALERTMANAGER = labels(alertmanager="http://alertmanager-a:9093/api/v2/alerts")
_MONTH = 30 * 86400


@dataclass
class Seen:
    """What the recording has counted so far.

    Attributes:
        series: that were kept.
        samples: of all scrapes, kept or not.
        per_step: samples since the last step began; that many series Prometheus would have in memory.
    """

    series: set[str] = field(default_factory=set)
    samples: int = 0
    per_step: int = 0


@dataclass(frozen=True, kw_only=True)
class RuleGroup:
    """A group of rules, by the name that Prometheus gives it."""

    name: str
    interval: float
    rules: int


def memory_page(service: Service, t: float, series: int = 0) -> str:
    """The resident memory of a part of the platform, in bytes: it breathes with garbage collection."""
    seed = len(service)
    breath = (t + 97 * seed) % 600 / 600
    size = _RESIDENT[service] * _MIB * (1 + 0.12 * breath + 0.03 * chance(seed, int(t)))
    return f"process_resident_memory_bytes {int(size + series * _BYTES_PER_SERIES)}\n"


def prometheus_page(
    seen: Seen, jobs: Iterable[Mapping[str, Any]], pools: Counter[str], groups: Iterable[RuleGroup], t: float
) -> str:
    """What Prometheus says of itself; `pools` counts the targets of each job."""
    head = (
        f"prometheus_tsdb_head_series {seen.per_step}\n"
        f'prometheus_tsdb_head_samples_appended_total{{type="float"}} {seen.samples}\n'
        f'prometheus_tsdb_head_samples_appended_total{{type="histogram"}} 0\n'
        f"prometheus_tsdb_storage_blocks_bytes {_blocks(seen, t)}\n"
        f"prometheus_tsdb_wal_storage_size_bytes {_wal(seen, t)}\n"
        "prometheus_config_last_reload_successful 1\n"
        "prometheus_notifications_alertmanagers_discovered 1\n"
        f"prometheus_notifications_sent_total{_ALERTMANAGER} {int(t % _MONTH / 30)}\n"
        f"prometheus_notifications_errors_total{_ALERTMANAGER} 0\n"
        "prometheus_target_scrapes_exceeded_sample_limit_total 0\n"
    )
    return head + "".join([*_pools(jobs, pools), *_groups(groups, t)])


def _blocks(seen: Seen, t: float) -> int:
    """Blocks of two days; one is written every two hours."""
    step = t // 7200 * 7200
    return int(seen.per_step * 2 * 86400 / 30 * _BYTES_PER_SAMPLE * (0.9 + 0.1 * chance(3, int(step))))


def _wal(seen: Seen, t: float) -> int:
    part = 1 / 3 + (t % 7200) / 7200 * 2 / 3
    return int(seen.per_step * _WAL_SECONDS / 30 * _WAL_BYTES_PER_SAMPLE * part)


def _pools(jobs: Iterable[Mapping[str, Any]], pools: Counter[str]) -> Iterator[str]:
    for job in jobs:
        of = labels(scrape_job=job["job_name"])
        yield f"prometheus_target_scrape_pool_targets{of} {pools[job['job_name']]}\n"
        yield f"prometheus_target_scrape_pool_target_limit{of} {job.get('target_limit', 0)}\n"
        for source in ("http", "static"):
            if f"{source}_sd_configs" in job:
                failed = labels(config=job["job_name"], mechanism=source)
                yield f"prometheus_sd_refresh_failures_total{failed} 0\n"


def _groups(groups: Iterable[RuleGroup], t: float) -> Iterator[str]:
    for group in groups:
        of = labels(rule_group=group.name)
        duration = group.rules * 0.0018 * (0.8 + 0.4 * chance(len(group.name), int(t // 30)))
        yield f"prometheus_rule_evaluation_failures_total{of} 0\n"
        yield f"prometheus_rule_group_interval_seconds{of} {group.interval:g}\n"
        yield f"prometheus_rule_group_last_duration_seconds{of} {duration:.6f}\n"


def alertmanager_page(firing: int, sent: Mapping[str, int]) -> str:
    """What Alertmanager says of itself; `sent` counts notifications by integration."""
    lines = [
        f'alertmanager_alerts{{state="active"}} {firing}\n',
        'alertmanager_alerts{state="suppressed"} 0\n',
        'alertmanager_alerts{state="unprocessed"} 0\n',
        "alertmanager_config_last_reload_successful 1\n",
    ]
    for integration, count in sent.items():
        lines.append(f"alertmanager_notifications_total{labels(integration=integration)} {count}\n")
        failed = labels(integration=integration, reason="other")
        lines.append(f"alertmanager_notifications_failed_total{failed} 0\n")
    return "".join(lines)
