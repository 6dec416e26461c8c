"""Pieces of PromQL that the dashboards share.

A guest's node is joined from `vm:guest:info` at each moment that a panel shows, so a guest that migrated is
counted where it was then. Identity is (cluster, vm_id).
"""

from __future__ import annotations

# Matchers for what the variables choose.
HOSTS = 'cluster=~"$cluster", node=~"$node"'
ONE_GUEST = 'cluster=~"$cluster", vm_id="$vm"'
GUESTS = f'{HOSTS}, vm_id=~"$vm"'

# Matches the guests that have none of the chosen tags. Discovery writes the tags of a guest as `,app,prod,`:
# sorted, each between commas; none as an empty text. To leave those out, rather than to ask for the others,
# keeps the guests that discovery doesn't know.
TAG_LEFT_OUT = 'cluster=~"$cluster", tags!~"(.*,)?($tag)(,.*)?"'
# A series for each tag that some guest has. PromQL can't split a label: the first six are picked one by one.
EVERY_TAG = (
    "count by (tag) ("
    + " or ".join(
        f'label_replace(pve_discovery_guest_info{{cluster=~"$cluster"}}, '
        rf'"tag", "\x241", "tags", ",(?:[^,]+,){{{position}}}([^,]+),.*")'
        for position in range(6)
    )
    + ")"
)

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

# For a table with a guest in each row on a dashboard of one cluster: the column Cluster isn't needed.
GUEST_PAGE_OF_CLUSTER = (
    "Open this guest",
    f"/d/pve-vm-detail?${{cluster:queryparam}}&var-vm=${{__data.fields.VMID}}{_TIME}",
)
HOST_PAGE = (
    "This host and its guests",
    f"/d/pve-host-guest?{_CLUSTER_OF_ROW}&var-node=${{__data.fields.Host}}{_TIME}",
)

# For a panel whose series has the label `node`.
HOST_OF_SERIES = (
    "This host and its guests",
    f"/d/pve-host-guest?${{cluster:queryparam}}&var-node=${{__field.labels.node}}{_TIME}",
)
COVERAGE_OF_HOST = (
    "Show this host only",
    f"/d/pve-coverage?{_CLUSTER_OF_ROW}&var-node=${{__data.fields.Host}}{_TIME}",
)

_ON_GUEST = "on (cluster, vm_id)"


def of_proxmox(metric: str) -> str:
    r"""A metric of pve-exporter about guests, with `vm_id` for its `id`.

    The replacement is written as `\x241` since Grafana would look for a variable behind a dollar sign.
    """
    return (
        f'max by (cluster, vm_id) (label_replace({metric}{{id=~"(qemu|lxc)/.+"}}, '
        r'"vm_id", "\x241", "id", "(?:qemu|lxc)/(.+)"))'
    )


def of_host(quantity: str) -> str:
    """Guests' series by the host that they were on at the time: recorded so, and cheap over a month."""
    return f"max by (cluster, vm_id, vm_name, node) (node_vm:{quantity}{{{HOSTS}}})"


def first_of_host(quantity: str) -> str:
    """The ten guests that had most of a quantity on the chosen hosts, averaged over the time range."""
    averaged = f"avg_over_time(node_vm:{quantity}{{{HOSTS}}}[$__range] @ end())"
    return f"topk(10, max by (cluster, vm_id) ({averaged}))"


def on_hosts(expression: str, chosen: str = HOSTS) -> str:
    """Restrict guests' series (labels cluster, vm_id) to those on the chosen hosts; adds name and node."""
    return (
        "max by (cluster, vm_id, vm_name, node) "
        f"({expression} * {_ON_GUEST} group_left (vm_name, node) vm:guest:info{{{chosen}}})"
    )


def busiest(metric: str, chosen: str = HOSTS) -> str:
    """A recorded series, of the ten chosen guests where it is highest at the end."""
    return (
        f"max by (cluster, vm_id, vm_name) ({metric} and {_ON_GUEST} topk(10, max by (cluster, vm_id) "
        f"({metric} @ end() and {_ON_GUEST} vm:guest:info{{{chosen}}} @ end())))"
    )


def node_of_guest(expression: str) -> str:
    """A host's series while the chosen guest is on that host."""
    return f"{expression} and on (cluster, node) max by (cluster, node) (vm:guest:info{{{ONE_GUEST}}})"
