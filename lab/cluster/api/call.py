"""One call of the API: who asks what of which member, and the errors it can meet."""

# ruff: noqa: TID252 - the package is `lab.cluster` here and `cluster` in its image

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..directory import Rights
from ..faults import Fault
from ..identities import Token
from ..model import Guest, Host
from ..state import Lab


class ApiError(Exception):
    """An answer that is no success: status, reason phrase, body."""

    def __init__(self, status: int, reason: str, errors: dict[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.errors = errors

    @property
    def body(self) -> bytes:
        """401 and the pseudo statuses of the proxy come without a body, the others repeat the phrase."""
        if self.status == 401 or self.status >= 595:
            return b""
        errors = {"errors": self.errors} if self.errors else {}
        return as_json({"data": None, **errors, "message": f"{self.reason}\n"})


def as_json(value: Any) -> bytes:
    """``value`` as the API writes it."""
    return json.dumps(value, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Written:
    """What a call answers where it is JSON already: large answers, and those that are always the same."""

    text: bytes


@dataclass(frozen=True, slots=True)
class Call:
    """A call that is authenticated."""

    lab: Lab
    member: str
    token: Token
    rights: Rights
    params: Mapping[str, str]
    query: Mapping[str, str]
    t: float
    certificate: Any = field(default=None)
    kept: dict[Any, Written] = field(default_factory=dict)

    @property
    def release(self) -> int:
        """8 or 9."""
        return self.lab.settings.pve_release

    def may(self, path: str, *privileges: str) -> bool:
        """Whether the token has any of ``privileges`` on ``path``."""
        return not self.rights.at(path).isdisjoint(privileges)

    def need(self, path: str, *privileges: str) -> None:
        """Refuse the call unless the token has one of ``privileges``.

        Raises:
            ApiError: 403, naming the path and the privileges.
        """
        if not self.may(path, *privileges):
            raise ApiError(403, f"Permission check failed ({path}, {'|'.join(privileges)})")

    @property
    def host(self) -> Host:
        """The host that the path names."""
        return self.lab.cluster.host[self.params["node"]]

    @property
    def guest(self) -> Guest:
        """The guest that the path names, if it is on the host that the path names.

        Raises:
            ApiError: 500, as when its configuration isn't there (any more).
        """
        kind = "lxc" if "lxc" in self.params["kind"] else "qemu"
        vmid, node = self.params["vmid"], self.params["node"]
        guest = self.lab.cluster.guest.get(int(vmid)) if vmid.isdigit() else None
        if guest is None or guest.kind != kind or self.lab.location(guest, self.t) != node:
            folder = "qemu-server" if kind == "qemu" else "lxc"
            raise ApiError(500, f"Configuration file 'nodes/{node}/{folder}/{vmid}.conf' does not exist")
        return guest

    def keep(self, key: tuple[str | int, ...], make: Callable[[], Any]) -> Written:
        """What ``make`` gives, written once: for answers that follow from ``key`` alone."""
        if key not in self.kept:
            self.kept[key] = Written(as_json(make()))
        return self.kept[key]

    def fault(self, entity: int | str, kind: str) -> Fault | None:
        """An active fault of a kind on a guest or host."""
        return self.lab.faults.hitting(entity, kind, self.t)
