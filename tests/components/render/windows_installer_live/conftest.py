"""A guest for each test: PowerShell is real, Windows is played (tests/support/windows_machine.py)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from components.render import windows_installer
from tests.support.windows_guest import SERVER, Guest
from tests.support.windows_machine import WindowsMachine


@pytest.fixture
def guest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Guest]:
    machine = WindowsMachine(tmp_path)
    monkeypatch.setattr(windows_installer, "FOLDER", str(machine.folder / "tls"))
    with machine.listening() as port:
        yield Guest(machine, port)


@pytest.fixture
def encrypted(guest: Guest) -> Guest:
    guest.server = SERVER
    return guest
