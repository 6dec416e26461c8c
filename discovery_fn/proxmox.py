"""The members of a cluster, through proxmoxer; no other module knows its classes or those of the transport.

proxmoxer asks, reads the answers and raises the errors. It knows no asynchronous session: its own, of
requests, costs 1.3 ms of processor time for each call, and with thousands of guests that is the time of a
refresh. So aiohttp brings the answer, for 0.25 ms, and proxmoxer asks a session that has it already.
"""

from __future__ import annotations

import json
import os
import ssl
from hashlib import sha256
from typing import Any, NamedTuple, Protocol

import aiohttp
from proxmoxer import ResourceException
from proxmoxer.core import ProxmoxResource
from yarl import URL

from .errors import BadAnswerError, UnreachableError, of_status
from .settings import Settings

_CONNECT_TIMEOUT_SECONDS = 3.0
# Below pveproxy's own 5 s, so that a call hardly ever meets a connection that is just being closed.
_KEEPALIVE_SECONDS = 4.0
_OK = 200
_FIRST_ERROR = 400


class Connection(Protocol):
    """Calls one member; every error is a `PveError`."""

    def authorize(self, token: str) -> None:
        """Use `user@realm!name=secret` from now on."""

    async def get(self, path: str) -> Any:
        """GET a path below /api2/json, without a leading slash; return its `data`."""

    async def aclose(self) -> None:
        """Close all connections."""


class Body(bytes):
    """A body that doesn't show itself: proxmoxer formats every one for its log, however long it is."""

    def __repr__(self) -> str:
        """Say how long it is."""
        return f"<{len(self)} bytes>"


class Answer(NamedTuple):
    """What proxmoxer reads of a response: status, reason phrase, body."""

    status_code: int
    reason: str
    content: Body


class Brought:
    """What proxmoxer takes for a session: it has the answer to the one request that is made of it."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def request(self, *_: str, **__: Any) -> Answer:
        """Return the answer."""
        return self._answer


class Serializer:
    """Reads bodies strictly: proxmoxer's own takes what is not JSON for data."""

    def loads(self, response: Answer) -> Any:
        """Return `data`.

        Raises:
            BadAnswerError: It is not Proxmox's JSON.
        """
        try:
            body = json.loads(response.content)
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict) or "data" not in body:
            raise BadAnswerError("the answer is not Proxmox VE's JSON", status=str(response.status_code))
        return body["data"]

    def loads_errors(self, _: Answer) -> None:
        """Parameters that were refused are of no use here: there are none."""


def read(url: str, answer: Answer) -> Any:
    """Return the `data` of an answer.

    Args:
        url: What was asked.
        answer: What came.

    Raises:
        PveError: One of its subclasses, by what went wrong.
    """
    if answer.status_code != _OK and answer.status_code < _FIRST_ERROR:
        # A redirection, say, which proxmoxer would take for no data.
        raise BadAnswerError("the answer is not Proxmox VE's JSON", status=str(answer.status_code))
    try:
        return ProxmoxResource(base_url=url, session=Brought(answer), serializer=Serializer()).get()
    except ResourceException as error:
        raise of_status(error.status_code, error.content) from None


class Network:
    """All connections, kept open between calls. It belongs to the event loop of its first call."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._session: aiohttp.ClientSession | None = None

    async def get(self, url: str, token: str) -> Answer:
        """GET a URL and read the whole answer.

        Raises:
            UnreachableError: There is no connection, or it broke.
        """
        headers = {"Authorization": f"PVEAPIToken={token}"}
        try:
            async with self._opened().get(
                URL(url, encoded=True), headers=headers, allow_redirects=False
            ) as answer:
                reason = (answer.reason or "").encode("utf-8", "replace").decode()
                return Answer(answer.status, reason, Body(await answer.read()))
        except aiohttp.ClientError as error:
            raise UnreachableError(_plain(error), status="unreachable") from error

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            # How many calls are made at once is decided by those who make them.
            connector = aiohttp.TCPConnector(ssl=self._context, limit=0, keepalive_timeout=_KEEPALIVE_SECONDS)
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept": "application/json", "User-Agent": "pve-discovery"},
                skip_auto_headers=["Accept-Encoding"],  # compressing would cost the member more than it saves
            )
        return self._session

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()


class Member:
    """A member over HTTPS."""

    def __init__(self, url: str, network: Network) -> None:
        self._base = f"{url}/api2/json"
        self._network = network
        self._token = ""

    def authorize(self, token: str) -> None:
        """Use `user@realm!name=secret` from now on."""
        self._token = token

    async def get(self, path: str) -> Any:
        """GET a path below /api2/json; return its `data`.

        Raises:
            PveError: One of its subclasses, by what went wrong.
        """
        url = f"{self._base}/{path}"
        return read(url, await self._network.get(url, self._token))

    async def aclose(self) -> None:
        """Close all connections, those to other members too."""
        await self._network.aclose()


def _plain(error: aiohttp.ClientError) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"certificate refused ({error.certificate_error}); check PVE_CA_FILE or PVE_TLS_FINGERPRINT"
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno or 0
        return os.strerror(number) if number > 0 else str(error.os_error)
    return str(error) or type(error).__name__


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
            found = sha256(certificate).hexdigest()
            if found not in pinned:
                raise ssl.SSLCertVerificationError(f"the server's certificate has the fingerprint {found}")

    return PinnedObject


class Opener(Protocol):
    """Makes a connection to a member; nothing is sent before its first call."""

    def __call__(self, url: str, /) -> Connection:
        """Return the connection to the member at a URL."""


def opener(settings: Settings) -> Opener:
    """Return what opens members over the network."""
    network = Network(tls_context(settings))
    return lambda url: Member(url, network)
