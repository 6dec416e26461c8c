"""A small HTTP/1.1 server on asyncio and h11.

Proxmox VE tells what is wrong in the reason phrase and answers with statuses such as 595; the servers that
are built for ASGI can send neither, so the lab speaks through h11 itself.
"""

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import h11

JSON = "application/json;charset=UTF-8"
BODY_LIMIT = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """A request; header names are in lower case, ``target`` is what stood in the request line."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """The path, without the query."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        """The parameters of the query and, of a form, of the body."""
        pairs = parse_qsl(urlsplit(self.target).query, keep_blank_values=True)
        if self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            pairs += parse_qsl(self.body.decode(), keep_blank_values=True)
        return dict(pairs)


@dataclass(frozen=True, slots=True)
class Response:
    """An answer; an empty ``reason`` leaves the phrase of the status out."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    reason: str = ""
    headers: tuple[tuple[str, str], ...] = field(default=())


class Hangup(Exception):  # noqa: N818 - not an error: the connection is to break off without an answer
    """Break the connection off without an answer, as a host does that is gone."""


Handler = Callable[[Request], Awaitable[Response]]


def json_response(value: Any, status: int = 200) -> Response:
    """``value`` as JSON."""
    return Response(status, json.dumps(value, separators=(",", ":")).encode())


async def listen(handler: Handler, host: str, port: int, tls: ssl.SSLContext | None = None) -> asyncio.Server:
    """Serve ``handler`` on ``host:port``; port 0 takes a free one."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _converse(handler, reader, writer)
        except (Hangup, ConnectionError, h11.LocalProtocolError, ssl.SSLError):
            writer.transport.abort()
        finally:
            writer.close()

    return await asyncio.start_server(connected, host, port, ssl=tls, backlog=512)


async def _converse(handler: Handler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    connection = h11.Connection(h11.SERVER)
    while True:
        try:
            request = await _read(connection, reader)
        except h11.RemoteProtocolError as error:
            if connection.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                await _send(connection, writer, "", Response(400, str(error).encode(), "text/plain"))
            return
        if request is None:
            return
        await _send(connection, writer, request.method, await handler(request))
        if connection.our_state is h11.MUST_CLOSE:
            return
        connection.start_next_cycle()


async def _read(connection: h11.Connection, reader: asyncio.StreamReader) -> Request | None:
    head: h11.Request | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > BODY_LIMIT:
                raise h11.RemoteProtocolError("body too large", 413)
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
            return Request(head.method.decode(), head.target.decode("latin-1"), headers, bytes(body))
        else:
            return None


async def _send(
    connection: h11.Connection, writer: asyncio.StreamWriter, method: str, response: Response
) -> None:
    headers = [
        ("Server", "pve-lab/1"),
        ("Content-Length", str(len(response.body))),
        *(() if not response.content_type else (("Content-Type", response.content_type),)),
        *response.headers,
    ]
    head = h11.Response(
        status_code=response.status, headers=headers, reason=response.reason.encode("latin-1", "replace")
    )
    data = connection.send(head) or b""
    if method != "HEAD":
        data += connection.send(h11.Data(data=response.body)) or b""
    data += connection.send(h11.EndOfMessage()) or b""
    writer.write(data)
    await writer.drain()
