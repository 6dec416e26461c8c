"""Provenance: whether an alerting object belongs to the API or may be edited by hand."""

from __future__ import annotations

from .api import Call
from .errors import ApiError, public

API = "api"
NONE = ""


def of(call: Call) -> str:
    """The provenance that a call asks for: X-Disable-Provenance with any value means none."""
    return NONE if call.headers.get("x-disable-provenance") else API


def mismatch(status: int, stored: str, given: str, operation: str = "update") -> ApiError:
    """The answer when the call's provenance doesn't fit the stored one."""
    return public(
        status,
        "alerting.provenanceMismatch",
        f"cannot {operation} with provided provenance '{given}', needs '{stored}'",
        {"Operation": operation, "ProvidedProvenance": given, "StoredProvenance": stored},
    )


def check_relaxed(stored: str, given: str) -> None:
    """Taking over an object is allowed, giving it back is not (Grafana's ValidateProvenanceRelaxed).

    Raises:
        ApiError: 403.
    """
    if stored == API and given == NONE:
        raise mismatch(403, stored, given)


def shown(value: str) -> dict[str, str]:
    """The field of an answer; it is left out when empty."""
    return {"provenance": value} if value else {}
