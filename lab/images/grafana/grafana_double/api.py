"""What every handler is written with: routes, the call with its body, and the answers."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar
from urllib.parse import unquote

from pydantic import BaseModel, ValidationError
from starlette.responses import JSONResponse, Response

from .datasource_client import DataSourceClient
from .errors import ApiError, refuse
from .store import Store

ORG_ID = 1
"""The one organization."""

_UID_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Identity:
    """Who calls: login and basic role."""

    login: str
    role: str


@dataclass(frozen=True)
class Call:
    """One request on its way to a handler.

    Attributes:
        query_string: the query as it was sent, without the question mark.
        params: the values of the route's placeholders, decoded.
        query: the query parameters.
        headers: header names in lower case.
        content: the body as it was sent.
        store: the state.
        client: asks data sources.
        identity: who calls, None on routes that need nobody.
    """

    method: str
    query_string: str
    params: Mapping[str, str]
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    content: bytes
    store: Store
    client: DataSourceClient
    identity: Identity | None

    @property
    def login(self) -> str:
        """The caller's login, for createdBy and updatedBy."""
        return self.identity.login if self.identity else "Anonymous"

    def one(self, name: str) -> str | None:
        """The first value of a query parameter."""
        values = self.query.get(name)
        return values[0] if values else None

    def json(self) -> Any:
        """The body.

        Raises:
            ApiError: 400, it is no JSON.
        """
        try:
            return json.loads(self.content)
        except ValueError as error:
            raise refuse(400, "bad request data: the body is no JSON") from error

    def parse(self, model: type[Model]) -> Model:
        """The body as a model.

        Raises:
            ApiError: 400, naming the fields but no values, since these may be secret.
        """
        try:
            return model.model_validate(self.json())
        except ValidationError as error:
            faults = [
                f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}"
                for fault in error.errors(include_input=False, include_url=False, include_context=False)
            ]
            raise refuse(400, f"bad request data: {'; '.join(faults)}") from error


Handler = Callable[[Call], Response]


@dataclass(frozen=True)
class Route:
    """A method and path that is answered.

    Attributes:
        path: with {name} for one segment; a last {name*} takes the rest.
        query: known query parameters, None for any.
        access: read and write need credentials, write those of more than a Viewer; page is read for people;
            open needs nobody.
        locked: the handler runs in a transaction of the store; not for those that ask data sources.
    """

    method: str
    path: str
    handler: Handler
    query: frozenset[str] | None = frozenset()
    access: Literal["read", "write", "page", "open"] = "write"
    locked: bool = True
    segments: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "segments", tuple(self.path.split("/")[1:]))

    def match(self, raw_path: str) -> dict[str, str] | None:
        """The decoded placeholders if the path matches; splitting comes before decoding, so %2F stays one."""
        given = raw_path.split("/")[1:]
        wild = self.segments[-1].endswith("*}")
        if len(given) < len(self.segments) or (len(given) > len(self.segments) and not wild):
            return None
        params: dict[str, str] = {}
        for position, segment in enumerate(self.segments):
            if not segment.startswith("{"):
                if segment != given[position]:
                    return None
            elif segment.endswith("*}"):
                params[segment[1:-2]] = "/".join(given[position:])
            else:
                params[segment[1:-1]] = unquote(given[position])
        return params


def get(
    path: str,
    handler: Handler,
    *query: str,
    access: Literal["read", "page", "open"] = "read",
    locked: bool = True,
) -> Route:
    """A route for GET."""
    return Route("GET", path, handler, frozenset(query), access, locked)


def answer(body: Any, status: int = 200) -> Response:
    """A JSON answer."""
    return JSONResponse(body, status)


def empty(status: int = 204) -> Response:
    """An answer without a body."""
    return Response(status_code=status)


def error_answer(error: ApiError) -> Response:
    """The answer for an error."""
    return empty(error.status) if error.body is None else answer(error.body, error.status)


def now() -> str:
    """The time in the form that Grafana answers with, whole seconds, UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def new_uid() -> str:
    """A short uid as Grafana makes them: 14 lower-case letters and digits."""
    return "".join(secrets.choice(_UID_ALPHABET) for _ in range(14))


def slug(title: str) -> str:
    """The part of a dashboard's or folder's address that is made from its title."""
    words = title.lower().replace("&", " and ").replace("@", " at ")
    return re.sub(r"[^a-z0-9_]+", "-", words).strip("-_") or "-"
