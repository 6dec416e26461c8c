"""The shell script that installs node_exporter in a Linux guest."""

from __future__ import annotations

import shlex
from pathlib import Path

from components.settings import StackSettings

SCRIPT = Path(__file__).with_suffix(".sh")
FILE_NAME = "install-node-exporter.sh"

_HEAD = """\
#!/bin/sh
# Installs, upgrades, sets up or removes node_exporter in a Linux guest (systemd or OpenRC; x86-64 or ARM).
#   sh install-node-exporter.sh [--uninstall | --archive PATH]
set -eu
"""


def script(settings: StackSettings, addresses: tuple[str, ...]) -> str:
    """The installer: POSIX shell.

    Args:
        settings: of the stack.
        addresses: from where Prometheus comes, as guests see it; at least one.
    """
    linux = settings.guest_exporters.linux
    constants = {
        "version": linux.version,
        "sha256_amd64": linux.checksum,
        "sha256_arm64": linux.checksum_arm64 or "",
        "base_url": linux.download_base_url,
        "checksums_url": linux.exporter.checksums_url(linux.version),
        "port": str(settings.scrape.exporter_ports.linux),
        "addresses": " ".join(addresses),
        "web_config": linux.web_config_file or "",
    }
    block = "".join(f"{name}={shlex.quote(value)}\n" for name, value in constants.items())
    return f"{_HEAD}\n{block}\n{SCRIPT.read_text('ascii')}"
