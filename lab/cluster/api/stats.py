"""What the members broadcast of guests, hosts and storages: the entries of /cluster/resources."""

# ruff: noqa: TID252 - the package is `lab.cluster` here and `cluster` in its image

from dataclasses import dataclass, field
from math import floor
from typing import Any

from ..load import chance
from ..model import Guest, Host, Storage
from ..state import Lab

BROADCAST = 10.0  # seconds between two rounds of pvestatd
ROOT_SIZE = 100_861_726_720

Entry = dict[str, Any]


@dataclass
class Stats:
    """Entries by round of pvestatd; a fault that begins or ends makes a round of its own."""

    lab: Lab
    _at: tuple[float, int] = (0.0, -1)
    _guests: list[Entry] = field(default_factory=list)

    def guests(self, t: float) -> list[Entry]:
        """The entries of all guests, as of the latest round."""
        now = max(floor(t / BROADCAST) * BROADCAST, self.lab.faults.last_edge(t), self._moved(t))
        key = (now, self.lab.faults.version)
        if key != self._at:
            self._guests = [self.guest(guest, now) for guest in self.lab.cluster.guests]
            self._at = key
        return self._guests

    def _moved(self, t: float) -> float:
        # The configuration of a guest that moves is on its new host at once.
        return floor(t / self.lab.settings.migrate_every) * self.lab.settings.migrate_every

    def guest(self, guest: Guest, t: float) -> Entry:
        """A guest's entry; while its host is offline the last one, and after a while hardly anything."""
        lab = self.lab
        node = lab.location(guest, t)
        entry: Entry = {"id": guest.id, "vmid": guest.vmid, "node": node, "type": guest.kind}
        down = lab.faults.hitting(node, "host_down", t)
        if down is None:
            return entry | self._known(guest, t)
        if t - down.start < lab.settings.broadcast_expire:
            return entry | self._known(guest, down.start - 0.001)
        return entry | {"status": "unknown"} | _labels(guest)

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
        if guest.managed:
            entry["hastate"] = (
                "stopped" if self.lab.faults.hitting(guest.vmid, "guest_stopped", t) else "started"
            )
        if self.lab.migrating(guest, t):
            entry["lock"] = "migrate"
        return entry

    def host(self, host: Host, t: float, *, audit: bool = True) -> Entry:
        """A host's entry in /cluster/resources."""
        entry: Entry = {"id": f"node/{host.name}", "node": host.name, "type": "node", "cgroup-mode": 2}
        if not self.lab.online(host.name, t):
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
        if not self.lab.online(host.name, t):
            return entry | {"status": "unknown"}
        size = storage_size(storage)
        used = int(size * self.lab.storage_used(storage, host, t))
        return entry | {"status": "available", "maxdisk": size, "disk": used}


IDLE: Entry = {
    "uptime": 0, "cpu": 0, "mem": 0, "netin": 0, "netout": 0, "diskread": 0, "diskwrite": 0
}  # fmt: skip


def usage(lab: Lab, guest: Guest, t: float) -> Entry:
    """What a running guest's process uses; its counters begin anew with each process, so with a migration."""
    since = lab.arrived(guest, t)
    counters = (
        {name: int(lab.counter(guest, signal, t)) for name, signal in COUNTERS}
        if not guest.away
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
