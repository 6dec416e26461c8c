"""Reading of Proxmox VE's JSON, which is loose: numbers as text, absent keys, errors inside 200.

Every function takes any JSON value and never raises, except `agent_interfaces` and `agent_os`, which
raise `AgentRefused` where the agent answered with an error.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from .addresses import reachable
from .model import ClusterStatus, Guest, GuestConfig, Interface, Nic, Node, PciPass, Resources, Task

_TAG_SEPARATORS = re.compile(r"[;,\s]+")
_DISK_KEY = re.compile(r"(?:scsi|virtio|sata|ide)[0-9]{1,2}")
_LEGACY_BUS_ORDER = ("scsi", "virtio", "sata", "ide")
_NIC_KEY = re.compile(r"net([0-9]{1,2})")
_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
_NULL_MAC = "00:00:00:00:00:00"
_HOSTPCI_KEY = re.compile(r"hostpci[0-9]{1,2}")
_MAPPING_OF_GPU = re.compile(r"gpu|nvidia|tesla|rtx|quadro|geforce", re.IGNORECASE)
_NODE_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?")
_MAX_VMID = 999_999_999
_BEYOND_ANY_NUMBER = 10**18


class AgentRefused(Exception):  # noqa: N818 - it is an answer of the agent, not an error of ours
    """The guest agent answered, but with an error (HTTP 200 all the same)."""


def text(value: Any) -> str:
    """Return text and numbers as text that can be encoded, everything else as empty text."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _BEYOND_ANY_NUMBER:
        return ""
    return str(value)


def number(value: Any) -> float:
    """Return a finite number at least 0; numbers arrive as text too; 0 for everything else."""
    if isinstance(value, bool):
        return float(value)
    if not isinstance(value, int | float | str):
        return 0.0
    try:
        result = float(value)
    except (ValueError, OverflowError):
        return 0.0
    return result if math.isfinite(result) and result > 0 else 0.0


def flag(value: Any) -> bool:
    """Return Proxmox's booleans: 1, "1", true, yes and on are true; "", 0 and absent are not."""
    if isinstance(value, str):
        return value.strip().lower() in {"1", "true", "yes", "on"}
    return number(value) != 0


def rows(value: Any) -> list[dict[str, Any]]:
    """Return the objects of a list; anything else counts as no rows."""
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def tags(value: Any) -> tuple[str, ...]:
    """Split a tag list at any separator that Proxmox accepts; sorted, lower case, without duplicates."""
    return tuple(sorted({tag for tag in _TAG_SEPARATORS.split(text(value).lower()) if tag}))


def properties(value: Any, default_key: str) -> dict[str, str]:
    """Split a property string such as `local:vm-1,size=10G`; the part without `=` is the default key."""
    result: dict[str, str] = {}
    for part in text(value).split(","):
        key, equals, rest = part.strip().partition("=")
        if equals:
            result.setdefault(key.strip(), rest.strip())
        elif key:
            result.setdefault(default_key, key)
    return result


def resources(value: Any) -> Resources:
    """Read /cluster/resources without a type filter: guests, nodes and storages of one answer."""
    guests: dict[int, Guest] = {}
    nodes: dict[str, Node] = {}
    storages: dict[str, str] = {}
    malformed = 0 if isinstance(value, list) else 1
    for row in value if isinstance(value, list) else ():
        kind = text(row.get("type")) if isinstance(row, dict) else ""
        if kind in {"qemu", "lxc"}:
            guest = _guest(row)
            if guest is None:
                malformed += 1
            else:
                guests[guest.vmid] = guest
        elif kind == "node" and _NODE_NAME.fullmatch(text(row.get("node"))):
            name = text(row["node"])
            nodes[name] = Node(name, text(row.get("status")) == "online", int(number(row.get("uptime"))))
        elif kind == "storage" and text(row.get("plugintype")):
            storages[text(row.get("storage"))] = text(row["plugintype"])
        elif not isinstance(row, dict):
            malformed += 1
    return Resources(guests, nodes, storages, malformed)


def _guest(row: dict[str, Any]) -> Guest | None:
    vmid = number(row.get("vmid"))
    node = text(row.get("node"))
    if not 0 < vmid <= _MAX_VMID or vmid != int(vmid) or not _NODE_NAME.fullmatch(node):
        return None
    return Guest(
        vmid=int(vmid),
        kind=row["type"],
        node=node,
        status=text(row.get("status")) or "unknown",
        name=text(row.get("name")) or str(int(vmid)),
        template=flag(row.get("template")),
        tags=tags(row.get("tags")),
        pool=text(row.get("pool")),
        lock=text(row.get("lock")),
        uptime=int(number(row.get("uptime"))),
        vcpus=number(row.get("maxcpu")),
        memory=int(number(row.get("maxmem"))),
        disk=int(number(row.get("maxdisk"))),
    )


def cluster_status(value: Any) -> ClusterStatus:
    """Read /cluster/status; a node without a cluster has no cluster entry, its own name stands for it."""
    name, local, quorate = "", "", True
    ips: dict[str, str] = {}
    for row in rows(value):
        if text(row.get("type")) == "cluster":
            name, quorate = text(row.get("name")), flag(row.get("quorate"))
        elif text(row.get("type")) == "node" and _NODE_NAME.fullmatch(text(row.get("name"))):
            node = text(row["name"])
            address = reachable(row.get("ip"))
            ips[node] = str(address) if address else ""
            local = node if flag(row.get("local")) else local
    if not name and len(ips) == 1:
        name = next(iter(ips))
    return ClusterStatus(name, local, ips, quorate)


def tasks(value: Any) -> tuple[Task, ...]:
    """Read /cluster/tasks."""
    return tuple(
        Task(
            kind=text(row.get("type")),
            vmid=int(vmid) if (vmid := number(row.get("id"))) <= _MAX_VMID else 0,
            node=text(row.get("node")),
            start=number(row.get("starttime")),
        )
        for row in rows(value)
    )


def permissions(value: Any) -> dict[str, dict[str, bool]]:
    """Read /access/permissions: path to privilege to whether it holds for what lies below, too."""
    if not isinstance(value, dict):
        return {}
    return {
        text(path): {text(privilege): flag(propagate) for privilege, propagate in entry.items()}
        for path, entry in value.items()
        if isinstance(entry, dict)
    }


def config(kind: str, value: Any) -> GuestConfig:
    """Read /nodes/{node}/{qemu|lxc}/{vmid}/config."""
    data = value if isinstance(value, dict) else {}
    bus, volume = _container_disk(data) if kind == "lxc" else _boot_disk(data)
    storage = volume.partition(":")[0] if ":" in volume else ""
    return GuestConfig(
        digest=text(data.get("digest")),
        ostype=text(data.get("ostype")).lower(),
        agent=flag(properties(data.get("agent"), "enabled").get("enabled")),
        nics=_nics(kind, data),
        bus=bus,
        storage=storage,
        pci=tuple(_hostpci(data)),
    )


def _container_disk(data: dict[str, Any]) -> tuple[str, str]:
    return (
        ("rootfs", properties(data.get("rootfs"), "volume").get("volume", ""))
        if "rootfs" in data
        else ("", "")
    )


def _is_disk(key: str, value: Any) -> bool:
    """CD-ROM and cloud-init drives stand under the same keys as disks and often come first."""
    if not _DISK_KEY.fullmatch(key):
        return False
    volume = properties(value, "file")
    name = volume.get("file", "")
    return volume.get("media") != "cdrom" and "cloudinit" not in name and name not in {"", "none", "cdrom"}


def _boot_disk(data: dict[str, Any]) -> tuple[str, str]:
    disks = {key: value for key, value in data.items() if _is_disk(key, value)}
    order = properties(data.get("boot"), "legacy").get("order", "")
    preferred = [*order.split(";"), text(data.get("bootdisk"))]
    first = next((key for key in preferred if key in disks), None)
    if first is None:
        first = min(disks, key=_bus_rank, default=None)
    if first is None:
        return "", ""
    return first.rstrip("0123456789"), properties(disks[first], "file").get("file", "")


def _bus_rank(key: str) -> tuple[int, int]:
    bus = key.rstrip("0123456789")
    return _LEGACY_BUS_ORDER.index(bus), int(key[len(bus) :])


def _nics(kind: str, data: dict[str, Any]) -> tuple[Nic, ...]:
    found: dict[int, Nic] = {}
    for key, value in data.items():
        match = _NIC_KEY.fullmatch(key)
        if match is None:
            continue
        index = int(match.group(1))
        entry = properties(value, "model")
        static = entry if kind == "lxc" else properties(data.get(f"ipconfig{index}"), "ip")
        found[index] = Nic(index, _mac_of(entry), tuple(_static_addresses(static)))
    return tuple(found[index] for index in sorted(found))


def _mac_of(entry: dict[str, str]) -> str:
    """`virtio=BC:24:..` for a VM, `hwaddr=BC:24:..` for a container."""
    candidates = [entry.get("hwaddr", ""), entry.get("macaddr", ""), *entry.values()]
    return next((mac.lower() for mac in candidates if _MAC.fullmatch(mac.lower())), "")


def _static_addresses(entry: dict[str, str]) -> Iterator[str]:
    for key in ("ip", "ip6"):
        if address := reachable(entry.get(key)):
            yield str(address)


def _hostpci(data: dict[str, Any]) -> Iterator[PciPass]:
    for key in sorted(data):
        if not _HOSTPCI_KEY.fullmatch(key):
            continue
        entry = properties(data[key], "host")
        mapping = entry.get("mapping", "")
        hint = flag(entry.get("x-vga")) or entry.get("mdev", "").startswith("nvidia")
        hint = hint or bool(_MAPPING_OF_GPU.search(mapping))
        yield PciPass(entry.get("host", "").lower(), mapping, hint)


def agent_interfaces(value: Any) -> tuple[Interface, ...]:
    """Read agent/network-get-interfaces.

    Raises:
        AgentRefused: The agent doesn't know or doesn't allow the command.
    """
    return tuple(_interface(row) for row in rows(_agent_result(value)))


def container_interfaces(value: Any) -> tuple[Interface, ...]:
    """Read lxc/{vmid}/interfaces in its old form (inet, inet6) and its new one (ip-addresses)."""
    return tuple(_interface(row) for row in rows(value))


def agent_os(value: Any) -> str:
    """Read agent/get-osinfo as `windows`, `linux` or `other`.

    Raises:
        AgentRefused: The agent doesn't know or doesn't allow the command.
    """
    result = _agent_result(value)
    data = result if isinstance(result, dict) else {}
    identity = f"{text(data.get('id'))} {text(data.get('name'))}".lower()
    if "windows" in identity:
        return "windows"
    if not identity.strip() or "bsd" in identity or "solaris" in identity or "darwin" in identity:
        return "other"
    return "linux"


def _agent_result(value: Any) -> Any:
    result = value.get("result") if isinstance(value, dict) else None
    if isinstance(result, dict) and "error" in result:
        error = result["error"] if isinstance(result["error"], dict) else {}
        raise AgentRefused(
            text(error.get("desc")) or text(error.get("class")) or "the agent answered with an error"
        )
    if not isinstance(result, list | dict):
        raise AgentRefused("the agent's answer holds no result")
    return result


def _interface(row: dict[str, Any]) -> Interface:
    mac = text(row.get("hardware-address")) or text(row.get("hwaddr"))
    mac = mac.lower().replace("-", ":")
    found = [text(entry.get("ip-address")) for entry in rows(row.get("ip-addresses"))]
    found += [text(row.get("inet")), text(row.get("inet6"))]
    return Interface(
        name=text(row.get("name")),
        mac="" if mac == _NULL_MAC else mac,
        addresses=tuple(dict.fromkeys(address for address in found if address)),
    )


def nvidia_gpus(value: Any) -> frozenset[str]:
    """Return the addresses of NVIDIA display controllers (vendor 0x10de, class 0x03xxxx) on a node."""
    return frozenset(
        text(row.get("id")).lower()
        for row in rows(value)
        if text(row.get("vendor")).lower() == "0x10de" and text(row.get("class")).lower().startswith("0x03")
    )


def pci_mappings(value: Any) -> dict[str, tuple[tuple[str, str], ...]]:
    """Read /cluster/mapping/pci: name of the mapping to pairs of node and device address."""
    result: dict[str, tuple[tuple[str, str], ...]] = {}
    for row in rows(value):
        entries = row.get("map")
        devices = [properties(entry, "path") for entry in entries] if isinstance(entries, list) else []
        result[text(row.get("id"))] = tuple(
            (device.get("node", ""), path.lower())
            for device in devices
            for path in device.get("path", "").split(";")
            if path
        )
    return result


def release(value: Any) -> tuple[str, int]:
    """Read /version: the full version as text and the major release, 0 where it is unreadable."""
    data = value if isinstance(value, dict) else {}
    version = text(data.get("version")) or text(data.get("release"))
    major = re.match(r"[0-9]{1,4}", text(data.get("release")) or version)
    return version, int(major.group()) if major else 0
