"""What runs inside a network namespace (tests/support/scan.py): it listens, or scans. Quick to start."""

from __future__ import annotations

import asyncio
import json
import select
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from typing import Any, cast

# What is dropped never answers; on one machine everything else does at once.
PATIENCE_S = 2.0
AT_ONCE = 500


class _Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self._transport.sendto(data, addr)


async def _listen(ports: Sequence[int]) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    loop = asyncio.get_running_loop()
    for port in ports:
        for address in ("0.0.0.0", "::"):  # noqa: S104 - that is meant
            await asyncio.start_server(answer, host=address, port=port)
        await loop.create_datagram_endpoint(_Echo, ("::", port))
    print("listening", flush=True)
    await asyncio.Event().wait()


def _tried(family: int, kind: int, source: str, target: tuple[str, int]) -> socket.socket:
    """A socket that is on its way to somewhere."""
    probe = socket.socket(family, kind)
    probe.setblocking(False)
    if source:
        probe.bind((source, 0))
    probe.connect_ex(target)
    if kind == socket.SOCK_DGRAM:
        probe.send(b"?")
    return probe


def _answered(waiting: dict[int, tuple[socket.socket, int]], event: int) -> Iterator[int]:
    """Ports of sockets that get anywhere."""
    answers = select.poll()
    for number in waiting:
        answers.register(number, event)
    end = time.monotonic() + PATIENCE_S
    while waiting and time.monotonic() < end:
        for number, _ in answers.poll(100):
            answers.unregister(number)
            probe, port = waiting.pop(number)
            with probe:
                if not probe.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    yield port


def _scan(target: str, source: str, ports: Sequence[int], kind: int) -> Iterator[int]:
    family = socket.AF_INET6 if ip_address(target).version == 6 else socket.AF_INET
    for start in range(0, len(ports), AT_ONCE):
        tried = [
            (_tried(family, kind, source, (target, port)), port) for port in ports[start : start + AT_ONCE]
        ]
        waiting = {probe.fileno(): (probe, port) for probe, port in tried}
        yield from _answered(waiting, select.POLLOUT if kind == socket.SOCK_STREAM else select.POLLIN)
        for probe, _ in waiting.values():
            probe.close()


def main(order: str, *words: str) -> None:
    """`listen PORT…` until it is ended; `tcp` or `udp`: which ports of standard input are open, as JSON."""
    if order == "listen":
        asyncio.run(_listen([int(word) for word in words]))
        return
    kind = socket.SOCK_STREAM if order == "tcp" else socket.SOCK_DGRAM
    print(json.dumps(sorted(_scan(**json.load(sys.stdin), kind=kind))))


if __name__ == "__main__":
    main(*sys.argv[1:])
