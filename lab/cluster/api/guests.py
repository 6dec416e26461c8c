"""/nodes/{node}/qemu and /nodes/{node}/lxc."""

# ruff: noqa: TID252 - the package is `lab.cluster` here and `cluster` in its image

import hashlib
from typing import Any

from ..model import GIB, Guest, Volume
from .call import Call
from .stats import Entry, pressure, usage

AGENTS = {"ok": "enabled=1", "dead": "1,fstrim_cloned_disks=1"}


async def qemu(call: Call) -> Any:
    """GET /nodes/{node}/qemu."""
    return _list(call, "qemu")


async def lxc(call: Call) -> Any:
    """GET /nodes/{node}/lxc."""
    return _list(call, "lxc")


def _list(call: Call, kind: str) -> list[Entry]:
    here = call.params["node"]
    return [
        current(call, guest)
        for guest in call.lab.candidates(here)
        if guest.kind == kind and call.lab.location(guest, call.t) == here
        if call.may(f"/vms/{guest.vmid}", "VM.Audit")
    ]


def current(call: Call, guest: Guest) -> Entry:
    """What the list of a node says of a guest; a process that is there counts as running."""
    lab, t = call.lab, call.t
    up = lab.process(guest, t)
    found: Entry = {
        "vmid": guest.vmid, "name": guest.name, "status": "running" if up else "stopped",
        "cpus": guest.vcpus, "maxmem": guest.memory, "maxdisk": guest.volumes[0].size,
        "disk": 0, "uptime": 0, "cpu": 0, "mem": 0, "netin": 0, "netout": 0, "diskread": 0, "diskwrite": 0,
    }  # fmt: skip
    if guest.tags:
        found["tags"] = ";".join(sorted(guest.tags))
    if guest.template:
        found["template"] = 1
    if lab.migrating(guest, t):
        found["lock"] = "migrate"
    if guest.kind == "lxc":
        found |= {"type": "lxc", "swap": 0, "maxswap": GIB // 2}
    if not up:
        return found
    found |= usage(lab, guest, t) | pressure(lab, guest, t) | {"pid": 10_000 + guest.vmid}
    if call.release >= 9 and guest.kind == "qemu":
        found["memhost"] = int(lab.memory_host(guest, t))
    return found


async def status(call: Call) -> Any:
    """GET /nodes/{node}/{qemu|lxc}/{vmid}/status/current."""
    call.need(f"/vms/{call.params['vmid']}", "VM.Audit")
    guest = call.guest
    found = current(call, guest)
    found["ha"] = {"managed": 0}
    if guest.managed:
        state = "stopped" if call.fault(guest.vmid, "guest_stopped") else "started"
        found["ha"] = {"managed": 1, "state": state}
    if guest.kind == "lxc":
        return found
    found["qmpstatus"] = found["status"]
    if guest.agent != "none":
        found["agent"] = 1
    if found["status"] == "running":
        found |= {
            "balloon": guest.memory, "running-machine": MACHINE, "running-qemu": "10.1.2",
            "nics": {f"tap{guest.vmid}i0": {"netin": found["netin"], "netout": found["netout"]}},
        }  # fmt: skip
    return found


MACHINE = "pc-q35-9.2+pve1"


async def config(call: Call) -> Any:
    """GET /nodes/{node}/{qemu|lxc}/{vmid}/config: configuration only, no runtime fields."""
    call.need(f"/vms/{call.params['vmid']}", "VM.Audit")
    guest = call.guest
    locked = call.lab.migrating(guest, call.t)
    return call.keep(("config", guest.vmid, locked), lambda: configuration(guest, locked=locked))


def configuration(guest: Guest, *, locked: bool) -> Entry:
    """A guest's configuration with its digest; ``locked`` during a migration."""
    found = _container(guest) if guest.kind == "lxc" else _machine(guest)
    if guest.tags:
        found["tags"] = ";".join(sorted(guest.tags))
    if guest.onboot:
        found["onboot"] = 1
    if locked:
        found["lock"] = "migrate"
    text = repr(sorted(found.items())).encode()
    return found | {"digest": hashlib.sha1(text, usedforsecurity=False).hexdigest()}


def _machine(guest: Guest) -> Entry:
    windows = guest.os == "windows"
    first = guest.volumes[0].slot
    found: Entry = {
        "balloon": 0, "bios": "ovmf" if windows else "seabios", "boot": f"order={first};ide2;net0",
        "cores": guest.vcpus, "cpu": "host", "machine": MACHINE, "memory": str(guest.memory // 1024**2),
        "meta": "creation-qemu=10.1.2,ctime=1763812345", "name": guest.name, "numa": 0,
        "ostype": "win11" if windows else "l26", "scsihw": "virtio-scsi-single", "sockets": 1,
        "smbios1": f"uuid=5f3c1f0e-7d7e-4f6f-9d3b-{guest.vmid:012x}",
        "vmgenid": f"0e0b5c9a-1d2c-4b7e-8f3a-{guest.vmid:012x}",
        # A CD-ROM sorts before every disk: no reader may take it for one.
        "ide2": "local:iso/virtio-win.iso,media=cdrom,size=708140K" if windows
        else f"local-lvm:vm-{guest.vmid}-cloudinit,media=cdrom",
    }  # fmt: skip
    if windows:
        found["efidisk0"] = f"local-lvm:vm-{guest.vmid}-disk-98,efitype=4m,pre-enrolled-keys=1,size=4M"
        found["tpmstate0"] = f"local-lvm:vm-{guest.vmid}-disk-99,size=4M,version=v2.0"
    if guest.agent in AGENTS:
        found["agent"] = AGENTS[guest.agent]
    if guest.template:
        found["template"] = 1
    for number, volume in enumerate(guest.volumes):
        found[volume.slot] = _disk(guest, number, volume)
    for nic in guest.nics:
        found[nic.slot] = f"virtio={nic.mac},bridge=vmbr0,firewall=1"
    for gpu in guest.gpus:
        # An address without the function passes all functions through; one device of a mapping has its name.
        device = f"mapping={guest.mapping}" if guest.mapping else gpu.address.partition(".")[0]
        found[f"hostpci{gpu.index}"] = f"{device},pcie=1"
    return found


def _disk(guest: Guest, number: int, volume: Volume) -> str:
    kind = "base" if guest.template else "vm"
    thread = "" if volume.slot.startswith(("sata", "ide")) else "iothread=1,"
    ssd = "" if volume.slot.startswith("virtio") else ",ssd=1"
    size = f"size={volume.size // GIB}G"
    return f"{volume.storage}:{kind}-{guest.vmid}-disk-{number},discard=on,{thread}{size}{ssd}"


def _container(guest: Guest) -> Entry:
    nic, volume = guest.nics[0], guest.volumes[0]
    return {
        "arch": "amd64", "cores": guest.vcpus, "hostname": guest.name, "memory": guest.memory // 1024**2,
        "net0": f"name=eth0,bridge=vmbr0,firewall=1,hwaddr={nic.mac},ip={nic.address}/{nic.prefix},type=veth",
        "ostype": "debian", "swap": 512, "unprivileged": 1,
        "rootfs": f"{volume.storage}:vm-{guest.vmid}-disk-0,size={volume.size // GIB}G",
    }  # fmt: skip


async def interfaces(call: Call) -> Any:
    """GET /nodes/{node}/lxc/{vmid}/interfaces: null for a container that isn't up."""
    call.need(f"/vms/{call.params['vmid']}", "VM.Audit")
    guest = call.guest
    if not call.lab.running(guest, call.t):
        return None
    nic = guest.nics[0]
    mac = nic.mac.lower()
    return [
        _interface("lo", "00:00:00:00:00:00", ("127.0.0.1", 8), ("::1", 128)),
        _interface("eth0", mac, (nic.address, nic.prefix), (link_local(mac), 64)),
    ]


def _interface(name: str, mac: str, four: tuple[str, int], six: tuple[str, int]) -> Entry:
    """An interface, with the keys of old and those that came with 8.4 beside them."""
    return {
        "name": name, "hwaddr": mac, "inet": f"{four[0]}/{four[1]}", "inet6": f"{six[0]}/{six[1]}",
        "hardware-address": mac,
        "ip-addresses": [
            {"ip-address": address, "ip-address-type": kind, "prefix": prefix}
            for kind, (address, prefix) in (("inet", four), ("inet6", six))
        ],
    }  # fmt: skip


def link_local(mac: str) -> str:
    """The IPv6 link-local address that follows from a MAC (RFC 4291, modified EUI-64)."""
    parts = [int(part, 16) for part in mac.split(":")]
    parts[0] ^= 2
    a, b, c, d, e, f = parts
    return f"fe80::{a:02x}{b:02x}:{c:02x}ff:fe{d:02x}:{e:02x}{f:02x}"
