"""What discovery knows: plain immutable values, shared by the pure modules."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why a guest that should be watched is not a target, or why its address could not be confirmed."""

    PENDING = "pending"
    EXCLUDED = "excluded"
    NODE_OFFLINE = "node_offline"
    NO_AGENT = "no_agent"
    AGENT_DEAD = "agent_dead"
    AGENT_DENIED = "agent_denied"
    AGENT_UNSUPPORTED = "agent_unsupported"
    CONFIG_DENIED = "config_denied"
    NO_ADDRESS = "no_address"
    UNKNOWN_OS = "unknown_os"
    MOVED = "moved"
    API_ERROR = "api_error"


class Stop(StrEnum):
    """What is known of how a guest went down that was seen running."""

    NONE = ""
    UNJUDGED = "unjudged"
    UNEXPECTED = "unexpected"


@dataclass(frozen=True, slots=True)
class Guest:
    """One row of type qemu or lxc in /cluster/resources.

    Attributes:
        vmid: Identity of the guest in its cluster.
        kind: `qemu` or `lxc`.
        status: QMP state: running, paused, stopped, unknown, ...
        name: Name, or the VMID as text where the cluster doesn't say it.
        tags: Sorted, lower case, without duplicates.
        uptime: Seconds since the guest's process was started on its node.
        memory: Configured memory in bytes.
        disk: Size of the boot disk in bytes; here only to notice a changed configuration.
    """

    vmid: int
    kind: str
    node: str
    status: str
    name: str
    template: bool = False
    tags: tuple[str, ...] = ()
    pool: str = ""
    lock: str = ""
    uptime: int = 0
    vcpus: float = 0
    memory: int = 0
    disk: int = 0

    @property
    def alive(self) -> bool:
        """Whether the guest has a running process, be it paused."""
        return not self.template and self.status not in {"stopped", "unknown"}


@dataclass(frozen=True, slots=True)
class Node:
    """One member of the cluster; `ip` is the address in /cluster/status, empty where unknown."""

    name: str
    online: bool
    uptime: int = 0
    ip: str = ""


@dataclass(frozen=True, slots=True)
class Resources:
    """One answer of /cluster/resources; `malformed` counts rows that could not be read."""

    guests: dict[int, Guest]
    nodes: dict[str, Node]
    storages: dict[str, str]
    malformed: int = 0


@dataclass(frozen=True, slots=True)
class Task:
    """One entry of the cluster's task log.

    Attributes:
        vmid: 0 where it is not about one guest.
        start: Unix seconds.
    """

    kind: str
    vmid: int
    node: str
    start: float


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """One answer of /cluster/status; `local` is the node that answered, `name` the cluster's own name."""

    name: str
    local: str
    ips: dict[str, str]
    quorate: bool


@dataclass(frozen=True, slots=True)
class Nic:
    """A netN of a guest's configuration with the addresses that the configuration itself gives it."""

    index: int
    mac: str
    static: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface as the guest reports it; MAC in lower case, empty where it has none."""

    name: str
    mac: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PciPass:
    """A hostpciN of a configuration: device address or mapping name, and what hints at a GPU."""

    device: str = ""
    mapping: str = ""
    gpu_hint: bool = False


@dataclass(frozen=True, slots=True)
class GuestConfig:
    """What discovery needs of a guest's configuration."""

    digest: str = ""
    ostype: str = ""
    agent: bool = False
    nics: tuple[Nic, ...] = ()
    bus: str = ""
    storage: str = ""
    pci: tuple[PciPass, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """What was learned by asking about one guest, and when to ask again (seconds of the loop's clock)."""

    config: GuestConfig | None = None
    address: str = ""
    source: str = ""
    os: str = ""
    os_asked: bool = False
    reason: Reason | None = Reason.PENDING
    failures: int = 0
    config_due: float = 0.0
    agent_due: float = 0.0
    asked_before: bool = False
    seen_node: str = ""
    seen_uptime: int = 0
    seen_at: float = 0.0
    seen_shape: tuple[float, int, int] = (0, 0, 0)
    alive_at: float = -1.0
    stop: Stop = Stop.NONE


@dataclass(frozen=True, slots=True)
class GuestView:
    """A guest as it is shown and as it becomes a target; everything a label needs is text already."""

    vmid: int
    name: str
    node: str
    kind: str
    status: str
    template: bool
    os: str
    vcpus: str
    memory_gb: str
    disk_type: str
    tags: str
    pool: str
    address: str
    source: str
    target: str
    gpu_target: str
    reason: str
    agent: str
    stopped_unexpectedly: bool = False


@dataclass(frozen=True, slots=True)
class EndpointView:
    """A member of PVE_ENDPOINTS: host:port, its address as a target, its node, whether it is in use now."""

    label: str
    address: str
    node: str
    active: bool
    up: bool | None = None


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node as a target; both targets are empty where there is none."""

    name: str
    online: bool
    address: str
    target: str
    gpu_target: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """One consistent picture of the cluster, sorted by identity."""

    cluster: str
    guests: tuple[GuestView, ...] = ()
    nodes: tuple[NodeView, ...] = ()
    endpoints: tuple[EndpointView, ...] = ()
    conflicts: tuple[str, ...] = ()
    complete: bool = False
