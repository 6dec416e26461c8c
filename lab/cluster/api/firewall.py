"""/cluster/firewall, /nodes/{node}/firewall and that of machines, as pve-firewall's API2/Firewall answers."""

# ruff: noqa: TID252 - the package is `lab.cluster` here and `cluster` in its image

import hashlib
import re
from collections.abc import Callable, Mapping
from ipaddress import ip_network
from typing import Any, TypeVar

from ..firewalls import Group, IpSet, Rule, Scope
from .call import ApiError, Call

FIELDS = frozenset(
    {
        "action", "comment", "dest", "dport", "enable", "icmp-type", "iface", "log", "macro", "proto",
        "source", "sport", "type",
    }
)  # fmt: skip
CLUSTER = frozenset({"ebtables", "enable", "log_ratelimit", "policy_forward", "policy_in", "policy_out"})
NODE = frozenset(
    {
        "enable", "log_level_forward", "log_level_in", "log_level_out", "log_nf_conntrack", "ndp",
        "nf_conntrack_allow_invalid", "nf_conntrack_helpers", "nf_conntrack_max",
        "nf_conntrack_tcp_timeout_established", "nf_conntrack_tcp_timeout_syn_recv", "nftables", "nosmurfs",
        "protection_synflood", "protection_synflood_burst", "protection_synflood_rate", "smurf_log_level",
        "tcp_flags_log_level", "tcpflags",
    }
)  # fmt: skip
MACHINE = frozenset(
    {
        "dhcp", "enable", "ipfilter", "log_level_in", "log_level_out", "macfilter", "ndp", "policy_in",
        "policy_out", "radv",
    }
)  # fmt: skip
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9\-_]+")
_GROUP_LENGTH, _SET_LENGTH = 18, 64
_T = TypeVar("_T", Group, IpSet)


def _bad(key: str, text: str) -> ApiError:
    return ApiError(400, "Parameter verification failed.", {key: text})


def _may(call: Call, *, write: bool) -> None:
    """Who may read and write: the node's auditors and administrators, for a machine those of its network."""
    if vmid := call.params.get("vmid"):
        call.need(f"/vms/{vmid}", "VM.Config.Network" if write else "VM.Audit")
        return
    node = call.params.get("node")
    call.need(f"/nodes/{node}" if node else "/", "Sys.Modify" if write else "Sys.Audit")


def _scope(call: Call) -> Scope:
    firewalls = call.lab.firewalls
    if vmid := call.params.get("vmid"):
        machine = call.lab.provisioned.machines.get(int(vmid)) if vmid.isdigit() else None
        if machine is None and not call.lab.find_guest(vmid):
            raise ApiError(
                500,
                f"Configuration file 'nodes/{call.params['node']}/qemu-server/{vmid}.conf' does not exist",
            )
        return firewalls.guests.setdefault(vmid, Scope())
    node = call.params.get("node")
    return firewalls.nodes.setdefault(node, Scope()) if node else firewalls.cluster


def _group(call: Call) -> Group:
    found = call.lab.firewalls.groups.get(call.params["group"])
    if found is None:
        raise ApiError(500, f"no such security group '{call.params['group']}'")
    return found


def _rules(call: Call) -> list[Rule]:
    return _group(call).rules if "group" in call.params else _scope(call).rules


def _digest(*values: Any) -> str:
    return hashlib.sha1(repr(values).encode(), usedforsecurity=False).hexdigest()


# --- options --------------------------------------------------------------------------------------


async def read_options(call: Call) -> Any:
    """GET options: what was set, not what holds by default."""
    _may(call, write=False)
    options = _scope(call).options
    return options | {"digest": _digest(sorted(options.items()))}


async def change_options(call: Call) -> Any:
    """PUT options."""
    _may(call, write=True)
    options = _scope(call).options
    for key, value in call.query.items():
        if key not in ("delete", "digest"):
            options[key] = int(value) if value.isdigit() else value
    for key in filter(None, re.split(r"[,;\s]+", call.query.get("delete", ""))):
        options.pop(key, None)


# --- rules ----------------------------------------------------------------------------------------


def _listed(rule: Rule, pos: int) -> Rule:
    return {"pos": pos, **rule}


async def list_rules(call: Call) -> Any:
    """GET rules, or those of a group."""
    _may(call, write=False)
    return [_listed(rule, pos) for pos, rule in enumerate(_rules(call))]


def _at(call: Call) -> tuple[list[Rule], int]:
    rules, pos = _rules(call), call.params["pos"]
    if not pos.isdigit() or int(pos) >= len(rules):
        raise ApiError(400, "Parameter verification failed.", {"pos": f"no rule at position {pos}"})
    return rules, int(pos)


async def read_rule(call: Call) -> Any:
    """GET a rule; its position is text here, whatever the schema says."""
    _may(call, write=False)
    rules, pos = _at(call)
    return {**rules[pos], "pos": str(pos)}


def _applied(call: Call, rule: Rule) -> Rule:
    """A rule with what was given; what is given empty goes.

    Raises:
        ApiError: 400, as PVE::Firewall::verify_rule says.
    """
    given = {key: value for key, value in call.query.items() if key in FIELDS}
    gone = re.split(r"[,;\s]+", call.query.get("delete", ""))
    found = {k: v for k, v in {**rule, **given}.items() if v != "" and k not in gone}
    if "enable" in found:
        found["enable"] = int(found["enable"])
    for key in ("action", "type"):
        if key not in found:
            raise _bad(key, "property is missing and it is not optional")
    if found["type"] != "group" and found["action"] not in ("ACCEPT", "DROP", "REJECT"):
        raise _bad("action", f"unknown action '{found['action']}'")
    if "dport" in found and "proto" not in found:
        raise _bad("proto", "missing property - required by 'dport'")
    for key in ("source", "dest"):
        _check_addresses(call, key, found.get(key, ""))
    return found


def _check_addresses(call: Call, key: str, value: str) -> None:
    if value.startswith("+"):
        name = value.removeprefix("+").removeprefix("dc/")
        if name not in call.lab.firewalls.ipsets:
            raise _bad(key, f"no such ipset '{name}'")
        return
    try:
        versions = {ip_network(part).version for part in value.split(",") if part}
    except ValueError:
        raise _bad(key, f"invalid format - value does not look like a valid address: {value}") from None
    if len(versions) > 1:
        raise _bad(key, f"detected mixed ipv4/ipv6 addresses in address list '{value}'")


async def add_rule(call: Call) -> Any:
    """POST rules: at the top, unless a position is given."""
    _may(call, write=True)
    rules = _rules(call)
    if call.query.get("type") == "group" and "group" in call.params:
        raise _bad("type", "security groups not allowed")
    rule = _applied(call, {})
    rules.insert(int(call.query.get("pos", "0")), rule)


async def change_rule(call: Call) -> Any:
    """PUT a rule: other values, or another place (before what stands there)."""
    _may(call, write=True)
    rules, pos = _at(call)
    if (to := call.query.get("moveto")) is None:
        rules[pos] = _applied(call, rules[pos])
        return
    rule = rules.pop(pos)
    rules.insert(int(to) - (int(to) > pos), rule)


async def delete_rule(call: Call) -> Any:
    """DELETE a rule."""
    _may(call, write=True)
    rules, pos = _at(call)
    del rules[pos]


# --- groups and IP sets ---------------------------------------------------------------------------


def _named(call: Call, key: str, length: int) -> str:
    name = call.query.get(key, "")
    if not _NAME.fullmatch(name):
        raise _bad(key, "value does not match the regex pattern")
    if len(name) > length:
        raise _bad(key, f"value may only be {length} characters long")
    return name


def _overview(key: str, table: Mapping[str, _T]) -> Any:
    return [
        {key: name, "digest": _digest(one), **({"comment": one.comment} if one.comment else {})}
        for name, one in table.items()
    ]


def _put(call: Call, name: str, table: dict[str, _T], new: Callable[[], _T], errors: tuple[str, str]) -> None:
    """Add one, or rename one; `errors` are for an old name that isn't there, and for a new one that is."""
    missing, taken = errors
    old = call.query.get("rename")
    if old is not None and old not in table:
        raise ApiError(500, missing.format(old))
    if name in table and name != old:
        raise ApiError(500, taken.format(name))
    one = table.pop(old) if old is not None else new()
    one.comment = call.query.get("comment", "")
    table[name] = one


async def list_groups(call: Call) -> Any:
    """GET groups."""
    return _overview("group", call.lab.firewalls.groups)


async def add_group(call: Call) -> Any:
    """POST groups: a new one, or with `rename` another name and comment for one."""
    _may(call, write=True)
    errors = ("no such security group '{}'", "Security group '{}' already exists")
    _put(call, _named(call, "group", _GROUP_LENGTH), call.lab.firewalls.groups, Group, errors)


async def delete_group(call: Call) -> Any:
    """DELETE a group: an empty one."""
    _may(call, write=True)
    if _group(call).rules:
        raise ApiError(500, f"Security group '{call.params['group']}' is not empty")
    del call.lab.firewalls.groups[call.params["group"]]


def _ipset(call: Call) -> IpSet:
    found = call.lab.firewalls.ipsets.get(call.params["name"])
    if found is None:
        raise ApiError(500, f"no such IPSet '{call.params['name']}'")
    return found


async def list_ipsets(call: Call) -> Any:
    """GET ipset."""
    _may(call, write=False)
    return _overview("name", call.lab.firewalls.ipsets)


async def add_ipset(call: Call) -> Any:
    """POST ipset: a new one, or with `rename` another name and comment for one."""
    _may(call, write=True)
    errors = ("IPSet '{}' does not exist", "IPSet '{}' already exists")
    _put(call, _named(call, "name", _SET_LENGTH), call.lab.firewalls.ipsets, IpSet, errors)


async def read_ipset(call: Call) -> Any:
    """GET the entries of a set."""
    _may(call, write=False)
    entries = _ipset(call).entries
    return [{"cidr": cidr, "digest": _digest(entries), **entry} for cidr, entry in entries.items()]


async def add_entry(call: Call) -> Any:
    """POST an entry of a set."""
    _may(call, write=True)
    cidr, entries = call.query.get("cidr", ""), _ipset(call).entries
    try:
        ip_network(cidr)
    except ValueError:
        raise _bad("cidr", f"invalid format - value does not look like a valid CIDR: '{cidr}'") from None
    if cidr in entries:
        raise _bad("cidr", f"address '{cidr}' already exists")
    entry: dict[str, Any] = {key: call.query[key] for key in ("comment",) if call.query.get(key)}
    entries[cidr] = entry | ({"nomatch": 1} if call.query.get("nomatch") == "1" else {})


async def delete_entry(call: Call) -> Any:
    """DELETE an entry of a set."""
    _may(call, write=True)
    if _ipset(call).entries.pop(call.params["cidr"], None) is None:
        raise ApiError(500, f"no such IP '{call.params['cidr']}'")


async def delete_ipset(call: Call) -> Any:
    """DELETE a set: an empty one, unless it is forced."""
    _may(call, write=True)
    if _ipset(call).entries and call.query.get("force") != "1":
        raise ApiError(500, f"IPSet '{call.params['name']}' is not empty")
    del call.lab.firewalls.ipsets[call.params["name"]]
