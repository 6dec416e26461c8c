"""The only module that talks to Proxmox VE; everything it raises is a `PveError`.

Calls that concern the whole cluster go to the member in use and fail over to the others in the order
given. Calls that concern one guest go to the member in use alone: when it dies, the next cluster call
finds another one.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx

from .settings import DEFAULT_API_PORT, Settings

# qemu-server waits 3 s for the agent's ping and 5 s for its command; who gives up before only leaves
# work behind that goes on in the guest.
CALL_TIMEOUT_SECONDS = 10.0
_CONNECT_TIMEOUT_SECONDS = 3.0
# Below pveproxy's own limit, so that a call never meets a connection that is just being closed.
_KEEPALIVE_SECONDS = 4.0
_CONNECTIONS = 8
_TIMEOUTS = httpx.Timeout(CALL_TIMEOUT_SECONDS, connect=_CONNECT_TIMEOUT_SECONDS, pool=None).as_dict()
# Reading more than this much JSON in the event loop would hold up answers to Prometheus.
_LARGE_BYTES = 200_000
# AnyEvent::HTTP's pseudo codes, passed on by pveproxy when another member can't be reached.
_NODE_UNREACHABLE = range(595, 600)
_PRIVILEGE = re.compile(r"Permission check failed \(([^,)]*), ([^)]*)\)")


class PveError(Exception):
    """A call failed. `status` is the HTTP status, or a word where there was no answer."""

    def __init__(self, reason: str, *, status: str = "", endpoint: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.endpoint = endpoint


class UnreachableError(PveError):
    """No connection, a broken one, or a certificate that is not the expected one."""


class TimedOutError(PveError):
    """No answer within `CALL_TIMEOUT_SECONDS`."""


class BadAnswerError(PveError):
    """An answer that is not Proxmox's JSON, or is cut off."""


class UnauthorizedError(PveError):
    """401: the token is unknown, expired or wrong."""


class ForbiddenError(PveError):
    """403: the token lacks a privilege; `privilege` names it, alternatives joined by `|`."""

    def __init__(self, reason: str, *, status: str = "", endpoint: str = "") -> None:
        super().__init__(reason, status=status, endpoint=endpoint)
        match = _PRIVILEGE.search(reason)
        self.privilege = match.group(2) if match else "unknown"


class NodeUnreachableError(PveError):
    """595-599: the member that answered could not reach the node that the call is for."""


class ApiError(PveError):
    """Any other error; the reason phrase of the status line says which."""


class Observer(Protocol):
    """Is told about every call."""

    def call(self, path: str, status: str, seconds: float) -> None:
        """Record one call: path template, HTTP status or a word, duration."""

    def denied(self, privilege: str) -> None:
        """Record that a call was refused for want of a privilege."""


@dataclass(slots=True)
class Endpoint:
    """One member of PVE_ENDPOINTS; `up` is None until it was asked, `node` empty until it said its name.

    Connections for each node's guests form a pool of their own: a pool of httpx takes time in proportion to
    the calls that wait in it, and with thousands of guests that was most of the time of a refresh.
    """

    url: str
    open: Callable[[], httpx.AsyncBaseTransport]
    up: bool | None = None
    node: str = ""
    pools: dict[str, httpx.AsyncBaseTransport] = field(default_factory=dict)

    async def send(self, path: str, headers: Mapping[str, str]) -> httpx.Response:
        """GET a path below /api2/json and read the whole answer.

        Raises:
            httpx.HTTPError: No connection, or a broken one.
        """
        key = path.split("/", 2)[1] if path.startswith("nodes/") else ""
        if key not in self.pools:
            self.pools[key] = self.open()
        request = httpx.Request(
            "GET", f"{self.url}/api2/json/{path}", headers=headers, extensions={"timeout": _TIMEOUTS}
        )
        response = await self.pools[key].handle_async_request(request)
        try:
            await response.aread()
        finally:
            await response.aclose()
        return response

    async def aclose(self) -> None:
        """Close all connections."""
        for pool in self.pools.values():
            await pool.aclose()

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


class Gate:
    """At most `limit` calls at a time on one node, all but one of them open to agents known to be bad.

    So a guest that has just started never waits behind a row of hung agents.
    """

    def __init__(self, limit: int = 2) -> None:
        self._free = limit
        self._suspects_free = max(1, limit - 1)
        self._waiting: dict[bool, list[asyncio.Future[None]]] = {False: [], True: []}

    async def acquire(self, *, suspect: bool = False) -> None:
        """Wait for a slot; those not suspect come first."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[suspect].append(waiter)
        self._admit()
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.release(suspect=suspect)
            raise

    def release(self, *, suspect: bool = False) -> None:
        """Give the slot back."""
        self._free += 1
        self._suspects_free += suspect
        self._admit()

    def _admit(self) -> None:
        while self._free and (waiter := self._next()) is not None:
            self._free -= 1
            waiter.set_result(None)

    def _next(self) -> asyncio.Future[None] | None:
        for suspect in (False, True):
            if suspect and not self._suspects_free:
                return None
            queue = self._waiting[suspect]
            while queue:
                waiter = queue.pop(0)
                if not waiter.done():
                    self._suspects_free -= suspect
                    return waiter
        return None


@dataclass
class PveClient:
    """A client for one cluster. Close it with `aclose`."""

    endpoints: list[Endpoint]
    token_id: str
    read_secret: Callable[[], str]
    observer: Observer
    timeout: float = CALL_TIMEOUT_SECONDS
    active: Endpoint = field(init=False)
    _authorization: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.active = self.endpoints[0]
        self.reload_secret()

    def reload_secret(self) -> bool:
        """Read the token's secret anew; return whether it is another one."""
        try:
            authorization = f"PVEAPIToken={self.token_id}={self.read_secret()}"
        except ValueError:
            return False  # the file is being replaced; the secret at hand is as good as any
        changed = authorization != getattr(self, "_authorization", None)
        self._authorization = authorization
        return changed

    async def aclose(self) -> None:
        """Close all connections."""
        for endpoint in self.endpoints:
            await endpoint.aclose()

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
                response = await self._send(target, path)
            status = str(response.status_code)
            target.up = True
            if len(response.content) > _LARGE_BYTES:
                return await asyncio.to_thread(_data, response, target.label)
            return _data(response, target.label)
        except TimeoutError:
            status = "timeout"
            raise TimedOutError(
                f"no answer within {self.timeout:g} s", status=status, endpoint=target.label
            ) from None
        except httpx.HTTPError as error:
            status = "unreachable"
            target.up = False
            raise UnreachableError(_plain(error), status=status, endpoint=target.label) from error
        finally:
            self.observer.call(template, status, time.perf_counter() - started)

    async def _send(self, target: Endpoint, path: str) -> httpx.Response:
        headers = {
            "Authorization": self._authorization,
            "Accept": "application/json",
            "User-Agent": "pve-discovery",
        }
        try:
            return await target.send(path, headers)
        except httpx.RemoteProtocolError:
            # The member closed an idle connection at the very moment it was used again.
            return await target.send(path, headers)


def _data(response: httpx.Response, endpoint: str) -> Any:
    code = response.status_code
    if code == 200:
        return _payload(response, endpoint)
    kind: type[PveError] = {401: UnauthorizedError, 403: ForbiddenError}.get(code, ApiError)
    if code in _NODE_UNREACHABLE:
        kind = NodeUnreachableError
    raise kind(_reason(response), status=str(code), endpoint=endpoint)


def _payload(response: httpx.Response, endpoint: str) -> Any:
    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict) or "data" not in body:
        raise BadAnswerError("the answer is not Proxmox VE's JSON", status="200", endpoint=endpoint)
    return body["data"]


def _reason(response: httpx.Response) -> str:
    """Proxmox writes its error text into the reason phrase; only newer releases repeat it in the body."""
    return response.reason_phrase.strip() or f"status {response.status_code}"


def _plain(error: httpx.HTTPError) -> str:
    cause: BaseException = error
    while cause.__cause__ is not None or cause.__context__ is not None:
        cause = cause.__cause__ or cause.__context__ or cause
    detail = str(cause) or str(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        detail = f"certificate refused ({detail}); check PVE_CA_FILE or PVE_TLS_FINGERPRINT"
    return detail or type(error).__name__


def tls_context(settings: Settings) -> ssl.SSLContext:
    """Return the TLS settings: a CA, pinned SHA-256 fingerprints, both, the system's CAs, or no check.

    A pinned certificate is compared at the end of the handshake, before anything secret is sent.

    Raises:
        ssl.SSLError: The CA file holds no certificate.
    """
    context = ssl.create_default_context(cafile=settings.pve_ca_file)
    pinned = frozenset(settings.pve_tls_fingerprint)
    if settings.pve_ca_file is not None:
        # Proxmox's own CA lacks extensions that Python's strict mode (default since 3.13) asks for.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    elif pinned or not settings.pve_verify_tls:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if pinned:
        context.sslobject_class = _pinning(pinned)
    return context


def _pinning(pinned: frozenset[str]) -> type[ssl.SSLObject]:
    class PinnedObject(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            certificate = self.getpeercert(binary_form=True) or b""
            found = hashlib.sha256(certificate).hexdigest()
            if found not in pinned:
                raise ssl.SSLCertVerificationError(f"the server's certificate has the fingerprint {found}")

    return PinnedObject


def connect(
    settings: Settings, observer: Observer, transport: httpx.AsyncBaseTransport | None = None
) -> PveClient:
    """Make a client of the settings; `transport` replaces the network in tests."""
    verify = tls_context(settings)
    return PveClient(
        endpoints=[
            Endpoint(url, partial(_pool, verify) if transport is None else lambda: transport)
            for url in settings.pve_endpoints
        ],
        token_id=settings.pve_token_id,
        read_secret=settings.secret,
        observer=observer,
    )


def _pool(verify: ssl.SSLContext) -> httpx.AsyncBaseTransport:
    limits = httpx.Limits(max_connections=_CONNECTIONS, keepalive_expiry=_KEEPALIVE_SECONDS)
    return httpx.AsyncHTTPTransport(verify=verify, limits=limits, trust_env=False)
