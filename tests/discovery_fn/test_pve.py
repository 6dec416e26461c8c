"""The client of the API: errors, failover, TLS for real."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from discovery_fn import pve
from discovery_fn.asking import reason_of
from discovery_fn.model import Reason


class Recorder:
    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    def call(self, path: str, status: str, seconds: float) -> None:
        assert seconds >= 0
        self.calls.append((path, status))

    def denied(self, privilege: str) -> None:
        raise AssertionError(privilege)


def client(kit: Any, handler: Any, **values: Any) -> tuple[pve.PveClient, Recorder]:
    recorder = Recorder()
    return pve.connect(kit.settings(**values), recorder, httpx.MockTransport(handler)), recorder


AGENT = "QEMU guest agent is not running"
TABLE = [
    (500, AGENT, pve.ApiError, Reason.AGENT_DEAD),
    (500, "No QEMU guest agent configured", pve.ApiError, Reason.NO_AGENT),
    (500, "VM 105 is not running", pve.ApiError, Reason.MOVED),
    (
        500,
        "VM 101 qga command 'guest-network-get-interfaces' failed - got timeout",
        pve.ApiError,
        Reason.AGENT_DEAD,
    ),
    (500, "Configuration file 'nodes/pve1/qemu-server/101.conf' does not exist", pve.ApiError, Reason.MOVED),
    (500, "something new", pve.ApiError, Reason.API_ERROR),
    (403, "Permission check failed (/vms/101, VM.Monitor)", pve.ForbiddenError, Reason.AGENT_DENIED),
    (401, "Authentication failed!", pve.UnauthorizedError, Reason.API_ERROR),
    (401, "invalid token value!", pve.UnauthorizedError, Reason.API_ERROR),
    (595, "No route to host", pve.NodeUnreachableError, Reason.NODE_OFFLINE),
    (595, "Connection timed out", pve.NodeUnreachableError, Reason.NODE_OFFLINE),
    (596, "Connection timed out", pve.NodeUnreachableError, Reason.NODE_OFFLINE),
    (400, "Parameter verification failed.", pve.ApiError, Reason.API_ERROR),
    (501, "Method 'GET /nope' not implemented", pve.ApiError, Reason.AGENT_UNSUPPORTED),
]


@pytest.mark.parametrize("body", [b"", b'{"data":null}', b'{"data":null,"message":"x\\n"}'])
@pytest.mark.parametrize(("status", "text", "kind", "reason"), TABLE)
def test_errors_are_read_from_the_reason_phrase(
    kit: Any, *, status: int, text: str, kind: type[pve.PveError], reason: Reason, body: bytes
) -> None:
    async def work() -> pve.PveError:
        api, recorder = client(kit, lambda _: kit.error(status, text, body))
        with pytest.raises(kind) as caught:
            await api.get("x/101", "x/{vmid}")
        assert recorder.calls == [("x/{vmid}", str(status))]
        return caught.value

    error = kit.run(work)
    assert error.reason == text
    assert reason_of(error) is reason


def test_a_denied_configuration_is_another_reason_than_a_denied_agent() -> None:
    error = pve.ForbiddenError("Permission check failed (/vms/101, VM.Audit)")
    assert error.privilege == "VM.Audit"
    assert reason_of(error, config=True) is Reason.CONFIG_DENIED
    assert pve.ForbiddenError("no reason").privilege == "unknown"


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"x":1}', b"<html>", b'{"data":[{"a"', b"[" * 100_000]
)
def test_what_is_not_proxmox_is_told(kit: Any, content: bytes) -> None:
    async def work() -> None:
        api, _ = client(kit, lambda _: httpx.Response(200, content=content))
        with pytest.raises(pve.BadAnswerError):
            await api.get("version", "version")

    kit.run(work)


def test_a_call_ends_after_ten_seconds_whatever_the_server_does(kit: Any) -> None:
    async def work() -> float:
        async def hang(_: httpx.Request) -> httpx.Response:
            await asyncio.sleep(3600)
            raise AssertionError

        api, recorder = client(kit, hang)
        started = asyncio.get_running_loop().time()
        with pytest.raises(pve.TimedOutError):
            await api.get("version", "version")
        assert recorder.calls == [("version", "timeout")]
        return asyncio.get_running_loop().time() - started

    assert kit.run(work) == pytest.approx(10.0)


def test_an_idle_connection_that_was_closed_is_no_error(kit: Any) -> None:
    async def work() -> None:
        tries: list[int] = []

        def once(_: httpx.Request) -> httpx.Response:
            tries.append(1)
            if len(tries) == 1:
                raise httpx.RemoteProtocolError("Server disconnected without sending a response.")
            found: httpx.Response = kit.data({"release": "9.2"})
            return found

        api, _ = client(kit, once)
        assert await api.get("version", "version") == {"release": "9.2"}

    kit.run(work)


def test_failover_in_order_and_forbidden_is_the_same_everywhere(kit: Any) -> None:
    async def work() -> None:
        seen: list[str] = []

        def answer(request: httpx.Request) -> httpx.Response:
            seen.append(request.url.host)
            if request.url.host == "a":
                raise httpx.ConnectError("refused")
            found: httpx.Response = kit.error(500, "x") if request.url.host == "b" else kit.data([])
            return found

        api, _ = client(kit, answer, pve_endpoints="https://a,https://b,https://c")
        assert await api.cluster("cluster/resources") == []
        assert seen == ["a", "b", "c"]
        assert api.active.label == "c:8006"
        await api.cluster("cluster/resources")
        assert seen == ["a", "b", "c", "c"]

        denied, recorder = client(kit, lambda _: kit.error(403, "Permission check failed (/, Sys.Audit)"))
        with pytest.raises(pve.ForbiddenError):
            await denied.cluster("cluster/status")
        assert len(recorder.calls) == 1

    kit.run(work)


def test_a_refused_token_is_told_before_an_unreachable_member(kit: Any) -> None:
    async def work() -> None:
        def answer(request: httpx.Request) -> httpx.Response:
            if request.url.host == "a":
                raise httpx.ConnectError("refused")
            found: httpx.Response = kit.error(401, "Authentication failed!", b"")
            return found

        api, _ = client(kit, answer, pve_endpoints="https://a,https://b")
        with pytest.raises(pve.UnauthorizedError):
            await api.cluster("cluster/resources")

    kit.run(work)


@pytest.mark.parametrize(
    ("url", "address", "node"),
    [
        ("https://pve1.example.com:8006", "pve1.example.com", "pve1"),
        ("https://pve1.example.com:443", "pve1.example.com:443", "pve1"),
        ("https://192.0.2.1:8006", "192.0.2.1", "192.0.2.1"),
        ("https://[2001:db8::1]:8006", "[2001:db8::1]", "2001:db8::1"),
    ],
)
def test_names_of_a_member(kit: Any, url: str, address: str, node: str) -> None:
    async def work() -> None:
        api, _ = client(kit, lambda _: kit.data(None), pve_endpoints=url)
        assert (api.active.address, api.active.node_name) == (address, node)

    kit.run(work)


def test_gate_keeps_a_slot_for_those_that_are_not_suspect(kit: Any) -> None:
    async def work() -> None:
        gate = pve.Gate(2)
        order: list[str] = []
        flying = [0]

        async def call(name: str, suspect: bool, seconds: float) -> None:
            await gate.acquire(suspect=suspect)
            flying[0] += 1
            assert flying[0] <= 2
            order.append(name)
            await asyncio.sleep(seconds)
            flying[0] -= 1
            gate.release(suspect=suspect)

        hung = [asyncio.ensure_future(call(f"s{i}", True, 8)) for i in range(4)]
        await asyncio.sleep(0.1)
        assert order == ["s0"]
        await call("good", False, 0.1)
        assert order == ["s0", "good"]
        hung[1].cancel()
        await asyncio.gather(*hung, return_exceptions=True)
        assert order == ["s0", "good", "s2", "s3"]
        assert asyncio.get_running_loop().time() == pytest.approx(1000 + 24, abs=0.1)

    kit.run(work)


def test_a_cancelled_call_gives_its_slot_back(kit: Any) -> None:
    async def work() -> None:
        gate = pve.Gate(1)
        await gate.acquire()
        waiting = asyncio.ensure_future(gate.acquire())
        await asyncio.sleep(0)
        gate.release()  # grants the slot to the waiter, which is cancelled before it runs
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await asyncio.wait_for(gate.acquire(), 1)

    kit.run(work)


# --- TLS on a real socket


class Certificate:
    def __init__(self, folder: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Proxmox Virtual Environment")])
        now = dt.datetime.now(dt.UTC)
        # As Proxmox makes its own CA: basic constraints not critical, no authority key identifier.
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .sign(key, hashes.SHA256())
        )
        self.file = folder / "cert.pem"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        self.key = folder / "key.pem"
        self.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        self.fingerprint = certificate.fingerprint(hashes.SHA256()).hex()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate(tmp_path_factory.mktemp("tls"))


def over_tls(
    kit: Any, certificate: Certificate, host: str = "localhost", **values: Any
) -> tuple[Any, list[bytes]]:
    """Call /version of a real TLS server; return the answer or error, and what the server read."""
    received: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.readuntil(b"\r\n\r\n"))
        body = b'{"data":{"release":"9.2"}}'
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    async def work() -> Any:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate.file, certificate.key)
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        api = pve.connect(kit.settings(pve_endpoints=f"https://{host}:{port}", **values), Recorder())
        try:
            return await api.get("version", "version")
        except pve.PveError as error:
            return error
        finally:
            await api.aclose()
            server.close()
            await server.wait_closed()

    return asyncio.run(work()), received


def test_ca_file_of_proxmox_is_accepted(kit: Any, certificate: Certificate) -> None:
    answer, received = over_tls(kit, certificate, pve_ca_file=str(certificate.file))
    assert answer == {"release": "9.2"}
    assert f"PVEAPIToken=prometheus@pve!discovery={kit.SECRET}".encode() in received[0]


def test_ca_file_checks_the_name(kit: Any, certificate: Certificate) -> None:
    answer, received = over_tls(kit, certificate, "127.0.0.1", pve_ca_file=str(certificate.file))
    assert isinstance(answer, pve.UnreachableError)
    assert "certificate refused" in answer.reason
    assert received == []


def test_unknown_certificates_are_refused_by_default(kit: Any, certificate: Certificate) -> None:
    answer, received = over_tls(kit, certificate)
    assert isinstance(answer, pve.UnreachableError)
    assert "PVE_CA_FILE" in answer.reason
    assert received == []


def test_fingerprint_is_enough_whatever_the_name(kit: Any, certificate: Certificate) -> None:
    pinned = f"{'00' * 32},{certificate.fingerprint}"
    answer, _ = over_tls(kit, certificate, "127.0.0.1", pve_tls_fingerprint=pinned)
    assert answer == {"release": "9.2"}


def test_another_fingerprint_gets_no_token(kit: Any, certificate: Certificate) -> None:
    other = hashlib.sha256(b"other").hexdigest()
    answer, received = over_tls(kit, certificate, pve_tls_fingerprint=other)
    assert isinstance(answer, pve.UnreachableError)
    assert certificate.fingerprint in answer.reason
    assert received == []


def test_no_check_at_all_on_request(kit: Any, certificate: Certificate) -> None:
    answer, _ = over_tls(kit, certificate, "127.0.0.1", pve_verify_tls=False)
    assert answer == {"release": "9.2"}
