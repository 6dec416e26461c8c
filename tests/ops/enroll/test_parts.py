"""The token, the systems, and what Prometheus and discovery are asked."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from components.pve_api import Refused, Token
from components.topology import plan
from ops.console import OpsError
from ops.enroll import token
from ops.enroll.systems import LINUX, WINDOWS, system_of
from ops.enroll.watch import Watch, watch_of
from ops.pulumi_cli import ROOT
from ops.stack import Stack
from tests.support.examples import EXAMPLES, MINIMAL, settings

SECRET = "7d3a5e90-1c64-4f28-a0b9-e58d2c7f6134"
WHOLE = f"root@pam!enroll={SECRET}"


def test_a_token_is_read_and_never_shown() -> None:
    found = Token.parse(f" {WHOLE}\n")
    assert (found.id, found.secret) == ("root@pam!enroll", SECRET)
    assert SECRET not in repr(found)


@pytest.mark.parametrize("text", [SECRET, "root@pam!enroll", f"root!enroll={SECRET}", f"{WHOLE}x", ""])
def test_what_is_no_token_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(Refused, match="user@realm!name=secret") as caught:
        Token.parse(text)
    assert not text or text not in str(caught.value)


def test_a_token_comes_from_a_file_that_others_cannot_read(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(WHOLE)
    file.chmod(0o640)
    with pytest.raises(OpsError, match="chmod 600"):
        token.read_token(file)
    file.chmod(0o600)
    assert token.read_token(file).id == "root@pam!enroll"
    with pytest.raises(OpsError, match="can't be read: No such file"):
        token.read_token(tmp_path / "nothing")


def test_a_token_comes_from_the_environment_or_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    monkeypatch.delenv(token.VARIABLE, raising=False)
    with pytest.raises(OpsError, match=r"VM\.GuestAgent\.Unrestricted"):
        token.read_token(None)
    monkeypatch.setenv(token.VARIABLE, WHOLE)
    assert token.read_token(None).secret == SECRET


def test_no_option_takes_the_token_itself() -> None:
    words = [sys.executable, "-m", "ops", "enroll", "--help"]
    said = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "--token-file" in said
    assert "--token " not in said


@pytest.mark.parametrize(
    ("osinfo", "system"),
    [
        ({"id": "mswindows"}, WINDOWS),
        ({"id": "debian"}, LINUX),
        ({"id": "rocky"}, LINUX),
        ({"id": "freebsd"}, None),
        ({}, None),
    ],
)
def test_the_system_is_what_the_agent_says(osinfo: dict[str, str], system: object) -> None:
    assert system_of(osinfo) is system


# --- Prometheus and discovery --------------------------------------------------------------------

ANSWERS: dict[str, Any] = {
    "/api/v1/query": {
        "data": {
            "result": [
                {"metric": {"vm_id": "101"}, "value": [0, "1"]},
                {"metric": {"vm_id": "103"}, "value": [0, "0"]},
            ]
        }
    },
    "/api/v1/targets": {
        "data": {
            "activeTargets": [
                {
                    "labels": {"vm_id": "103", "job": "windows"},
                    "scrapeUrl": "http://10.90.1.12:9182/metrics",
                    "lastError": "connection refused",
                },
                {"labels": {"job": "node"}, "scrapeUrl": "http://x", "lastError": ""},
            ]
        }
    },
    "/guests": {"guests": [{"vm_id": 107, "reason": "agent_dead"}, {"vm_id": 101, "reason": ""}]},
}


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps(ANSWERS[self.path.partition("?")[0]]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        pass


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answer) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_prometheus_and_discovery_say_who_answers_and_why_not(url: str) -> None:
    watch = Watch("lab", url, url)
    assert watch.up() == {101: True, 103: False}
    assert watch.reasons() == {107: "agent_dead"}
    assert "connection refused" in watch.why_not(103)
    assert "agent_dead" in watch.why_not(107)
    assert watch.why_not(105) == "Prometheus has no target for it yet"


def test_nobody_answers() -> None:
    watch = Watch("lab", "http://127.0.0.1:1", None)
    assert watch.up() is None
    assert watch.reasons() == {}


def test_they_are_asked_where_they_are_published() -> None:
    def urls(values: dict[str, Any]) -> tuple[str | None, str | None]:
        made = settings(values)
        found = watch_of(Stack("test", made, plan(made)), None, None)
        return found.prometheus, found.discovery

    assert urls(MINIMAL) == ("http://127.0.0.1:9090", "http://127.0.0.1:8000")
    # Bound to loopback on another machine, behind the gateway.
    assert urls(EXAMPLES["production"]) == (None, None)
    assert urls(EXAMPLES["proxmox"])[0] == "http://192.0.2.10:9090"
    everywhere = {"bindAddress": "0.0.0.0"}  # noqa: S104
    assert urls({**MINIMAL, "network": everywhere})[0] == "http://127.0.0.1:9090"
    assert urls({**MINIMAL, "network": {"bindAddress": "2001:db8::1"}})[0] == "http://[2001:db8::1]:9090"
    made = settings(MINIMAL)
    given = watch_of(Stack("test", made, plan(made)), "https://prometheus.example.com", None)
    assert given.prometheus == "https://prometheus.example.com"
