"""A Windows guest of a test, and the installer for it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.render import windows_installer
from components.render.tls import Server
from components.settings import Group
from tests.support.examples import MINIMAL, settings
from tests.support.pki import PAIRS
from tests.support.windows_machine import Ran, WindowsMachine

ADDRESSES = ("192.0.2.10", "2001:db8::/64")
VERSION, OLDER, NEWER = "0.31.8", "0.30.4", "0.32.0"
PAIR = PAIRS[Group.GUESTS]
SERVER = Server(certificate=PAIR.certificate, key=PAIR.key, passwords="a-password-of-the-guests")


@dataclass
class Guest:
    """A guest, and the installer for it."""

    machine: WindowsMachine
    port: int
    server: Server | None = None

    def script(self, version: str = VERSION, **windows: Any) -> str:
        """The installer; its MSI lies in a folder of the guest."""
        path, digest = self.machine.msi(version)
        values = {
            **MINIMAL,
            "scrape": {"exporterPorts": {"windows": self.port}},
            "guestExporters": {"windows": {"version": version, "sha256": digest, **windows}},
        }
        made = windows_installer.script(settings(values), ADDRESSES, self.server)
        release = re.compile(r"(?m)^\$DefaultMsi = .*$")
        return release.sub(lambda _: f"$DefaultMsi = '{path}'", made, count=1)

    def install(self, version: str = VERSION, **windows: Any) -> Ran:
        return self.machine.run(self.script(version, **windows))

    @property
    def config(self) -> Path:
        return self.machine.folder / "config.yaml"

    @property
    def tls(self) -> Path:
        return self.machine.folder / "tls"

    @property
    def files(self) -> dict[str, bytes]:
        """All files of the guest but its log and what the test put there."""
        found = (path for path in self.machine.program_files.rglob("*") if path.is_file())
        return {str(path.relative_to(self.machine.folder)): path.read_bytes() for path in found}

    @property
    def products(self) -> list[str]:
        """Versions that are installed."""
        return [product["DisplayVersion"] for product in self.machine.state["products"].values()]


def names(ran: Ran) -> list[str]:
    """What was asked of Windows, without its words."""
    return [call.split()[0] for call in ran.calls]
