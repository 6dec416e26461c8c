"""What was made through the API: virtual machines, disk images, and the tasks that made them.

Kept in memory: a lab that is started again has none of it.
"""

from dataclasses import dataclass, field
from typing import Any

# How long a task runs before its result is told; writes have their effect at once.
TASK_SECONDS = 0.4


@dataclass
class Machine:
    """A virtual machine: its configuration by key as Proxmox VE stores it, and what it was started with."""

    vmid: int
    node: str
    config: dict[str, Any]
    pool: str = ""
    started: float | None = None
    live: dict[str, Any] = field(default_factory=dict)

    def start(self, t: float) -> None:
        """Start it: a configuration that changes later is pending until the next start."""
        self.started, self.live = t, dict(self.config)

    def stop(self) -> None:
        """Stop it."""
        self.started, self.live = None, {}


@dataclass(frozen=True)
class Image:
    """A disk image in a storage: its size in the storage and as a disk, in bytes."""

    volid: str
    size: int
    disk: int
    created: float


@dataclass(frozen=True)
class Task:
    """A task: when it began, whose it is, and how it ends."""

    upid: str
    node: str
    kind: str
    id: str
    owner: str
    start: float
    pid: int
    result: str = "OK"

    def running(self, t: float) -> bool:
        """Whether it isn't done at ``t``."""
        return t < self.start + TASK_SECONDS


@dataclass
class Provisioned:
    """Machines by vmid, images by node and volume id, tasks by UPID, files in guests by vmid and path."""

    machines: dict[int, Machine] = field(default_factory=dict)
    images: dict[tuple[str, str], Image] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    files: dict[tuple[int, str], bytes] = field(default_factory=dict)

    def task(self, node: str, kind: str, ident: str, owner: str, t: float, *, result: str = "OK") -> str:
        """Record a task that begins at ``t``; its UPID. ``result`` is OK, or why it fails."""
        pid = 200_000 + len(self.tasks)
        upid = f"UPID:{node}:{pid:08X}:{int(t * 100) & 0xFFFFFFFF:08X}:{int(t):08X}:{kind}:{ident}:{owner}:"
        self.tasks[upid] = Task(upid, node, kind, ident, owner, t, pid, result)
        return upid
