"""The service's own metrics; README.md lists them with their labels."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from . import __version__
from .inventory import state
from .model import GuestView, Inventory, Reason

RESULTS = (
    "success",
    "partial",
    "empty",
    "unauthorized",
    "forbidden",
    "unreachable",
    "timeout",
    "invalid",
    "error",
)
STATES = ("monitored", "unmonitored", "stopped", "template")
_CALL_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 4, 6, 8, 10)
_REFRESH_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_GUEST_LABELS = (
    "vm_id",
    "vm_name",
    "node",
    "type",
    "os",
    "tags",
    "vcpus",
    "memory_gb",
    "disk_type",
    "cluster",
    "target",
    "reason",
)


@dataclass(frozen=True, slots=True)
class Status:
    """The condition of discovery at one moment.

    Attributes:
        age: Seconds since the last good refresh, None where there was none ever.
        success_at: Unix time of the last good refresh, 0 where there was none ever.
        missing: For each privilege in use whether the token lacks it; empty until it is known.
        held: Guests that are listed no more, though it can't be shown that they are gone.
        pending: Guests that are being asked at this moment.
    """

    inventory: Inventory
    age: float | None
    success_at: float
    fresh: bool
    authenticated: bool | None = None
    missing: Mapping[str, bool] = field(default_factory=dict)
    pve_version: str = ""
    held: int = 0
    pending: int = 0


class Metrics:
    """Counters and histograms, and the observer of API calls."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.refreshes = Counter(
            "pve_discovery_refreshes", "Refreshes by result.", ["result"], registry=self.registry
        )
        self.refresh_seconds = Histogram(
            "pve_discovery_refresh_duration_seconds",
            "Duration of refreshes of the list of guests.",
            buckets=_REFRESH_BUCKETS,
            registry=self.registry,
        )
        self.calls = Counter(
            "pve_discovery_api_requests",
            "Calls to the Proxmox VE API by path and HTTP status (or timeout, unreachable, cancelled).",
            ["endpoint", "status"],
            registry=self.registry,
        )
        self.call_seconds = Histogram(
            "pve_discovery_api_request_duration_seconds",
            "Duration of calls to the Proxmox VE API by path.",
            ["endpoint"],
            buckets=_CALL_BUCKETS,
            registry=self.registry,
        )
        self.agent_failures = Counter(
            "pve_discovery_agent_failures",
            "Guests whose address could not be confirmed, by reason.",
            ["reason"],
            registry=self.registry,
        )
        self.denials = Counter(
            "pve_discovery_permission_denied",
            "Calls that the API refused with 403, by the privilege that it asked for.",
            ["privilege"],
            registry=self.registry,
        )
        self.state_errors = Counter(
            "pve_discovery_state_write_errors", "Failed writes of the state file.", registry=self.registry
        )
        for result in RESULTS:
            self.refreshes.labels(result)
        for reason in Reason:
            if reason not in {Reason.PENDING, Reason.EXCLUDED, Reason.UNKNOWN_OS}:
                self.agent_failures.labels(reason.value)

    def call(self, path: str, status: str, seconds: float) -> None:
        """Record one call of the API."""
        self.calls.labels(path, status).inc()
        self.call_seconds.labels(path).observe(seconds)

    def denied(self, privilege: str) -> None:
        """Record that a call was refused for want of a privilege."""
        self.denials.labels(privilege).inc()


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"pve_discovery_{name}", text, value=value)


def _by(name: str, text: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"pve_discovery_{name}", text, labels=[label])
    for key, value in sorted(values.items()):
        family.add_metric([key], value)
    return family


class StatusCollector(Collector):
    """Turns a `Status` into gauges at each scrape; `read` returns the current one."""

    def __init__(self, read: Callable[[], Status]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """Yield all gauges of one consistent status."""
        status = self._read()
        yield from _condition(status)
        yield from _access(status)
        yield from _guests(status)
        yield _info(status.inventory)
        yield _stopped(status.inventory)


def _condition(status: Status) -> Iterable[Metric]:
    build = GaugeMetricFamily("pve_discovery_build_info", "Version of the service.", labels=["version"])
    build.add_metric([__version__], 1)
    yield build
    if status.age is not None:
        yield _gauge(
            "inventory_age_seconds", "Age of the inventory: since the last good refresh.", status.age
        )
    yield _gauge(
        "last_success_timestamp_seconds",
        "Unix time of the last good refresh, 0 for never.",
        status.success_at,
    )
    yield _gauge(
        "inventory_fresh", "1 while the inventory is younger than DISCOVERY_CACHE_SECONDS.", status.fresh
    )
    yield _gauge(
        "inventory_complete",
        "1 once every guest was asked, or a saved inventory was loaded.",
        status.inventory.complete,
    )


def _access(status: Status) -> Iterable[Metric]:
    if status.authenticated is not None:
        yield _gauge(
            "authentication_ok",
            "1 while the API accepts the token, 0 while it doesn't.",
            status.authenticated,
        )
    yield _by(
        "missing_privileges",
        "1 for each privilege that the token has on no path.",
        "privilege",
        {name: float(lacking) for name, lacking in status.missing.items()},
    )
    endpoints = status.inventory.endpoints
    yield _by(
        "endpoint_up",
        "1 for each member of PVE_ENDPOINTS that answered when last asked.",
        "endpoint",
        {endpoint.label: float(endpoint.up) for endpoint in endpoints if endpoint.up is not None},
    )
    yield _by(
        "endpoint_active",
        "1 for the member of PVE_ENDPOINTS that is in use.",
        "endpoint",
        {endpoint.label: float(endpoint.active) for endpoint in endpoints},
    )
    cluster = GaugeMetricFamily(
        "pve_discovery_cluster_info", "The cluster and its release.", labels=["cluster", "pve_version"]
    )
    if status.inventory.cluster:
        cluster.add_metric([status.inventory.cluster, status.pve_version], 1)
    yield cluster


def _guests(status: Status) -> Iterable[Metric]:
    guests = status.inventory.guests
    states = Tally(state(guest) for guest in guests)
    yield _by("guests", "Guests by state.", "state", {name: states[name] for name in STATES})
    without = Tally(guest.reason for guest in guests if guest.reason)
    yield _by(
        "guests_unmonitored",
        "Guests that run but are no target, by reason.",
        "reason",
        {reason.value: without[reason] for reason in Reason},
    )
    kept = Tally(guest.agent for guest in guests if guest.target and guest.agent)
    yield _by(
        "guests_unconfirmed",
        "Targets whose address is a former or a configured one, by why the guest didn't confirm it.",
        "reason",
        {reason.value: kept[reason] for reason in Reason},
    )
    yield _gauge(
        "guests_held",
        "Guests that the API lists no more, kept because the token may have lost them.",
        status.held,
    )
    yield _gauge("guests_pending", "Guests that are being asked at this moment.", status.pending)
    yield _gauge(
        "address_conflicts", "Addresses that several targets share.", len(status.inventory.conflicts)
    )
    yield _by("targets", "Targets by kind.", "kind", _targets(status.inventory))
    nodes = Tally("online" if node.online else "offline" for node in status.inventory.nodes)
    yield _by("nodes", "Nodes by state.", "state", {name: nodes[name] for name in ("online", "offline")})
    unaddressed = sum(not node.address for node in status.inventory.nodes)
    yield _gauge(
        "nodes_without_address", "Nodes that can't be targets; see DISCOVERY_NODE_ADDRESSES.", unaddressed
    )


def _targets(inventory: Inventory) -> dict[str, float]:
    return {
        "guests": sum(bool(guest.target) for guest in inventory.guests),
        "nodes": sum(bool(node.target) for node in inventory.nodes),
        "gpu": sum(bool(node.gpu_target) for node in inventory.nodes)
        + sum(bool(guest.gpu_target) for guest in inventory.guests),
    }


def _info(inventory: Inventory) -> Metric:
    family = GaugeMetricFamily(
        "pve_discovery_guest_info", "All that labels say about a guest; join on vm_id.", labels=_GUEST_LABELS
    )
    for guest in inventory.guests:
        family.add_metric(_guest_values(guest, inventory.cluster), 1)
    return family


def _stopped(inventory: Inventory) -> Metric:
    family = GaugeMetricFamily(
        "pve_discovery_guest_stopped_unexpectedly",
        "1 for each guest that was seen running and is stopped, without a task that stopped it.",
        labels=["cluster", "vm_id", "vm_name", "node"],
    )
    for guest in inventory.guests:
        if guest.stopped_unexpectedly:
            family.add_metric([inventory.cluster, str(guest.vmid), guest.name, guest.node], 1)
    return family


def _guest_values(guest: GuestView, cluster: str) -> list[str]:
    return [
        str(guest.vmid),
        guest.name,
        guest.node,
        guest.kind,
        guest.os,
        guest.tags,
        guest.vcpus,
        guest.memory_gb,
        guest.disk_type,
        cluster,
        guest.target,
        guest.reason,
    ]
