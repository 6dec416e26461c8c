"""One member over real sockets: TLS, connections that stay open, answers that break off."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from discovery_fn import proxmox
from discovery_fn.errors import ApiError, BadAnswerError, PveError, UnreachableError

TOKEN = "prometheus@pve!discovery=11111111-2222-3333-4444-555555555555"
VERSION = b'{"data":{"release":"9.2"}}'


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


class Server:
    """Answers each request, number by number, with what `script` says; `b""` closes the connection."""

    def __init__(self, certificate: Certificate, script: Callable[[int], bytes]) -> None:
        self.script = script
        self.requests: list[bytes] = []
        self.connections = 0
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(certificate.file, certificate.key)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
                with self._context.wrap_socket(connection, server_side=True) as secure:
                    self.connections += 1
                    self._serve(secure)
            except ssl.SSLError:
                continue  # the client doesn't like the certificate
            except OSError:
                return

    def _serve(self, connection: ssl.SSLSocket) -> None:
        while data := connection.recv(65536):
            self.requests.append(data)
            if not (answer := self.script(len(self.requests))):
                return
            connection.sendall(answer)
            if b"Connection: close" in answer:
                return

    def close(self) -> None:
        self._listener.close()


def http(body: bytes = VERSION, status: str = "200 OK", *more: str, length: int | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


@contextmanager
def serving(certificate: Certificate, script: Callable[[int], bytes]) -> Iterator[Server]:
    server = Server(certificate, script)
    try:
        yield server
    finally:
        server.close()


def open_member(kit: Any, server: Server, host: str = "localhost", **values: Any) -> proxmox.Member:
    context = proxmox.tls_context(kit.settings(**values))
    member = proxmox.Member(f"https://{host}:{server.port}", proxmox.Network(context))
    member.authorize(TOKEN)
    return member


def call(member: proxmox.Member, *paths: str) -> Any:
    """Make one or several calls, one after the other; return the answer or error, or all of them."""

    async def one(path: str) -> Any:
        try:
            return await member.get(path)
        except PveError as error:
            return error

    async def work() -> list[Any]:
        try:
            return [await one(path) for path in paths or ("version",)]
        finally:
            await member.aclose()

    found = asyncio.run(work())
    return found if paths else found[0]


def over_tls(
    kit: Any, certificate: Certificate, host: str = "localhost", **values: Any
) -> tuple[Any, list[bytes]]:
    """Call /version of a real TLS server; return the answer or error, and what the server read."""
    with serving(certificate, lambda _: http()) as server:
        return call(open_member(kit, server, host, **values)), server.requests


@pytest.fixture
def trusted(certificate: Certificate) -> dict[str, str]:
    return {"pve_ca_file": str(certificate.file)}


def test_the_connection_stays_open(kit: Any, certificate: Certificate, trusted: dict[str, str]) -> None:
    with serving(certificate, lambda _: http()) as server:
        paths = ["nodes/pve1/qemu/101/config"] * 5
        assert call(open_member(kit, server, **trusted), *paths) == [{"release": "9.2"}] * 5
        assert server.connections == 1
        assert server.requests[0].startswith(b"GET /api2/json/nodes/pve1/qemu/101/config HTTP/1.1\r\n")


def test_a_new_secret_is_used_at_once(kit: Any, certificate: Certificate, trusted: dict[str, str]) -> None:
    with serving(certificate, lambda _: http()) as server:
        member = open_member(kit, server, **trusted)

        async def work() -> None:
            await member.get("version")
            member.authorize("prometheus@pve!discovery=new")
            await member.get("version")
            await member.aclose()

        asyncio.run(work())
        assert b"Authorization: PVEAPIToken=prometheus@pve!discovery=new\r\n" in server.requests[1]


def test_an_idle_connection_that_was_closed_is_no_error(
    kit: Any, certificate: Certificate, trusted: dict[str, str]
) -> None:
    def script(number: int) -> bytes:
        return b"" if number == 2 else http()  # closed exactly when it is used again

    with serving(certificate, script) as server:
        answers = call(open_member(kit, server, **trusted), "version", "version", "version")
        assert answers == [{"release": "9.2"}] * 3
        assert server.connections == 2


def test_a_server_that_only_closes_is_an_error(
    kit: Any, certificate: Certificate, trusted: dict[str, str]
) -> None:
    with serving(certificate, lambda _: b"") as server:
        error = call(open_member(kit, server, **trusted))
        assert isinstance(error, UnreachableError)
        assert "disconnected" in error.reason
        assert len(server.requests) == 2  # once more, in case it was only that moment


def test_connections_too_old_to_be_open_are_not_used(
    kit: Any, certificate: Certificate, trusted: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxmox, "_KEEPALIVE_SECONDS", 0.0)
    with serving(certificate, lambda _: http()) as server:
        assert call(open_member(kit, server, **trusted), *["version"] * 3) == [{"release": "9.2"}] * 3
        assert server.connections == 3


@pytest.mark.parametrize("length", [0, 1, 12, 25])
def test_an_answer_that_breaks_off_is_an_error(
    kit: Any, certificate: Certificate, trusted: dict[str, str], length: int
) -> None:
    broken = http(VERSION[:length], "200 OK", "Connection: close", length=len(VERSION))
    with serving(certificate, lambda _: broken) as server:
        answer = call(open_member(kit, server, **trusted))
        assert isinstance(answer, UnreachableError)
        assert len(server.requests) == 1  # an agent isn't asked twice for that


def test_reason_phrases_arrive(kit: Any, certificate: Certificate, trusted: dict[str, str]) -> None:
    text = "500 QEMU guest agent is not running"
    with serving(certificate, lambda _: http(b'{"data":null}', text)) as server:
        answer = call(open_member(kit, server, **trusted))
        assert isinstance(answer, ApiError)
        assert (answer.reason, answer.status) == ("QEMU guest agent is not running", "500")


@pytest.mark.parametrize("status", ["301 Moved", "204 No Content", "304 Not Modified"])
def test_what_is_neither_data_nor_error_is_not_taken_for_data(
    kit: Any, certificate: Certificate, trusted: dict[str, str], status: str
) -> None:
    with serving(certificate, lambda _: http(b"", status, "Location: /elsewhere")) as server:
        assert isinstance(call(open_member(kit, server, **trusted)), BadAnswerError)
        assert len(server.requests) == 1


def test_nobody_there(kit: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    network = proxmox.Network(proxmox.tls_context(kit.settings()))
    answer = call(proxmox.Member(f"https://127.0.0.1:{port}", network))
    assert isinstance(answer, UnreachableError)
    assert answer.reason == "Connection refused"


def test_a_call_that_is_given_up_closes_its_connection(
    kit: Any, certificate: Certificate, trusted: dict[str, str]
) -> None:
    end = threading.Event()

    def too_late(number: int) -> bytes:
        if number == 1:
            end.wait(5)
        return http()

    with serving(certificate, too_late) as server:
        member = open_member(kit, server, **trusted)

        async def work() -> None:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(member.get("version"), 0.2)
            end.set()
            assert await member.get("version") == {"release": "9.2"}
            await member.aclose()

        asyncio.run(work())
        assert server.connections == 2


def test_bodies_and_tokens_stay_out_of_the_log(
    kit: Any, certificate: Certificate, trusted: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("proxmoxer", "proxmoxer.core"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    try:
        with caplog.at_level(logging.DEBUG), serving(certificate, lambda _: http()) as server:
            call(open_member(kit, server, **trusted))
    finally:
        for name in ("proxmoxer", "proxmoxer.core"):
            logging.getLogger(name).setLevel(logging.WARNING)
    assert "<26 bytes>" in caplog.text
    assert "release" not in caplog.text
    assert "11111111" not in caplog.text


# --- TLS


def test_ca_file_of_proxmox_is_accepted(kit: Any, certificate: Certificate) -> None:
    answer, received = over_tls(kit, certificate, pve_ca_file=str(certificate.file))
    assert answer == {"release": "9.2"}
    assert f"PVEAPIToken=prometheus@pve!discovery={kit.SECRET}".encode() in received[0]


def test_ca_file_checks_the_name(kit: Any, certificate: Certificate) -> None:
    answer, received = over_tls(kit, certificate, "127.0.0.1", pve_ca_file=str(certificate.file))
    assert isinstance(answer, UnreachableError)
    assert "certificate refused" in answer.reason
    assert received == []


def test_unknown_certificates_are_refused_by_default(kit: Any, certificate: Certificate) -> None:
    answer, received = over_tls(kit, certificate)
    assert isinstance(answer, UnreachableError)
    assert "PVE_CA_FILE" in answer.reason
    assert received == []


def test_fingerprint_is_enough_whatever_the_name(kit: Any, certificate: Certificate) -> None:
    pinned = f"{'00' * 32},{certificate.fingerprint}"
    answer, _ = over_tls(kit, certificate, "127.0.0.1", pve_tls_fingerprint=pinned)
    assert answer == {"release": "9.2"}


def test_another_fingerprint_gets_no_token(kit: Any, certificate: Certificate) -> None:
    other = hashlib.sha256(b"other").hexdigest()
    answer, received = over_tls(kit, certificate, pve_tls_fingerprint=other)
    assert isinstance(answer, UnreachableError)
    assert certificate.fingerprint in answer.reason
    assert received == []


def test_no_check_at_all_on_request(kit: Any, certificate: Certificate) -> None:
    answer, _ = over_tls(kit, certificate, "127.0.0.1", pve_verify_tls=False)
    assert answer == {"release": "9.2"}
