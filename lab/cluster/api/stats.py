"""What the members broadcast of guests, hosts and storages: the entries of /cluster/resources."""

# ruff: noqa: TID252 - the package is `lab.cluster` here and `cluster` in its image

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import floor
from typing import Any, NamedTuple

from ..faults import UNSEEN
from ..load import chance
from ..model import Guest, Host, Storage
from ..state import Lab
from .call import as_json

BROADCAST = 10.0  # seconds between two rounds of pvestatd
ROOT_SIZE = 100_861_726_720

Entry = dict[str, Any]


def items(entries: list[Entry]) -> bytes:
    """A list as JSON, without the brackets."""
    return as_json(entries)[1:-1]


class Round(NamedTuple):
    """What a member's pvestatd told the others last, and the same as JSON (``items``).

    Its guests are those that are at home there and were never sent elsewhere.
    """

    key: tuple[Any, ...]
    node: Entry
    guests: list[Entry]
    storages: list[Entry]
    node_text: bytes
    guests_text: bytes
    storages_text: bytes


@dataclass
class Stats:
    """Rounds by member, each at its own time of the ten seconds; a fault that shows makes another round."""

    lab: Lab
    _rounds: dict[str, Round] = field(default_factory=dict)
    _edges: dict[str, tuple[float, ...]] = field(default_factory=dict)
    _settled: dict[str, tuple[Guest, ...]] = field(default_factory=dict)
    _movers: tuple[Guest, ...] = ()
    _versions: tuple[int, int] = (-1, -1)

    def rounds(self, t: float) -> list[Round]:
        """The latest round of each member."""
        self._sort_out()
        return [self.round(host, t) for host in self.lab.cluster.hosts]

    def round(self, host: Host, t: float) -> Round:
        """The latest round of a member."""
        self._sort_out()
        now, known = self._due(host, t), self._rounds.get(host.name)
        edges = tuple(edge for edge in self._edges[host.name] if edge <= t)
        key = (now, edges, len(self._settled[host.name]))
        if known is None or known.key != key:
            known = self._rounds[host.name] = self._round(host, max((now, *edges[-1:])), key)
        return known

    def _due(self, host: Host, t: float) -> float:
        phase = BROADCAST * (host.number - 1) / len(self.lab.cluster.hosts)
        return floor((t - phase) / BROADCAST) * BROADCAST + phase

    def _round(self, host: Host, t: float, key: tuple[Any, ...]) -> Round:
        node = self.host(host, t)
        guests = [self.guest(guest, t) for guest in self._settled[host.name]]
        storages = [self.storage(storage, host, t) for storage in self.lab.cluster.storages]
        return Round(key, node, guests, storages, items([node]), items(guests), items(storages))

    def _sort_out(self) -> None:
        """After a fault or an order: who stays where it is, and when each member's picture changed."""
        lab = self.lab
        versions = (lab.faults.version, lab.orders.version)
        if versions == self._versions:
            return
        ordered = lab.orders.guests()
        shown = [fault for fault in lab.faults.faults if fault.kind not in UNSEEN]
        for name, residents in lab.cluster.residents.items():
            home = tuple(g for g in residents if g.home == name)
            self._settled[name] = tuple(g for g in home if not g.away and g.vmid not in ordered)
            vmids = {guest.vmid for guest in home}
            touching = [f for f in shown if name in f.hosts or not f.guests.isdisjoint(vmids)]
            # Not a set: a fault that ends as soon as it began is seen as well.
            self._edges[name] = tuple(sorted(edge for f in touching for edge in (f.start, f.end)))
        self._movers = tuple(g for g in lab.cluster.guests if g.away or g.vmid in ordered)
        self._versions = versions

    def movers(self, t: float) -> list[Entry]:
        """The entries of the other guests, as of now: a configuration is on its new host at once."""
        self._sort_out()
        return [self.guest(guest, t) for guest in self._movers]

    def guests(self, t: float) -> Iterator[Entry]:
        """The entries of all guests."""
        for known in self.rounds(t):
            yield from known.guests
        yield from self.movers(t)

    def guest(self, guest: Guest, t: float) -> Entry:
        """A guest's entry; while its host is offline the last one, and after a while hardly anything."""
        lab = self.lab
        node = lab.location(guest, t)
        entry: Entry = {"id": guest.id, "vmid": guest.vmid, "node": node, "type": guest.kind}
        # The HA manager's word, which no member broadcasts for itself.
        ha = {"hastate": ha_state(lab, guest, t)} if guest.managed else {}
        down = lab.faults.hitting(node, "host_down", t) or lab.faults.hitting(node, "corosync_down", t)
        if down is None:
            return entry | self._known(guest, t) | ha
        if t - down.start < lab.settings.broadcast_expire:
            return entry | self._known(guest, down.start - 0.001) | ha
        return entry | {"status": "unknown"} | _labels(guest) | ha

    def _known(self, guest: Guest, t: float) -> Entry:
        up = self.lab.process(guest, t)
        boot_disk = guest.volumes[0].size
        entry: Entry = {
            "status": "running" if up else "stopped",
            "name": guest.name,
            "template": int(guest.template),
            "maxcpu": guest.vcpus,
            "maxmem": guest.memory,
            "maxdisk": boot_disk,
            "disk": 0,
            **(usage(self.lab, guest, t) if up else IDLE),
            **_labels(guest),
        }
        if self.lab.settings.pve_release >= 9:
            entry["memhost"] = int(self.lab.memory_host(guest, t)) if up else 0
        if self.lab.migrating(guest, t):
            entry["lock"] = "migrate"
        return entry

    def host(self, host: Host, t: float, *, audit: bool = True) -> Entry:
        """A host's entry in /cluster/resources."""
        entry: Entry = {"id": f"node/{host.name}", "node": host.name, "type": "node", "cgroup-mode": 2}
        if not self.lab.joined(host.name, t):
            return entry | {"status": "offline", "hastate": "unknown"}
        entry |= {"status": "online", "level": "", "hastate": "online"}
        return entry | (host_usage(self.lab, host, t) if audit else {})

    def storage(self, storage: Storage, host: Host, t: float) -> Entry:
        """A storage's entry, as ``host`` sees it."""
        entry: Entry = {
            "id": f"storage/{host.name}/{storage.name}", "storage": storage.name, "node": host.name,
            "type": "storage", "plugintype": storage.type, "shared": int(storage.shared),
            "content": storage.content,
        }  # fmt: skip
        away = self.lab.faults.hitting(host.name, "storage_offline", t)
        if not self.lab.joined(host.name, t) or (away and away.params["storage"] == storage.name):
            return entry | {"status": "unknown"}
        size = storage_size(storage)
        used = int(size * self.lab.storage_used(storage, host, t))
        return entry | {"status": "available", "maxdisk": size, "disk": used}


IDLE: Entry = {
    "uptime": 0, "cpu": 0, "mem": 0, "netin": 0, "netout": 0, "diskread": 0, "diskwrite": 0
}  # fmt: skip


def ha_state(lab: Lab, guest: Guest, t: float) -> str:
    """What the HA manager says of a guest that it looks after."""
    if lab.faults.hitting(guest.vmid, "ha_error", t):
        return "error"
    return "stopped" if lab.faults.hitting(guest.vmid, "guest_stopped", t) else "started"


def usage(lab: Lab, guest: Guest, t: float) -> Entry:
    """What a running guest's process uses; its counters begin anew with each process, so with a migration."""
    since = lab.arrived(guest, t)
    counters = (
        {name: int(lab.counter(guest, signal, t)) for name, signal in COUNTERS}
        if not lab.moves(guest)
        else {name: int(lab.area(guest, signal, since, t)) for name, signal in COUNTERS}
    )
    found: Entry = {
        "uptime": int(t - since),
        "cpu": round(lab.rate(guest, "cpu", t), 16),
        "mem": int(guest.memory * lab.memory_used(guest, t)),
        **counters,
    }
    if guest.kind == "lxc":
        volume = guest.volumes[0]
        found["disk"] = int(volume.size * lab.volume_used(guest.vmid, volume, 0, t))
    return found


COUNTERS = (("netin", "rx"), ("netout", "tx"), ("diskread", "read"), ("diskwrite", "write"))


def host_usage(lab: Lab, host: Host, t: float) -> Entry:
    """What a host that is up uses."""
    return {
        "uptime": int(t - lab.boot(host, t)),
        "cpu": lab.host_rate(host, "cpu", t) / host.cpus,
        "maxcpu": host.cpus,
        "mem": int(lab.host_memory_used(host, t)),
        "maxmem": host.memory,
        "disk": int(ROOT_SIZE * lab.root_used(host, t)),
        "maxdisk": ROOT_SIZE,
    }


def storage_size(storage: Storage) -> int:
    """The size of a storage in bytes; ``local`` is the root file system."""
    return ROOT_SIZE if storage.name == "local" else storage.size


def pressure(lab: Lab, guest: Guest, t: float) -> Entry:
    """Pressure stall information of a guest's cgroup in percent; Proxmox VE has it since 9."""
    if lab.settings.pve_release < 9:
        return {}
    io = min(99.0, 100 * lab.rate(guest, "util", t) * 0.06)
    cpu = min(99.0, 100 * lab.rate(guest, "steal", t) + 4 * chance(guest.seed, int(t / BROADCAST)))
    return {
        "pressurecpusome": round(cpu, 2), "pressurecpufull": 0.0, "pressureiosome": round(io, 2),
        "pressureiofull": round(io * 0.8, 2), "pressurememorysome": 0.0, "pressurememoryfull": 0.0,
    }  # fmt: skip


def _labels(guest: Guest) -> Entry:
    found: Entry = {}
    if guest.tags:
        found["tags"] = ";".join(sorted(guest.tags))
    if guest.pool:
        found["pool"] = guest.pool
    return found
