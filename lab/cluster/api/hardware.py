"""/nodes/{node}/hardware/pci and /cluster/mapping/pci: which devices a host has, and the names they go by."""

# ruff: noqa: TID252 - the package is `lab.cluster` here and `cluster` in its image

import hashlib
import re
from typing import Any

from ..model import Cluster, PciMapping
from ..pci import Device, devices
from .call import ApiError, Call
from .stats import Entry

# pve-manager, PVE/API2/Hardware/PCI.pm: memory controllers, bridges and processors aren't listed by default.
BLACKLIST = "05;06;0b"
SEEING = ("Mapping.Modify", "Mapping.Use", "Mapping.Audit")
FIRST_GROUP = 12


async def pci(call: Call) -> Any:
    """GET /nodes/{node}/hardware/pci."""
    call.need("/", "Sys.Audit", "Sys.Modify")
    left_out = tuple(
        f"0x{kind}" for kind in re.split(r"[;,\s]+", call.query.get("pci-class-blacklist", BLACKLIST)) if kind
    )
    verbose = call.query.get("verbose", "1") not in ("0", "no", "off", "false")
    return [
        _device(device, FIRST_GROUP + number, verbose=verbose)
        for number, device in enumerate(devices(call.lab.cluster, call.host))
        if not device.kind.startswith(left_out)
    ]


def _device(device: Device, group: int, *, verbose: bool) -> Entry:
    """A device as pve-common's SysFSTools lists it; sub-devices that pci.ids doesn't know have no name."""
    found: Entry = {
        "id": device.address, "class": device.kind, "vendor": device.vendor, "device": device.device,
        "iommugroup": group,
    }  # fmt: skip
    if not verbose:
        return found
    vendor, sub = device.subsystem
    return found | {
        "vendor_name": device.vendor_name, "device_name": device.device_name,
        "subsystem_vendor": vendor, "subsystem_device": sub,
        **({"subsystem_vendor_name": device.vendor_name} if vendor == device.vendor else {}),
    }  # fmt: skip


async def mappings(call: Call) -> Any:
    """GET /cluster/mapping/pci: what the token may not see is left out without a word."""
    node = call.query.get("check-node")
    return [
        _mapping(call.lab.cluster, mapping)
        | {"id": mapping.name}
        | ({} if node is None else {"checks": _checks(mapping, node)})
        for mapping in call.lab.cluster.mappings
        if call.may(f"/mapping/pci/{mapping.name}", *SEEING)
    ]


async def mapping(call: Call) -> Any:
    """GET /cluster/mapping/pci/{id}: its answer doesn't repeat the id."""
    if not call.may(f"/mapping/pci/{call.params['id']}", *SEEING):
        # Where any of several checks would do, Proxmox VE doesn't say which ones failed.
        raise ApiError(403, "Permission check failed")
    wanted = call.params["id"]
    for known in call.lab.cluster.mappings:
        if known.name == wanted:
            return _mapping(call.lab.cluster, known)
    raise ApiError(500, f"mapping '{wanted}' not found")


def _checks(mapping: PciMapping, node: str) -> list[Entry]:
    if any(host == node for host, _ in mapping.devices):
        return []
    return [{"severity": "warning", "message": f"No mapping for node {node}."}]


def _mapping(cluster: Cluster, mapping: PciMapping) -> Entry:
    lines = [_line(cluster, *place) for place in mapping.devices]
    # The digest is that of the file, which holds all mappings.
    digest = hashlib.sha1(repr(cluster.mappings).encode(), usedforsecurity=False).hexdigest()
    return {"map": lines, "description": mapping.description, "digest": digest}


def _line(cluster: Cluster, host: str, path: str) -> str:
    """A device of a mapping as it stands in /etc/pve/mapping/pci.cfg; of several functions, the first."""
    listed = enumerate(devices(cluster, cluster.host[host]))
    number, device = next((n, d) for n, d in listed if d.address.startswith(path))
    ids = f"{device.vendor[2:]}:{device.device[2:]}"
    subsystem = ":".join(part[2:] for part in device.subsystem)
    return f"id={ids},iommugroup={FIRST_GROUP + number},node={host},path={path},subsystem-id={subsystem}"
