"""node_exporter on a Proxmox VE host and in a Linux guest."""

# ruff: noqa: TID252 - the package is `lab.cluster` here and `cluster` in its image

from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

from ..load import chance, uneven
from ..model import GIB, Guest, Host
from ..profiles import MTU_PAYLOAD, READ_SIZE, WRITE_SIZE
from ..state import Lab
from . import upkeep
from .page import Page, labels

EXPORTER = "node_exporter-1.12.1"
COLLECTED = "host_collectors"
COLLECTORS = (
    "cpu", "diskstats", "filesystem", "hwmon", "loadavg", "meminfo", "netdev", "pressure", "stat", "uname",
    "zfs",
)  # fmt: skip
UNITS = ("pve-cluster", "pvedaemon", "pveproxy", "pvestatd", "corosync")
UNIT_STATES = ("activating", "active", "deactivating", "failed", "inactive")
# Parts of the busy time by mode; iowait and steal come on top.
MODES = (("nice", 0.001), ("softirq", 0.02), ("system", 0.199), ("user", 0.78))
MEMINFO = (
    "Active", "AnonPages", "Buffers", "Cached", "CommitLimit", "Committed_AS", "Dirty", "Inactive", "Mapped",
    "MemAvailable", "MemFree", "MemTotal", "PageTables", "SReclaimable", "Shmem", "Slab", "SwapCached",
    "SwapFree", "SwapTotal", "Writeback",
)  # fmt: skip
KERNELS = {8: "6.8.12-15-pve", 9: "6.17.2-1-pve"}


class Machine(NamedTuple):
    """What a page says of a machine: busy, iowait and steal in seconds per CPU since boot."""

    name: str
    cpus: int
    memory: int
    used: float
    uptime: float
    own: float
    forced: float
    iowait: float
    steal: float
    load: float
    seed: int
    oom_kills: int = 0
    clock_offset: float = 0.0


class Device(NamedTuple):
    """A disk: bytes, seconds of waiting and busy seconds since boot, and operations in flight."""

    name: str
    read: float
    write: float
    read_wait: float
    write_wait: float
    busy: float
    queue: float


class Link(NamedTuple):
    """A network device: bytes and errors since boot; ``speed`` in bytes/s, 0 for devices that have none."""

    name: str
    rx: float
    tx: float
    errors: float
    speed: int
    mac: str = "00:00:00:00:00:00"


class Mount(NamedTuple):
    """A file system."""

    device: str
    fstype: str
    mountpoint: str
    size: int
    used: float


def render_host(lab: Lab, host: Host, t: float) -> str:
    """What node_exporter on ``host`` answers at ``t``; the host is up."""
    page = Page(EXPORTER, COLLECTED)
    release = lab.settings.pve_release
    parts = lab.host_cpu_parts(host, t)
    machine = _host_machine(lab, host, parts, t)
    _common(page, machine, t)
    _guest_time(page, host, parts[0])
    _disks(page, _host_disks(lab, host, t))
    _links(page, _host_links(lab, host, t))
    _mounts(page, _host_mounts(lab, host, t))
    _hardware(page, host, machine, lab.forced(host, "sensor_hot", "celsius", t))
    page.add(
        "node_edac_uncorrectable_errors_total",
        lab.incidents(host, "memory_errors", t),
        labels(controller="0"),
    )
    broken = lab.faults.hitting(host.name, "zpool_broken", t)
    _zfs(page, host, machine.uptime, str(broken.params["state"]) if broken else "online")
    kernel = KERNELS[release]
    _names(page, host.name, kernel, f"#1 SMP PREEMPT_DYNAMIC PMX {kernel}", "13" if release == 9 else "12")
    upkeep.add(page, lab, host, t)
    for unit in UNITS:
        for state in UNIT_STATES:
            of = labels(name=f"{unit}.service", state=state, type="notify")
            page.add("node_systemd_unit_state", int(state == "active"), of)
    return page.text()


def render_guest(lab: Lab, guest: Guest, t: float) -> str:
    """What node_exporter in ``guest`` answers at ``t``; the guest is up."""
    page = Page(EXPORTER)
    own, forced = lab.cpu_parts(guest, t)
    uptime = t - lab.boot(guest, t)
    busy = lab.counter(guest, "util", t)
    waits = lab.counter(guest, "read_wait", t), lab.counter(guest, "write_wait", t)
    steal = min(lab.counter(guest, "steal", t), uptime * 0.2)
    machine = Machine(
        guest.name, guest.vcpus, guest.memory, lab.memory_used(guest, t), uptime, own, forced,
        busy * 0.02, steal, lab.rate(guest, "cpu", t) * guest.vcpus, guest.seed,
    )  # fmt: skip
    _common(page, machine, t)
    queue = lab.rate(guest, "read_wait", t) + lab.rate(guest, "write_wait", t)
    read, write = lab.counter(guest, "read", t), lab.counter(guest, "write", t)
    _disks(page, [Device("sda", read, write, *waits, busy, queue)])
    rx, tx, errors = (lab.counter(guest, signal, t) for signal in ("rx", "tx", "errors"))
    name, mac = ("eth0" if guest.kind == "lxc" else "ens18"), guest.nics[0].mac.lower()
    links = [Link(name, rx, tx, errors, 1250000000, mac), Link("lo", uptime * 90, uptime * 90, 0, 0)]
    if guest.quirk == "docker":
        links.append(Link("docker0", rx * 0.4, tx * 0.4, 0, 0, "02:42:3c:11:22:33"))
    _links(page, links)
    volume = guest.volumes[0]
    _mounts(page, [Mount("/dev/sda1", "ext4", "/", volume.size, lab.volume_used(guest.vmid, volume, 0, t))])
    kernel = "6.12.48+deb13-amd64"
    _names(page, guest.name, kernel, "#1 SMP PREEMPT_DYNAMIC Debian 6.12.48-1 (2025-09-20)", "13")
    return page.text()


def _host_machine(lab: Lab, host: Host, parts: tuple[float, float, float], t: float) -> Machine:
    uptime = t - lab.boot(host, t)
    guests, own, forced = parts
    offset = lab.forced(host, "clock_skew", "offset_seconds", t) or 0.0
    return Machine(
        host.name, host.cpus, host.memory, lab.host_memory_used(host, t) / host.memory, uptime,
        guests + own, forced, lab.host_alone(host, "iowait", t) * 0.1, 0.0, lab.host_rate(host, "cpu", t),
        host.seed, lab.incidents(host, "oom_kill", t), offset,
    )  # fmt: skip


def _host_disks(lab: Lab, host: Host, t: float) -> list[Device]:
    read, write, read_wait, write_wait = (
        lab.host_counter(host, signal, t) for signal in ("read", "write", "read_wait", "write_wait")
    )
    busy = lab.host_alone(host, "util", t)
    queue = lab.host_rate(host, "read_wait", t) + lab.host_rate(host, "write_wait", t)
    # Two NVMe drives as a mirror carry the guests; sda is what the system boots from.
    return [
        Device("nvme0n1", read * 0.5, write * 0.96, read_wait * 0.5, write_wait * 0.96, busy, queue / 2),
        Device("nvme1n1", read * 0.48, write * 0.96, read_wait * 0.48, write_wait * 0.96, busy, queue / 2),
        Device("sda", read * 0.02, write * 0.04, read_wait * 0.02, write_wait * 0.04, busy * 0.1, 0.0),
    ]


def _host_links(lab: Lab, host: Host, t: float) -> list[Link]:
    uptime = t - lab.boot(host, t)
    rx, tx = lab.host_counter(host, "rx", t), lab.host_counter(host, "tx", t)
    errors = lab.host_alone(host, "errors", t)
    links = [
        Link("eno1", rx, tx, errors, 1250000000, f"3c:ec:ef:00:{host.number:02x}:01"),
        Link("eno2", 0, 0, 0, 0, f"3c:ec:ef:00:{host.number:02x}:02"),
        Link("vmbr0", rx * 0.9, tx * 0.97, 0, 1250000000, f"3c:ec:ef:00:{host.number:02x}:01"),
        Link("lo", uptime * 900, uptime * 900, 0, 0),
    ]
    for guest in lab.residents(host, t):
        since = lab.arrived(guest, t)
        for index, nic in enumerate(guest.nics):
            # A tap device is seen from the host: what the guest sends is received here.
            carries = nic.address == guest.address
            got = lab.area(guest, "tx", since, t) if carries else 8192
            gave = lab.area(guest, "rx", since, t) if carries else 4096
            name = f"{'veth' if guest.kind == 'lxc' else 'tap'}{guest.vmid}i{index}"
            links.append(Link(name, got, gave, 0, 1250000, f"{nic.mac.lower()[:-2]}f{index}"))
    return links


def _host_mounts(lab: Lab, host: Host, t: float) -> list[Mount]:
    backup = next(storage for storage in lab.cluster.storages if storage.name == "nfs-backup")
    options = dict(backup.options)
    return [
        Mount("/dev/mapper/pve-root", "ext4", "/", 94 * GIB, lab.root_used(host, t)),
        Mount("/dev/nvme0n1p2", "vfat", "/boot/efi", 1071624192, 0.012),
        Mount("/dev/fuse", "fuse", "/etc/pve", 134217728, 0.0003),
        Mount(f"{options['server']}:{options['export']}", "nfs4", "/mnt/pve/nfs-backup", backup.size,
              lab.storage_used(backup, host, t)),
    ]  # fmt: skip


@cache
def _cpu_labels(number: int) -> tuple[str, ...]:
    cpu = str(number)
    modes = ("idle", "iowait", "irq", "steal", *(mode for mode, _ in MODES))
    return (labels(cpu=cpu), *(labels(cpu=cpu, mode=mode) for mode in modes))


def _common(page: Page, machine: Machine, t: float) -> None:
    _cpus(page, machine)
    _memory(page, machine)
    busy = (machine.own + machine.forced) * machine.cpus
    uptime = machine.uptime
    load = machine.load + 0.15
    page.add("node_load1", round(load * (0.94 + 0.12 * chance(machine.seed, int(t / 15))), 2))
    page.add("node_load5", round(load, 2))
    page.add("node_load15", round(load * 0.97, 2))
    page.add("node_boot_time_seconds", int(t - uptime))
    page.add("node_time_seconds", round(t, 3))
    page.add("node_time_zone_offset_seconds", 0, labels(time_zone="UTC"))
    page.add("node_context_switches_total", int(uptime * 2500 + busy * 9000))
    page.add("node_intr_total", int(uptime * 1500 + busy * 6000))
    page.add("node_forks_total", int(uptime * 4 + busy * 3))
    page.add("node_procs_running", 1 + int(load))
    page.add("node_procs_blocked", 0)
    page.add("node_entropy_available_bits", 256)
    page.add("node_filefd_allocated", 2600 + 180 * machine.cpus)
    page.add("node_filefd_maximum", 9.223372036854776e18)
    page.add("node_nf_conntrack_entries", 240 + int(load * 60))
    page.add("node_nf_conntrack_entries_limit", 262144)
    page.add("node_pressure_cpu_waiting_seconds_total", round((machine.own * 0.05 + machine.forced * 0.6), 6))
    page.add("node_pressure_io_waiting_seconds_total", round(machine.iowait * 1.4, 6))
    page.add("node_pressure_io_stalled_seconds_total", round(machine.iowait * 1.1, 6))
    page.add("node_pressure_memory_waiting_seconds_total", round(uptime * 1e-5, 6))
    page.add("node_pressure_memory_stalled_seconds_total", round(uptime * 6e-6, 6))
    page.add("node_schedstat_running_seconds_total", round(busy, 6), labels(cpu="0"))
    page.add("node_schedstat_waiting_seconds_total", round(busy * 0.03, 6), labels(cpu="0"))
    page.add("node_vmstat_oom_kill", machine.oom_kills)
    for name, per_second in VMSTAT:
        page.add(f"node_vmstat_{name}", int(uptime * per_second))
    for name, value in SOCKETS:
        page.add(name, value + int(load * 8))
    page.add("node_netstat_Tcp_InSegs", int(uptime * 120 + busy * 90))
    page.add("node_netstat_Tcp_OutSegs", int(uptime * 130 + busy * 95))
    page.add("node_netstat_Tcp_RetransSegs", int(uptime * 0.02))
    page.add("node_timex_maxerror_seconds", 0.0135)
    drift = (chance(machine.seed, int(t / 64)) - 0.5) * 4e-5
    page.add("node_timex_offset_seconds", round(machine.clock_offset + drift, 9))
    page.add("node_timex_sync_status", 1)
    page.add("node_textfile_scrape_error", 0)
    _self(page, t - uptime + 9)


VMSTAT = (
    ("pgfault", 5200), ("pgmajfault", 0.08), ("pgpgin", 4000), ("pgpgout", 9800),
    ("pswpin", 0), ("pswpout", 0),
)  # fmt: skip
SOCKETS = (
    ("node_netstat_Tcp_CurrEstab", 42), ("node_sockstat_TCP_inuse", 60), ("node_sockstat_TCP_tw", 12)
)  # fmt: skip


def _cpus(page: Page, machine: Machine) -> None:
    for number in range(machine.cpus):
        of, *modes = _cpu_labels(number)
        part = machine.own * uneven(machine.seed, number, 0.08) + machine.forced
        idle = machine.uptime - part - machine.iowait - machine.steal
        seconds = (idle, machine.iowait, 0.0, machine.steal, *(part * share for _, share in MODES))
        for mode_of, value in zip(modes, seconds, strict=True):
            page.add("node_cpu_seconds_total", round(value, 2), mode_of)
        page.add("node_cpu_scaling_frequency_hertz", 2900000000, of)


def _guest_time(page: Page, host: Host, seconds: float) -> None:
    # It is part of the mode user, of which a guest's share of the other modes is not.
    value = round(seconds * 0.7, 2)
    for number in range(host.cpus):
        user, nice = _guest_labels(number)
        page.add("node_cpu_guest_seconds_total", value, user)
        page.add("node_cpu_guest_seconds_total", 0, nice)


@cache
def _guest_labels(number: int) -> tuple[str, str]:
    return labels(cpu=str(number), mode="user"), labels(cpu=str(number), mode="nice")


def _memory(page: Page, machine: Machine) -> None:
    total = machine.memory
    used = total * machine.used
    free = (total - used) * 0.45
    cached = (total - used) * 0.42
    slab = (total - used) * 0.1
    swap = 8589930496
    values = {
        "Active": used * 0.7 + cached * 0.5, "AnonPages": used * 0.9, "Buffers": total * 0.002,
        "Cached": cached, "CommitLimit": total * 0.5 + swap, "Committed_AS": used * 1.3, "Dirty": 1220608,
        "Inactive": used * 0.2 + cached * 0.5, "Mapped": used * 0.08, "MemAvailable": total - used,
        "MemFree": free, "MemTotal": total, "PageTables": used * 0.004, "SReclaimable": slab * 0.5,
        "Shmem": 98304000, "Slab": slab, "SwapCached": 0, "SwapFree": swap, "SwapTotal": swap, "Writeback": 0,
    }  # fmt: skip
    for name in MEMINFO:
        page.add(f"node_memory_{name}_bytes", int(values[name]) // 4096 * 4096)
    page.add("node_memory_HugePages_Total", 0)


def _disks(page: Page, devices: Iterable[Device]) -> None:
    for number, disk in enumerate(devices):
        of = labels(device=disk.name)
        for name, value in (
            ("io_now", int(disk.queue)),
            ("io_time_seconds_total", round(disk.busy, 3)),
            ("io_time_weighted_seconds_total", round(disk.read_wait + disk.write_wait, 3)),
            ("read_bytes_total", int(disk.read)),
            ("read_time_seconds_total", round(disk.read_wait, 3)),
            ("reads_completed_total", int(disk.read / READ_SIZE)),
            ("write_time_seconds_total", round(disk.write_wait, 3)),
            ("writes_completed_total", int(disk.write / WRITE_SIZE)),
            ("written_bytes_total", int(disk.write)),
        ):
            page.add(f"node_disk_{name}", value, of)
        page.add("node_disk_info", 1, labels(
            device=disk.name, major="259" if disk.name.startswith("nvme") else "8", minor=str(number),
            model="", path="", revision="", rotational="0", serial="", wwn="",
        ))  # fmt: skip


@cache
def _link_labels(name: str, mac: str, *, up: bool) -> tuple[str, str]:
    state = "up" if up else "down"
    info = labels(
        address=mac, adminstate="up", broadcast="ff:ff:ff:ff:ff:ff", device=name, duplex="full", ifalias="",
        operstate="unknown" if name == "lo" else state,
    )  # fmt: skip
    return labels(device=name), info


def _links(page: Page, links: Iterable[Link]) -> None:
    for link in links:
        up = link.name != "eno2"
        of, info = _link_labels(link.name, link.mac, up=up)
        bad = int(link.errors)
        for name, value in (
            ("receive_bytes_total", int(link.rx)),
            ("receive_drop_total", bad // 3),
            ("receive_errs_total", bad),
            ("receive_packets_total", int(link.rx / MTU_PAYLOAD)),
            ("transmit_bytes_total", int(link.tx)),
            ("transmit_drop_total", bad // 8),
            ("transmit_errs_total", bad // 4),
            ("transmit_packets_total", int(link.tx / MTU_PAYLOAD)),
            ("up", int(up and link.name != "lo")),
            ("carrier", int(up)),
            ("carrier_changes_total", 2 if up else 1),
            ("mtu_bytes", 65536 if link.name == "lo" else 1500),
        ):
            page.add(f"node_network_{name}", value, of)
        if link.speed:
            page.add("node_network_speed_bytes", link.speed, of)
        page.add("node_network_info", 1, info)


def _mounts(page: Page, mounts: Iterable[Mount]) -> None:
    for mount in mounts:
        of = labels(device=mount.device, device_error="", fstype=mount.fstype, mountpoint=mount.mountpoint)
        free = int(mount.size * (1 - mount.used)) // 4096 * 4096
        # ext4 keeps a part of its blocks for root; what others can use runs out first.
        kept = mount.size // 100 if mount.fstype == "ext4" else 0
        files = max(mount.size // 16384, 1024)
        for name, value in (
            ("avail_bytes", max(free - kept, 0)),
            ("device_error", 0),
            ("files", files),
            ("files_free", int(files * (1 - mount.used * 0.4))),
            ("free_bytes", free),
            ("readonly", 0),
            ("size_bytes", mount.size),
        ):
            page.add(f"node_filesystem_{name}", value, of)


def _hardware(page: Page, host: Host, machine: Machine, forced: float | None) -> None:
    busy = min(1.0, machine.load / machine.cpus)
    for chip, celsius, high, critical in (
        ("pci0000:00_0000:00_18_3", 41 + 34 * busy if forced is None else forced, 90, 95),
        ("nvme_nvme0", 38 + 12 * busy, 81.85, 84.85),
        ("nvme_nvme1", 37 + 12 * busy, 81.85, 84.85),
    ):
        of = labels(chip=chip, sensor="temp1")
        page.add("node_hwmon_temp_celsius", round(celsius * 8) / 8, of)
        page.add("node_hwmon_temp_max_celsius", high, of)
        page.add("node_hwmon_temp_crit_celsius", critical, of)
    chip = "pci0000:00_0000:00_18_3"
    page.add("node_hwmon_chip_names", 1, labels(chip=chip, chip_name="k10temp"))
    joules = round(
        machine.uptime * 70 + machine.own * machine.cpus * 4.5 + machine.forced * machine.cpus * 4.5, 3
    )
    page.add(
        "node_rapl_package_joules_total", joules, labels(index="0", path="/sys/class/powercap/intel-rapl:0")
    )
    page.add("node_edac_correctable_errors_total", 0, labels(controller="0"))
    page.add("node_dmi_info", 1, labels(
        bios_vendor="AMI", bios_version="2.8", board_name="H12SSW-NT", product_name="AS-1114S",
        system_vendor="Supermicro",
    ))  # fmt: skip
    page.add("node_cpu_info", 1, labels(
        cachesize="512 KB", core="0", cpu="0", family="25", microcode="0xa0011d1", model="1",
        model_name=host.model, package="0", stepping="1", vendor="AuthenticAMD",
    ))  # fmt: skip


def _zfs(page: Page, host: Host, uptime: float, now: str) -> None:
    size = int(host.memory * 0.01)
    for name, value in (
        ("c_max", size), ("c_min", size // 4), ("hits", int(uptime * 900)), ("misses", int(uptime * 11)),
        ("size", size),
    ):  # fmt: skip
        page.add(f"node_zfs_arc_{name}", value)
    for state in ("degraded", "faulted", "offline", "online", "removed", "suspended", "unavail"):
        page.add("node_zfs_zpool_state", int(state == now), labels(state=state, zpool="rpool"))


def _names(page: Page, name: str, kernel: str, version: str, debian: str) -> None:
    codename = {"12": "bookworm", "13": "trixie"}[debian]
    page.add("node_uname_info", 1, labels(
        domainname="(none)", machine="x86_64", nodename=name, release=kernel, sysname="Linux", version=version
    ))  # fmt: skip
    page.add("node_os_info", 1, labels(
        build_id="", id="debian", id_like="", image_id="", image_version="", name="Debian GNU/Linux",
        pretty_name=f"Debian GNU/Linux {debian} ({codename})", variant="", variant_id="",
        version=f"{debian} ({codename})", version_codename=codename, version_id=debian,
    ))  # fmt: skip


def _self(page: Page, started: float) -> None:
    page.add("node_exporter_build_info", 1, BUILD)
    for collector in COLLECTORS:
        page.add("node_scrape_collector_duration_seconds", 0.0012, labels(collector=collector))
        page.add("node_scrape_collector_success", 1, labels(collector=collector))
    page.add("process_start_time_seconds", round(started, 2))
    page.add("process_resident_memory_bytes", 24_117_248)
    page.add("process_cpu_seconds_total", 812.4)
    page.add("process_open_fds", 11)
    page.add("process_max_fds", 524288)
    page.add("go_goroutines", 9)
    page.add("go_info", 1, labels(version="go1.26.5"))


BUILD = labels(
    branch="HEAD", goarch="amd64", goos="linux", goversion="go1.26.5", revision="0" * 40, tags="unknown",
    version="1.12.1",
)  # fmt: skip
