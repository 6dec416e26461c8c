"""A machine that PowerShell takes for Windows: PowerShell is real, what only Windows has is played."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

PLAYER = Path(__file__).with_suffix(".ps1")
_TIMEOUT_S = 120

# What a Windows Server 2022 without an exporter is, as far as it is played.
FRESH: dict[str, Any] = {
    "administrator": True,
    "build": 20348,
    "bits": 64,
    "processBits": 64,
    "language": "FullLanguage",
    "products": {},
    "service": None,
    # What a service is after its start.
    "starts": "Running",
    "firewall": {"Status": "Running"},
    "rules": [],
    "acls": {},
    "listeners": [],
    "events": [],
    # With what msiexec ends, one after the other, then with 0.
    "msiexec": [],
    # Whether a removal takes the configuration with it.
    "sweeps": False,
    "waited": 0,
    "calls": [],
}


def powershell() -> str:
    """The program; skips the test where this machine has none."""
    found = shutil.which("pwsh")
    if found is None:
        pytest.skip("PowerShell 7 (pwsh) is not on PATH")
    return found


@dataclass(frozen=True)
class Ran:
    """What a run has left.

    Attributes:
        code: the script's exit code.
        said: what it wrote, a line each.
        calls: what was asked of Windows, in order.
    """

    code: int
    said: list[str]
    calls: list[str]

    @property
    def text(self) -> str:
        return "\n".join(self.said)


class WindowsMachine:
    """Its files lie below a directory, all else in a description of it (FRESH)."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.description = root / "machine.json"
        self.log = self.system / "Temp" / "pve-monitoring-windows-exporter.log"
        self.log.parent.mkdir(parents=True)
        self.program_files.mkdir()
        self.change(**FRESH)

    @property
    def system(self) -> Path:
        return self.root / "Windows"

    @property
    def program_files(self) -> Path:
        return self.root / "Program Files"

    @property
    def folder(self) -> Path:
        """Where windows_exporter is."""
        return self.program_files / "windows_exporter"

    @property
    def state(self) -> dict[str, Any]:
        """The description as it is now."""
        loaded: dict[str, Any] = json.loads(self.description.read_text())
        return loaded

    def change(self, **values: Any) -> None:
        """Give parts of the description another value."""
        old = self.state if self.description.exists() else {}
        self.description.write_text(json.dumps(old | values))

    def msi(self, version: str) -> tuple[Path, str]:
        """A package of a version, and its SHA-256."""
        path = self.root / f"windows_exporter-{version}-amd64.msi"
        path.write_text(version)
        return path, hashlib.sha256(version.encode()).hexdigest()

    def run(self, script: str, architecture: str = "AMD64", **parameters: Any) -> Ran:
        """Run a script with its parameters."""
        path = self.root / "script.ps1"
        path.write_text(script, "ascii")
        self.change(calls=[], exit=None)
        command = (powershell(), "-NoProfile", "-NonInteractive", "-File", str(PLAYER))
        environment = os.environ | {
            "SystemRoot": str(self.system),
            "ProgramFiles": str(self.program_files),
            "PROCESSOR_ARCHITECTURE": architecture,
            "POWERSHELL_TELEMETRY_OPTOUT": "1",
        }
        done = subprocess.run(
            [*command, str(path), json.dumps(parameters), str(self.description)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        state = self.state
        assert state["exit"] is not None, f"it ended by itself: {done.stdout}{done.stderr}"
        assert done.stderr == ""
        return Ran(state["exit"], done.stdout.splitlines(), state["calls"])

    @contextmanager
    def listening(self) -> Iterator[int]:
        """The port where its exporter shows its page as long as the service runs; `/*.msi` are packages."""
        machine = self

        class Page(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content = machine.answer(self.path)
                self.send_response(404 if content is None else 200)
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, *words: object) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            try:
                yield server.server_port
            finally:
                server.shutdown()

    def answer(self, path: str) -> bytes | None:
        """What is at a path of the server; None where nothing is."""
        if path.endswith(".msi"):
            package = self.root / path.lstrip("/")
            return package.read_bytes() if package.exists() else None
        state = self.state
        if state["service"] is None or state["service"]["Status"] != "Running":
            return None
        (product,) = state["products"].values()
        lines = (
            f'windows_exporter_build_info{{branch="HEAD",version="{product["DisplayVersion"]}"}} 1',
            *(
                f'windows_exporter_collector_success{{collector="{name}"}} 0'
                for name in state.get("failing", ())
            ),
        )
        return "\n".join((*lines, "")).encode()
