"""The configuration of a machine: what a write means, and which privilege each key needs."""

# ruff: noqa: TID252 - the package is `lab.cluster` here and `cluster` in its image

import re
from collections.abc import Iterator

from ..model import GIB
from ..provisioned import Machine
from .call import ApiError, Call

# qemu-server, PVE/API2/Qemu.pm: the options that each privilege on /vms/{vmid} covers.
_OPTIONS = {
    "VM.Config.CPU": ("cores", "cpu", "cpulimit", "cpuunits", "numa", "numa[n]", "sockets", "vcpus"),
    "VM.Config.Memory": ("balloon", "memory", "shares"),
    "VM.Config.HWType": (
        "acpi", "hotplug", "kvm", "machine", "scsihw", "serial[n]", "smbios1", "tablet", "vga",
    ),
    "VM.Config.Options": (
        "agent", "bios", "description", "keyboard", "localtime", "name", "onboot", "ostype", "protection",
        "startup", "tags", "template",
    ),
    "VM.Config.Disk": ("boot", "ide[n]", "sata[n]", "scsi[n]", "virtio[n]"),
    "VM.Config.Cloudinit": ("cipassword", "citype", "ciuser", "nameserver", "searchdomain", "sshkeys"),
    "VM.Config.Network": ("ipconfig[n]", "net[n]"),
}  # fmt: skip
_PRIVILEGES = {option: privilege for privilege, options in _OPTIONS.items() for option in options}
PARAMETERS = frozenset(_PRIVILEGES)
_DRIVE = re.compile(r"^(?:ide|sata|scsi|virtio)\d+$")
_NET = re.compile(r"^net\d+$")
# Storage keeps these as numbers; everything else is text, and so is memory.
_NUMBERS = frozenset(
    {"acpi", "balloon", "cores", "kvm", "numa", "onboot", "protection", "sockets", "tablet", "template"}
)
CLOUDINIT_SIZE = "4M"


def indexed(name: str) -> str:
    """A parameter's name as the schema writes it: scsi0 is scsi[n]."""
    return re.sub(r"\d+$", "[n]", name)


def options(value: str) -> tuple[str, dict[str, str]]:
    """The first, unnamed part of a property string (or the one named ``file``), and the named others."""
    named: dict[str, str] = {}
    first = ""
    for part in value.split(","):
        key, separator, text = part.partition("=")
        if not separator:
            first = first or key
        elif key == "file":
            first = text
        else:
            named[key] = text
    return first, named


def required(vmid: int, given: dict[str, str]) -> Iterator[tuple[str, str]]:
    """The path and privilege that each given key needs."""
    vm = f"/vms/{vmid}"
    for key, value in sorted(given.items()):
        if key in ("delete", "digest", "force", "skiplock"):
            continue
        if _DRIVE.match(key):
            yield from _drive_privileges(vm, value)
        else:
            yield vm, _PRIVILEGES[indexed(key) if indexed(key) in _PRIVILEGES else key]
        if _NET.match(key) and value:
            yield f"/sdn/zones/localnetwork/{options(value)[1].get('bridge', '')}", "SDN.Use"


def _drive_privileges(vm: str, value: str) -> Iterator[tuple[str, str]]:
    volume, named = options(value)
    storage, _, name = volume.partition(":")
    if named.get("media") == "cdrom" and name != "cloudinit":
        yield vm, "VM.Config.CDROM"
        if volume == "cdrom":
            # The drive of the host itself.
            yield "/", "Sys.Console"
        return
    yield vm, "VM.Config.Cloudinit" if name == "cloudinit" else "VM.Config.Disk"
    if name.isdigit():
        yield f"/storage/{storage}", "Datastore.AllocateSpace"


def apply(call: Call, machine: Machine, given: dict[str, str]) -> None:
    """Write the given keys into the configuration, as Proxmox VE would store them.

    Raises:
        ApiError: 500, a storage or an image doesn't exist.
    """
    for key, value in given.items():
        if key in ("digest", "force", "skiplock"):
            continue
        if _DRIVE.match(key):
            machine.config[key] = _drive(call, machine, key, value)
        elif _NET.match(key):
            machine.config[key] = _net(machine, key, value)
        elif key == "tags":
            machine.config[key] = ";".join(sorted(set(re.split(r"[;,\s]+", value.lower())) - {""}))
        else:
            machine.config[key] = int(value) if key in _NUMBERS else value


def _drive(call: Call, machine: Machine, key: str, value: str) -> str:
    volume, named = options(value)
    storage, _, name = volume.partition(":")
    source = named.pop("import-from", None)
    named.pop("size", None)
    if name == "cloudinit":
        volume, named = f"{storage}:vm-{machine.vmid}-cloudinit", {"media": "cdrom", "size": CLOUDINIT_SIZE}
    elif name.isdigit():
        size = _imported(call, machine, source) if source else int(name) * GIB
        volume = f"{storage}:vm-{machine.vmid}-disk-{_free(machine)}"
        named["size"] = f"{size // GIB}G"
    elif name:
        named |= {"size": options(str(machine.config.get(key, "")))[1].get("size", "0G")}
    if storage and ":" in volume and storage not in {s.name for s in call.lab.cluster.storages}:
        raise ApiError(500, f"storage '{storage}' does not exist")
    return ",".join([volume, *(f"{k}={v}" for k, v in sorted(named.items()))])


def _imported(call: Call, machine: Machine, source: str) -> int:
    image = call.lab.provisioned.images.get((machine.node, source))
    if image is None:
        raise ApiError(500, f"volume '{source}' does not exist")
    return image.disk


def _free(machine: Machine) -> int:
    return sum(1 for key, value in machine.config.items() if _DRIVE.match(key) and "-disk-" in str(value))


def _net(machine: Machine, key: str, value: str) -> str:
    _, named = options(value)
    model = named.pop("model", None)
    mac = named.pop("macaddr", None)
    if model is None:
        model, mac = next((k, v) for k, v in named.items() if k in ("virtio", "e1000", "vmxnet3", "rtl8139"))
        del named[model]
    # BC:24:11 is the prefix that Proxmox gives to network cards of which nobody said the address.
    mac = mac or f"BC:24:11:{machine.vmid >> 8 & 0xFF:02X}:{machine.vmid & 0xFF:02X}:F{key[-1]}"
    return ",".join([f"{model}={mac}", *(f"{k}={v}" for k, v in sorted(named.items()))])


def disks(machine: Machine) -> list[tuple[str, int]]:
    """Volume id and size in bytes of a machine's disks, without CD-ROMs."""
    found = []
    for key, value in sorted(machine.config.items()):
        if _DRIVE.match(key):
            volume, named = options(str(value))
            if named.get("media") != "cdrom" and named.get("size", "").endswith("G"):
                found.append((volume, int(named["size"][:-1]) * GIB))
    return found
