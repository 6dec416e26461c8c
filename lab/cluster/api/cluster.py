"""/cluster, /storage and /pools."""

# ruff: noqa: TID252 - the package is `lab.cluster` here and `cluster` in its image

from collections.abc import Iterator
from typing import Any

from ..model import Guest
from . import machines
from .call import ApiError, Call, Written
from .stats import COUNTERS, Entry, Round, Stats, ha_state, items

TYPES = ("vm", "storage", "node", "sdn", "network")
# What has no job that backs it up.
NO_BACKUP_ROLES = ("dns",)


async def status(call: Call) -> Any:
    """GET /cluster/status."""
    call.need("/", "Sys.Audit")
    hosts = call.lab.cluster.hosts
    online = {host.name: call.lab.joined(host.name, call.t) for host in hosts}
    quorate = int(sum(online.values()) > len(hosts) / 2)
    head = {
        "type": "cluster", "id": "cluster", "name": call.lab.cluster.name, "nodes": len(hosts),
        "quorate": quorate, "version": len(hosts) + 2,
    }  # fmt: skip
    return [head] + [
        {
            "type": "node", "id": f"node/{host.name}", "name": host.name, "nodeid": host.number,
            "ip": host.address, "local": int(host.name == call.member), "online": int(online[host.name]),
            "level": "",
        }
        for host in hosts
    ]  # fmt: skip


class Resources:
    """GET /cluster/resources, from the latest broadcast."""

    def __init__(self, stats: Stats) -> None:
        self._stats = stats

    async def __call__(self, call: Call) -> Any:
        """Everything that the token may see; what it may not see is left out without a word."""
        kind = call.query.get("type", "")
        if kind and kind not in TYPES:
            values = ", ".join(TYPES)
            text = f"value '{kind}' does not have a value in the enumeration '{values}'"
            raise ApiError(400, "Parameter verification failed.", {"type": text})
        rounds = self._stats.rounds(call.t)
        parts: list[bytes] = []
        if kind == "":
            parts.append(items(_pools(call)))
        if kind in ("", "vm"):
            parts += self._guests(call, rounds)
        if kind in ("", "node"):
            parts += self._nodes(call, rounds)
        if kind in ("", "storage"):
            parts += self._storages(call, rounds)
        if kind in ("", "sdn", "network"):
            parts.append(items(_networks(call)))
        return Written(b"[%b]" % b",".join(filter(None, parts)))

    def _guests(self, call: Call, rounds: list[Round]) -> list[bytes]:
        others = [
            *self._stats.movers(call.t),
            *(machines.entry(machine, call.t) for machine in call.lab.provisioned.machines.values()),
        ]
        if call.rights.uniform and call.rights.at("/") >= {"VM.Audit", "Pool.Audit"}:
            return [*(known.guests_text for known in rounds), items(others)]
        guests = [*(guest for known in rounds for guest in known.guests), *others]
        return [
            items([_seen(call, guest) for guest in guests if call.may(f"/vms/{guest['vmid']}", "VM.Audit")])
        ]

    def _nodes(self, call: Call, rounds: list[Round]) -> list[bytes]:
        return [
            known.node_text
            if call.may(f"/nodes/{host.name}", "Sys.Audit")
            else items([self._stats.host(host, call.t, audit=False)])
            for host, known in zip(call.lab.cluster.hosts, rounds, strict=True)
        ]

    def _storages(self, call: Call, rounds: list[Round]) -> list[bytes]:
        if call.rights.uniform and call.may("/", "Datastore.Audit"):
            return [known.storages_text for known in rounds]
        found = [storage for known in rounds for storage in known.storages]
        return [items([s for s in found if call.may(f"/storage/{s['storage']}", "Datastore.Audit")])]


def _seen(call: Call, guest: Entry) -> Entry:
    if call.may(f"/pool/{guest.get('pool', '')}", "Pool.Audit"):
        return guest
    return {key: value for key, value in guest.items() if key != "pool"}


def _visible_pools(call: Call) -> list[str]:
    return [name for name in call.lab.cluster.pools if call.may(f"/pool/{name}", "Pool.Audit")]


def _pools(call: Call) -> list[Entry]:
    return [{"id": f"/pool/{name}", "pool": name, "type": "pool"} for name in _visible_pools(call)]


def _networks(call: Call) -> list[Entry]:
    if not call.may("/sdn/zones/localnetwork", "SDN.Audit"):
        return []
    names = [(h.name, "ok" if call.lab.joined(h.name, call.t) else "unknown") for h in call.lab.cluster.hosts]
    if call.release < 9:
        return [
            {"id": f"sdn/{n}/localnetwork", "node": n, "sdn": "localnetwork", "status": s, "type": "sdn"}
            for n, s in names
        ]
    return [
        {
            "id": f"network/{name}/zone/localnetwork", "type": "network", "network-type": "zone",
            "network": "localnetwork", "node": name, "status": state,
        }
        for name, state in names
    ]  # fmt: skip


async def not_backed_up(call: Call) -> Any:
    """GET /cluster/backup-info/not-backed-up."""
    call.need("/", "Sys.Audit")
    return [
        {"vmid": guest.vmid, "name": guest.name, "type": guest.kind}
        for guest in call.lab.cluster.guests
        if guest.role in NO_BACKUP_ROLES or guest.tags == ("appliance",)
    ]


async def qdevice(call: Call) -> Any:
    """GET /cluster/config/qdevice: there is none."""
    call.need("/", "Sys.Audit")
    return {}


async def ha_status(call: Call) -> Any:
    """GET /cluster/ha/status/current."""
    call.need("/", "Sys.Audit")
    lab, t = call.lab, int(call.t)
    online = [host.name for host in lab.cluster.hosts if lab.joined(host.name, call.t)]
    quorate = len(online) > len(lab.cluster.hosts) / 2
    master = online[0] if online else call.member
    found: list[Entry] = [
        {"id": "quorum", "type": "quorum", "node": call.member, "quorate": int(quorate),
         "status": "OK" if quorate else "No quorum!"},
        {"id": "master", "type": "master", "node": master, "status": f"{master} (active)", "timestamp": t},
    ]  # fmt: skip
    for host in lab.cluster.hosts:
        text = "active" if host.name in online else "old timestamp - dead?"
        found.append(
            {"id": f"lrm:{host.name}", "type": "lrm", "node": host.name, "timestamp": t,
             "status": f"{host.name} ({text})"}
        )  # fmt: skip
    found += [_service(call, guest) for guest in lab.cluster.guests if guest.managed]
    return found


def _service(call: Call, guest: Guest) -> Entry:
    node = call.lab.location(guest, call.t)
    wanted = "stopped" if call.fault(guest.vmid, "guest_stopped") else "started"
    state = ha_state(call.lab, guest, call.t)
    sid = f"vm:{guest.vmid}"
    return {
        "id": f"service:{sid}", "type": "service", "sid": sid, "node": node, "state": state,
        "request_state": wanted, "crm_state": state, "max_relocate": 1, "max_restart": 1,
        "status": f"{sid} ({node}, {state})",
    }  # fmt: skip


async def tasks(call: Call) -> Any:
    """GET /cluster/tasks: the recent migrations, stops and reboots. A guest that died left none."""
    if not call.may("/", "Sys.Audit"):
        return []
    found = [*_migrations(call), *_power(call)]
    return sorted(found, key=lambda task: -task["starttime"])[:25]


def _migrations(call: Call) -> Iterator[Entry]:
    lab, every = call.lab, call.lab.settings.migrate_every
    edge = call.t // every * every
    for guest in lab.cluster.guests:
        for start in (edge - k * every for k in range(5) if guest.away):
            before = lab.location(guest, start - 1)
            if before != lab.location(guest, start):
                yield _task(before, "qmigrate", guest.vmid, int(start) - 20, int(start))
    for move in lab.orders.all_moves():
        failed = lab.failed(move, call.t)
        end = move.end if failed is None else failed
        task = _task(move.source, "qmigrate", move.vmid, int(move.start), int(end))
        if call.t < end:
            # A task that is running has neither an end nor a result.
            task = {key: value for key, value in task.items() if key not in ("endtime", "status")}
        yield task if failed is None else task | {"status": "migration aborted"}


def _power(call: Call) -> Iterator[Entry]:
    for verb, kind in (("shutdown", "guest_stopped"), ("reboot", "guest_reboot")):
        for fault in call.lab.faults.of(kind):
            for vmid in fault.guests:
                guest = call.lab.cluster.guest[vmid]
                node = call.lab.location(guest, fault.start)
                name = f"{'qm' if guest.kind == 'qemu' else 'vz'}{verb}"
                yield _task(node, name, vmid, int(fault.start), int(fault.start) + 1)


def _task(node: str, kind: str, vmid: int, start: int, end: int) -> Entry:
    user = "root@pam"
    pid = 100_000 + start % 900_000
    upid = f"UPID:{node}:{pid:08X}:{start % 0xFFFFFFFF:08X}:{start:08X}:{kind}:{vmid}:{user}:"
    return {
        "upid": upid, "node": node, "pid": pid, "pstart": start % 0xFFFFFFFF, "starttime": start,
        "endtime": end, "type": kind, "id": str(vmid), "user": user, "status": "OK", "saved": "1",
    }  # fmt: skip


class Export:
    """GET /cluster/metrics/export: the latest round, without history."""

    def __init__(self, stats: Stats) -> None:
        self._stats = stats

    async def __call__(self, call: Call) -> Any:
        """Gauges and counters of hosts, guests and storages, one entry each."""
        call.need("/", "Sys.Audit")
        data: list[Entry] = []
        entries = list(self._stats.guests(call.t))
        entries += [known.node for known in self._stats.rounds(call.t)]
        counters = {name for name, _ in COUNTERS} | {"uptime"}
        for entry in entries:
            for name, metric in EXPORTED:
                if name in entry:
                    kind = "derive" if name in counters else "gauge"
                    data.append(
                        {"id": entry["id"], "metric": metric, "timestamp": int(call.t), "type": kind,
                         "value": entry[name]}
                    )  # fmt: skip
        return {"data": data}


EXPORTED = (
    ("cpu", "cpu_current"), ("maxcpu", "cpu_max"), ("mem", "mem_used"), ("maxmem", "mem_total"),
    ("disk", "disk_used"), ("maxdisk", "disk_total"), ("uptime", "uptime"), ("netin", "net_in"),
    ("netout", "net_out"), ("diskread", "disk_read"), ("diskwrite", "disk_write"),
)  # fmt: skip


async def storage(call: Call) -> Any:
    """GET /storage: the storages as they are configured."""
    wanted = call.query.get("type")
    return [
        {"storage": s.name, "type": s.type, "content": s.content, "digest": "a" * 40, **dict(s.options)}
        for s in call.lab.cluster.storages
        if wanted in (None, s.type)
        if call.may(f"/storage/{s.name}", "Datastore.Audit", "Datastore.AllocateSpace")
    ]  # fmt: skip


async def pools(call: Call) -> Any:
    """GET /pools: without Pool.Audit none; the members of the one that is asked for by its name."""
    wanted = call.query.get("poolid")
    if wanted is None:
        return [{"poolid": name} for name in _visible_pools(call)]
    call.need(f"/pool/{wanted}", "Pool.Audit")
    if wanted not in call.lab.cluster.pools:
        raise ApiError(500, f"pool '{wanted}' does not exist")
    made = [machines.entry(machine, call.t) for machine in call.lab.provisioned.machines.values()]
    members = [
        {"id": guest.id, "vmid": guest.vmid, "type": guest.kind, "name": guest.name,
         "node": call.lab.location(guest, call.t)}
        for guest in call.lab.cluster.guests if guest.pool == wanted
    ]  # fmt: skip
    members += [entry for entry in made if entry.get("pool") == wanted]
    return [{"poolid": wanted, "members": members}]
