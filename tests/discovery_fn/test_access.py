"""Who is let in, and TLS, as Prometheus and a health check meet them."""

from __future__ import annotations

import base64
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests

from components.settings import Group
from discovery_fn.access import BasicAuthentication
from discovery_fn.settings import SettingsError, load_settings
from lab import trust
from tests.support.examples import ROOT
from tests.support.pki import AUTHORITY, PAIRS

OURS, OTHERS = PAIRS[Group.PLATFORM], PAIRS[Group.GUESTS]
PASSWORD = "pass:wörd"


async def _hello(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


def _status(kit: Any, path: str, authorization: str | None) -> int:
    async def ask() -> int:
        transport = httpx.ASGITransport(BasicAuthentication(_hello, "prometheus", PASSWORD))
        headers = {} if authorization is None else {b"Authorization": authorization.encode()}
        async with httpx.AsyncClient(transport=transport, base_url="http://discovery") as client:
            answer = await client.get(path, headers=headers)
            assert ("hello" in answer.text) is (answer.status_code == 200)
            assert ("www-authenticate" in answer.headers) is (answer.status_code == 401)
            return answer.status_code

    status: int = kit.run(ask)
    return status


def _basic(text: str) -> str:
    return f"Basic {base64.b64encode(text.encode()).decode()}"


@pytest.mark.parametrize("path", ["/", "/targets", "/guests", "/metrics", "/readyz", "/docs", "/healthz/"])
def test_everything_takes_name_and_password(kit: Any, path: str) -> None:
    assert _status(kit, path, None) == 401
    assert _status(kit, path, _basic(f"prometheus:{PASSWORD}")) == 200


def test_the_health_check_takes_none(kit: Any) -> None:
    assert _status(kit, "/healthz", None) == 200


@pytest.mark.parametrize(
    "given",
    [
        _basic("prometheus:wrong"),
        _basic(f"somebody:{PASSWORD}"),
        _basic(f"prometheus:{PASSWORD} "),
        _basic(""),
        "Basic",
        "Basic %%%",
        "Basic \xff",
        f"Bearer {PASSWORD}",
        base64.b64encode(f"prometheus:{PASSWORD}".encode()).decode(),
    ],
)
def test_whatever_else_is_given_is_refused(kit: Any, given: str) -> None:
    assert _status(kit, "/targets", given) == 401


def test_the_method_is_spelled_in_any_case(kit: Any) -> None:
    assert _status(kit, "/targets", _basic(f"prometheus:{PASSWORD}").replace("Basic", "bAsIc")) == 200


# --- settings


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name, text in {
        "cert.pem": OURS.certificate,
        "key.pem": OURS.key,
        "other.pem": OTHERS.key,
        "password": "a-password\n",
        "empty": "\n",
    }.items():
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"TLS_CERT_FILE": "cert.pem"}, "TLS_KEY_FILE: goes with DISCOVERY_TLS_CERT_FILE; give both"),
        ({"TLS_KEY_FILE": "key.pem"}, "TLS_KEY_FILE: goes with DISCOVERY_TLS_CERT_FILE; give both"),
        ({"TLS_CERT_FILE": "cert.pem", "TLS_KEY_FILE": "other.pem"}, "is not the key of the certificate"),
        ({"TLS_CERT_FILE": "cert.pem", "TLS_KEY_FILE": "password"}, "is not the key of the certificate"),
        ({"TLS_CERT_FILE": "gone", "TLS_KEY_FILE": "key.pem"}, "gone is not a file"),
        ({"PASSWORD_FILE": "empty"}, "must hold the password and nothing else"),
        ({"PASSWORD_FILE": "gone"}, "gone can't be read"),
    ],
)
def test_what_cannot_be_used_is_said(
    files: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], said: str
) -> None:
    monkeypatch.setenv("PVE_ENDPOINTS", "https://pve1.example.com")
    monkeypatch.setenv("PVE_TOKEN_ID", "prometheus@pve!discovery")
    monkeypatch.setenv("PVE_TOKEN_SECRET", "secret")
    for name, file in given.items():
        monkeypatch.setenv(f"DISCOVERY_{name}", str(files / file))
    with pytest.raises(SettingsError, match=said) as caught:
        load_settings()
    assert "a-password" not in str(caught.value)


# --- as it runs


@pytest.fixture
def service(files: Path) -> Iterator[dict[str, str]]:
    """The service as a process, with TLS and a password; its environment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("PVE_", "DISCOVERY_"))},
        "PVE_ENDPOINTS": "https://127.0.0.1:1",
        "PVE_TOKEN_ID": "prometheus@pve!discovery",
        "PVE_TOKEN_SECRET": "secret",
        "DISCOVERY_HOST": "127.0.0.1",
        "DISCOVERY_PORT": str(port),
        "DISCOVERY_TLS_CERT_FILE": str(files / "cert.pem"),
        "DISCOVERY_TLS_KEY_FILE": str(files / "key.pem"),
        "DISCOVERY_PASSWORD_FILE": str(files / "password"),
    }
    with subprocess.Popen([sys.executable, "-m", "discovery_fn"], env=environment, cwd=ROOT) as process:
        try:
            deadline = time.monotonic() + 30
            while _probe(environment) != 0:
                assert time.monotonic() < deadline, "it didn't start"
                time.sleep(0.2)
            yield environment
        finally:
            process.terminate()


def _probe(environment: dict[str, str]) -> int:
    program = [sys.executable, "-m", "discovery_fn.probe"]
    return subprocess.run(program, env=environment, cwd=ROOT, capture_output=True, check=False).returncode


def test_it_speaks_tls_and_the_health_check_knows(service: dict[str, str]) -> None:
    address = f"127.0.0.1:{service['DISCOVERY_PORT']}"
    client = trust.session(AUTHORITY.certificate)
    assert client.get(f"https://{address}/healthz", timeout=10).status_code == 200
    assert client.get(f"https://{address}/metrics", timeout=10).status_code == 401
    client.auth = ("prometheus", "a-password")
    assert client.get(f"https://{address}/metrics", timeout=10).status_code == 200
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://{address}/metrics", timeout=10)
    # Where nobody answers, or another way, it isn't well.
    assert _probe({**service, "DISCOVERY_TLS_CERT_FILE": ""}) == 1
    assert _probe({**service, "DISCOVERY_PORT": "1"}) == 1
