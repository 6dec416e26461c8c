"""What the token may do, and what it would need. Pure.

Proxmox VE 9 split VM.Monitor; what reads a guest's addresses there is VM.GuestAgent.Audit, which the
role PVEAuditor contains. On 8 it is VM.Monitor, which no read-only role contains.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from .model import Guest

Permissions = Mapping[str, Mapping[str, bool]]

VM_AUDIT = ("VM.Audit",)
_FIRST_WITH_AGENT_PRIVILEGES = 9


def agent_privileges(major: int) -> tuple[str, ...]:
    """Return the privileges any of which allows questions to a guest's agent, by major release."""
    if major and major < _FIRST_WITH_AGENT_PRIVILEGES:
        return ("VM.Monitor",)
    return ("VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted")


def wanted(major: int) -> tuple[tuple[str, ...], ...]:
    """Return all privileges that discovery uses; alternatives stand together."""
    return (VM_AUDIT, agent_privileges(major), ("Sys.Audit",), ("Datastore.Audit",), ("Pool.Audit",))


def anywhere(permissions: Permissions, names: Sequence[str]) -> bool:
    """Whether one of the privileges is held on any path."""
    return any(name in entry for entry in permissions.values() for name in names)


def holds(permissions: Permissions, path: str, names: Sequence[str]) -> bool:
    """Whether one of the privileges holds on a path: the nearest listed path decides."""
    for candidate in _upwards(path):
        entry = permissions.get(candidate)
        if entry is not None:
            return any(name in entry and (candidate == path or entry[name]) for name in names)
    return False


def _upwards(path: str) -> Iterator[str]:
    while path not in {"", "/"}:
        yield path
        path = path.rpartition("/")[0]
    yield "/"


def sees(permissions: Permissions, guest: Guest) -> bool:
    """Whether the guest would be listed if it existed: an absent guest is then really gone."""
    by_pool = bool(guest.pool) and holds(permissions, f"/pool/{guest.pool}", VM_AUDIT)
    return by_pool or holds(permissions, f"/vms/{guest.vmid}", VM_AUDIT)


def missing(permissions: Permissions, major: int) -> dict[str, bool]:
    """Return for each privilege that discovery uses whether the token has it nowhere."""
    return {names[0]: not anywhere(permissions, names) for names in wanted(major)}
