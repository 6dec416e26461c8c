"""/metrics: a few of Grafana's own series, and those of the process."""

from __future__ import annotations

import platform

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from . import COMMIT, VERSION, datasources, folders, references
from .auth import SERVICE_ACCOUNT, USER
from .store import Store

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0)
"""Upper bounds in seconds of Grafana's request duration histogram."""

_STATS = {
    "grafana_stat_totals_dashboard": (folders.DASHBOARD, "total amount of dashboards"),
    "grafana_stat_totals_folder": (folders.KIND, "total amount of folders"),
    "grafana_stat_totals_datasource": (datasources.KIND, "total number of defined datasources"),
    "grafana_stat_totals_alert_rules": (references.ALERT_RULE, "total amount of alert rules in the database"),
    "grafana_stat_total_users": (USER, "total amount of users"),
    "grafana_stat_total_service_accounts": (SERVICE_ACCOUNT, "total amount of service accounts"),
}


class Metrics:
    """The counters of this run; the totals are read from the store when asked."""

    def __init__(self, store: Store) -> None:
        self._registry = CollectorRegistry()
        self._store = store
        ProcessCollector(registry=self._registry)
        Gauge(
            "grafana_build_info",
            "A metric with a constant '1' value labeled by version, revision, branch, and goversion",
            ["version", "revision", "branch", "goversion", "edition"],
            registry=self._registry,
        ).labels(VERSION, COMMIT, COMMIT, f"python{platform.python_version()}", "stand-in").set(1)
        Counter("grafana_instance_start", "counter for started instances", registry=self._registry).inc()
        self._duration = Histogram(
            "grafana_http_request_duration_seconds",
            "Histogram of latencies for HTTP requests",
            ["handler", "method", "status_code"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._status = Counter(
            "grafana_api_response_status",
            "api http response status",
            ["code"],
            registry=self._registry,
        )
        self._totals = {
            name: Gauge(name, text, registry=self._registry) for name, (_, text) in _STATS.items()
        }

    def observe(self, handler: str, method: str, status: int, seconds: float) -> None:
        """Count one answered request; the handler is a route's path, never a caller's."""
        self._duration.labels(handler, method, str(status)).observe(seconds)
        if handler.startswith("/api/"):
            self._status.labels(str(status)).inc()

    def render(self) -> bytes:
        """All series in the text format of Prometheus."""
        for name, (kind, _) in _STATS.items():
            self._totals[name].set(len(self._store.all(kind)))
        return generate_latest(self._registry)
