"""HTTP as the lab speaks it: what other servers wouldn't send, and what clients shouldn't."""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from lab.cluster.identities import DISCOVERY
from lab.cluster.web import BODY_LIMIT, CHUNK, HEAD_LIMIT

from .conftest import Live

AUTHORIZATION = f"Authorization: PVEAPIToken={DISCOVERY.id}={DISCOVERY.secret}\r\n"


@contextmanager
def connection(live: Live) -> Iterator[socket.socket]:
    tls = ssl.create_default_context(cafile=str(live.ca))
    plain = socket.create_connection(("127.0.0.1", live.running.api_port), timeout=5)
    with plain, tls.wrap_socket(plain, server_hostname="localhost") as wrapped:
        yield wrapped


def get(path: str, *headers: str, version: str = "1.1") -> bytes:
    lines = "".join(f"{header}\r\n" for header in headers)
    return (
        f"GET /api2/json{path} HTTP/{version}\r\nHost: pve2.lab:8006\r\n{AUTHORIZATION}{lines}\r\n".encode()
    )


def everything(sock: socket.socket) -> bytes:
    """What comes until the other side closes."""
    found = b""
    while part := sock.recv(65536):
        found += part
    return found


def answer(live: Live, *sent: bytes) -> bytes:
    with connection(live) as sock:
        for part in sent:
            sock.sendall(part)
        return everything(sock)


class TestRequests:
    def test_one_after_the_other_and_several_at_once(self, live: Live) -> None:
        received = answer(live, get("/version") * 3 + get("/version", "Connection: close"), get("/version"))
        assert received.count(b"HTTP/1.1 200 OK\r\n") == 4
        assert received.count(b"\r\nConnection: close\r\n") == 1

    def test_a_request_in_pieces(self, live: Live) -> None:
        sent = get("/version", "Connection: close")
        assert b"200 OK" in answer(live, *(sent[i : i + 7] for i in range(0, len(sent), 7)))

    def test_an_old_client_gets_one_answer(self, live: Live) -> None:
        assert answer(live, get("/version", version="1.0")).startswith(b"HTTP/1.1 200 OK\r\n")

    def test_another_protocol_is_not_taken_up(self, live: Live) -> None:
        offer = ("Connection: Upgrade", "Upgrade: websocket")
        assert answer(live, get("/version", *offer)).startswith(b"HTTP/1.1 200 OK\r\n")

    def test_head_has_no_body(self, live: Live) -> None:
        received = answer(live, b"HEAD / HTTP/1.1\r\nHost: pve1.lab\r\nConnection: close\r\n\r\n")
        assert b"Content-Length: 31\r\n" in received
        assert received.endswith(b"\r\n\r\n")

    def test_a_body_in_chunks(self, live: Live) -> None:
        head = b"POST /hooks/chunks HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        head += b"Transfer-Encoding: chunked\r\n\r\n"
        with socket.create_connection(("127.0.0.1", live.running.control_port), timeout=5) as sock:
            sock.sendall(head + b'3\r\n{"a\r\n4\r\n":1}\r\n0\r\n\r\n')
            assert b'{"stored":1}' in everything(sock)
        assert live.client.hooks("chunks")[0]["body"] == {"a": 1}

    def test_a_large_body_and_then_another_request(self, live: Live) -> None:
        session = requests.Session()
        for size in (CHUNK * 3, 10):
            got = session.post(f"{live.control}/hooks/large", json="x" * size, timeout=5)
            assert got.json() == {"stored": 1}
        live.client.clear_hooks()

    def test_a_proxy_that_is_asked_for_a_tunnel(self, live: Live) -> None:
        with socket.create_connection(("127.0.0.1", live.running.proxy_port), timeout=5) as sock:
            sock.sendall(b"CONNECT 10.90.0.11:9100 HTTP/1.1\r\nHost: 10.90.0.11:9100\r\n\r\n")
            assert everything(sock).startswith(b"HTTP/1.1 502 Bad Gateway\r\n")

    @pytest.mark.parametrize(
        ("sent", "status"),
        [
            (b"\x16\x03\x01 nonsense\r\n\r\n", b"400 Bad Request"),
            (b"GET / HTTP/1.1\r\n\r\n", b"400 Bad Request"),
            (b"GET / HTTP/1.1\r\nHost x\r\n\r\n", b"400 Bad Request"),
            (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n", b"400 Bad Request"),
            (b"GET / HTTP/1.1\r\nHost: x\r\nX: ".ljust(HEAD_LIMIT + 1, b"x"), b"431 Request Header Fields"),
            (
                b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (BODY_LIMIT + 1)
                + b"x" * (BODY_LIMIT + 1),
                b"413 ",
            ),
        ],
        ids=["no HTTP", "no host", "no colon", "no length", "large head", "large body"],
    )
    def test_what_is_no_request(self, live: Live, sent: bytes, status: bytes) -> None:
        assert answer(live, sent).startswith(b"HTTP/1.1 " + status)
        # What was right before it is answered all the same.
        both = answer(live, get("/version") + b"nonsense\r\n\r\n")
        assert [b"HTTP/1.1 200 OK" in both, b"HTTP/1.1 400 Bad Request" in both] == [True, True]

    def test_a_path_cannot_add_a_header(self, live: Live) -> None:
        got = live.api("/nodes/a%0d%0aSet-Cookie:%20x=1/status")
        assert (got.status_code, got.reason) == (500, "no such cluster node 'a Set-Cookie: x=1'")
        assert "Set-Cookie" not in got.headers


class TestSpoiling:
    def test_answers_break_off_in_the_middle(self, live: Live) -> None:
        whole = live.api("/cluster/resources")
        with live.client.fault("answers_cut", "pve1", share=1.0):
            received = answer(live, get("/cluster/status").replace(b"pve2", b"pve1"))
            head, _, body = received.partition(b"\r\n\r\n")
            promised = int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0])
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert 0 < len(body) < promised
            with pytest.raises(requests.RequestException):
                live.api("/cluster/resources")
            assert live.api("/version", member="pve2").ok
        assert len(live.api("/cluster/resources").json()["data"]) == len(whole.json()["data"])

    def test_errors_come_in_turn(self, live: Live) -> None:
        with live.client.fault("api_errors", "all", share=1.0):
            found = [(a.status_code, a.reason, bool(a.text)) for a in map(live.api, ["/version"] * 4)]
        troubles = [
            (500, "got timeout", True), (503, "Service Unavailable", True), (596, "Broken pipe", False),
        ]  # fmt: skip
        assert found == [*troubles, troubles[0]]
        with live.client.fault("api_errors", "all", share=1.0):
            assert live.api("/version", token=None).status_code == 401

    @pytest.mark.parametrize("kind", ["answers_cut", "api_errors"])
    def test_the_share_is_kept_and_the_same_answers_are_taken(
        self, start_lab: Callable[..., Live], kind: str
    ) -> None:
        def spoilt(live: Live) -> list[int]:
            found = []
            with live.client.fault(kind, "pve1", share=0.1):
                for number in range(300):
                    try:
                        ok = live.api("/version").ok
                    except requests.RequestException:
                        ok = False
                    found += [] if ok else [number]
            return found

        first, second, other = (spoilt(start_lab(seed=seed)) for seed in (5, 5, 6))
        assert first == second != other
        assert 15 <= len(first) <= 45


def test_one_in_a_hundred_by_default(live: Live) -> None:
    kinds: dict[str, Any] = requests.get(f"{live.control}/kinds", timeout=5).json()
    for kind in ("answers_cut", "api_errors"):
        assert kinds[kind]["params"] == {"share": 0.01}
        assert kinds[kind]["targets"] == kinds["api_slow"]["targets"]
