"""VM Detail: what is the matter with this guest, and is it the guest or its host?"""

from __future__ import annotations

from dashboards import FOLDER_PROXMOX, layout, panels, style
from dashboards.fields import Query
from dashboards.layout import Section
from dashboards.links import links_from
from dashboards.panels import graph, name_stat, stat
from dashboards.queries import HOST_OF_SERIES, ONE_GUEST, node_of_guest
from dashboards.sdk import Dashboard
from dashboards.style import high_is_bad
from dashboards.tables import Column, table
from dashboards.thresholds import levels, threshold

_CPU = high_is_bad(threshold("GuestCpuSaturated", "warning"))
_MEMORY = high_is_bad(*levels("GuestMemoryLow"))
_DISK = high_is_bad(*levels("GuestDiskFull"))
_LATENCY = high_is_bad(*levels("GuestDiskLatencyHigh"))


def _of(metric: str, matchers: str = "") -> str:
    """A recorded series of the chosen guest."""
    return f"{metric}{{{ONE_GUEST}{matchers}}}"


def _head() -> list[object]:
    return [
        stat(
            "State",
            "Running or not, as the cluster says. Paused, or on an offline host, counts as stopped.",
            f"max({_of('vm:running:bool')})",
            words=style.RUNNING_STOPPED,
        ),
        name_stat(
            "Host",
            "The node that the guest is on now. Click it to hold the guest against its host.",
            _of("vm:guest:info"),
            "{{node}}",
            link=HOST_OF_SERIES,
        ),
        stat(
            "Exporter",
            "Whether the exporter inside answers. Empty for a guest that has no target.",
            f'max(up{{job=~"windows|linux", {ONE_GUEST}}})',
            words=style.UP_DOWN,
            no_value="none",
        ),
        stat(
            "Up for",
            "Since the guest's process was started on its host; a reboot inside doesn't count. Empty while "
            "it is stopped.",
            f"max({_of('vm:uptime:seconds')})",
            unit=style.AGE,
            no_value="-",
        ),
        stat(
            "CPU",
            "Share of its vCPUs that the guest uses.",
            f"max({_of('vm:cpu_utilization:avg5m')})",
            unit=style.RATIO,
            steps=_CPU,
            decimals=0,
        ),
        stat(
            "Memory",
            "Share of its memory in use, caches not counted (seen from outside where it has no exporter).",
            f"max({_of('vm:memory_utilization:ratio')})",
            unit=style.RATIO,
            steps=_MEMORY,
            decimals=0,
        ),
        stat(
            "Fullest file system",
            "The file system with the least room, as the guest sees it. Empty without an exporter.",
            f"max({_of('vm:filesystem_utilization:ratio')})",
            unit=style.RATIO,
            steps=_DISK,
            decimals=0,
        ),
        stat(
            "Alerts",
            "Alerts about this guest that fire now. Empty while none does.",
            f'count(ALERTS{{alertstate="firing", {ONE_GUEST}}})',
            steps=style.ANY_IS_BAD,
            no_value="none",
        ),
    ]


def _where() -> object:
    return panels.timeline(
        "Where it ran",
        "The host of the guest over time: each change of lane is a migration or a restart elsewhere.",
        # A series that ends would be drawn on to the right: each host of the range says 0 while it isn't it.
        Query(
            expr=f"max by (node) ({_of('vm:guest:info')}) or "
            f"0 * max by (node) (max_over_time({_of('vm:guest:info')}[$__range] @ end()))",
            legend="{{node}}",
        ),
        words={"1": ("here", "blue"), "0": ("elsewhere", "transparent")},
        height=4,
    )


def _processor_and_memory() -> Section:
    return Section(
        title="CPU and memory",
        panels=[
            graph(
                "CPU: guest and host",
                "The guest's own CPU, next to that of the host it was on at the time. Both high: the host is "
                "the place to look. Steal is time that the host gave to others (Linux only).",
                [
                    Query(expr=_of("vm:cpu_utilization:avg5m"), legend="guest"),
                    Query(expr=_of("vm:cpu_steal:avg5m"), legend="steal"),
                    Query(
                        expr=node_of_guest("node:cpu_utilization:avg5m"),
                        legend="host {{node}}",
                        color=style.HOST_COLOR,
                        reference=True,
                    ),
                ],
                unit=style.RATIO,
                steps=_CPU,
                maximum=1,
            ),
            graph(
                "Memory in use",
                "Memory in use inside the guest, and all that it has. Empty without an exporter.",
                [
                    Query(
                        expr=f"{_of('vm:memory_total:bytes')} - {_of('vm:memory_available:bytes')}",
                        legend="in use",
                    ),
                    Query(expr=_of("vm:memory_total:bytes"), legend="all"),
                ],
                unit=style.BYTES,
            ),
        ],
    )


def _disks() -> Section:
    return Section(
        title="Disks",
        panels=[
            graph(
                "Latency of each disk",
                "Seconds that an operation takes as the guest sees it. Empty without an exporter or while "
                "nothing is read or written.",
                [Query(expr=_of("vm_disk:latency:avg5m"), legend="{{device}} {{operation}}")],
                unit=style.SECONDS,
                steps=_LATENCY,
            ),
            graph(
                "Latency: guest and host",
                "All disks of the guest, next to the disks of the host it was on at the time. High only in "
                "the guest: look at its storage's own limits or a remote storage.",
                [
                    Query(expr=_of("vm:disk_read_latency:avg5m"), legend="guest read"),
                    Query(expr=_of("vm:disk_write_latency:avg5m"), legend="guest write"),
                    Query(expr=node_of_guest("node:disk_read_latency:avg5m"), legend="{{node}} read"),
                    Query(expr=node_of_guest("node:disk_write_latency:avg5m"), legend="{{node}} write"),
                ],
                unit=style.SECONDS,
            ),
            graph(
                "Throughput",
                "Bytes per second, as the hypervisor counts them.",
                [
                    Query(expr=_of("vm:disk_read_bytes:rate5m"), legend="read"),
                    Query(expr=_of("vm:disk_written_bytes:rate5m"), legend="written"),
                ],
                unit=style.BYTES_PER_SECOND,
            ),
            graph(
                "Operations",
                "Reads and writes per second over all disks. Empty without an exporter.",
                [Query(expr=_of("vm:disk_operations:rate5m"), legend="operations")],
                unit=style.OPERATIONS_PER_SECOND,
            ),
            _file_systems(),
            graph(
                "File systems over time",
                "How full each file system is. Empty without an exporter.",
                [Query(expr=_of("vm:filesystem_utilization:ratio"), legend="{{mountpoint}}")],
                unit=style.RATIO,
                steps=_DISK,
                maximum=1,
            ),
        ],
    )


def _file_systems() -> object:
    by = "max by (mountpoint)"
    return table(
        "File systems",
        "As the guest sees them. Full in: at the pace of the last 6 hours; empty where it doesn't grow. "
        "Empty without an exporter.",
        [
            Column(title="File system", label="mountpoint"),
            Column(title="Size", expr=f"{by} ({_of('vm:filesystem_size:bytes')})", unit=style.BYTES),
            Column(title="Free", expr=f"{by} ({_of('vm:filesystem_available:bytes')})", unit=style.BYTES),
            Column(
                title="Used",
                expr=f"{by} ({_of('vm:filesystem_utilization:ratio')})",
                unit=style.RATIO,
                decimals=0,
                steps=_DISK,
                colored=True,
            ),
            Column(
                title="Full in",
                expr=f"{by} ({_of('vm:filesystem_available:bytes')} / "
                f"(-deriv({_of('vm:filesystem_available:bytes')}[6h]) > 0))",
                unit=style.AGE,
            ),
        ],
        sort_by="Used",
        no_value="no exporter",
        width=12,
        height=9,
    )


def _network() -> Section:
    return Section(
        title="Network and GPU",
        panels=[
            graph(
                "Network",
                "Bytes per second, as the hypervisor counts them.",
                [
                    Query(expr=_of("vm:network_receive_bytes:rate5m"), legend="in"),
                    Query(expr=_of("vm:network_transmit_bytes:rate5m"), legend="out"),
                ],
                unit=style.BYTES_PER_SECOND,
            ),
            graph(
                "GPU",
                "Utilisation and memory of GPUs that are passed through to this guest. Empty without one.",
                [
                    Query(expr=_of("gpu:utilization:avg5m"), legend="{{name}} {{index}} utilisation"),
                    Query(expr=_of("gpu:memory_utilization:ratio"), legend="{{name}} {{index}} memory"),
                ],
                unit=style.RATIO,
                maximum=1,
                no_value="no GPU",
            ),
        ],
    )


def build() -> Dashboard:
    """Build the dashboard."""
    return layout.dashboard(
        uid="pve-vm-detail",
        title="VM Detail",
        question="What is the matter with this guest, and is it the guest or its host?",
        folder=FOLDER_PROXMOX,
        variables=[
            layout.label_variable("cluster", "Cluster", "label_values(vm:guest:info, cluster)", multi=False),
            layout.label_variable("node", "Host", 'label_values(vm:guest:info{cluster=~"$cluster"}, node)'),
            layout.named_variable(
                "vm",
                "Guest",
                'vm:guest:info{cluster=~"$cluster", node=~"$node"}',
                value="vm_id",
                shown="vm_name",
            ),
        ],
        links=links_from("pve-vm-detail"),
        head=[*_head(), _where()],
        sections=[_processor_and_memory(), _disks(), _network()],
        alert_matchers=f", {ONE_GUEST}",
    )
