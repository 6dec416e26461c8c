"""Builds the cluster: a cast of twelve guests who each show something, and as many more as are asked for."""

from dataclasses import replace

from .load import chance
from .model import GIB, Cluster, Gpu, Guest, Host, Nic, PciMapping, Storage, Volume
from .settings import Settings

FIRST_VMID = 101
# (cpus, memory in GiB) of the first three hosts; larger labs get hosts that carry their guests.
SMALL_HOSTS = ((32, 128), (64, 256), (32, 192))
SIZES = ((32, 128), (64, 256), (64, 512), (128, 1024), (192, 2048), (384, 4096))
# The L40S of pve1 is win-app01's. On pve3 it is the one that win-ml01 has by its address.
MAPPINGS = (
    PciMapping("l40s", "L40S for guests", (("pve1", "0000:c1:00.0"), ("pve3", "0000:c1:00"))),
    PciMapping("uplink", "Second port of the X710", (("pve1", "0000:01:00.1"), ("pve2", "0000:01:00.1"))),
)
ROLES = ("web", "app", "sql", "files", "app", "web", "desktop")


def build(settings: Settings) -> Cluster:
    """The cluster that ``settings`` describe; the same for the same settings."""
    names = [f"pve{i + 1}" for i in range(settings.hosts)]
    guests = _cast(settings.seed) + tuple(
        _extra(i, names, settings.seed) for i in range(len(_cast(settings.seed)), settings.guests)
    )
    if not settings.oddities:
        guests = tuple(
            g if g.template else replace(g, agent="ok", exporter=True, running=True) for g in guests
        )
    hosts = tuple(_host(i, name, guests, settings) for i, name in enumerate(names))
    pools = tuple(sorted({guest.pool for guest in guests} - {""}))
    return Cluster(settings.cluster_name, hosts, guests, _storages(settings.seed), pools, MAPPINGS)


def gpu(seed: int, index: int, bus: int) -> Gpu:
    """An L40S; its uuid follows from ``seed``, in the form that nvidia-smi gives without ``GPU-``."""
    digits = "".join(f"{int(chance(seed, 900 + i) * 65536):04x}" for i in range(8))
    uuid = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:32]}"
    return Gpu(index, uuid, "NVIDIA L40S", f"00000000:{bus:02X}:00.0", 48_305_799_168, 350.0, seed)


def _host(i: int, name: str, guests: tuple[Guest, ...], settings: Settings) -> Host:
    seed = settings.seed * 1009 + i
    cpus, memory = SMALL_HOSTS[i] if settings.guests <= 20 and i < 3 else _size(name, guests)
    gpus = (gpu(seed, 0, 0x41), gpu(seed + 7, 1, 0x81)) if i == 2 else ()
    return Host(name, i + 1, f"10.90.0.{11 + i}", cpus, memory * GIB, seed, gpus=gpus)


def _size(name: str, guests: tuple[Guest, ...]) -> tuple[int, int]:
    mine = [guest for guest in guests if name in (guest.home, guest.away) and guest.running]
    vcpus, memory = sum(g.vcpus for g in mine), sum(g.memory for g in mine) / GIB
    for size in SIZES:
        # Two and a half vCPUs to a thread keep a host below two thirds; memory is not overcommitted.
        if vcpus <= size[0] * 2.5 and memory <= size[1] * 0.75:
            return size
    return SIZES[-1]


def _storages(seed: int) -> tuple[Storage, ...]:
    tib = 1024 * GIB
    return (
        Storage("local", "dir", "iso,vztmpl,backup,import", 94 * GIB, 0.12, 0.22, seed + 1, False,
                (("path", "/var/lib/vz"),)),
        Storage("local-lvm", "lvmthin", "images,rootdir", 1536 * GIB, 0.38, 0.55, seed + 2, False,
                (("thinpool", "data"), ("vgname", "pve"))),
        Storage("ceph-vm", "rbd", "images", 16 * tib, 0.30, 0.45, seed + 3, True,
                (("pool", "vm"), ("krbd", 0))),
        Storage("nfs-backup", "nfs", "backup", 10 * tib, 0.40, 0.62, seed + 4, True,
                (("server", "10.90.0.5"), ("export", "/srv/backup"), ("path", "/mnt/pve/nfs-backup"))),
    )  # fmt: skip


def _mac(vmid: int, nic: int) -> str:
    # bc:24:11 is the prefix that Proxmox registered and gives to new network cards.
    return f"BC:24:11:{vmid >> 8 & 0xFF:02X}:{vmid & 0xFF:02X}:{nic:02X}"


def _address(index: int) -> str:
    return f"10.90.{1 + index // 240}.{10 + index % 240}"


def _volume(vmid: int, slot: str, storage: str, gib: int, *, mount: str, label: str, fs: str) -> Volume:
    seed = vmid * 31 + ord(slot[-1])
    low = 0.30 + 0.2 * chance(seed, 5)
    return Volume(
        slot, storage, gib * GIB, mount, label, fs, low, low + 0.22, 20 + 25 * chance(seed, 6), seed
    )


def _windows_disks(vmid: int, role: str) -> tuple[Volume, ...]:
    system = _volume(vmid, "scsi0", "local-lvm", 100, mount="C:", label="System", fs="NTFS")
    if role == "sql":
        return system, _volume(vmid, "scsi1", "ceph-vm", 500, mount="D:", label="Data", fs="NTFS")
    if role == "files":
        return (
            _volume(vmid, "virtio0", "local-lvm", 80, mount="C:", label="System", fs="NTFS"),
            _volume(vmid, "virtio1", "ceph-vm", 2000, mount="E:", label="Shares", fs="NTFS"),
        )
    if role == "desktop":
        return (_volume(vmid, "sata0", "local-lvm", 64, mount="C:", label="System", fs="NTFS"),)
    return (system,)


def _windows(index: int, name: str, role: str, home: str, *, vcpus: int, gib: int) -> Guest:
    vmid = FIRST_VMID + index
    return Guest(
        vmid=vmid, name=name, kind="qemu", os="windows", role=role, home=home, vcpus=vcpus,
        memory=gib * GIB, volumes=_windows_disks(vmid, role),
        nics=(Nic("net0", _mac(vmid, 0), _address(index)),), seed=vmid * 7919,
        tags=("prod", role, "windows"), pool="windows",
    )  # fmt: skip


def _linux(index: int, name: str, home: str, *, vcpus: int, gib: int, kind: str = "qemu") -> Guest:
    vmid = FIRST_VMID + index
    slot, gigabytes = ("scsi0", 32) if kind == "qemu" else ("rootfs", 8)
    return Guest(
        vmid=vmid, name=name, kind="lxc" if kind == "lxc" else "qemu", os="linux", role="web", home=home,
        vcpus=vcpus, memory=gib * GIB,
        volumes=(_volume(vmid, slot, "local-lvm", gigabytes, mount="/", label="", fs="ext4"),),
        nics=(Nic("net0", _mac(vmid, 0), _address(index)),), seed=vmid * 7919,
        tags=("linux", "web"), pool="linux",
    )  # fmt: skip


def _cast(seed: int) -> tuple[Guest, ...]:
    domain = replace(_windows(0, "win-dc01", "dc", "pve1", vcpus=2, gib=8), quirk="zone", managed=True)
    app = replace(
        _windows(1, "win-app01", "app", "pve1", vcpus=8, gib=16),
        managed=True,
        gpus=(gpu(seed * 1009 + 55, 0, 0xC1),),
        mapping="l40s",
    )
    sql = replace(_windows(2, "win-sql01", "sql", "pve2", vcpus=16, gib=64), managed=True)
    files = _windows(3, "win-files01", "files", "pve2", vcpus=4, gib=8)
    # DHCP failed on the first network card; the second one is how the guest is reached.
    files = replace(
        files,
        quirk="apipa",
        nics=(
            Nic("net0", _mac(files.vmid, 0), "169.254.77.12"),
            Nic("net1", _mac(files.vmid, 1), files.address),
        ),
    )
    web = replace(_linux(4, "lnx-web01", "pve1", vcpus=4, gib=8), quirk="docker")
    dns = replace(
        _linux(5, "ct-dns01", "pve2", vcpus=2, gib=1, kind="lxc"), role="dns", tags=("dns", "linux")
    )
    legacy = replace(_windows(6, "win-legacy01", "app", "pve1", vcpus=2, gib=4), agent="dead")
    appliance = replace(
        _linux(7, "lnx-appliance01", "pve2", vcpus=2, gib=4),
        agent="none",
        exporter=False,
        tags=("appliance",),
        pool="",
    )
    spare = replace(_windows(8, "win-spare01", "app", "pve3", vcpus=4, gib=8), running=False, onboot=False)
    roam = replace(_windows(9, "win-roam01", "web", "pve2", vcpus=4, gib=8), away="pve3", managed=True)
    learn = _windows(10, "win-ml01", "ml", "pve3", vcpus=8, gib=32)
    learn = replace(learn, tags=("gpu", *learn.tags), gpus=(gpu(seed * 1009 + 77, 0, 0xC1),))
    template = replace(
        _windows(11, "tmpl-win2022", "app", "pve1", vcpus=4, gib=8),
        running=False, template=True, exporter=False, onboot=False, tags=("template",), pool="", nics=(),
    )  # fmt: skip
    return domain, app, sql, files, web, dns, legacy, appliance, spare, roam, learn, template


def _extra(index: int, hosts: list[str], seed: int) -> Guest:
    """One more guest: seven of ten are Windows, two Linux VMs, one a container; a few are stopped or mute."""
    home = hosts[index % len(hosts)]
    dice = chance(seed * 17 + index, 11)
    number = f"{index + 1:04d}"
    vcpus = (2, 4, 4, 8)[int(4 * chance(index, 12))]
    gib = vcpus * 2
    if dice < 0.7:
        role = ROLES[index % len(ROLES)]
        guest = _windows(index, f"win-{role}{number}", role, home, vcpus=vcpus, gib=gib)
    elif dice < 0.9:
        guest = _linux(index, f"lnx-web{number}", home, vcpus=vcpus, gib=gib)
    else:
        guest = replace(_linux(index, f"ct-svc{number}", home, vcpus=2, gib=1, kind="lxc"), role="dns")
    oddity = chance(index, 13)
    if oddity < 0.03:
        return replace(guest, running=False, onboot=False)
    if oddity < 0.04 and guest.kind == "qemu":
        return replace(guest, agent="dead")
    if oddity < 0.06 and guest.kind == "qemu":
        return replace(guest, agent="none")
    return guest
