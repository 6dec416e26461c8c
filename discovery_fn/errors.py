"""What can go wrong with a call of the Proxmox VE API."""

from __future__ import annotations

import re

_PRIVILEGE = re.compile(r"Permission check failed \(([^,)]*), ([^)]*)\)")


class PveError(Exception):
    """A call failed. `status` is the HTTP status, or a word where there was no answer.

    `endpoint` is host and port of the member that was asked, empty until the client has filled it in.
    """

    def __init__(self, reason: str, *, status: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.endpoint = ""


class UnreachableError(PveError):
    """No connection, a broken one, or a certificate that is not the expected one."""


class TimedOutError(PveError):
    """No answer in time."""


class BadAnswerError(PveError):
    """An answer that is not Proxmox's JSON, or is cut off."""


class UnauthorizedError(PveError):
    """401: the token is unknown, expired or wrong."""


class ForbiddenError(PveError):
    """403: the token lacks a privilege; `privilege` names it, alternatives joined by `|`."""

    def __init__(self, reason: str, *, status: str = "") -> None:
        super().__init__(reason, status=status)
        match = _PRIVILEGE.search(reason)
        self.privilege = match.group(2) if match else "unknown"


class NodeUnreachableError(PveError):
    """595-599: the member that answered could not reach the node that the call is for."""


class ApiError(PveError):
    """Any other error; the reason phrase of the status line says which."""


# AnyEvent::HTTP's pseudo codes, passed on by pveproxy when another member can't be reached.
_NODE_UNREACHABLE = range(595, 600)


def of_status(code: int, reason: str) -> PveError:
    """Return the error for an HTTP status.

    Args:
        code: The status, not 200.
        reason: The reason phrase, where Proxmox writes its error text; only newer releases repeat it in the
            body.
    """
    kind: type[PveError] = {401: UnauthorizedError, 403: ForbiddenError}.get(code, ApiError)
    if code in _NODE_UNREACHABLE:
        kind = NodeUnreachableError
    return kind(reason.strip() or f"status {code}", status=str(code))
