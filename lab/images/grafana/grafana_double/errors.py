"""The error answers of the API."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """An answer other than success.

    Attributes:
        status: the HTTP status code.
        body: the JSON body, None for an empty one.
        refused: the call is one that Grafana doesn't know, or that this stand-in doesn't imitate.
    """

    def __init__(self, status: int, body: dict[str, Any] | None, *, refused: bool = False) -> None:
        super().__init__((body or {}).get("message", ""))
        self.status = status
        self.body = body
        self.refused = refused


def plain(code: int, message: str, *, status: str = "") -> ApiError:
    """The short form that most of Grafana's API uses: a message, sometimes with a status word."""
    return ApiError(code, {"message": message} | ({"status": status} if status else {}))


def public(status: int, message_id: str, message: str, extra: dict[str, Any] | None = None) -> ApiError:
    """The long form of Grafana's newer services: message, messageId and statusCode."""
    body: dict[str, Any] = {"message": message, "messageId": message_id, "statusCode": status}
    if extra:
        body["extra"] = extra
    return ApiError(status, body)


def refuse(status: int, message: str) -> ApiError:
    """A call outside what is imitated here; it is kept for /__double/refusals."""
    return ApiError(status, {"message": message}, refused=True)
