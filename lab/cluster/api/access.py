"""/version and /access/permissions."""

# ruff: noqa: TID252 - the package is `lab.cluster` here and `cluster` in its image

from typing import Any

from ..directory import TOP
from .call import ApiError, Call


async def version(call: Call) -> Any:
    """GET /version."""
    release, full, repository = call.lab.settings.version
    return {"release": release, "version": full, "repoid": repository}


async def permissions(call: Call) -> Any:
    """GET /access/permissions: by path, privileges with 1 for those that propagate."""
    asked = call.query.get("userid", call.token.id)
    if asked not in (call.token.id, call.token.user):
        raise ApiError(403, "Permission check failed (/access, Sys.Audit)")
    if path := call.query.get("path"):
        return {path: _shown(call, path)}
    found = {path: _shown(call, path) for path in sorted(_paths(call))}
    return {path: granted for path, granted in found.items() if granted}


def _shown(call: Call, path: str) -> dict[str, int]:
    return {privilege: int(value) for privilege, value in sorted(call.rights.listed(path).items())}


def _paths(call: Call) -> set[str]:
    """As RPCEnvironment::get_effective_permissions: the rooms, what ACLs name, the guests of pools."""
    found = {*TOP, *(entry.path for entry in call.lab.directory.acl)}
    if not call.rights.uniform:
        found |= {f"/vms/{guest.vmid}" for guest in call.lab.cluster.guests if guest.pool}
    return found
