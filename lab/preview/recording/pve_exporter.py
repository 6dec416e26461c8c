"""What prometheus-pve-exporter makes of the API's answers, for the metrics that rules and dashboards read.

The exporter is another program in another image; names, ids and states are those of its catalogue
(rules/catalogue/pve_exporter_*.yml), which the tests compare with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from lab.cluster.exporters.page import labels

Row = Mapping[str, Any]


class Member(Protocol):
    """A member of the cluster that is asked."""

    async def get(self, path: str) -> Any:
        """GET a path below /api2/json; return its `data`."""


_GUESTS = ("qemu", "lxc")
# By whether it is a node.
_HA_STATES = {
    False: (
        "stopped", "request_stop", "request_start", "request_start_balance", "started", "fence", "recovery",
        "migrate", "relocate", "freeze", "error",
    ),
    True: ("online", "maintenance", "unknown", "fence", "gone"),
}  # fmt: skip
_LOCKS = (
    "backup", "clone", "create", "migrate", "rollback", "snapshot", "snapshot-delete", "suspended",
    "suspending",
)  # fmt: skip
_SUBSCRIPTIONS = ("new", "notfound", "active", "invalid", "expired", "suspended")
# Metric by field of a replication job's status.
_REPLICATION = {
    "duration": "pve_replication_duration_seconds",
    "last_sync": "pve_replication_last_sync_timestamp_seconds",
    "last_try": "pve_replication_last_try_timestamp_seconds",
    "next_sync": "pve_replication_next_sync_timestamp_seconds",
    "fail_count": "pve_replication_failed_syncs",
}
# Metric by field of /cluster/resources.
_GAUGES = {
    "maxdisk": "pve_disk_size_bytes",
    "disk": "pve_disk_usage_bytes",
    "maxmem": "pve_memory_size_bytes",
    "mem": "pve_memory_usage_bytes",
    "maxcpu": "pve_cpu_usage_limit",
    "cpu": "pve_cpu_usage_ratio",
    "uptime": "pve_uptime_seconds",
    "shared": "pve_storage_shared",
    "netin": "pve_network_receive_bytes_total",
    "netout": "pve_network_transmit_bytes_total",
    "diskread": "pve_disk_read_bytes_total",
    "diskwrite": "pve_disk_written_bytes_total",
}


async def cluster_page(api: Member) -> str:
    """What it answers to cluster=1&node=0."""
    status = await api.get("cluster/status")
    missed = await api.get("cluster/backup-info/not-backed-up")
    lines = [
        *_status(status),
        *_resources(await api.get("cluster/resources")),
        *(f"pve_not_backed_up_info{labels(id=_guest(row))} 1" for row in missed),
        *(f"pve_not_backed_up_total{labels(id=name)} {len(missed)}" for name in _clusters(status)),
    ]
    return "".join(f"{line}\n" for line in lines)


async def node_page(api: Member, node: str) -> str:
    """What it answers to cluster=0&node=1: start at boot, replication and subscription of a node."""
    subscription = await api.get(f"nodes/{node}/subscription")
    name = f"node/{node}"
    lines = _states("pve_subscription_status", name, _SUBSCRIPTIONS, subscription["status"], "status")
    found = [*lines, *await _onboot(api, node), *await _replication(api, node)]
    return "".join(f"{line}\n" for line in found)


async def _onboot(api: Member, node: str) -> list[str]:
    lines = []
    for kind in _GUESTS:
        for guest in await api.get(f"nodes/{node}/{kind}"):
            config = await api.get(f"nodes/{node}/{kind}/{guest['vmid']}/config")
            if "onboot" in config:
                of = labels(id=f"{kind}/{guest['vmid']}", node=node, type=kind)
                lines.append(f"pve_onboot_status{of} {int(config['onboot'])}")
    return lines


async def _replication(api: Member, node: str) -> list[str]:
    lines = []
    for job in await api.get(f"nodes/{node}/replication"):
        state = await api.get(f"nodes/{node}/replication/{job['id']}/status")
        about = labels(
            id=job["id"],
            guest=f"{job['vmtype']}/{job['guest']}",
            source=f"node/{job['source']}",
            target=f"node/{job['target']}",
            type=job["type"],
        )
        lines.append(f"pve_replication_info{about} 1")
        of = labels(id=job["id"])
        lines += [f"{metric}{of} {state[key]}" for key, metric in _REPLICATION.items() if key in state]
    return lines


def _guest(row: Row) -> str:
    return f"{row['type']}/{row['vmid']}"


def _clusters(entries: Iterable[Row]) -> list[str]:
    return [f"cluster/{entry['name']}" for entry in entries if entry["type"] == "cluster"]


def _status(entries: Iterable[Row]) -> Iterator[str]:
    for entry in entries:
        if entry["type"] == "cluster":
            yield f"pve_up{labels(id='cluster/' + entry['name'])} {entry['quorate']}"
        else:
            yield f"pve_up{labels(id=entry['id'])} {entry['online']}"


def _resources(rows: Iterable[Row]) -> Iterator[str]:
    for row in rows:
        if row["type"] in (*_GUESTS, "node", "storage"):
            of = labels(id=row["id"])
            yield from (f"{metric}{of} {row[field]}" for field, metric in _GAUGES.items() if field in row)
            yield from _of_kind(row)


def _of_kind(row: Row) -> Iterator[str]:
    name, kind = row["id"], row["type"]
    if kind != "node":
        # A node says for itself whether it is up, in the status of the cluster.
        yield f"pve_up{labels(id=name)} {int(row.get('status') in ('running', 'available'))}"
    if kind == "storage":
        yield f"pve_storage_info{_storage_labels(row)} 1"
        return
    yield from _states("pve_ha_state", name, _HA_STATES[kind == "node"], row.get("hastate", ""))
    if kind != "node":
        yield f"pve_guest_info{_guest_labels(row)} 1"
        yield from _states("pve_lock_state", name, _LOCKS, row.get("lock", ""))


def _states(
    metric: str, name: str, known: Iterable[str], current: str, label: str = "state"
) -> Iterator[str]:
    for state in known:
        yield f"{metric}{labels(**{'id': name, label: state})} {int(state == current)}"


def _guest_labels(row: Row) -> str:
    return labels(
        id=row["id"],
        name=row.get("name", ""),
        node=row["node"],
        tags=row.get("tags", ""),
        template=str(row.get("template", 0)),
        type=row["type"],
    )


def _storage_labels(row: Row) -> str:
    return labels(
        id=row["id"],
        node=row["node"],
        storage=row["storage"],
        plugintype=row.get("plugintype", ""),
        content=",".join(sorted(row.get("content", "").split(","))),
    )
