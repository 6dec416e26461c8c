"""The cluster at a moment: who is up and where, what it uses, and what its counters read."""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from math import floor, inf
from typing import Any

from .directory import Directory
from .faults import GUEST_DOWN, KINDS, Entity, Fault, FaultBook, FaultError, parameters
from .firewalls import Firewalls
from .load import DAY, Curve, Segment, area_with, chance, rate_with, sawtooth, split_with
from .model import Cluster, Guest, Host, Storage, Volume
from .orders import Move, Orders
from .profiles import guest_curves, host_curves, memory_curve
from .provisioned import Provisioned
from .settings import Settings

MONTH = 30 * DAY
BOOT_SECONDS = 20.0
HOST_RESERVED = 3.2e9  # bytes that a host without guests uses
NEED_GPU = frozenset({"gpu_hot", "gpu_memory_full"})
MAIL = "mail"  # the sink that isn't a webhook
SINK = re.compile(r"[A-Za-z0-9_.-]{1,64}")
LOCKED_SECONDS = 20.0  # a migration's lock before the guest is on the other host


@dataclass
class Lab:
    """The cluster with its faults and its clock.

    Everything but what was made through the API (``provisioned``) is a function of the time, and of the
    faults and orders so far. ``epoch`` is the start of the 30 days in which the lab was started: machines
    booted before it, migrations began with it. A lab that is started again within these days therefore
    continues its counters.
    """

    cluster: Cluster
    settings: Settings
    clock: Callable[[], float] = time.time
    faults: FaultBook = field(default_factory=FaultBook)
    orders: Orders = field(default_factory=Orders)
    provisioned: Provisioned = field(default_factory=Provisioned)
    directory: Directory = field(init=False)
    firewalls: Firewalls = field(default_factory=Firewalls)
    _curves: dict[Entity, dict[str, Curve]] = field(default_factory=dict)
    _booted: dict[tuple[int, str], tuple[float, float]] = field(default_factory=dict)
    _moved: dict[tuple[int, str, str], tuple[int, float, float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Fill in who may do what."""
        self.directory = Directory(self.settings.pve_release)

    @cached_property
    def epoch(self) -> float:
        """The start of the current 30 days, in Unix seconds."""
        return floor(self.clock() / MONTH) * MONTH

    # --- who is up, and where ---

    def online(self, host: str, t: float) -> bool:
        """Whether a host is up."""
        return self.faults.hitting(host, "host_down", t) is None

    def joined(self, host: str, t: float) -> bool:
        """Whether a host is up and the other members see it."""
        return self.online(host, t) and self.faults.hitting(host, "corosync_down", t) is None

    def powered(self, guest: Guest, t: float) -> bool:
        """Whether a guest was built switched on, or was started since."""
        return guest.running or self.orders.started(guest.vmid) <= t

    def running(self, guest: Guest, t: float) -> bool:
        """Whether a guest's operating system is up."""
        return self.powered(guest, t) and not any(
            fault.kind in GUEST_DOWN and fault.active(t) for fault in self.faults.on(guest.vmid)
        )

    def process(self, guest: Guest, t: float) -> bool:
        """Whether a guest's QEMU or container process is there: a crashed system can leave it behind."""
        return self.powered(guest, t) and not any(
            _ends_process(fault) and fault.active(t) for fault in self.faults.on(guest.vmid)
        )

    def location(self, guest: Guest, t: float) -> str:
        """The host a guest is on: where it was sent, or else where its plan has it.

        One that moves by a plan stays where it is while one of its hosts is down.
        """
        if sent := self.last_move(guest, t):
            return sent.target
        if not guest.away:
            return guest.home
        for name in (guest.home, guest.away):
            for fault in self.faults.on(name):
                if fault.kind == "host_down" and fault.active(t):
                    return self._plan(guest, fault.start)
        return self._plan(guest, t)

    def last_move(self, guest: Guest, t: float) -> Move | None:
        """The latest ordered migration that has succeeded."""
        moves = reversed(self.orders.moves(guest.vmid))
        return next((move for move in moves if move.end <= t and self.failed(move, t) is None), None)

    def failed(self, move: Move, t: float) -> float | None:
        """When a host or the guest went down during an ordered migration, as of ``t``."""
        end = min(t, move.end)
        return min(
            (
                max(fault.start, move.start)
                for entity in (move.source, move.target, move.vmid)
                for fault in self.faults.on(entity)
                if _ends_process(fault) and fault.start <= end and fault.end > move.start
                # A guest that is off already moves as a file.
                if entity != move.vmid or fault.start > move.start
            ),
            default=None,
        )

    def moves(self, guest: Guest) -> bool:
        """Whether a guest is, or was, not always on one host."""
        return bool(guest.away or self.orders.moves(guest.vmid))

    def arrived(self, guest: Guest, t: float) -> float:
        """Since when a guest's process is on its host: its boot, or its last migration."""
        boot = self.boot(guest, t)
        if sent := self.last_move(guest, t):
            return max(sent.end, boot)
        if not guest.away or t < self.epoch:
            return boot
        every, here = self.settings.migrate_every, self.location(guest, t)
        edge = floor(t / every) * every
        while edge > boot and self.location(guest, edge - 1) == here:
            edge -= every
        return max(edge, boot)

    def migrating(self, guest: Guest, t: float) -> bool:
        """Whether a guest is locked by a migration."""
        for move in self.orders.moves(guest.vmid):
            if move.start <= t < move.end and self.failed(move, t) is None:
                return True
        if not guest.away or self.last_move(guest, t) or not self.running(guest, t):
            return False
        return self.location(guest, t) != self.location(guest, t + LOCKED_SECONDS)

    def _plan(self, guest: Guest, t: float) -> str:
        if t < self.epoch or int(t / self.settings.migrate_every) % 2 == 0:
            return guest.home
        return guest.away

    def boot(self, entity: Guest | Host, t: float) -> float:
        """When it last booted: at a hashed time in the 60 days before the epoch, or after a fault."""
        key: Entity = entity.vmid if isinstance(entity, Guest) else entity.name
        boot = self.epoch - DAY * (1 + 59 * chance(entity.seed, 31))
        if isinstance(entity, Guest) and self.orders.started(entity.vmid) <= t:
            boot = self.orders.started(entity.vmid)
        for fault in self.faults.on(key):
            if fault.kind in GUEST_DOWN and fault.end <= t:
                boot = max(boot, fault.end)
        return boot

    # --- rates and counters ---

    def curves(self, entity: Guest | Host) -> dict[str, Curve]:
        """The undisturbed curves of a guest or of a host by itself."""
        key: Entity = entity.vmid if isinstance(entity, Guest) else entity.name
        if key not in self._curves:
            self._curves[key] = (
                guest_curves(entity, self.contention[entity.home])
                if isinstance(entity, Guest)
                else host_curves(entity)
            )
        return self._curves[key]

    @cached_property
    def contention(self) -> dict[str, float]:
        """By host, the steal per unit of CPU that a guest uses: nothing up to two vCPUs to a CPU."""
        found = {}
        for host in self.cluster.hosts:
            vcpus = sum(g.vcpus for g in self.cluster.residents[host.name] if g.running)
            found[host.name] = min(0.2, max(0.0, vcpus / host.cpus - 2) * 0.05)
        return found

    def rate(self, guest: Guest, signal: str, t: float) -> float:
        """A signal of a running guest at ``t``."""
        base = self.curves(guest)[signal].rate(t)
        return rate_with(base, self.faults.segments(guest.vmid, signal), t)

    def area(self, guest: Guest, signal: str, start: float, end: float) -> float:
        """A signal of a guest, integrated from ``start`` to ``end``."""
        between = self.curves(guest)[signal].between
        return area_with(between, self.faults.segments(guest.vmid, signal), start, end)

    def counter(self, guest: Guest, signal: str, t: float) -> float:
        """A counter inside a guest: since it booted."""
        boot = self.boot(guest, t)
        if self.faults.segments(guest.vmid, signal):
            return self.area(guest, signal, boot, t)
        curve = self.curves(guest)[signal]
        known = self._booted.get((guest.vmid, signal))
        if known is None or known[0] != boot:
            known = self._booted[guest.vmid, signal] = boot, curve.area(boot)
        return curve.area(t) - known[1]

    def cpu_parts(self, guest: Guest, t: float) -> tuple[float, float]:
        """Busy seconds per vCPU since boot: of its own work (uneven between cores), and of a fault (even)."""
        between = self.curves(guest)["cpu"].between
        return split_with(between, self.faults.segments(guest.vmid, "cpu"), self.boot(guest, t), t)

    def host_rate(self, host: Host, signal: str, t: float) -> float:
        """A signal of a whole host: its guests and itself; cpu in CPUs, the rest as for guests."""
        base = self.host_own(host, signal, t)
        for guest in self.candidates(host.name):
            if self.powered(guest, t) and self.location(guest, t) == host.name:
                base += self.rate(guest, signal, t) * _weight(guest, signal)
        return rate_with(base, self._host_segments(host, signal), t)

    def host_own(self, host: Host, signal: str, t: float) -> float:
        """What a host itself adds to a signal."""
        return self.curves(host)[signal].rate(t) * (host.cpus if signal == "cpu" else 1)

    def host_area(self, host: Host, signal: str, start: float, end: float) -> float:
        """A signal of a whole host, integrated."""

        def between(low: float, high: float) -> float:
            total = self.curves(host)[signal].between(low, high) * (host.cpus if signal == "cpu" else 1)
            for guest in self.candidates(host.name):
                if self.powered(guest, high):
                    total += self.stay_area(guest, host.name, signal, low, high) * _weight(guest, signal)
            return total

        return area_with(between, self._host_segments(host, signal), start, end)

    def host_counter(self, host: Host, signal: str, t: float) -> float:
        """A counter of a whole host since it booted."""
        return self.host_area(host, signal, self.boot(host, t), t)

    def host_cpu_parts(self, host: Host, t: float) -> tuple[float, float, float]:
        """Busy seconds per CPU since boot: of guests, of the host's own work, and of a fault."""
        boot = self.boot(host, t)
        between = self.curves(host)["cpu"].between
        own, forced = split_with(between, self.faults.segments(host.name, "cpu"), boot, t)
        total = self.host_area(host, "cpu", boot, t) / host.cpus
        return total - forced - own, own, forced

    def host_alone(self, host: Host, signal: str, t: float) -> float:
        """A counter of what concerns a host only (util, iowait, errors), since it booted."""
        between = self.curves(host)[signal].between
        return area_with(between, self.faults.segments(host.name, signal), self.boot(host, t), t)

    def host_alone_rate(self, host: Host, signal: str, t: float) -> float:
        """What ``host_alone`` integrates."""
        return rate_with(self.curves(host)[signal].rate(t), self.faults.segments(host.name, signal), t)

    def _host_segments(self, host: Host, signal: str) -> tuple[Segment, ...]:
        segments = self.faults.segments(host.name, signal)
        if signal == "cpu":
            return tuple(s._replace(level=s.level * host.cpus) for s in segments)
        # What slows a host's disks slows its guests', and theirs are already in the sum.
        return tuple(s for s in segments if s.scale == 0.0)

    def stay_area(self, guest: Guest, host: str, signal: str, start: float, end: float) -> float:
        """What a guest added to ``host`` between ``start`` and ``end``."""
        if guest.running and not self.moves(guest):
            return self.area(guest, signal, start, end)
        key, now = (guest.vmid, host, signal), self.faults.version + self.orders.version
        version, since, upto, total = self._moved.get(key, (-1, 0.0, 0.0, 0.0))
        if (version, since) != (now, start) or upto > end:
            upto, total = start, 0.0
        for low, high in self.stays(guest, host, upto, end):
            total += self.area(guest, signal, low, high)
        self._moved[key] = (now, start, end, total)
        return total

    def stays(self, guest: Guest, host: str, start: float, end: float) -> Iterator[tuple[float, float]]:
        """The spans of time in which a guest that moves, or was started late, was on ``host``."""
        every = self.settings.migrate_every
        first = max(start, self.epoch)
        edges = {start, end, min(first, end)}
        if guest.away:
            edges |= {k * every for k in range(int(first / every) + 1, int(end / every) + 1)}
        marks = [self.orders.started(guest.vmid), *(move.end for move in self.orders.moves(guest.vmid))]
        marks += [
            e for name in {guest.home, guest.away} for f in self.faults.on(name) for e in (f.start, f.end)
        ]
        edges |= {mark for mark in marks if start < mark < end}
        for low, high in pairwise(sorted(edges)):
            middle = (low + high) / 2
            if self.powered(guest, middle) and self.location(guest, middle) == host:
                yield low, high

    # --- levels ---

    def memory_used(self, guest: Guest, t: float) -> float:
        """The part of its memory that a running guest uses, 0 to 1."""
        base = self._memory[guest.vmid].rate(t)
        return self._leak(guest.vmid, base, t)

    @cached_property
    def _memory(self) -> dict[int, Curve]:
        return {guest.vmid: memory_curve(guest) for guest in self.cluster.guests}

    def _leak(self, entity: Entity, base: float, t: float) -> float:
        fault = self.faults.hitting(entity, "memory_leak", t)
        if fault is None:
            return base
        full = fault.number("used")
        part = min(1.0, (t - fault.start) / max(1.0, fault.number("fill_seconds")))
        return max(base, base + (full - base) * part)

    def host_memory_used(self, host: Host, t: float) -> float:
        """Bytes that a host's guests and programs use."""
        total = HOST_RESERVED + 0.012 * host.memory
        for guest in self.residents(host, t):
            total += self.memory_host(guest, t)
        return self._leak(host.name, min(total / host.memory, 0.99), t) * host.memory

    def memory_host(self, guest: Guest, t: float) -> float:
        """Bytes of a host's memory that a guest takes: Windows has touched all of its own since it booted."""
        if guest.os == "windows":
            return guest.memory * 1.004
        return guest.memory * min(1.0, self.memory_used(guest, t) + 0.2)

    def candidates(self, host: str) -> tuple[Guest, ...]:
        """The guests that can be on a host: by their plan, or because they were sent there."""
        known = self.cluster.residents[host]
        if not (sent := self.orders.arrivals(host)):
            return known
        return known + tuple(
            guest
            for guest in map(self.cluster.guest.__getitem__, sent)
            if host not in (guest.home, guest.away)
        )

    def residents(self, host: Host, t: float) -> Iterator[Guest]:
        """The guests whose process is on ``host``."""
        for guest in self.candidates(host.name):
            if self.location(guest, t) == host.name and self.process(guest, t):
                yield guest

    def volume_used(self, entity: Entity, volume: Volume, index: int, t: float) -> float:
        """The part of a file system that is full, 0 to 1."""
        base = sawtooth(t, volume.seed, volume.used_low, volume.used_high, volume.fill_days * DAY)
        return self._filled(entity, base, t) if index == 0 else base

    def root_used(self, host: Host, t: float) -> float:
        """The part of a host's root file system that is full, which is also its storage ``local``."""
        return self._filled(host.name, sawtooth(t, host.seed + 5, 0.13, 0.24, 40 * DAY), t)

    def _filled(self, entity: Entity, base: float, t: float) -> float:
        if fault := self.faults.hitting(entity, "disk_full", t):
            return fault.number("used")
        if fault := self.faults.hitting(entity, "disk_filling", t):
            return min(1.0, fault.number("used") + fault.number("per_hour") * (t - fault.start) / 3600)
        return base

    def storage_used(self, storage: Storage, host: Host, t: float) -> float:
        """The part of a storage that is full, as ``host`` sees it; a shared one is the same everywhere."""
        if storage.name == "local":
            return self.root_used(host, t)
        seed = storage.seed if storage.shared else storage.seed + host.seed
        return sawtooth(t, seed, storage.used_low, storage.used_high, 35 * DAY)

    def forced(self, entity: Guest | Host, kind: str, parameter: str, t: float) -> float | None:
        """The value that a fault of ``kind`` forces on ``entity``, in the unit of its ``parameter``."""
        key: Entity = entity.vmid if isinstance(entity, Guest) else entity.name
        fault = self.faults.hitting(key, kind, t)
        return fault.number(parameter) if fault else None

    def refuses(self, sink: str, t: float) -> bool:
        """Whether a sink of notifications takes nothing now."""
        return any(fault.target == sink for fault in self.faults.active(t, "delivery_refused"))

    def incidents(self, host: Host, kind: str, t: float) -> int:
        """How often a host was struck by ``kind`` since it booted."""
        boot = self.boot(host, t)
        return sum(f.kind == kind and boot <= f.start <= t for f in self.faults.on(host.name))

    # --- faults ---

    def break_(self, kind: str, target: str, seconds: float | None, given: Mapping[str, Any]) -> Fault:
        """Start a fault.

        Raises:
            FaultError: Kind, target or a parameter doesn't exist; the message names those that do.
        """
        params = parameters(kind, given)
        if seconds is not None and seconds <= 0:
            raise FaultError(f"seconds is {seconds}; give a positive number, or none for until cleared")
        now = self.clock()
        guests, hosts = self._touched(kind, target, now)
        end = inf if seconds is None else now + seconds
        return self.faults.add(Fault("", kind, target, now, end, params, guests, hosts))

    def _touched(self, kind: str, target: str, now: float) -> tuple[frozenset[int], frozenset[str]]:
        targets = KINDS[kind].targets
        if "token" in targets:
            return self._token_exists(kind, target)
        if "sink" in targets:
            return _sink_exists(kind, target)
        if "member" in targets and target == "all":
            return frozenset(), frozenset(self.cluster.host)
        if target in self.cluster.host and {"host", "member"} & set(targets):
            return self._on_host(kind, target, now), frozenset({target})
        guest = self.find_guest(target)
        if guest is None or "guest" not in targets:
            raise FaultError(f"{kind} can't be aimed at {target!r}; {self._choices(targets)}")
        if kind in NEED_GPU and not guest.gpus:
            raise FaultError(f"guest {target} has no GPU; {self._choices(targets, gpus=True)}")
        return frozenset({guest.vmid}), frozenset()

    def _token_exists(self, kind: str, target: str) -> tuple[frozenset[int], frozenset[str]]:
        if target not in self.directory.tokens:
            there = ", ".join(self.directory.tokens)
            raise FaultError(f"{kind} can't be aimed at {target!r}; there are the tokens {there}")
        return frozenset(), frozenset()

    def _on_host(self, kind: str, name: str, now: float) -> frozenset[int]:
        if kind in NEED_GPU and not self.cluster.host[name].gpus:
            raise FaultError(f"host {name} has no GPU; {self._choices(('guest', 'host'), gpus=True)}")
        if kind not in ("host_down", "disk_latency_storm", "cpu_hog"):
            return frozenset()
        return frozenset(guest.vmid for guest in self.candidates(name) if self.location(guest, now) == name)

    def pool(self, vmid: str) -> str:
        """The pool that a guest is in, or ``""``."""
        number = int(vmid) if vmid.isdigit() else 0
        if guest := self.cluster.guest.get(number):
            return guest.pool
        machine = self.provisioned.machines.get(number)
        return machine.pool if machine else ""

    def find_guest(self, target: str) -> Guest | None:
        """A guest by vmid, by id (qemu/101) or by name."""
        number = target.rpartition("/")[2]
        if number.isdigit():
            return self.cluster.guest.get(int(number))
        return next((guest for guest in self.cluster.guests if guest.name == target), None)

    def _choices(self, targets: tuple[str, ...], *, gpus: bool = False) -> str:
        parts = []
        if "guest" in targets:
            guests = [g for g in self.cluster.guests if not g.template and (g.gpus or not gpus)]
            shown = ", ".join(f"{g.vmid}" for g in guests[:20]) + (" ..." if len(guests) > 20 else "")
            parts.append(f"guests {shown}")
        if {"host", "member"} & set(targets):
            parts.append("hosts " + ", ".join(h.name for h in self.cluster.hosts if h.gpus or not gpus))
        return "there are " + "; ".join(parts) + ("; or all" if "member" in targets else "")


def _sink_exists(kind: str, target: str) -> tuple[frozenset[int], frozenset[str]]:
    if not SINK.fullmatch(target):
        raise FaultError(f"{kind} can't be aimed at {target!r}; give the name of a webhook, or {MAIL}")
    return frozenset(), frozenset()


def _ends_process(fault: Fault) -> bool:
    """Whether a fault takes more from a guest than its operating system."""
    return fault.kind in GUEST_DOWN and fault.params.get("mode") != "os"


def _weight(guest: Guest, signal: str) -> float:
    return guest.vcpus if signal == "cpu" else 1.0
