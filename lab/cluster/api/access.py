"""/version and /access."""

from typing import Any

from .call import ApiError, Call

# The paths for which Proxmox VE always shows what one may do.
PATHS = ("/", "/access", "/access/groups", "/nodes", "/pool", "/sdn", "/storage", "/vms")


async def version(call: Call) -> Any:
    """GET /version."""
    release, full, repository = call.lab.settings.version
    return {"release": release, "version": full, "repoid": repository}


async def permissions(call: Call) -> Any:
    """GET /access/permissions: by path, privileges with 1 for those that propagate."""
    asked = call.query.get("userid", call.token.id)
    if asked not in (call.token.id, call.token.user):
        raise ApiError(403, "Permission check failed (/access, Sys.Audit)")
    granted = dict.fromkeys(sorted(call.privileges), 1)
    if path := call.query.get("path"):
        return {path: granted}
    return dict.fromkeys(PATHS, granted) if granted else {}
