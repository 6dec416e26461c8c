"""VM Comparison: which of these guests differ, and in what?"""

from __future__ import annotations

from dashboards import FOLDER_PROXMOX, layout, style
from dashboards.fields import Query
from dashboards.layout import Section
from dashboards.links import links_from
from dashboards.panels import graph, ranked_stat
from dashboards.queries import EVERY_TAG, GUEST_PAGE, GUESTS, TAG_LEFT_OUT, busiest, on_hosts
from dashboards.sdk import Dashboard
from dashboards.style import high_is_bad
from dashboards.tables import Column, table
from dashboards.thresholds import levels, threshold

_CPU = high_is_bad(threshold("GuestCpuSaturated", "warning"))
_MEMORY = high_is_bad(*levels("GuestMemoryLow"))
_LATENCY = high_is_bad(*levels("GuestDiskLatencyHigh"))
_STEAL = high_is_bad(threshold("HostCpuSteal", "warning"))

_DISK = "vm:disk_bytes:rate5m"
_NETWORK = "vm:network_bytes:rate5m"
_TEN = "At most ten are shown: those that have most of it at the end of the time range."


def _chosen(metric: str) -> str:
    """The sum of recorded series of every chosen guest, with its name and host."""
    return on_hosts(metric, GUESTS)


def _first(title: str, description: str, metric: str, *, unit: str, steps: style.Steps) -> object:
    """The chosen guest that has most of something."""
    return ranked_stat(
        title, description, f"topk(1, {_chosen(metric)})", "{{vm_name}}", unit=unit, steps=steps
    )


def _head() -> list[object]:
    none = style.NO_THRESHOLDS
    return [
        _first(
            "Most CPU",
            "The chosen guest that uses the largest share of its own vCPUs.",
            "vm:cpu_utilization:avg5m",
            unit=style.RATIO,
            steps=_CPU,
        ),
        _first(
            "Most memory used",
            "The chosen guest that has the largest share of its own memory in use.",
            "vm:memory_utilization:ratio",
            unit=style.RATIO,
            steps=_MEMORY,
        ),
        _first(
            "Slowest reads",
            "The chosen guest that waits longest for a read, measured inside. Empty without an exporter.",
            "vm:disk_read_latency:avg5m",
            unit=style.SECONDS,
            steps=_LATENCY,
        ),
        _first(
            "Slowest writes",
            "The chosen guest that waits longest for a write, measured inside. Empty without an exporter.",
            "vm:disk_write_latency:avg5m",
            unit=style.SECONDS,
            steps=_LATENCY,
        ),
        _first(
            "Most disk traffic",
            "The chosen guest that reads and writes most bytes per second.",
            _DISK,
            unit=style.BYTES_PER_SECOND,
            steps=none,
        ),
        _first(
            "Most network traffic",
            "The chosen guest that receives and sends most bytes per second.",
            _NETWORK,
            unit=style.BYTES_PER_SECOND,
            steps=none,
        ),
    ]


def _guest_columns() -> list[Column]:
    return [
        Column(title="Guest", label="vm_name", links=(GUEST_PAGE,)),
        Column(title="VMID", label="vm_id", width=58),
        Column(title="Host", label="node", width=70),
        Column(title="Cluster", label="cluster", width=75),
    ]


def _share(title: str, metric: str, steps: style.Steps, width: int) -> Column:
    return Column(
        title=title,
        expr=_chosen(metric),
        unit=style.RATIO,
        decimals=0,
        steps=steps,
        colored=True,
        width=width,
    )


def _latency(title: str, metric: str) -> Column:
    return Column(
        title=title, expr=_chosen(metric), unit=style.SECONDS, steps=_LATENCY, colored=True, width=78
    )


def _rate(title: str, unit: str, width: int, metric: str) -> Column:
    return Column(title=title, expr=_chosen(metric), unit=unit, width=width)


def _side_by_side() -> object:
    return table(
        "Side by side",
        "The chosen guests as they are at the end of the time range; click a heading to sort. Read and "
        "write: seconds of a disk operation, measured inside. Steal: time that the host gave to others "
        "(Linux only). Exporter: whether the one inside answers. A dash stands where nothing measures it.",
        [
            *_guest_columns(),
            Column(title="State", expr=_chosen("vm:running:bool"), words=style.RUNNING_STOPPED, width=75),
            Column(
                title="Exporter",
                expr=on_hosts('max by (cluster, vm_id) (up{job=~"windows|linux", vm_id!=""})', GUESTS),
                words=style.UP_DOWN,
                width=78,
            ),
            _share("CPU", "vm:cpu_utilization:avg5m", _CPU, 62),
            _share("Memory", "vm:memory_utilization:ratio", _MEMORY, 78),
            _share("Steal", "vm:cpu_steal:avg5m", _STEAL, 60),
            _latency("Read", "vm:disk_read_latency:avg5m"),
            _latency("Write", "vm:disk_write_latency:avg5m"),
            _rate("IOPS", style.OPERATIONS_PER_SECOND, 88, "vm:disk_operations:rate5m"),
            _rate("Disk", style.BYTES_PER_SECOND, 92, _DISK),
            _rate("Network", style.BYTES_PER_SECOND, 92, _NETWORK),
            Column(
                title="Up for",
                expr=_chosen("vm:uptime:seconds"),
                unit=style.SECONDS,
                decimals=1,
                width=85,
            ),
        ],
        sort_by="CPU",
        height=12,
    )


def _makeup() -> object:
    labels = "vm_name, vm_id, node, cluster, type, os, vcpus, memory_gb, disk_type, tags"
    return table(
        "What they are made of",
        "Configuration of the chosen guests, as discovery reads it from Proxmox VE: guests that should be "
        "alike but aren't often differ here. Memory is in GiB.",
        [
            *_guest_columns(),
            Column(title="Kind", label="type", width=70),
            Column(title="OS", label="os", width=90),
            Column(title="vCPUs", label="vcpus", width=75),
            Column(title="GiB", label="memory_gb", width=85),
            Column(title="Disk", label="disk_type", width=140),
            Column(title="Tags", label="tags"),
            Column(
                title="State",
                expr=f"max by ({labels}) (pve_discovery_guest_info{{{GUESTS}}} "
                "* on (cluster, vm_id) group_left () vm:running:bool)",
                words=style.RUNNING_STOPPED,
                width=80,
            ),
        ],
        sort_by="Guest",
        descending=False,
        height=9,
    )


def _line(title: str, description: str, metric: str, *, unit: str, **options: object) -> object:
    """One quantity of the chosen guests over time; the values of now stand in the table above."""
    return graph(
        title,
        f"{description} {_TEN}",
        [Query(expr=busiest(metric, chosen=GUESTS), legend="{{vm_name}}")],
        unit=unit,
        short_legend=True,
        **options,  # type: ignore[arg-type]
    )


def _processor_and_memory() -> Section:
    return Section(
        title="CPU and memory over time",
        panels=[
            _line(
                "CPU",
                "Share of its own vCPUs that each guest uses.",
                "vm:cpu_utilization:avg5m",
                unit=style.RATIO,
                steps=_CPU,
                maximum=1,
            ),
            _line(
                "Memory",
                "Share of its own memory that each guest has in use, caches not counted.",
                "vm:memory_utilization:ratio",
                unit=style.RATIO,
                steps=_MEMORY,
                maximum=1,
            ),
        ],
    )


def _disks() -> Section:
    return Section(
        title="Disks over time",
        panels=[
            _line(
                "Read latency",
                "Seconds that a read takes on average, measured inside.",
                "vm:disk_read_latency:avg5m",
                unit=style.SECONDS,
            ),
            _line(
                "Write latency",
                "Seconds that a write takes on average, measured inside.",
                "vm:disk_write_latency:avg5m",
                unit=style.SECONDS,
            ),
            _line(
                "Operations",
                "Reads and writes per second, measured inside.",
                "vm:disk_operations:rate5m",
                unit=style.OPERATIONS_PER_SECOND,
            ),
            _line(
                "Throughput",
                "Bytes read and written per second, as the hypervisor counts them.",
                _DISK,
                unit=style.BYTES_PER_SECOND,
            ),
        ],
    )


def _network() -> Section:
    return Section(
        title="Network and steal over time",
        panels=[
            _line(
                "Network",
                "Bytes received and sent per second, as the hypervisor counts them.",
                _NETWORK,
                unit=style.BYTES_PER_SECOND,
            ),
            _line(
                "Steal",
                "Share of CPU time that a guest wanted and the host gave to others (Linux only).",
                "vm:cpu_steal:avg5m",
                unit=style.RATIO,
                steps=_STEAL,
                soft_maximum=0.2,
            ),
        ],
    )


def build() -> Dashboard:
    """Build the dashboard."""
    return layout.dashboard(
        uid="pve-vm-comparison",
        title="VM Comparison",
        question="Which of these guests differ, and in what?",
        folder=FOLDER_PROXMOX,
        variables=[
            layout.label_variable("cluster", "Cluster", "label_values(vm:guest:info, cluster)"),
            layout.label_variable("node", "Host", 'label_values(vm:guest:info{cluster=~"$cluster"}, node)'),
            layout.found_variable("tag", "Tag", EVERY_TAG, found="tag"),
            layout.named_variable(
                "vm",
                "Guests",
                'vm:guest:info{cluster=~"$cluster", node=~"$node"} '
                f"unless on (cluster, vm_id) pve_discovery_guest_info{{{TAG_LEFT_OUT}}}",
                value="vm_id",
                shown="vm_name",
                multi=True,
            ),
        ],
        links=links_from("pve-vm-comparison"),
        head=[*_head(), _side_by_side(), _makeup()],
        sections=[_processor_and_memory(), _disks(), _network()],
        alert_matchers=', cluster=~"$cluster", vm_id=~"$vm"',
    )
