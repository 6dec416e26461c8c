"""How the writer of configuration tells a service over TLS that there is a new one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from components import pki
from components.settings import Group
from tests.support.examples import ROOT
from tests.support.pki import AUTHORITY, PAIRS
from tests.support.tls_server import tls_server

PROGRAM = (ROOT / "components" / "reload_over_tls.py").read_text("utf-8")
OURS = PAIRS[Group.PLATFORM]
PASSWORD = "very-secret"


@pytest.fixture
def payload(tmp_path: Path) -> Path:
    (tmp_path / "ca.pem").write_text(AUTHORITY.certificate, "utf-8")
    (tmp_path / "password").write_text(f"{PASSWORD}\n", "utf-8")
    return tmp_path


def reload(payload: Path, port: int, host: str = "127.0.0.1") -> subprocess.CompletedProcess[str]:
    """Run it as the writer does: by Python alone, none of the project's packages at hand."""
    environment = {
        "PATH": os.environ["PATH"],
        "PAYLOAD": str(payload),
        "RELOAD_URL": f"https://{host}:{port}/-/reload",
        "RELOAD_SERVER_NAME": Group.PLATFORM.server_name,
        "RELOAD_CA_FILE": "ca.pem",
        "RELOAD_USER": "prometheus",
        "RELOAD_PASSWORD_FILE": "password",
    }
    program = [sys.executable, "-I", "-c", PROGRAM]
    done = subprocess.run(
        program, env=environment, cwd=payload, capture_output=True, text=True, timeout=60, check=False
    )
    assert PASSWORD not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_it_reloads_with_the_password_by_the_name_of_the_group(payload: Path) -> None:
    with tls_server(OURS, f"prometheus:{PASSWORD}") as server:
        done = reload(payload, server.port, "localhost")
        assert (done.returncode, done.stdout, done.stderr) == (0, "reloaded\n", "")
        assert server.asked == [("POST", "/-/reload", True)]


def test_new_files_that_are_refused_fail_the_writer(payload: Path) -> None:
    with tls_server(OURS, f"prometheus:{PASSWORD}") as server:
        server.status, server.answer = 500, "failed to reload config"
        done = reload(payload, server.port)
    assert done.returncode == 2
    assert 'refused the new files (500 "failed to reload config"); the service goes on' in done.stderr


def test_a_password_that_is_refused_fails_it_too(payload: Path) -> None:
    with tls_server(OURS, "prometheus:another") as server:
        assert reload(payload, server.port).returncode == 2


def test_the_password_is_told_to_nobody_with_another_certificate(payload: Path) -> None:
    stranger = pki.authority("somebody else", datetime.now(UTC))
    other_name = pki.issue(AUTHORITY, [Group.GUESTS.server_name, "127.0.0.1"], datetime.now(UTC))
    other_authority = pki.issue(stranger, [Group.PLATFORM.server_name], datetime.now(UTC))
    for pair in (other_name, other_authority):
        with tls_server(pair, f"prometheus:{PASSWORD}") as server:
            done = reload(payload, server.port)
            assert done.returncode == 2
            assert "shows another certificate" in done.stderr
            assert server.asked == []


def test_who_is_not_there_yet_or_still_without_tls_reads_the_files_at_its_start(payload: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        assert reload(payload, nobody.getsockname()[1]).returncode == 0
    with tls_server(None, f"prometheus:{PASSWORD}") as plain:
        assert reload(payload, plain.port).returncode == 0
        assert plain.asked == []
