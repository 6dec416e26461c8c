"""A client of the cluster: which member is asked, how long, and what is counted.

Calls that concern the whole cluster go to the member in use and fail over to the others in the order
given. Calls that concern one guest go to the member in use alone: when it dies, the next cluster call
finds another one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

from .errors import ForbiddenError, PveError, TimedOutError, UnauthorizedError, UnreachableError
from .proxmox import Connection, Opener, opener
from .settings import DEFAULT_API_PORT, Settings

# qemu-server waits 3 s for the agent's ping and 5 s for its command; who gives up before only leaves
# work behind that goes on in the guest.
CALL_TIMEOUT_SECONDS = 10.0


class Observer(Protocol):
    """Is told about every call."""

    def call(self, path: str, status: str, seconds: float) -> None:
        """Record one call: path template, HTTP status or a word, duration."""

    def denied(self, privilege: str) -> None:
        """Record that a call was refused for want of a privilege."""


@dataclass(slots=True)
class Endpoint:
    """One member of PVE_ENDPOINTS; `up` is None until it was asked, `node` empty until it said its name."""

    url: str
    connection: Connection
    up: bool | None = None
    node: str = ""

    @property
    def label(self) -> str:
        """Host and port as a label of metrics and logs."""
        return urlsplit(self.url).netloc

    @property
    def address(self) -> str:
        """Host, with the port only where it is not the usual one; what pve-exporter takes as target."""
        return self.label.removesuffix(f":{DEFAULT_API_PORT}")

    @property
    def node_name(self) -> str:
        """Name of the node behind it; its first DNS label until it said so itself."""
        host = urlsplit(self.url).hostname or ""
        is_name = ":" not in host and not host.replace(".", "").isdigit()
        return self.node or (host.partition(".")[0] if is_name else host)


@dataclass
class PveClient:
    """A client for one cluster. Close it with `aclose`."""

    endpoints: list[Endpoint]
    token_id: str
    read_secret: Callable[[], str]
    observer: Observer
    timeout: float = CALL_TIMEOUT_SECONDS
    active: Endpoint = field(init=False)
    _token: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.active = self.endpoints[0]
        self.reload_secret()

    def reload_secret(self) -> bool:
        """Read the token's secret anew; return whether it is another one."""
        try:
            token = f"{self.token_id}={self.read_secret()}"
        except ValueError:
            return False  # the file is being replaced; the secret at hand is as good as any
        changed = token != getattr(self, "_token", None)
        self._token = token
        for endpoint in self.endpoints:
            endpoint.connection.authorize(token)
        return changed

    async def aclose(self) -> None:
        """Close all connections."""
        for endpoint in self.endpoints:
            await endpoint.connection.aclose()

    async def cluster(self, path: str) -> Any:
        """GET a path that any member answers, failing over in order.

        Raises:
            UnauthorizedError: A member refused the token and none accepted it.
            ForbiddenError: The token lacks a privilege.
            PveError: No member gave a good answer; the error is that of the member that was in use.
        """
        errors: list[PveError] = []
        for endpoint in sorted(self.endpoints, key=lambda candidate: candidate is not self.active):
            try:
                data = await self.get(path, path, endpoint=endpoint)
            except ForbiddenError:
                raise
            except PveError as error:
                errors.append(error)
            else:
                self.active = endpoint
                return data
        raise next((error for error in errors if isinstance(error, UnauthorizedError)), errors[0])

    async def get(self, path: str, template: str, *, endpoint: Endpoint | None = None) -> Any:
        """GET one path of one member (default: the one in use) and return its `data`.

        Args:
            path: Path below /api2/json, without a leading slash.
            template: The same path without names and numbers, for metrics.
            endpoint: The member to be asked.

        Raises:
            PveError: One of its subclasses, by what went wrong.
        """
        target = endpoint or self.active
        started = time.perf_counter()
        status = "cancelled"
        try:
            async with asyncio.timeout(self.timeout):
                data = await target.connection.get(path)
        except PveError as error:
            status = error.status
            error.endpoint = target.label
            target.up = not isinstance(error, UnreachableError)
            raise
        except TimeoutError:
            late = TimedOutError(f"no answer within {self.timeout:g} s", status="timeout")
            status, late.endpoint = late.status, target.label
            raise late from None
        else:
            status, target.up = "200", True
            return data
        finally:
            self.observer.call(template, status, time.perf_counter() - started)


def connect(settings: Settings, observer: Observer, open_member: Opener | None = None) -> PveClient:
    """Make a client of the settings; `open_member` replaces the network in tests."""
    connection_to = open_member or opener(settings)
    return PveClient(
        endpoints=[Endpoint(url, connection_to(url)) for url in settings.pve_endpoints],
        token_id=settings.pve_token_id,
        read_secret=settings.secret,
        observer=observer,
    )
