"""Host and Guests: is it the host or its guests, and which of them?"""

from __future__ import annotations

from collections.abc import Sequence

from dashboards import FOLDER_PROXMOX, layout, style
from dashboards.fields import Query
from dashboards.layout import Section
from dashboards.links import links_from
from dashboards.panels import graph, stat
from dashboards.queries import GUEST_PAGE_OF_CLUSTER, HOSTS, first_of_host, of_host, of_proxmox, on_hosts
from dashboards.sdk import Dashboard
from dashboards.style import Steps, high_is_bad
from dashboards.tables import Column, table
from dashboards.thresholds import levels, threshold

_HOST_CPU = high_is_bad(*levels("HostCpuSaturated"))
_HOST_MEMORY = high_is_bad(*levels("HostMemoryLow"))
_LATENCY = high_is_bad(*levels("GuestDiskLatencyHigh"))
_GUEST_CPU = high_is_bad(threshold("GuestCpuSaturated", "warning"))
_GUEST_MEMORY = high_is_bad(*levels("GuestMemoryLow"))
_STEAL = high_is_bad(threshold("HostCpuSteal", "warning"))
_PRESSURE = high_is_bad(threshold("HostPressureHigh", "warning"))
_VCPUS = high_is_bad(threshold("HostVcpuOvercommitted", "warning"))
_PROMISED = high_is_bad(threshold("HostMemoryOvercommitted", "warning"))
_GPU_MEMORY = high_is_bad(threshold("GpuMemoryFull", "warning"))
_GPU_HOT = high_is_bad(*levels("GpuHot"))

_STACK = (
    "The thick line is the host. The stack is its guests, each counted while it is on this host: the ten "
    "that take most over the time range, and the rest as one."
)


# Quantities of guests, by the host that they were on.
_CORES, _CORES_OUTSIDE = "cpu_cores:avg5m", "cpu_cores_outside:avg5m"
_MEMORY, _MEMORY_OUTSIDE = "memory_used:bytes", "memory_used_outside:bytes"


def _host(metric: str) -> str:
    return f"{metric}{{{HOSTS}}}"


def _all_of(quantity: str, matchers: str = "") -> str:
    """The sum over the guests of the host."""
    return f"sum by (cluster, node) (node_vm:{quantity}{{{HOSTS}{matchers}}})"


_HOST_CORES = f"{_host('node:cpu_utilization:avg5m')} * on (cluster, node) {_host('node:cpu_count:sum')}"
_HOST_USED = (
    f"({_host('node:memory_total:bytes')} - on (cluster, node) {_host('node:memory_available:bytes')})"
)


def _host_line(expr: str, legend: str = "host {{node}}") -> Query:
    return Query(expr=expr, legend=legend, color=style.HOST_COLOR, reference=True)


def _stack(quantity: str) -> list[Query]:
    """The ten guests that take most, and all others together."""
    first = first_of_host(quantity)
    return [
        Query(expr=f"{of_host(quantity)} and on (cluster, vm_id) {first}", legend="{{vm_name}}"),
        Query(
            expr=f"sum by (cluster, node) ({of_host(quantity)} unless on (cluster, vm_id) {first})",
            legend="other guests",
            color=style.REST_COLOR,
        ),
    ]


def _ten(quantity: str) -> Query:
    """The ten guests that have most, not stacked: for what doesn't add up."""
    first = first_of_host(quantity)
    return Query(expr=f"{of_host(quantity)} and on (cluster, vm_id) {first}", legend="{{vm_name}}")


def _head() -> list[object]:
    return [
        stat(
            "CPU of the host",
            "Share of the host's CPU time that is neither idle nor waiting for disks.",
            f"max({_host('node:cpu_utilization:avg5m')})",
            unit=style.RATIO,
            steps=_HOST_CPU,
            decimals=0,
        ),
        stat(
            "Used by guests",
            "Share of the used CPU that guests account for. The rest is the host's own work: storage, "
            "backup, migration, network.",
            f"sum({of_host(_CORES)}) / (sum({_HOST_CORES}) > 0)",
            unit=style.RATIO,
            decimals=0,
        ),
        stat(
            "vCPUs per CPU",
            "vCPUs of running guests for each CPU of the host.",
            f"max({_host('node:vcpu_overcommit:ratio')})",
            steps=_VCPUS,
            decimals=1,
        ),
        stat(
            "Highest steal",
            "Share of CPU time that a guest wanted and didn't get, of the guest where it is highest. Empty "
            "without a Linux guest that has an exporter.",
            f"max({of_host('cpu_steal:avg5m')})",
            unit=style.RATIO,
            steps=_STEAL,
            decimals=1,
            no_value="-",
        ),
        stat(
            "Memory of the host",
            "Share of the host's memory that programs can't get without swapping.",
            f"max({_host('node:memory_utilization:ratio')})",
            unit=style.RATIO,
            steps=_HOST_MEMORY,
            decimals=0,
        ),
        stat(
            "Memory promised",
            "Configured memory of running guests as a share of the host's. Above 100 % not all of them can "
            "use what they have at the same time.",
            f"max({_host('node:memory_overcommit:ratio')})",
            unit=style.RATIO,
            steps=_PROMISED,
            decimals=0,
        ),
        stat(
            "Slowest read",
            "Of the guest that waits longest, as it measures itself. Empty without an exporter.",
            f"max({of_host('disk_read_latency:avg5m')})",
            unit=style.SECONDS,
            steps=_LATENCY,
            no_value="-",
        ),
        stat(
            "Slowest write",
            "Of the guest that waits longest, as it measures itself. Empty without an exporter.",
            f"max({of_host('disk_write_latency:avg5m')})",
            unit=style.SECONDS,
            steps=_LATENCY,
            no_value="-",
        ),
    ]


def _overlay(title: str, description: str, host: Sequence[Query], quantity: str, unit: str) -> object:
    return graph(
        title,
        f"{description} {_STACK}",
        [*_stack(quantity), *host],
        unit=unit,
        stacked=True,
        short_legend=True,
    )


def _guest_columns() -> list[Column]:
    return [
        Column(title="Guest", label="vm_name", links=(GUEST_PAGE_OF_CLUSTER,)),
        Column(title="VMID", label="vm_id", width=58),
    ]


def _of_guest(expression: str) -> str:
    """A column's values: every guest that is on the host now."""
    return f"max by (vm_name, vm_id) ({expression})"


def _ratio(title: str, expr: str, steps: Steps, width: int = 85) -> Column:
    colored = steps is not style.NO_THRESHOLDS
    return Column(
        title=title, expr=expr, unit=style.RATIO, decimals=0, steps=steps, colored=colored, width=width
    )


def _who_takes_cpu() -> object:
    cores = of_host(_CORES)
    return table(
        "Who takes most CPU",
        "The ten guests that use most CPU of this host now. Of host: share of all its CPUs; of own: share of "
        "the guest's vCPUs; steal: what it wanted and didn't get (Linux only).",
        [
            *_guest_columns(),
            Column(
                title="Cores",
                expr=f"topk(10, {_of_guest(cores)})",
                unit=style.COUNT,
                decimals=1,
                width=75,
            ),
            _ratio(
                "Of host",
                "topk(10, max by (vm_name, vm_id) "
                f"({cores} / on (cluster, node) group_left () {_host('node:cpu_count:sum')}))",
                style.NO_THRESHOLDS,
            ),
            _ratio(
                "Of own", _in_first_ten(on_hosts("vm:cpu_utilization:avg5m"), of_host(_CORES)), _GUEST_CPU
            ),
            _ratio("Steal", _in_first_ten(of_host("cpu_steal:avg5m"), of_host(_CORES)), _STEAL, 70),
        ],
        sort_by="Cores",
        width=10,
        height=10,
    )


def _in_first_ten(expression: str, ranked_by: str) -> str:
    """A further column of a table of the ten first guests."""
    return f"{_of_guest(expression)} and on (vm_name, vm_id) topk(10, {_of_guest(ranked_by)})"


def _processor() -> Section:
    return Section(
        title="CPU",
        panels=[
            graph(
                "CPU: host and its guests",
                f"CPUs in use. {_STACK} What the line has above the stack is the host's own work.",
                [*_stack(_CORES), _host_line(_HOST_CORES)],
                unit=style.CORES,
                stacked=True,
                short_legend=True,
                width=14,
                height=10,
            ),
            _who_takes_cpu(),
        ],
    )


def _who_takes_memory() -> object:
    first = of_host(_MEMORY)
    return table(
        "Who takes most memory",
        "The ten guests that have most memory in use. In use: as the guest says, caches not counted. "
        "Proxmox: as the host counts. Given: what it was configured with. Sees: what it has now, less while "
        "ballooning takes some away.",
        [
            *_guest_columns(),
            _bytes("In use", f"topk(10, {_of_guest(first)})"),
            _bytes("Proxmox", _in_first_ten(of_host(_MEMORY_OUTSIDE), first)),
            _bytes("Sees", _in_first_ten(on_hosts("vm:memory_total:bytes"), first)),
            _bytes("Given", _in_first_ten(on_hosts(of_proxmox("pve_memory_size_bytes")), first)),
        ],
        sort_by="In use",
        width=10,
        height=10,
    )


def _bytes(title: str, expr: str) -> Column:
    return Column(title=title, expr=expr, unit=style.BYTES, decimals=1, width=80)


def _memory() -> Section:
    return Section(
        title="Memory",
        panels=[
            graph(
                "Memory: host and its guests",
                f"Memory in use. {_STACK} Guests without an exporter are counted as Proxmox does. Dashed: "
                "all that the host has, and what its running guests were promised.",
                [
                    *_stack(_MEMORY),
                    _host_line(_HOST_USED),
                    Query(
                        expr=_host("node:memory_total:bytes"),
                        legend="all memory",
                        color=style.LIMIT_COLOR,
                        dashed=True,
                    ),
                    Query(
                        expr=f"{_host('node:memory_overcommit:ratio')} * on (cluster, node) "
                        f"{_host('node:memory_total:bytes')}",
                        legend="promised to guests",
                        color=style.PROMISED_COLOR,
                        dashed=True,
                    ),
                ],
                unit=style.BYTES,
                stacked=True,
                short_legend=True,
                width=14,
                height=10,
            ),
            _who_takes_memory(),
        ],
    )


def _latency(title: str, operation: str) -> object:
    return graph(
        title,
        f"Seconds that a {operation} takes on average: the thick line is the host's own disks, the others "
        "are the ten guests that wait longest, as they measure it. All rise together: the host's disks are "
        "the place to look. One guest alone: its own limits, its file system, or a storage that isn't in "
        "this host.",
        [
            _ten(f"disk_{operation}_latency:avg5m"),
            _host_line(_host(f"node:disk_{operation}_latency:avg5m")),
        ],
        unit=style.SECONDS,
        short_legend=True,
    )


def _who_uses_disks() -> object:
    both = on_hosts("vm:disk_bytes:rate5m")
    return table(
        "Who uses the disks most",
        "The ten guests that move most bytes to and from disks. Latency and operations are measured inside; "
        "they stay empty for a guest without an exporter.",
        [
            *_guest_columns(),
            Column(
                title="Throughput",
                expr=f"topk(10, {_of_guest(both)})",
                unit=style.BYTES_PER_SECOND,
                width=120,
            ),
            *(
                Column(title=title, expr=_in_first_ten(on_hosts(metric), both), unit=unit, width=120)
                for title, metric, unit in (
                    ("Reading", "vm:disk_read_bytes:rate5m", style.BYTES_PER_SECOND),
                    ("Writing", "vm:disk_written_bytes:rate5m", style.BYTES_PER_SECOND),
                    ("Operations", "vm:disk_operations:rate5m", style.OPERATIONS_PER_SECOND),
                )
            ),
            Column(
                title="Read latency",
                expr=_in_first_ten(of_host("disk_read_latency:avg5m"), both),
                unit=style.SECONDS,
                steps=_LATENCY,
                colored=True,
                width=120,
            ),
            Column(
                title="Write latency",
                expr=_in_first_ten(of_host("disk_write_latency:avg5m"), both),
                unit=style.SECONDS,
                steps=_LATENCY,
                colored=True,
                width=120,
            ),
        ],
        sort_by="Throughput",
        height=8,
    )


def _disks() -> Section:
    rate = style.BYTES_PER_SECOND
    return Section(
        title="Disks",
        panels=[
            _latency("Read latency: host and its guests", "read"),
            _latency("Write latency: host and its guests", "write"),
            _overlay(
                "Reads: host and its guests",
                "Bytes read per second. A stack above the line is read from the host's cache or from a "
                "storage elsewhere.",
                [_host_line(_host("node:disk_read_bytes:rate5m"))],
                "disk_read_bytes:rate5m",
                rate,
            ),
            _overlay(
                "Writes: host and its guests",
                "Bytes written per second. A line above the stack is the host's own writing: journals, "
                "copies of a mirror, backup.",
                [_host_line(_host("node:disk_written_bytes:rate5m"))],
                "disk_written_bytes:rate5m",
                rate,
            ),
            _who_uses_disks(),
        ],
    )


def _network() -> Section:
    rate = style.BYTES_PER_SECOND
    note = "A stack above the line is traffic between guests of this host, which never reaches a cable."
    return Section(
        title="Network",
        panels=[
            _overlay(
                "Received: host and its guests",
                f"Bytes per second. {note}",
                [_host_line(_host("node:network_receive_bytes:rate5m"))],
                "network_receive_bytes:rate5m",
                rate,
            ),
            _overlay(
                "Sent: host and its guests",
                f"Bytes per second. {note}",
                [_host_line(_host("node:network_transmit_bytes:rate5m"))],
                "network_transmit_bytes:rate5m",
                rate,
            ),
        ],
    )


def _gpu_lines(metric: str) -> list[Query]:
    return [
        _host_line(f'{metric}{{{HOSTS}, vm_id=""}}', "host {{node}} {{name}} {{index}}"),
        Query(expr=f'topk(10, {metric}{{{HOSTS}, vm_id!=""}})', legend="{{vm_name}} {{name}} {{index}}"),
    ]


def _gpus() -> Section:
    by = "max by (vm_name, name, index)"
    return Section(
        title="GPUs",
        panels=[
            graph(
                "GPU utilisation: host and its guests",
                "Thick lines are GPUs that the host uses or shares, the others those passed through to a "
                "guest. Empty without a GPU; utilisation is empty in MIG mode.",
                _gpu_lines("gpu:utilization:avg5m"),
                unit=style.RATIO,
                maximum=1,
                no_value="no GPU",
                short_legend=True,
                width=7,
            ),
            graph(
                "GPU memory: host and its guests",
                "Share of each GPU's memory that is in use. Empty without a GPU.",
                _gpu_lines("gpu:memory_utilization:ratio"),
                unit=style.RATIO,
                steps=_GPU_MEMORY,
                maximum=1,
                no_value="no GPU",
                short_legend=True,
                width=7,
            ),
            table(
                "Who takes most of the GPUs",
                "The ten busiest GPUs of this host and of its guests; without a guest, it is the host's own. "
                "Empty without a GPU.",
                [
                    Column(title="Guest", label="vm_name", width=105),
                    Column(title="GPU", label="name"),
                    Column(title="No.", label="index", width=45),
                    _ratio(
                        "Use", f"topk(10, {by} ({_host('gpu:utilization:avg5m')}))", style.NO_THRESHOLDS, 60
                    ),
                    _ratio("Memory", f"{by} ({_host('gpu:memory_utilization:ratio')})", _GPU_MEMORY, 80),
                    Column(
                        title="Temp.",
                        expr=f"{by} ({_host('nvidia_gpu_temperature_celsius')})",
                        unit=style.CELSIUS,
                        decimals=0,
                        steps=_GPU_HOT,
                        colored=True,
                        width=72,
                    ),
                ],
                sort_by="Use",
                no_value="no GPU",
                width=10,
                height=9,
            ),
        ],
    )


def _disagreement() -> Section:
    read, inside = _all_of("disk_read_bytes:rate5m"), ', source="guest"'
    return Section(
        title="Where host and guests disagree",
        panels=[
            graph(
                "Waiting for a CPU",
                "Thick: share of time in which something on the host waited for a CPU, guests of every kind "
                "included. The others: steal as the ten Linux guests see it that have most. Both up: too "
                "many vCPUs work at the same time.",
                [_ten("cpu_steal:avg5m"), _host_line(_host("node:cpu_pressure:avg5m"))],
                unit=style.RATIO,
                steps=_STEAL,
                short_legend=True,
                soft_maximum=0.2,
            ),
            graph(
                "Three views of memory",
                "Thick: what the host has in use. Above the guests as Proxmox counts them: the host's own "
                "programs and caches that can't shrink. Proxmox above the guests' own word: memory that they "
                "would give back, such as caches.",
                [
                    _host_line(_HOST_USED, "host in use"),
                    Query(expr=_all_of(_MEMORY_OUTSIDE), legend="guests, as Proxmox counts"),
                    Query(expr=_all_of(_MEMORY), legend="guests, as they say"),
                ],
                unit=style.BYTES,
            ),
            graph(
                "Memory that guests don't get",
                "Configured memory less what the guest sees: what ballooning takes away. Some 2 to 4 % that "
                "a Linux kernel keeps for itself are always there. Windows doesn't tell.",
                [_ten("memory_withheld:bytes")],
                unit=style.BYTES,
                short_legend=True,
            ),
            graph(
                "Reads answered by the host's cache",
                "Share of the bytes that guests read that came from the host's page cache or ARC, not "
                "from its disks. Close to 100 % as well where the guests' storage is elsewhere. A guest with "
                "low read latency on a host with busy disks owes it to this.",
                [
                    Query(
                        expr=f"clamp_min(1 - {_host('node:disk_read_bytes:rate5m')} / on (cluster, node) "
                        f"({read} > 0), 0)",
                        legend="{{node}}",
                        color=style.HOST_COLOR,
                    )
                ],
                unit=style.RATIO,
                maximum=1,
            ),
            graph(
                "Waiting for disks and memory",
                "Share of time in which something on the host waited for a disk, or for memory to be freed. "
                "High while the guests' own latencies are low: the host's own work is what waits.",
                [
                    Query(expr=_host("node:io_pressure:avg5m"), legend="{{node}} disks"),
                    Query(expr=_host("node:memory_pressure:avg5m"), legend="{{node}} memory"),
                ],
                unit=style.RATIO,
                steps=_PRESSURE,
                soft_maximum=0.6,
            ),
            graph(
                "CPU: guests' own word and Proxmox",
                "CPUs in use by the guests that have an exporter: as they measure, and as Proxmox does from "
                "outside. Proxmox above: work that QEMU does for them, mostly disk and network.",
                [
                    Query(expr=_all_of(_CORES, inside), legend="as they say"),
                    Query(
                        expr=f"sum by (cluster, node) ({of_host(_CORES_OUTSIDE)} and on (cluster, vm_id) "
                        f"node_vm:{_CORES}{{{HOSTS}{inside}}})",
                        legend="as Proxmox counts",
                    ),
                ],
                unit=style.CORES,
            ),
        ],
    )


def build() -> Dashboard:
    """Build the dashboard."""
    return layout.dashboard(
        uid="pve-host-guest",
        title="Host-Guest Correlation",
        question="Is it the host or its guests, and which of them?",
        folder=FOLDER_PROXMOX,
        variables=[
            layout.label_variable(
                "cluster", "Cluster", "label_values(node:cluster_online:bool, cluster)", multi=False
            ),
            layout.label_variable(
                "node",
                "Host",
                'label_values(node:cluster_online:bool{cluster=~"$cluster"}, node)',
                multi=False,
            ),
        ],
        links=links_from("pve-host-guest"),
        head=_head(),
        sections=[_processor(), _memory(), _disks(), _network(), _gpus(), _disagreement()],
        alert_matchers=f', scope=~"host|guest", {HOSTS}',
    )
