"""The client of the API: errors, failover."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from discovery_fn import errors, pve
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
    return pve.connect(kit.settings(**values), recorder, kit.in_memory(handler)), recorder


AGENT = "QEMU guest agent is not running"
TABLE = [
    (500, AGENT, errors.ApiError, Reason.AGENT_DEAD),
    (500, "No QEMU guest agent configured", errors.ApiError, Reason.NO_AGENT),
    (500, "VM 105 is not running", errors.ApiError, Reason.MOVED),
    (
        500,
        "VM 101 qga command 'guest-network-get-interfaces' failed - got timeout",
        errors.ApiError,
        Reason.AGENT_DEAD,
    ),
    (
        500,
        "Configuration file 'nodes/pve1/qemu-server/101.conf' does not exist",
        errors.ApiError,
        Reason.MOVED,
    ),
    (500, "something new", errors.ApiError, Reason.API_ERROR),
    (403, "Permission check failed (/vms/101, VM.Monitor)", errors.ForbiddenError, Reason.AGENT_DENIED),
    (401, "Authentication failed!", errors.UnauthorizedError, Reason.API_ERROR),
    (401, "invalid token value!", errors.UnauthorizedError, Reason.API_ERROR),
    (595, "No route to host", errors.NodeUnreachableError, Reason.NODE_OFFLINE),
    (595, "Connection timed out", errors.NodeUnreachableError, Reason.NODE_OFFLINE),
    (596, "Connection timed out", errors.NodeUnreachableError, Reason.NODE_OFFLINE),
    (400, "Parameter verification failed.", errors.ApiError, Reason.API_ERROR),
    (501, "Method 'GET /nope' not implemented", errors.ApiError, Reason.AGENT_UNSUPPORTED),
]


@pytest.mark.parametrize("body", [b"", b'{"data":null}', b'{"data":null,"message":"x\\n"}'])
@pytest.mark.parametrize(("status", "text", "kind", "reason"), TABLE)
def test_errors_are_read_from_the_reason_phrase(
    kit: Any, *, status: int, text: str, kind: type[errors.PveError], reason: Reason, body: bytes
) -> None:
    async def work() -> errors.PveError:
        api, recorder = client(kit, lambda _: kit.error(status, text, body))
        with pytest.raises(kind) as caught:
            await api.get("x/101", "x/{vmid}")
        assert recorder.calls == [("x/{vmid}", str(status))]
        return caught.value

    error = kit.run(work)
    assert error.reason == text
    assert reason_of(error) is reason


def test_a_denied_configuration_is_another_reason_than_a_denied_agent() -> None:
    error = errors.ForbiddenError("Permission check failed (/vms/101, VM.Audit)")
    assert error.privilege == "VM.Audit"
    assert reason_of(error, config=True) is Reason.CONFIG_DENIED
    assert errors.ForbiddenError("no reason").privilege == "unknown"


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"x":1}', b"<html>", b'{"data":[{"a"', b"[" * 100_000]
)
def test_what_is_not_proxmox_is_told(kit: Any, content: bytes) -> None:
    async def work() -> None:
        api, _ = client(kit, lambda _: httpx.Response(200, content=content))
        with pytest.raises(errors.BadAnswerError):
            await api.get("version", "version")

    kit.run(work)


def test_a_call_ends_after_ten_seconds_whatever_the_server_does(kit: Any) -> None:
    async def work() -> float:
        async def hang(_: httpx.Request) -> httpx.Response:
            await asyncio.sleep(3600)
            raise AssertionError

        api, recorder = client(kit, hang)
        started = asyncio.get_running_loop().time()
        with pytest.raises(errors.TimedOutError):
            await api.get("version", "version")
        assert recorder.calls == [("version", "timeout")]
        return asyncio.get_running_loop().time() - started

    assert kit.run(work) == pytest.approx(10.0)


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
        with pytest.raises(errors.ForbiddenError):
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
        with pytest.raises(errors.UnauthorizedError):
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
