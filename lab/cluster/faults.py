"""What can be broken, and the record of what was: the counters went through the past faults too."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

from .load import Segment, disjoint

Entity = int | str  # a guest by its vmid, a host by its name


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault: what it may be aimed at, its parameters with their defaults, and what it does."""

    targets: tuple[str, ...]
    summary: str
    params: tuple[tuple[str, float | str], ...] = ()


KINDS: dict[str, Kind] = {
    "host_down": Kind(("host",), "A host and everything on it is gone from one moment to the next."),
    "guest_down": Kind(
        ("guest",),
        "A guest dies without anyone stopping it; mode=os leaves its QEMU process running.",
        (("mode", "process"),),
    ),
    "guest_stopped": Kind(("guest",), "A person stops a guest: a task is in the log."),
    "guest_reboot": Kind(
        ("guest",), "A person reboots a guest, whose system is away: a task is in the log.", (("mode", "os"),)
    ),
    "agent_hung": Kind(("guest",), "The guest agent answers pings, but no command (8 s, then 500)."),
    "agent_dead": Kind(("guest",), "The guest agent doesn't answer (3 s, then 500)."),
    "exec_forbidden": Kind(("guest",), "The guest agent bars guest-exec and guest-file-open."),
    "download_blocked": Kind(("guest",), "Installers in the guest reach nothing that they would download."),
    "download_damaged": Kind(("host",), "What the host downloads has another checksum than it should."),
    "exporter_gone": Kind(("guest", "host"), "Nothing listens on the exporters' ports."),
    "cpu_hog": Kind(("guest", "host"), "Something keeps the CPUs busy.", (("busy", 0.97),)),
    "memory_leak": Kind(
        ("guest", "host"), "Memory fills within fill_seconds.", (("fill_seconds", 240.0), ("used", 0.98))
    ),
    "disk_latency_storm": Kind(
        ("guest", "host"), "Every disk operation takes factor times as long.", (("factor", 40.0),)
    ),
    "disk_full": Kind(("guest", "host"), "The first file system is full.", (("used", 0.98),)),
    "disk_filling": Kind(
        ("guest", "host"), "The first file system fills by per_hour, from used on.",
        (("used", 0.82), ("per_hour", 0.12)),
    ),
    "network_errors": Kind(("guest", "host"), "Packets are damaged.", (("per_second", 25.0),)),
    "gpu_hot": Kind(("guest", "host"), "Every GPU heats up and slows down.", (("celsius", 94.0),)),
    "gpu_memory_full": Kind(("guest", "host"), "The memory of every GPU is full.", (("used", 0.98),)),
    "sensor_hot": Kind(("host",), "The processor overheats.", (("celsius", 97.0),)),
    "zpool_broken": Kind(("host",), "The ZFS pool is in a bad state.", (("state", "faulted"),)),
    "memory_errors": Kind(("host",), "A module of memory reports an error that can't be corrected."),
    "oom_kill": Kind(("host",), "The kernel kills a process for want of memory."),
    "clock_skew": Kind(("host",), "The clock is off.", (("offset_seconds", 0.2),)),
    "corosync_down": Kind(
        ("host",), "The other members see a host no more; it runs on, and so do its guests."
    ),
    "ha_error": Kind(("guest",), "The HA manager has given up on a guest."),
    "storage_offline": Kind(("host",), "A host can't reach a storage.", (("storage", "nfs-backup"),)),
    "subscription_ends": Kind(("host",), "The subscription ends soon.", (("days", 7.0),)),
    "api_slow": Kind(("member",), "Every answer of the API is late.", (("delay_seconds", 5.0),)),
    "api_down": Kind(("member",), "The API refuses connections."),
    "api_errors": Kind(
        ("member",), "A share of the answers is an error: 500, 503 and 596 in turn.", (("share", 0.01),)
    ),
    "answers_cut": Kind(
        ("member",), "A share of the answers breaks off in the middle of the body.", (("share", 0.01),)
    ),
    "token_revoked": Kind(("token",), "An API token exists no more (401)."),
    "permission_lost": Kind(
        ("token",), "A token loses a privilege, or all of them.", (("privilege", ""),)
    ),
    "delivery_refused": Kind(("sink",), "A webhook answers 500, or the mail server 451."),
}  # fmt: skip

GUEST_DOWN = frozenset({"host_down", "guest_down", "guest_stopped", "guest_reboot"})
# What the members broadcast of themselves and their guests doesn't show these.
UNSEEN = frozenset(
    {"agent_hung", "agent_dead", "download_blocked", "download_damaged", "exec_forbidden", "exporter_gone",
     "network_errors", "gpu_hot", "gpu_memory_full", "sensor_hot", "zpool_broken", "memory_errors",
     "oom_kill", "clock_skew", "subscription_ends", "api_slow", "api_down", "api_errors", "answers_cut",
     "token_revoked", "permission_lost", "delivery_refused"}
)  # fmt: skip
# A guest that is down uses nothing.
FLOWS = ("cpu", "read", "write", "rx", "tx", "read_wait", "write_wait", "util", "steal")


class FaultError(ValueError):
    """A fault that can't be; the message says what can."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault from ``start`` to ``end`` (Unix seconds) and everything that it touches."""

    id: str
    kind: str
    target: str
    start: float
    end: float
    params: Mapping[str, float | str]
    guests: frozenset[int] = frozenset()
    hosts: frozenset[str] = frozenset()

    def active(self, t: float) -> bool:
        """Whether it lasts at ``t``."""
        return self.start <= t < self.end

    def touches(self, entity: Entity) -> bool:
        """Whether ``entity`` is among what it touches."""
        return entity in self.guests or entity in self.hosts

    def number(self, name: str) -> float:
        """A numeric parameter."""
        return float(self.params[name])

    def as_json(self) -> dict[str, Any]:
        """The fault as the control API shows it."""
        return {
            "id": self.id, "kind": self.kind, "target": self.target, "start": self.start,
            "end": None if self.end == inf else self.end, "params": dict(self.params),
            "guests": sorted(self.guests), "hosts": sorted(self.hosts),
        }  # fmt: skip


def parameters(kind: str, given: Mapping[str, Any]) -> dict[str, float | str]:
    """The parameters of a fault, defaults filled in.

    Raises:
        FaultError: The kind doesn't exist, or a parameter is unknown or of the wrong type.
    """
    if kind not in KINDS:
        raise FaultError(f"no such fault: {kind!r}; there are {', '.join(KINDS)}")
    known = dict(KINDS[kind].params)
    if unknown := sorted(set(given) - set(known)):
        names = ", ".join(known) or "none"
        raise FaultError(f"{kind} has no parameter {', '.join(unknown)}; it has {names}")
    for name, value in given.items():
        if isinstance(known[name], float) and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise FaultError(f"{kind}: {name} is a number, not {value!r}")
    if "share" in given and not 0 < given["share"] <= 1:
        raise FaultError(f"{kind}: share is {given['share']}; give a part of all answers, up to 1")
    return known | {name: value if isinstance(value, str) else float(value) for name, value in given.items()}


def segment(fault: Fault, signal: str, entity: Entity) -> Segment | None:
    """What ``fault`` does to a signal of ``entity``, or None."""
    span = Segment(fault.start, fault.end)
    if not fault.touches(entity):
        return None
    if fault.kind in GUEST_DOWN:
        return span._replace(scale=0.0) if signal in FLOWS else None
    if fault.kind == "network_errors":
        return span._replace(level=fault.number("per_second")) if signal == "errors" else None
    if fault.kind == "disk_latency_storm":
        return _storm(fault, span, signal)
    if fault.kind == "cpu_hog":
        return _hog(fault, span, signal, entity)
    return None


def _storm(fault: Fault, span: Segment, signal: str) -> Segment | None:
    if signal in ("read_wait", "write_wait"):
        return span._replace(scale=fault.number("factor"))
    if signal == "util":
        return span._replace(scale=0.0, level=0.985)
    return span._replace(scale=0.0, level=0.22) if signal == "iowait" else None


def _hog(fault: Fault, span: Segment, signal: str, entity: Entity) -> Segment | None:
    if isinstance(entity, int) and fault.hosts:
        # The host is busy with something else: its guests wait for their turn.
        return span._replace(level=0.12) if signal == "steal" else None
    return span._replace(scale=0.0, level=fault.number("busy")) if signal == "cpu" else None


@dataclass
class FaultBook:
    """Every fault since the start; ended ones stay, since the counters went through them."""

    faults: list[Fault] = field(default_factory=list)
    version: int = 0
    _cache: dict[tuple[Entity, str], tuple[Segment, ...]] = field(default_factory=dict)
    _touching: dict[Entity, tuple[Fault, ...]] = field(default_factory=dict)
    _of_kind: dict[str, tuple[Fault, ...]] = field(default_factory=dict)

    def add(self, fault: Fault) -> Fault:
        """Record a fault under the next free id."""
        numbered = replace(fault, id=f"f{len(self.faults) + 1}")
        self.faults.append(numbered)
        self._changed()
        return numbered

    def clear(self, fault_id: str, now: float) -> bool:
        """End a fault now; False where no such fault is active."""
        for i, fault in enumerate(self.faults):
            if fault.id == fault_id and fault.end > now:
                self.faults[i] = replace(fault, end=max(now, fault.start))
                self._changed()
                return True
        return False

    def clear_all(self, now: float) -> int:
        """End every active fault; the number of them."""
        return sum(self.clear(fault.id, now) for fault in list(self.faults))

    def active(self, t: float, kind: str | None = None) -> Iterator[Fault]:
        """The faults that last at ``t``, of one kind or of all."""
        return (fault for fault in (self.faults if kind is None else self.of(kind)) if fault.active(t))

    def of(self, kind: str) -> tuple[Fault, ...]:
        """Every fault of a kind, past or present."""
        if kind not in self._of_kind:
            self._of_kind[kind] = tuple(fault for fault in self.faults if fault.kind == kind)
        return self._of_kind[kind]

    def on(self, entity: Entity) -> tuple[Fault, ...]:
        """Every fault, past or present, that touches ``entity``."""
        if not self._touching:
            for fault in self.faults:
                touched: tuple[Entity, ...] = (*fault.guests, *fault.hosts)
                for one in touched:
                    self._touching[one] = (*self._touching.get(one, ()), fault)
        return self._touching.get(entity, ())

    def hitting(self, entity: Entity, kind: str, t: float) -> Fault | None:
        """The latest active fault of a kind on ``entity``."""
        found = [fault for fault in self.on(entity) if fault.kind == kind and fault.active(t)]
        return found[-1] if found else None

    def segments(self, entity: Entity, signal: str) -> tuple[Segment, ...]:
        """What the faults make of a signal of ``entity``."""
        if not self.faults:
            return ()
        key = (entity, signal)
        if key not in self._cache:
            found = (segment(fault, signal, entity) for fault in self.on(entity))
            self._cache[key] = disjoint(part for part in found if part)
        return self._cache[key]

    def _changed(self) -> None:
        self.version += 1
        self._cache.clear()
        self._touching.clear()
        self._of_kind.clear()
