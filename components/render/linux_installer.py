"""The shell script that installs node_exporter in a Linux guest."""

from __future__ import annotations

import shlex
from pathlib import Path

from components.render.tls import CERTIFICATE_NAME, KEY_NAME, WEB_CONFIG_NAME, Server
from components.settings import StackSettings

SCRIPT = Path(__file__).with_suffix(".sh")
FILE_NAME = "install-node-exporter.sh"
# Where a guest keeps certificate, key and web configuration.
FOLDER = "/etc/pve-monitoring"

_HEAD = """\
#!/bin/sh
# Installs, upgrades, sets up or removes node_exporter in a Linux guest (systemd or OpenRC; x86-64 or ARM).
#   sh install-node-exporter.sh [--uninstall | --archive PATH]
"""


def _here_document(name: str, text: str) -> str:
    end = "END_OF_FILE"
    while end in text.splitlines():
        end += "_"
    body = text if text.endswith("\n") else f"{text}\n"
    return f"    cat >\"$tls_folder/{name}.new\" <<'{end}'\n{body}{end}\n"


def _tls_files(server: Server) -> str:
    """The function that writes them beside their places."""
    web_config = server.web_config(f"{FOLDER}/{CERTIFICATE_NAME}", f"{FOLDER}/{KEY_NAME}")
    files = {CERTIFICATE_NAME: server.certificate, KEY_NAME: server.key, WEB_CONFIG_NAME: web_config}
    return "".join(_here_document(name, text) for name, text in files.items())


def script(settings: StackSettings, addresses: tuple[str, ...], server: Server | None = None) -> str:
    """The installer: POSIX shell.

    Args:
        settings: of the stack.
        addresses: from where Prometheus comes, as guests see it; at least one.
        server: with what guests speak TLS; a web configuration that the site puts there itself
            (`guestExporters.linux.webConfigFile`) wins.
    """
    linux = settings.guest_exporters.linux
    own = server if linux.web_config_file is None else None
    constants = {
        "version": linux.version,
        "sha256_amd64": linux.checksum,
        "sha256_arm64": linux.checksum_arm64 or "",
        "base_url": linux.download_base_url,
        "checksums_url": linux.exporter.checksums_url(linux.version),
        "port": str(settings.scrape.exporter_ports.linux),
        "addresses": " ".join(addresses),
        "web_config": linux.web_config_file or (f"{FOLDER}/{WEB_CONFIG_NAME}" if own else ""),
        "own_tls": "yes" if own else "",
        "tls_folder": FOLDER,
    }
    block = "".join(f"{name}={shlex.quote(value)}\n" for name, value in constants.items())
    warning = "# It holds a private key: keep it from everybody else.\n" if own else ""
    files = _tls_files(own) if own else "    :\n"
    return f"{_HEAD}{warning}set -eu\n\n{block}\nwrite_tls() {{\n{files}}}\n\n{SCRIPT.read_text('ascii')}"
