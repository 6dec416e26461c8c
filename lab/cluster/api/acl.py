"""/access/roles and /access/acl, as pve-access-control's API2/Role.pm and ACL.pm answer."""

# ruff: noqa: TID252 - the package is `lab.cluster` here and `cluster` in its image

import re
from typing import Any

from ..directory import Entry
from ..identities import known_privileges, special_roles
from .call import ApiError, Call

# PVE::AccessControl::check_path, the rooms that matter here.
_PATH = re.compile(
    r"/|/access(/groups|/realm)?(/[\w.-]+)?|/nodes(/[\w.-]+)?|/pool(/[\w.-]+){0,3}|/sdn(/[\w.-]+)*"
    r"|/storage(/[\w.-]+)?|/vms(/[1-9]\d{2,})?|/mapping(/[\w.-]+){0,2}"
)
KINDS = {"users": "user", "tokens": "token"}


def _bad(key: str, text: str) -> ApiError:
    return ApiError(400, "Parameter verification failed.", {key: text})


def _privileges(call: Call) -> frozenset[str]:
    given = frozenset(re.split(r"[,;\s]+", call.query.get("privs", ""))) - {""}
    for unknown in sorted(given - known_privileges(call.release)):
        raise _bad("privs", f"invalid format - invalid privilege '{unknown}'\n")
    return given


def _known(call: Call, role: str) -> frozenset[str]:
    found = special_roles(call.release) | call.lab.directory.roles
    if role not in found:
        raise ApiError(500, f"role '{role}' does not exist")
    return found[role]


def _own(call: Call) -> str:
    """The role that the path names, if it may be changed."""
    role = call.params["roleid"]
    call.need("/access", "Sys.Modify")
    _known(call, role)
    if role in special_roles(call.release):
        raise ApiError(500, f"auto-generated role '{role}' can't be modified")
    return role


async def create_role(call: Call) -> Any:
    """POST /access/roles."""
    role = call.query.get("roleid", "")
    call.need("/access", "Sys.Modify")
    privileges = _privileges(call)
    if not re.fullmatch(r"[A-Za-z0-9._-]+", role):
        raise _bad("roleid", f"invalid format - value '{role}' does not look like a valid role ID")
    if role in special_roles(call.release) | call.lab.directory.roles:
        raise ApiError(500, f"create role failed: role '{role}' already exists")
    call.lab.directory.roles[role] = privileges
    call.lab.directory.version += 1


async def read_role(call: Call) -> Any:
    """GET /access/roles/{roleid}: a privilege that the release doesn't know is left out."""
    role = call.params["roleid"]
    _known(call, role)
    return dict.fromkeys(sorted(call.lab.directory.privileges_of(role)), 1)


async def change_role(call: Call) -> Any:
    """PUT /access/roles/{roleid}."""
    role, privileges = _own(call), _privileges(call)
    if call.query.get("append") == "1":
        privileges |= call.lab.directory.roles[role]
    call.lab.directory.roles[role] = privileges
    call.lab.directory.version += 1


async def delete_role(call: Call) -> Any:
    """DELETE /access/roles/{roleid}."""
    del call.lab.directory.roles[_own(call)]
    call.lab.directory.version += 1


async def read(call: Call) -> Any:
    """GET /access/acl: the entries on paths whose permissions one may modify."""
    return [
        {"path": e.path, "type": e.kind, "ugid": e.who, "roleid": e.role, "propagate": int(propagate)}
        for e, propagate in call.lab.directory.acl.items()
        if call.may(e.path, "Permissions.Modify")
    ]


async def change(call: Call) -> Any:
    """PUT /access/acl: adds the entries, or takes them away."""
    path = call.query.get("path", "")
    if not _PATH.fullmatch(path):
        raise _bad("path", f"invalid ACL path '{path}'")
    call.need(path, "Permissions.Modify")
    given = [(key, who) for key in KINDS for who in re.split(r"[,;\s]+", call.query.get(key, "")) if who]
    if not given:
        raise _bad("users", "either 'users', 'groups' or 'tokens' is required.")
    for role in call.query.get("roles", "").split(","):
        _known(call, role)
        for key, who in given:
            _change(call, Entry(path, KINDS[key], who, role))
    call.lab.directory.version += 1


def _change(call: Call, entry: Entry) -> None:
    directory = call.lab.directory
    if call.query.get("delete") == "1":
        directory.acl.pop(entry, None)
        return
    if entry.kind == "user" and entry.who not in directory.users:
        raise ApiError(500, f"user '{entry.who}' does not exist")
    if entry.kind == "token" and entry.who not in directory.tokens:
        raise ApiError(
            500, f"no such token '{entry.who.partition('!')[2]}' for user '{entry.who.partition('!')[0]}'"
        )
    directory.acl[entry] = call.query.get("propagate", "1") == "1"
