"""Pieces of PromQL that the dashboards share.

A guest's node is joined from `vm:guest:info` at each moment that a panel shows, so a guest that migrated is
counted where it was then. Identity is (cluster, vm_id).
"""

from __future__ import annotations

# Matchers for what the variables choose.
HOSTS = 'cluster=~"$cluster", node=~"$node"'
ONE_GUEST = 'cluster=~"$cluster", vm_id="$vm"'

# Links of table cells: (title, URL). Grafana fills in the columns Cluster, VMID and Host of the row.
_TIME = "&from=${__from}&to=${__to}"
_CLUSTER_OF_ROW = "var-cluster=${__data.fields.Cluster}"
GUEST_PAGE = (
    "Open this guest",
    f"/d/pve-vm-detail?{_CLUSTER_OF_ROW}&var-vm=${{__data.fields.VMID}}{_TIME}",
)
HOST_FILTER = (
    "Show this host only",
    f"/d/pve-cluster-overview?{_CLUSTER_OF_ROW}&var-node=${{__data.fields.Host}}{_TIME}",
)

_ON_GUEST = "on (cluster, vm_id)"


def on_hosts(expression: str) -> str:
    """Restrict guests' series (labels cluster, vm_id, vm_name) to the chosen hosts; adds the node."""
    return (
        "max by (cluster, vm_id, vm_name, node) "
        f"({expression} * {_ON_GUEST} group_left (node) vm:guest:info{{{HOSTS}}})"
    )


def busiest(*metrics: str) -> str:
    """The sum of recorded series, of the ten guests on the chosen hosts where it is highest at the end."""
    shown, at_end = " + ".join(metrics), " + ".join(f"{metric} @ end()" for metric in metrics)
    return (
        f"max by (cluster, vm_id, vm_name) (({shown}) and {_ON_GUEST} topk(10, max by (cluster, vm_id) "
        f"(({at_end}) and {_ON_GUEST} vm:guest:info{{{HOSTS}}} @ end())))"
    )


def node_of_guest(expression: str) -> str:
    """A host's series while the chosen guest is on that host."""
    return f"{expression} and on (cluster, node) max by (cluster, node) (vm:guest:info{{{ONE_GUEST}}})"
