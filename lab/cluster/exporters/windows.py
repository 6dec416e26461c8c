"""windows_exporter with the collectors cpu, memory, logical_disk, physical_disk, net, process, system, os."""

# ruff: noqa: TID252 - the package is `lab.cluster` here and `cluster` in its image

from functools import cache

from ..load import chance, uneven
from ..model import Guest
from ..profiles import MTU_PAYLOAD, READ_SIZE, WRITE_SIZE
from ..state import Lab
from .page import Page, labels
from .windows_processes import Process, processes

EXPORTER = "windows_exporter-0.31.8"
COLLECTORS = ("cpu", "logical_disk", "memory", "net", "os", "physical_disk", "process", "system")
DOMAIN = "corp.example.com"
# Parts of the busy time. Interrupts and DPCs run in privileged mode: their time is within privileged time.
MODES = (("dpc", 0.012), ("interrupt", 0.01), ("privileged", 0.28), ("user", 0.72))
UTILITY = 1e7  # the utility counters run in units of 100 ns
RTC = 64e6  # ticks per second, as the exporter's help says
ADAPTER = "Red Hat VirtIO Ethernet Adapter"
STATES = ("up", "down", "testing", "unknown", "dormant", "not present", "lower layer down")


FIXED = {
    "windows_memory_cache_bytes": 254803968,
    "windows_memory_cache_bytes_peak": 412016640,
    "windows_memory_free_system_page_table_entries": 12345678,
    "windows_memory_modified_page_list_bytes": 98304000,
    "windows_memory_pool_nonpaged_allocs_total": 0,
    "windows_memory_pool_nonpaged_bytes": 402653184,
    "windows_memory_pool_paged_allocs_total": 0,
    "windows_memory_pool_paged_bytes": 612368384,
    "windows_memory_pool_paged_resident_bytes": 598736896,
    "windows_memory_process_memory_limit_bytes": 140737488224256,
    "windows_memory_standby_cache_core_bytes": 268435456,
    "windows_memory_system_cache_resident_bytes": 254803968,
    "windows_memory_system_code_resident_bytes": 0,
    "windows_memory_system_code_total_bytes": 0,
    "windows_memory_system_driver_resident_bytes": 18874368,
    "windows_memory_system_driver_total_bytes": 22020096,
    "windows_system_processes_limit": 4294967295,
}
# Events per second of uptime plus events per second of busy CPU.
EVENTS = {
    "windows_memory_cache_faults_total": (40, 900),
    "windows_memory_demand_zero_faults_total": (200, 5200),
    "windows_memory_page_faults_total": (450, 11000),
    "windows_memory_transition_faults_total": (160, 4100),
    "windows_memory_transition_pages_repurposed_total": (2, 60),
    "windows_memory_write_copies_total": (3, 50),
    "windows_memory_swap_page_reads_total": (0.05, 0.8),
    "windows_memory_swap_page_writes_total": (0.01, 0.1),
    "windows_memory_swap_pages_read_total": (0.4, 6.0),
    "windows_memory_swap_pages_written_total": (0.1, 1.0),
    "windows_memory_swap_page_operations_total": (0.5, 7.0),
    "windows_system_context_switches_total": (1800, 14000),
    "windows_system_exception_dispatches_total": (0.4, 6.0),
    "windows_system_system_calls_total": (9000, 210000),
}


@cache
def _core(number: int) -> tuple[str, ...]:
    """The label sets of a logical processor: by itself, with each mode, with each C state."""
    core = f"0,{number}"
    modes = (labels(core=core, mode=mode) for mode in ("idle", *(mode for mode, _ in MODES)))
    return (labels(core=core), *modes, *(labels(core=core, state=state) for state in ("c1", "c2", "c3")))


def render(lab: Lab, guest: Guest, t: float) -> str:
    """What the exporter in ``guest`` answers at ``t``; the guest is up."""
    page = Page(EXPORTER)
    uptime = t - lab.boot(guest, t)
    own, forced = lab.cpu_parts(guest, t)
    busy = own + forced
    used = lab.memory_used(guest, t)
    _cpu(page, guest, uptime, own, forced)
    _memory(page, guest, used)
    for name, (idle, per_busy) in EVENTS.items():
        page.add(name, int(uptime * idle + busy * guest.vcpus * per_busy))
    for name, value in FIXED.items():
        page.add(name, value)
    _disks(page, lab, guest, t)
    _network(page, lab, guest, t)
    _system(page, lab, guest, t)
    _processes(page, guest, t - uptime, (uptime, busy, used))
    _self(page)
    return page.text()


def _cpu(page: Page, guest: Guest, uptime: float, own: float, forced: float) -> None:
    page.add("windows_cpu_logical_processor", guest.vcpus)
    for number in range(guest.vcpus):
        of, idle_of, *rest = _core(number)
        part = own * uneven(guest.seed, number, 0.1) + forced
        idle = uptime - part
        page.add("windows_cpu_time_total", round(idle, 6), idle_of)
        for (_, share), mode_of in zip(MODES, rest, strict=False):
            page.add("windows_cpu_time_total", round(part * share, 6), mode_of)
        for state_of, value in zip(rest[len(MODES) :], (idle * 0.94, 0.0, 0.0), strict=True):
            page.add("windows_cpu_cstate_seconds_total", round(value, 6), state_of)
        page.add("windows_cpu_clock_interrupts_total", int(uptime * 64 + part * 30), of)
        page.add("windows_cpu_core_frequency_mhz", 2900, of)
        page.add("windows_cpu_dpcs_total", int(uptime * 25 + part * 400), of)
        page.add("windows_cpu_idle_break_events_total", int(uptime * 180 + part * 500), of)
        page.add("windows_cpu_interrupts_total", int(uptime * 300 + part * 1500), of)
        page.add("windows_cpu_parking_status", 0, of)
        page.add("windows_cpu_processor_mperf_total", round(part * 2.9e9), of)
        page.add("windows_cpu_processor_performance_total", round(part * 1.02e9), of)
        page.add("windows_cpu_processor_privileged_utility_total", round(part * 0.28 * UTILITY), of)
        page.add("windows_cpu_processor_rtc_total", round(uptime * RTC), of)
        page.add("windows_cpu_processor_utility_total", round(part * UTILITY), of)


def _memory(page: Page, guest: Guest, used: float) -> None:
    # Windows keeps a little for the hardware: the total is 132,096 bytes short of what the VM has.
    total = guest.memory - 132_096
    free = int(total * max(0.0, 1 - used))
    cache = free * 0.62
    page.add("windows_memory_physical_total_bytes", total)
    page.add("windows_memory_physical_free_bytes", free)
    page.add("windows_memory_available_bytes", free)
    page.add("windows_memory_free_and_zero_page_list_bytes", int(free - cache))
    page.add("windows_memory_standby_cache_normal_priority_bytes", int(cache * 0.78))
    page.add("windows_memory_standby_cache_reserve_bytes", int(cache * 0.22))
    page.add("windows_memory_commit_limit", int(guest.memory * 1.125))
    page.add("windows_memory_committed_bytes", int(total * used * 1.08))


def _disks(page: Page, lab: Lab, guest: Guest, t: float) -> None:
    count = len(guest.volumes)
    uptime = t - lab.boot(guest, t)
    read, write = lab.counter(guest, "read", t), lab.counter(guest, "write", t)
    waits = lab.counter(guest, "read_wait", t), lab.counter(guest, "write_wait", t)
    busy = lab.counter(guest, "util", t)
    queue = lab.rate(guest, "read_wait", t), lab.rate(guest, "write_wait", t)
    for number, volume in enumerate(guest.volumes):
        # The last disk holds the data and takes most of the traffic.
        share = 1.0 if count == 1 else (0.8 if number == count - 1 else 0.2 / (count - 1))
        flows = (read * share, write * share, waits[0] * share, waits[1] * share, uptime - busy * share)
        full = lab.volume_used(guest.vmid, volume, number, t)
        _logical(page, volume.mount, flows, (queue[0] * share, queue[1] * share))
        page.add("windows_logical_disk_size_bytes", volume.size, labels(volume=volume.mount))
        page.add(
            "windows_logical_disk_free_bytes", int(volume.size * (1 - full)), labels(volume=volume.mount)
        )
        serial = f"{int(chance(volume.seed, 50) * 2**32):08X}"
        page.add("windows_logical_disk_info", 1, labels(
            disk=str(number), filesystem=volume.filesystem, serial_number=serial, type="fixed",
            volume=volume.mount, volume_name=volume.label,
        ))  # fmt: skip
        of = labels(disk=str(number))
        for name, value in _flow("windows_physical_disk", flows):
            page.add(name, value, of)
        page.add("windows_physical_disk_requests_queued", int((queue[0] + queue[1]) * share), of)
    _reserved(page, uptime)


def _logical(page: Page, mount: str, flows: tuple[float, ...], queue: tuple[float, float]) -> None:
    of = labels(volume=mount)
    for name, value in _flow("windows_logical_disk", flows):
        page.add(name, value, of)
    page.add("windows_logical_disk_avg_read_requests_queued", round(queue[0], 6), of)
    page.add("windows_logical_disk_avg_write_requests_queued", round(queue[1], 6), of)
    page.add("windows_logical_disk_requests_queued", int(queue[0] + queue[1]), of)


def _reserved(page: Page, uptime: float) -> None:
    """The small system partition that Windows makes beside C:."""
    mount, size = "HarddiskVolume1", 104857600
    _logical(page, mount, (uptime * 2, uptime * 0.5, uptime * 1e-6, uptime * 1e-6, uptime), (0.0, 0.0))
    page.add("windows_logical_disk_size_bytes", size, labels(volume=mount))
    page.add("windows_logical_disk_free_bytes", 70254592, labels(volume=mount))
    page.add("windows_logical_disk_info", 1, labels(
        disk="0", filesystem="", serial_number="", type="fixed", volume=mount, volume_name=""
    ))  # fmt: skip


def _flow(prefix: str, flows: tuple[float, ...]) -> tuple[tuple[str, float], ...]:
    read, write, read_wait, write_wait, idle = flows
    return (
        (f"{prefix}_idle_seconds_total", round(idle, 6)),
        (f"{prefix}_read_bytes_total", int(read)),
        (f"{prefix}_read_latency_seconds_total", round(read_wait, 6)),
        (f"{prefix}_read_seconds_total", round(read_wait, 6)),
        (f"{prefix}_read_write_latency_seconds_total", round(read_wait + write_wait, 6)),
        (f"{prefix}_reads_total", int(read / READ_SIZE)),
        (f"{prefix}_split_ios_total", int(read / READ_SIZE / 250)),
        (f"{prefix}_write_bytes_total", int(write)),
        (f"{prefix}_write_latency_seconds_total", round(write_wait, 6)),
        (f"{prefix}_write_seconds_total", round(write_wait, 6)),
        (f"{prefix}_writes_total", int(write / WRITE_SIZE)),
    )


def _network(page: Page, lab: Lab, guest: Guest, t: float) -> None:
    rx, tx = lab.counter(guest, "rx", t), lab.counter(guest, "tx", t)
    errors = lab.counter(guest, "errors", t)
    for number, nic in enumerate(guest.nics):
        name = ADAPTER if number == 0 else f"{ADAPTER} _{number + 1}"
        carries = nic.address == guest.address
        received, sent = (int(rx), int(tx)) if carries else (4096, 8192)
        bad = int(errors) if carries else 0
        _counters(page, labels(nic=name), received, sent, bad)
        if nic.address:
            page.add("windows_net_nic_address_info", 1, labels(address=nic.address, family="ipv4", nic=name))
        friendly = "Ethernet" if number == 0 else f"Ethernet {number + 1}"
        page.add("windows_net_nic_info", 1, labels(friendly_name=friendly, mac=nic.mac, nic=name))
        for state in STATES:
            page.add("windows_net_nic_operation_status", int(state == "up"), labels(nic=name, status=state))


def _counters(page: Page, of: str, received: int, sent: int, bad: int) -> None:
    packets_in, packets_out = int(received / MTU_PAYLOAD), int(sent / MTU_PAYLOAD)
    page.add("windows_net_bytes_received_total", received, of)
    page.add("windows_net_bytes_sent_total", sent, of)
    page.add("windows_net_bytes_total", received + sent, of)
    page.add("windows_net_current_bandwidth_bytes", 1250000000, of)
    page.add("windows_net_output_queue_length_packets", 0, of)
    page.add("windows_net_packets_outbound_discarded_total", bad // 5, of)
    page.add("windows_net_packets_outbound_errors_total", bad // 2, of)
    page.add("windows_net_packets_received_discarded_total", bad // 4, of)
    page.add("windows_net_packets_received_errors_total", bad, of)
    page.add("windows_net_packets_received_total", packets_in, of)
    page.add("windows_net_packets_received_unknown_total", 0, of)
    page.add("windows_net_packets_sent_total", packets_out, of)
    page.add("windows_net_packets_total", packets_in + packets_out, of)


def _system(page: Page, lab: Lab, guest: Guest, t: float) -> None:
    rate = lab.rate(guest, "cpu", t)
    page.add("windows_system_boot_time_timestamp", int(lab.boot(guest, t)))
    page.add("windows_system_processes", len(processes(guest)))
    page.add("windows_system_threads", 1250 + int(600 * rate))
    page.add("windows_system_processor_queue_length", int(max(0.0, rate - 0.85) * 12 * guest.vcpus))
    host = guest.name.upper()[:15]
    fqdn = f"{host}.{DOMAIN}"
    page.add("windows_os_hostname", 1, labels(domain=DOMAIN, fqdn=fqdn, hostname=host))
    product, build = ("Windows 11 Pro", "26100") if guest.role == "desktop" else PRODUCT
    page.add("windows_os_info", 1, labels(
        build_number=build, major_version="10", minor_version="0", product=product, revision="4405",
        version=f"10.0.{build}",
    ))  # fmt: skip


PRODUCT = ("Windows Server 2022 Datacenter", "20348")


def _processes(page: Page, guest: Guest, boot: float, usage: tuple[float, float, float]) -> None:
    """``usage``: uptime, busy seconds per vCPU, the part of the memory in use."""
    uptime, busy, used = usage
    cpu = busy * guest.vcpus
    for process in processes(guest):
        seconds = cpu * process.cpu if process.pid else uptime * guest.vcpus - cpu
        memory = int(guest.memory * used * process.memory) or 8192
        _process(page, process, seconds, memory, round(boot + 4, 3))


@cache
def _process_labels(process: Process) -> tuple[str, str, dict[str, str], dict[str, str], str]:
    name, pid = process.name, str(process.pid)
    modes = {
        m: labels(process=name, process_id=pid, mode=m)
        for m in ("privileged", "user", "read", "write", "other")
    }
    pools = {pool: labels(process=name, process_id=pid, pool=pool) for pool in ("nonpaged", "paged")}
    parent = "640" if process.pid > 4 else "0"
    info = labels(
        cmdline="", creating_process_id=parent, owner=process.owner, process=name, process_group_id="0",
        process_id=pid,
    )  # fmt: skip
    return labels(process=name, process_id=pid), info, modes, pools, pid


def _process(page: Page, process: Process, seconds: float, memory: int, started: float) -> None:
    of, info, modes, pools, _ = _process_labels(process)
    page.add("windows_process_info", 1, info)
    page.add("windows_process_cpu_time_total", round(seconds * 0.4, 3), modes["privileged"])
    page.add("windows_process_cpu_time_total", round(seconds * 0.6, 3), modes["user"])
    operations = int(seconds * 180)
    for mode, share, size in (("read", 0.6, READ_SIZE), ("write", 0.3, WRITE_SIZE), ("other", 0.1, 200)):
        page.add("windows_process_io_operations_total", int(operations * share), modes[mode])
        page.add("windows_process_io_bytes_total", int(operations * share) * size, modes[mode])
    page.add("windows_process_handles", 380 + process.pid % 700, of)
    page.add("windows_process_page_faults_total", int(seconds * 300), of)
    page.add("windows_process_page_file_bytes", memory, of)
    page.add("windows_process_pool_bytes", 48128, pools["nonpaged"])
    page.add("windows_process_pool_bytes", 412672, pools["paged"])
    page.add("windows_process_priority_base", 8, of)
    page.add("windows_process_private_bytes", memory, of)
    page.add("windows_process_start_time_seconds_timestamp", started, of)
    page.add("windows_process_threads", 12 + process.pid % 40, of)
    page.add("windows_process_virtual_bytes", 2203526311936, of)
    page.add("windows_process_working_set_bytes", memory, of)
    page.add("windows_process_working_set_peak_bytes", int(memory * 1.2), of)
    page.add("windows_process_working_set_private_bytes", int(memory * 0.7), of)


def _self(page: Page) -> None:
    page.add("windows_exporter_build_info", 1, BUILD)
    page.add("windows_exporter_scrape_duration_seconds", 0.344)
    for collector in COLLECTORS:
        of = labels(collector=collector)
        duration = 0.31 if collector == "process" else 0.0123
        page.add("windows_exporter_collector_duration_seconds", duration, of)
        page.add("windows_exporter_collector_success", 1, of)
        page.add("windows_exporter_collector_timeout", 0, of)


BUILD = labels(
    branch="HEAD", goarch="amd64", goos="windows", goversion="go1.25.12", revision="0" * 40, tags="unknown",
    version="0.31.8",
)  # fmt: skip
