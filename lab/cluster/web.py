"""A small HTTP/1.1 server on asyncio and httptools.

Proxmox VE tells what is wrong in the reason phrase and answers with statuses such as 595; the servers that
are built for ASGI can send neither, so the lab writes its answers itself. Requests are parsed by httptools.
"""

import asyncio
import json
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httptools

JSON = "application/json;charset=UTF-8"
CHUNK = 64 * 1024
# Of what is received while a head goes on; its first chunk may hold the end of another body.
HEAD_LIMIT = 2 * CHUNK
BODY_LIMIT = 4 * 1024 * 1024
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Request:
    """A request; header names are in lower case, ``target`` is what stood in the request line."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    keep_alive: bool = True

    @cached_property
    def path(self) -> str:
        """The path, without the query."""
        if self.target.startswith("/"):
            return self.target.partition("?")[0].partition("#")[0]
        return urlsplit(self.target).path

    @cached_property
    def query(self) -> dict[str, str]:
        """The parameters of the query and, of a form, of the body; values of one name are joined by NUL."""
        pairs = []
        if "?" in self.target:
            pairs += parse_qsl(urlsplit(self.target).query, keep_blank_values=True)
        if self.body and self.headers.get("content-type", "").startswith(FORM):
            pairs += parse_qsl(self.body.decode(), keep_blank_values=True)
        values: dict[str, str] = {}
        for name, value in pairs:
            values[name] = f"{values[name]}\0{value}" if name in values else value
        return values


@dataclass(frozen=True, slots=True)
class Response:
    """An answer; an empty ``reason`` leaves the phrase of the status out.

    One that is ``cut`` promises its whole body and breaks off in the middle of it. After one with a
    ``tunnel`` somebody else goes on with the connection.
    """

    status: int
    body: bytes = b""
    content_type: str = JSON
    reason: str = ""
    headers: tuple[tuple[str, str], ...] = field(default=())
    cut: bool = False
    tunnel: "Tunnel | None" = None


@dataclass(frozen=True, slots=True)
class Tunnel:
    """The server behind a proxy, which speaks TLS."""

    context: ssl.SSLContext
    handler: "Handler"


class Hangup(Exception):  # noqa: N818 - not an error: the connection is to break off without an answer
    """Break the connection off without an answer, as a host does that is gone."""


Handler = Callable[[Request], Awaitable[Response]]


def json_response(value: Any, status: int = 200) -> Response:
    """``value`` as JSON."""
    return Response(status, json.dumps(value, separators=(",", ":")).encode())


@dataclass(frozen=True)
class Listener:
    """A server and the conversations that go on.

    Attributes:
        server: what takes new ones.
        talking: what they are written by.
    """

    server: asyncio.Server
    talking: set[asyncio.StreamWriter]

    @property
    def port(self) -> int:
        """The port that it got."""
        return int(self.server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Take nobody more, and break off whoever still talks."""
        self.server.close()
        for writer in tuple(self.talking):
            writer.transport.abort()
        # A transport that was aborted is closed in the loop's next round.
        await asyncio.sleep(0)


async def listen(handler: Handler, host: str, port: int, tls: ssl.SSLContext | None = None) -> Listener:
    """Serve ``handler`` on ``host:port``; port 0 takes a free one."""
    talking: set[asyncio.StreamWriter] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talking.add(writer)
        try:
            await _converse(handler, reader, writer)
        except (Hangup, ConnectionError, ssl.SSLError):
            writer.transport.abort()
        finally:
            talking.discard(writer)
            writer.close()

    return Listener(await asyncio.start_server(connected, host, port, ssl=tls, backlog=512), talking)


class _BadRequest(Exception):  # noqa: N818 - an answer
    """What a client sent is no request that can be answered."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.response = Response(status, f"{text}\n".encode(), "text/plain", status.phrase)


class _Requests:
    """The requests of a connection, as httptools finds them: the names of the methods are its own."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._done: deque[Request] = deque()
        self.on_message_begin()
        self._in_head = False

    def feed(self, data: bytes) -> None:
        """Take what was received.

        Raises:
            _BadRequest: It is no HTTP, lacks the host, or is too large.
        """
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # CONNECT, or another protocol is offered: the request itself is there, and is the last one
        except httptools.HttpParserCallbackError as error:
            raise error.__context__ if isinstance(error.__context__, _BadRequest) else error from None
        except httptools.HttpParserError as error:
            raise _BadRequest(HTTPStatus.BAD_REQUEST, str(error)) from error
        self._head_size += len(data)
        if self._in_head and self._head_size > HEAD_LIMIT:
            raise _BadRequest(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "header too large")

    def next(self) -> Request | None:
        """The next request that is complete."""
        return self._done.popleft() if self._done else None

    def on_message_begin(self) -> None:
        self._target = b""
        self._headers: dict[str, str] = {}
        self._body = b""
        self._in_head, self._head_size = True, 0

    def on_url(self, part: bytes) -> None:
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._in_head = False
        if "host" not in self._headers and self._parser.get_http_version() == "1.1":
            raise _BadRequest(HTTPStatus.BAD_REQUEST, "missing mandatory Host: header")

    def on_body(self, part: bytes) -> None:
        self._body += part
        if len(self._body) > BODY_LIMIT:
            raise _BadRequest(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body too large")

    def on_message_complete(self) -> None:
        method, target = self._parser.get_method().decode(), self._target.decode("latin-1")
        alive = self._parser.should_keep_alive() and not self._parser.should_upgrade()
        self._done.append(Request(method, target, self._headers, self._body, alive))


async def _converse(handler: Handler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    requests = _Requests()
    while data := await reader.read(CHUNK):
        try:
            requests.feed(data)
            refused = None
        except _BadRequest as error:
            refused = error.response
        while request := requests.next():
            response = await handler(request)
            writer.write(_written(response, request.method, close=not request.keep_alive))
            await writer.drain()
            if response.tunnel is not None:
                await writer.start_tls(response.tunnel.context)
                await _converse(response.tunnel.handler, reader, writer)
                return
            if response.cut or not request.keep_alive:
                return
        if refused is not None:
            writer.write(_written(refused, "", close=True))
            await writer.drain()
            return


def _written(response: Response, method: str, *, close: bool) -> bytes:
    """An answer on the wire; line breaks in what a reason repeats don't end the line."""
    reason = " ".join(response.reason.splitlines())
    lines = [
        f"HTTP/1.1 {response.status} {reason}\r\nServer: pve-lab/1\r\n",
        f"Content-Length: {len(response.body)}\r\n",
        f"Content-Type: {response.content_type}\r\n" if response.content_type else "",
        *(f"{name}: {value}\r\n" for name, value in response.headers),
        "Connection: close\r\n\r\n" if close else "\r\n",
    ]
    head = "".join(lines).encode("latin-1", "replace")
    if method == "HEAD":
        return head
    return head + (response.body[: len(response.body) // 2] if response.cut else response.body)
