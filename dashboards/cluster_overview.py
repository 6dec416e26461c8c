"""Cluster Overview: is the cluster healthy, and who uses it up?"""

from __future__ import annotations

from dashboards import FOLDER_PROXMOX, layout, style
from dashboards.fields import Query
from dashboards.layout import Section
from dashboards.links import links_from
from dashboards.panels import bars, graph, stat
from dashboards.queries import GUEST_PAGE, HOST_FILTER, HOST_PAGE, HOSTS, busiest, on_hosts
from dashboards.sdk import Dashboard
from dashboards.style import high_is_bad
from dashboards.tables import Column, table
from dashboards.thresholds import levels, threshold

_CLUSTER = 'cluster=~"$cluster"'

_CPU = high_is_bad(*levels("HostCpuSaturated"))
_MEMORY = high_is_bad(*levels("HostMemoryLow"))
_STORAGE = high_is_bad(*levels("StoragePoolFilling"))
_LATENCY = high_is_bad(*levels("GuestDiskLatencyHigh"))
_GUEST_CPU = high_is_bad(threshold("GuestCpuSaturated", "warning"))
_GUEST_MEMORY = high_is_bad(*levels("GuestMemoryLow"))
_GPU_HOT = high_is_bad(*levels("GpuHot"))


def _alerts(severity: str) -> str:
    return f'count(ALERTS{{alertstate="firing", severity="{severity}", cluster=~"$cluster|"}})'


def _head() -> list[object]:
    return [
        stat(
            "Quorum",
            "Whether the members that answer have a majority. Empty on a host that is in no cluster.",
            f'min(pve_up{{id=~"cluster/.+", {_CLUSTER}}})',
            words=style.YES_NO,
            no_value="no cluster",
        ),
        stat(
            "Hosts offline",
            "Nodes that the cluster counts as offline.",
            f"sum(node:cluster_online:bool{{{_CLUSTER}}} == bool 0)",
            steps=style.ANY_IS_BAD,
        ),
        stat(
            "Guests running",
            "Virtual machines and containers that run now.",
            f"sum(vm:running:bool{{{_CLUSTER}}})",
        ),
        stat(
            "Guests not watched",
            "Guests that run without a target; Coverage lists them with the reason.",
            'sum(pve_discovery_guests_unmonitored{reason!="excluded"})',
            steps=style.ANY_IS_NOTABLE,
        ),
        stat(
            "Critical alerts",
            "Alerts of severity critical that fire now. Empty while none does.",
            _alerts("critical"),
            steps=style.ANY_IS_BAD,
            no_value="none",
        ),
        stat(
            "Warnings",
            "Alerts of severity warning that fire now. Empty while none does.",
            _alerts("warning"),
            steps=style.ANY_IS_NOTABLE,
            no_value="none",
        ),
        stat(
            "Fullest storage",
            "Share of the fullest storage pool that is used; the table below names it.",
            f"max(storage:utilization:ratio{{{_CLUSTER}}})",
            unit=style.RATIO,
            steps=_STORAGE,
            decimals=0,
        ),
        stat(
            "vCPUs per CPU",
            "vCPUs of running guests per CPU, on the host where that is highest. Above about 4, guests that "
            "work at the same time wait for each other.",
            f"max(node:vcpu_overcommit:ratio{{{HOSTS}}})",
            steps=high_is_bad(4, 8),
            decimals=1,
        ),
    ]


_ALERT_LABELS = "alertname, node, vm_name, mountpoint, storage, reason"


def _firing(severity: str, rank: int) -> str:
    selector = f'alertstate="firing", severity="{severity}", cluster=~"$cluster|"'
    return f"{rank} * group by ({_ALERT_LABELS}) (ALERTS{{{selector}}})"


def _alert_table() -> object:
    return table(
        "Alerts that fire",
        "What Prometheus has raised, worst first. Empty while nothing fires.",
        [
            Column(
                title="Severity",
                # Words would sort by the alphabet; the higher of two severities counts.
                expr=" or ".join((_firing("critical", 3), _firing("warning", 2), _firing("info", 1))),
                words=style.SEVERITIES,
                width=100,
            ),
            Column(title="Alert", label="alertname"),
            Column(title="Host", label="node", width=120),
            Column(title="Guest", label="vm_name", width=180),
            Column(title="Where", label="mountpoint", width=140),
            Column(title="Storage", label="storage", width=140),
            Column(title="Reason", label="reason", width=150),
        ],
        sort_by="Severity",
        no_value="nothing fires",
        height=6,
    )


def _host_table() -> object:
    by = "max by (cluster, node)"
    return table(
        "Hosts",
        "Each host now. Click a name to narrow the dashboard to it. CPU and memory come from the Proxmox API "
        "where the host has no node_exporter.",
        [
            Column(title="Host", label="node", width=140, links=(HOST_FILTER, HOST_PAGE)),
            Column(title="Cluster", label="cluster", width=120),
            Column(
                title="State",
                expr=f"{by} (node:cluster_online:bool{{{HOSTS}}})",
                words=style.ONLINE_OFFLINE,
                width=90,
            ),
            _ratio("CPU", f"{by} (node:cpu_utilization:avg5m{{{HOSTS}}})", _CPU),
            _ratio("Memory", f"{by} (node:memory_utilization:ratio{{{HOSTS}}})", _MEMORY),
            _ratio("Waiting for disks", f"{by} (node:cpu_iowait:avg5m{{{HOSTS}}})", style.NO_THRESHOLDS),
            Column(
                title="Guests",
                expr="sum by (cluster, node) (vm:running:bool * on (cluster, vm_id) group_left (node) "
                f"vm:guest:info{{{HOSTS}}})",
                unit=style.COUNT,
                width=90,
            ),
            Column(
                title="vCPUs per CPU",
                expr=f"{by} (node:vcpu_overcommit:ratio{{{HOSTS}}})",
                unit=style.COUNT,
                decimals=1,
            ),
            Column(
                title="Memory promised",
                expr=f"{by} (node:memory_overcommit:ratio{{{HOSTS}}})",
                unit=style.RATIO,
                decimals=0,
            ),
        ],
        sort_by="CPU",
        height=6,
    )


def _ratio(title: str, expr: str, steps: style.Steps) -> Column:
    colored = steps is not style.NO_THRESHOLDS
    return Column(title=title, expr=expr, unit=style.RATIO, decimals=0, steps=steps, colored=colored)


def _hosts() -> Section:
    return Section(
        title="Hosts",
        panels=[
            _host_table(),
            graph(
                "CPU of hosts",
                "Share of CPU time that is neither idle nor waiting for disks. The lines mark where "
                "HostCpuSaturated begins.",
                [Query(expr=f"node:cpu_utilization:avg5m{{{HOSTS}}}", legend="{{node}}")],
                unit=style.RATIO,
                steps=_CPU,
                maximum=1,
            ),
            graph(
                "Memory of hosts",
                "Memory that programs can't get without swapping; caches and the shrinkable ZFS ARC count as "
                "free.",
                [Query(expr=f"node:memory_utilization:ratio{{{HOSTS}}}", legend="{{node}}")],
                unit=style.RATIO,
                steps=_MEMORY,
                maximum=1,
            ),
            graph(
                "Disk latency of hosts",
                "Seconds that an operation of the host's disks takes on average. Needs node_exporter.",
                [
                    Query(expr=f"node:disk_read_latency:avg5m{{{HOSTS}}}", legend="{{node}} read"),
                    Query(expr=f"node:disk_write_latency:avg5m{{{HOSTS}}}", legend="{{node}} write"),
                ],
                unit=style.SECONDS,
            ),
            graph(
                "Network of hosts",
                "Bytes per second over the physical interfaces. Needs node_exporter.",
                [
                    Query(expr=f"node:network_receive_bytes:rate5m{{{HOSTS}}}", legend="{{node}} in"),
                    Query(expr=f"node:network_transmit_bytes:rate5m{{{HOSTS}}}", legend="{{node}} out"),
                ],
                unit=style.BYTES_PER_SECOND,
            ),
        ],
    )


def _guest_table() -> object:
    return table(
        "Guests",
        "Every running guest on the chosen hosts. Click a name for all of it. Disk latency is measured "
        "inside; it stays empty for a guest without an exporter.",
        [
            Column(title="Guest", label="vm_name", width=180, links=(GUEST_PAGE,)),
            Column(title="VMID", label="vm_id", width=80),
            Column(title="Host", label="node", width=120),
            Column(title="Cluster", label="cluster", width=120),
            _ratio("CPU", on_hosts("vm:cpu_utilization:avg5m"), _GUEST_CPU),
            _ratio("Memory", on_hosts("vm:memory_utilization:ratio"), _GUEST_MEMORY),
            Column(
                title="Read latency",
                expr=on_hosts("vm:disk_read_latency:avg5m"),
                unit=style.SECONDS,
                steps=_LATENCY,
                colored=True,
            ),
            Column(
                title="Write latency",
                expr=on_hosts("vm:disk_write_latency:avg5m"),
                unit=style.SECONDS,
                steps=_LATENCY,
                colored=True,
            ),
            Column(
                title="Disk",
                expr=on_hosts("vm:disk_bytes:rate5m"),
                unit=style.BYTES_PER_SECOND,
            ),
            Column(
                title="Network",
                expr=on_hosts("vm:network_bytes:rate5m"),
                unit=style.BYTES_PER_SECOND,
            ),
        ],
        sort_by="CPU",
        height=12,
    )


def _guests() -> Section:
    return Section(
        title="Guests",
        panels=[
            _guest_table(),
            graph(
                "Busiest guests: CPU",
                "The ten guests that use most of their own vCPUs at the end of the time range.",
                [Query(expr=busiest("vm:cpu_utilization:avg5m"), legend="{{vm_name}}")],
                unit=style.RATIO,
                maximum=1,
            ),
            graph(
                "Busiest guests: memory",
                "The ten guests with most of their own memory in use at the end of the time range.",
                [Query(expr=busiest("vm:memory_utilization:ratio"), legend="{{vm_name}}")],
                unit=style.RATIO,
                maximum=1,
            ),
            graph(
                "Slowest guests: disk reads",
                "The ten guests that wait longest for a read, measured inside. Empty while nothing is read.",
                [Query(expr=busiest("vm:disk_read_latency:avg5m"), legend="{{vm_name}}")],
                unit=style.SECONDS,
                steps=_LATENCY,
            ),
            graph(
                "Busiest guests: disk throughput",
                "The ten guests that move most bytes to and from disks, as the hypervisor counts them.",
                [
                    Query(
                        expr=busiest("vm:disk_bytes:rate5m"),
                        legend="{{vm_name}}",
                    )
                ],
                unit=style.BYTES_PER_SECOND,
            ),
        ],
    )


def _storage() -> Section:
    return Section(
        title="Storage",
        panels=[
            bars(
                "Storage pools",
                "How full each pool is. A shared pool appears once, a local one for each node.",
                Query(
                    expr=f"sort_desc(storage:utilization:ratio{{{_CLUSTER}}})", legend="{{storage}} {{node}}"
                ),
                unit=style.RATIO,
                steps=_STORAGE,
                maximum=1,
            ),
            table(
                "When pools will be full",
                "Full in: at the pace of the last day; empty where a pool doesn't grow.",
                [
                    Column(title="Storage", label="storage"),
                    Column(title="Host", label="node", width=120),
                    Column(
                        title="Size",
                        expr=f"max by (storage, node) (storage:size:bytes{{{_CLUSTER}}})",
                        unit=style.BYTES,
                    ),
                    Column(
                        title="Used",
                        expr=f"max by (storage, node) (storage:used:bytes{{{_CLUSTER}}})",
                        unit=style.BYTES,
                    ),
                    Column(
                        title="Full in",
                        expr="max by (storage, node) ("
                        f"(storage:size:bytes{{{_CLUSTER}}} - storage:used:bytes{{{_CLUSTER}}})"
                        f" / (deriv(storage:used:bytes{{{_CLUSTER}}}[1d]) > 0))",
                        unit=style.AGE,
                    ),
                ],
                sort_by="Full in",
                descending=False,
                width=12,
                height=8,
            ),
        ],
    )


def _gpus() -> Section:
    by = "max by (node, vm_name, name, index, uuid)"
    return Section(
        title="GPUs",
        panels=[
            table(
                "GPUs",
                "GPUs of hosts and of guests that one is passed through to. Empty where no GPU exporter "
                "runs; utilisation is empty in MIG mode.",
                [
                    Column(title="GPU", label="name", width=200),
                    Column(title="Number", label="index", width=80),
                    Column(title="Host", label="node", width=120),
                    Column(title="Guest", label="vm_name", width=160),
                    Column(title="UUID", label="uuid", width=300),
                    _ratio("Utilisation", f"{by} (gpu:utilization:avg5m{{{HOSTS}}})", style.NO_THRESHOLDS),
                    _ratio(
                        "Memory",
                        f"{by} (gpu:memory_utilization:ratio{{{HOSTS}}})",
                        high_is_bad(threshold("GpuMemoryFull", "warning")),
                    ),
                    Column(
                        title="Temperature",
                        expr=f"{by} (nvidia_gpu_temperature_celsius{{{HOSTS}}})",
                        unit=style.CELSIUS,
                        steps=_GPU_HOT,
                        colored=True,
                    ),
                    Column(
                        title="Power",
                        expr=f"{by} (nvidia_gpu_power_usage_watts{{{HOSTS}}})",
                        unit=style.WATTS,
                        decimals=0,
                    ),
                ],
                sort_by="Temperature",
                no_value="no GPU exporter",
                height=6,
            )
        ],
    )


def build() -> Dashboard:
    """Build the dashboard."""
    return layout.dashboard(
        uid="pve-cluster-overview",
        title="Cluster Overview",
        question="Is the cluster healthy, and who uses it up?",
        folder=FOLDER_PROXMOX,
        variables=[
            layout.label_variable("cluster", "Cluster", "label_values(node:cluster_online:bool, cluster)"),
            layout.label_variable(
                "node", "Host", 'label_values(node:cluster_online:bool{cluster=~"$cluster"}, node)'
            ),
        ],
        links=links_from("pve-cluster-overview"),
        head=[*_head(), _alert_table()],
        sections=[_hosts(), _guests(), _storage(), _gpus()],
        alert_matchers=', scope=~"host|cluster", cluster=~"$cluster"',
    )
