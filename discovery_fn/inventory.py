"""From what is known to what is shown: guests, nodes and members of the cluster as targets. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from .addresses import host_port
from .filters import TAG_GPU, os_override, port_override, watched
from .model import Facts, Guest, GuestConfig, GuestView, Node, NodeView, PciPass, Reason, Stop
from .settings import Settings

Mappings = Mapping[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a guest's view depends on besides the guest: nodes, storages, GPUs."""

    nodes: Mapping[str, Node]
    storages: Mapping[str, str]
    gpus: Mapping[str, frozenset[str]] = field(default_factory=dict)
    mappings: Mappings = field(default_factory=dict)

    def online(self, node: str) -> bool:
        """Whether calls to the node make sense; a node that isn't listed gets the benefit of the doubt."""
        known = self.nodes.get(node)
        return known is None or known.online


def merge(previous: Guest | None, row: Guest) -> Guest:
    """Keep what was known of a guest whose node stopped reporting: such a row has no name, no size."""
    if previous is None or row.status != "unknown" or previous.kind != row.kind:
        return row
    return replace(previous, node=row.node, tags=row.tags or previous.tags)


def operating_system(guest: Guest, facts: Facts) -> str:
    """Return `windows`, `linux`, `other` or `unknown`: tag, then configuration, then the agent's word."""
    ostype = facts.config.ostype if facts.config else ""
    if override := os_override(guest.tags):
        return override
    if guest.kind == "lxc" or ostype.startswith("l2"):
        return "linux"
    if ostype.startswith("w"):
        return "windows"
    return facts.os or "unknown"


def needs_osinfo(guest: Guest, facts: Facts) -> bool:
    """Whether only the agent can say which operating system it is, and hasn't been asked."""
    return guest.kind == "qemu" and not facts.os_asked and operating_system(guest, facts) == "unknown"


def quantity(value: float) -> str:
    """Write a number without needless digits: 16, 0.5, 1.25."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def tag_label(tags: Iterable[str]) -> str:
    """Join tags with a comma at both ends, so that `,web,` matches one tag; empty without tags."""
    joined = ",".join(sorted(tags))
    return f",{joined}," if joined else ""


def disk_type(config: GuestConfig | None, storages: Mapping[str, str]) -> str:
    """Return bus and storage type of the boot disk, such as `scsi/lvmthin`; `unknown` where it is."""
    if config is None or not config.bus:
        return "unknown"
    plugin = storages.get(config.storage, "")
    return f"{config.bus}/{plugin}" if plugin else config.bus


def view(guest: Guest, facts: Facts, around: Surroundings, settings: Settings) -> GuestView:
    """Return the guest as it is shown, with its target or the reason why it has none."""
    system = operating_system(guest, facts)
    address = facts.address if facts.source else ""
    port = port_override(guest.tags) or {
        "windows": settings.discovery_windows_port,
        "linux": settings.discovery_linux_port,
    }.get(system)
    reason = _why_not(guest, facts, around, settings)
    if not reason and port is None and guest.alive:
        reason = Reason.UNKNOWN_OS
    wanted = guest.alive and not reason and bool(address)
    gpu = wanted and has_gpu(guest, facts.config, around)
    return GuestView(
        vmid=guest.vmid,
        name=guest.name,
        node=guest.node,
        kind=guest.kind,
        status=guest.status,
        template=guest.template,
        os=system,
        vcpus=quantity(guest.vcpus),
        memory_gb=quantity(guest.memory / 2**30),
        disk_type=disk_type(facts.config, around.storages),
        tags=tag_label(guest.tags),
        pool=guest.pool,
        address=address,
        source=facts.source,
        target=host_port(address, port) if wanted and port else "",
        gpu_target=host_port(address, settings.discovery_gpu_port) if gpu else "",
        reason=reason,
        agent=facts.reason or "" if guest.alive else "",
        stopped_unexpectedly=facts.stop is Stop.UNEXPECTED
        and watched(guest, settings.discovery_include, settings.discovery_exclude),
    )


def _why_not(guest: Guest, facts: Facts, around: Surroundings, settings: Settings) -> str:
    """Return why a guest isn't a target; empty for one that is, and for one that isn't meant to run."""
    if guest.template or guest.status == "stopped":
        return ""
    if not watched(guest, settings.discovery_include, settings.discovery_exclude):
        return Reason.EXCLUDED
    if guest.status == "unknown":
        return Reason.NODE_OFFLINE
    if facts.source:
        return ""
    if not around.online(guest.node):
        return Reason.NODE_OFFLINE
    return facts.reason or Reason.PENDING


def state(guest: GuestView) -> str:
    """Return `template`, `stopped`, `monitored` or `unmonitored`."""
    if guest.template:
        return "template"
    if guest.status == "stopped":
        return "stopped"
    return "monitored" if guest.target else "unmonitored"


def has_gpu(guest: Guest, config: GuestConfig | None, around: Surroundings) -> bool:
    """Whether a GPU is passed through to the guest, or its tag says so."""
    if TAG_GPU in guest.tags:
        return True
    devices = around.gpus.get(guest.node, frozenset())
    return any(
        entry.gpu_hint or any(_same_device(path, gpu) for path in paths for gpu in devices)
        for entry, paths in _passed(guest, config, around.mappings)
    )


def _passed(
    guest: Guest, config: GuestConfig | None, mappings: Mappings
) -> Iterable[tuple[PciPass, list[str]]]:
    for entry in config.pci if config else ():
        paths = entry.device.split(";") if entry.device else []
        paths += [path for node, path in mappings.get(entry.mapping, ()) if node in {"", guest.node}]
        yield entry, paths


def _same_device(passed: str, device: str) -> bool:
    """`0000:41:00` passes all functions of the device `0000:41:00.0`; the domain may be left out."""
    full = passed if passed.count(":") == 2 else f"0000:{passed}"
    return bool(passed) and (device == full or device.partition(".")[0] == full)


def free_gpus(
    around: Surroundings, guests: Iterable[Guest], configs: Mapping[int, GuestConfig | None]
) -> dict[str, int]:
    """Count each node's NVIDIA GPUs that are set apart for no guest.

    One that is passed through to a guest that is switched off counts as set apart too: it usually stays with
    vfio-pci, and an exporter on the node doesn't see it.
    """
    left = {node: set(devices) for node, devices in around.gpus.items()}
    for guest in guests:
        if guest.template or not left.get(guest.node):
            continue
        paths = [
            path for _, paths in _passed(guest, configs.get(guest.vmid), around.mappings) for path in paths
        ]
        left[guest.node] -= {
            gpu for gpu in left[guest.node] if any(_same_device(path, gpu) for path in paths)
        }
    return {node: len(devices) for node, devices in left.items()}


def node_views(around: Surroundings, gpus: Mapping[str, int], settings: Settings) -> tuple[NodeView, ...]:
    """Return all nodes, sorted, online or not; one without a known address has no target."""
    chosen = set(settings.discovery_gpu_nodes)
    result = []
    for name in sorted(around.nodes):
        node = around.nodes[name]
        address = settings.discovery_node_addresses.get(name, node.ip)
        gpu = "*" in chosen or name in chosen or (not chosen and gpus.get(name, 0) > 0)
        result.append(
            NodeView(
                name=name,
                online=node.online,
                address=address,
                target=host_port(address, settings.discovery_node_port) if address else "",
                gpu_target=host_port(address, settings.discovery_gpu_port) if address and gpu else "",
            )
        )
    return tuple(result)


def conflicts(guests: Iterable[GuestView]) -> tuple[str, ...]:
    """Return the addresses that more than one target has (clones, NAT, a lease that moved on)."""
    counted = Counter(guest.address for guest in guests if guest.target)
    return tuple(sorted(address for address, count in counted.items() if count > 1))
