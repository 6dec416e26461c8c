"""Every call that the lab answers: method, path, what answers it, and the parameters that it knows."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from . import access, acl, cluster, content, firewall, guests, hardware, machines, nodes, tasks, users
from .agent import Agent
from .call import Call
from .machine_config import PARAMETERS
from .stats import Stats

Operation = Callable[[Call], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path template, what answers it, and the query parameters that it knows."""

    method: str
    template: str
    operation: Operation
    query: frozenset[str] = frozenset()


def routes(stats: Stats, agent: Agent) -> list[Route]:
    """Every call that the lab answers."""
    found = [
        Route("GET", "/version", access.version),
        Route("GET", "/access/permissions", access.permissions, frozenset({"path", "userid"})),
        Route("GET", "/cluster/status", cluster.status),
        Route("GET", "/cluster/resources", cluster.Resources(stats), frozenset({"type"})),
        Route("GET", "/cluster/backup-info/not-backed-up", cluster.not_backed_up),
        Route("GET", "/cluster/config/qdevice", cluster.qdevice),
        Route("GET", "/cluster/ha/status/current", cluster.ha_status),
        Route("GET", "/cluster/tasks", cluster.tasks),
        Route("GET", "/cluster/metrics/export", cluster.Export(stats),
              frozenset({"history", "local-only", "node-list", "start-time"})),
        Route("GET", "/cluster/mapping/pci", hardware.mappings, frozenset({"check-node"})),
        Route("GET", "/cluster/mapping/pci/{id}", hardware.mapping),
        Route("GET", "/storage", cluster.storage, frozenset({"type"})),
        Route("GET", "/pools", cluster.pools, frozenset({"poolid", "type"})),
        Route("GET", "/nodes", nodes.Nodes(stats)),
        Route("GET", "/nodes/{node}/status", nodes.status),
        Route("GET", "/nodes/{node}/version", access.version),
        Route("GET", "/nodes/{node}/subscription", nodes.subscription),
        Route("GET", "/nodes/{node}/hardware/pci", hardware.pci,
              frozenset({"pci-class-blacklist", "verbose"})),
        Route("GET", "/nodes/{node}/storage", nodes.storage,
              frozenset({"content", "enabled", "format", "storage", "target"})),
        Route("GET", "/nodes/{node}/replication", nodes.replication, frozenset({"guest"})),
        Route("GET", "/nodes/{node}/replication/{id}/status", nodes.replication_status),
        Route("GET", "/nodes/{node}/certificates/info", nodes.certificates),
        Route("GET", "/nodes/{node}/qemu", machines.qemu, frozenset({"full"})),
        Route("GET", "/nodes/{node}/lxc", guests.lxc),
        Route("GET", "/nodes/{node}/lxc/{vmid}/interfaces", guests.interfaces),
    ]  # fmt: skip
    for kind, module in (("qemu", machines), ("lxc", guests)):
        path = f"/nodes/{{node}}/{kind}/{{vmid}}"
        found.append(Route("GET", f"{path}/config", module.config, frozenset({"current", "snapshot"})))
        found.append(Route("GET", f"{path}/status/current", module.status))
    path = "/nodes/{node}/qemu/{vmid}/agent"
    found += [
        Route("GET", f"{path}/network-get-interfaces", agent.interfaces),
        Route("GET", f"{path}/get-osinfo", agent.osinfo),
        Route("GET", f"{path}/get-host-name", agent.host_name),
        Route("GET", f"{path}/get-fsinfo", agent.fsinfo),
        Route("GET", f"{path}/info", agent.info),
        Route("POST", f"{path}/ping", agent.ping),
        Route("POST", f"{path}/exec", agent.execute, frozenset({"command", "input-data"})),
        Route("GET", f"{path}/exec-status", agent.execute_status, frozenset({"pid"})),
        Route("POST", f"{path}/file-write", agent.write_file, frozenset({"content", "encode", "file"})),
    ]
    return found + writes() + governing() + firewalls()


def writes() -> list[Route]:
    """What changes the cluster, and the calls that follow from it."""
    node, vm = "/nodes/{node}", "/nodes/{node}/qemu/{vmid}"
    store = "/nodes/{node}/storage/{storage}"
    config = PARAMETERS | {"delete", "digest", "force", "skiplock"}
    return [
        Route("GET", f"{node}/query-url-metadata", content.url_metadata,
              frozenset({"url", "verify-certificates"})),
        Route("POST", f"{store}/download-url", content.download,
              frozenset({"checksum", "checksum-algorithm", "content", "filename", "node", "storage", "url",
                         "verify-certificates"})),
        Route("GET", f"{store}/content", content.content, frozenset({"content", "vmid"})),
        Route("GET", f"{store}/content/{{volume}}", content.volume),
        Route("DELETE", f"{store}/content/{{volume}}", content.delete, frozenset({"delay"})),
        Route("GET", f"{node}/tasks/{{upid}}/status", tasks.status),
        Route("GET", f"{node}/tasks/{{upid}}/log", tasks.log, frozenset({"limit", "start"})),
        Route("DELETE", f"{node}/tasks/{{upid}}", tasks.stop),
        Route("POST", f"{node}/qemu", machines.create, PARAMETERS | machines.CREATE),
        Route("PUT", f"{vm}/config", machines.change, config),
        Route("POST", f"{vm}/config", machines.change_later, config),
        Route("PUT", f"{vm}/resize", machines.resize, frozenset({"digest", "disk", "size", "skiplock"})),
        Route("PUT", f"{vm}/cloudinit", machines.cloudinit),
        Route("POST", f"{vm}/status/start", machines.start, frozenset({"skiplock", "timeout"})),
        Route("POST", f"{vm}/status/stop", machines.stop, frozenset({"skiplock", "timeout"})),
        Route("POST", f"{vm}/status/shutdown", machines.shutdown,
              frozenset({"forceStop", "keepActive", "skiplock", "timeout"})),
        Route("POST", f"{vm}/status/reboot", machines.reboot, frozenset({"timeout"})),
        Route("DELETE", vm, machines.delete,
              frozenset({"destroy-unreferenced-disks", "purge", "skiplock"})),
    ]  # fmt: skip


def governing() -> list[Route]:
    """Who there is and who may what."""
    user = "/access/users/{userid}"
    token = f"{user}/token/{{tokenid}}"
    role = "/access/roles/{roleid}"
    return [
        Route("POST", "/access/users", users.create, users.USER | {"password", "userid"}),
        Route("GET", user, users.read),
        Route("PUT", user, users.change, users.USER | {"append"}),
        Route("DELETE", user, users.delete),
        Route("POST", token, users.create_token, users.TOKEN),
        Route("GET", token, users.read_token),
        Route("PUT", token, users.change_token, users.TOKEN),
        Route("DELETE", token, users.delete_token),
        Route("POST", "/access/roles", acl.create_role, frozenset({"privs", "roleid"})),
        Route("GET", role, acl.read_role),
        Route("PUT", role, acl.change_role, frozenset({"append", "privs"})),
        Route("DELETE", role, acl.delete_role),
        Route("GET", "/access/acl", acl.read),
        Route("PUT", "/access/acl", acl.change,
              frozenset({"delete", "groups", "path", "propagate", "roles", "tokens", "users"})),
    ]  # fmt: skip


def firewalls() -> list[Route]:
    """The firewalls: options and rules of the cluster, of nodes and machines; groups and IP sets."""
    cluster_, node, machine = (
        "/cluster/firewall",
        "/nodes/{node}/firewall",
        "/nodes/{node}/qemu/{vmid}/firewall",
    )
    group, ipset = f"{cluster_}/groups/{{group}}", f"{cluster_}/ipset/{{name}}"
    found = []
    scopes = ((cluster_, firewall.CLUSTER), (node, firewall.NODE), (machine, firewall.MACHINE))
    for scope, options in scopes:
        found.append(Route("GET", f"{scope}/options", firewall.read_options))
        found.append(
            Route("PUT", f"{scope}/options", firewall.change_options, options | {"delete", "digest"})
        )
    for rules in (f"{cluster_}/rules", f"{node}/rules", f"{machine}/rules", group):
        fields = firewall.FIELDS | {"digest", "pos"}
        found += [
            Route("GET", rules, firewall.list_rules),
            Route("POST", rules, firewall.add_rule, fields),
            Route("GET", f"{rules}/{{pos}}", firewall.read_rule),
            Route("PUT", f"{rules}/{{pos}}", firewall.change_rule, fields | {"delete", "moveto"}),
            Route("DELETE", f"{rules}/{{pos}}", firewall.delete_rule, frozenset({"digest"})),
        ]
    return [
        *found,
        Route("GET", f"{cluster_}/groups", firewall.list_groups),
        Route("POST", f"{cluster_}/groups", firewall.add_group,
              frozenset({"comment", "digest", "group", "rename"})),
        Route("DELETE", group, firewall.delete_group),
        Route("GET", f"{cluster_}/ipset", firewall.list_ipsets),
        Route("POST", f"{cluster_}/ipset", firewall.add_ipset,
              frozenset({"comment", "digest", "name", "rename"})),
        Route("GET", ipset, firewall.read_ipset),
        Route("POST", ipset, firewall.add_entry, frozenset({"cidr", "comment", "nomatch"})),
        Route("DELETE", ipset, firewall.delete_ipset, frozenset({"force"})),
        Route("DELETE", f"{ipset}/{{cidr}}", firewall.delete_entry, frozenset({"digest"})),
    ]  # fmt: skip
