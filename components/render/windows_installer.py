"""The PowerShell script that installs windows_exporter in a Windows guest."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from components.render.tls import CERTIFICATE_NAME, KEY_NAME, WEB_CONFIG_NAME, Server
from components.settings import StackSettings

SCRIPT = Path(__file__).with_suffix(".ps1")
FILE_NAME = "install-windows-exporter.ps1"
PLACE = "#@settings@"
# Where a guest keeps certificate, key and web configuration; for SYSTEM and administrators only.
FOLDER = "C:\\Program Files\\windows_exporter\\tls"

# What rules and dashboards read (rules/README.md); `process` isn't among the exporter's own defaults.
COLLECTORS = ("cpu", "memory", "logical_disk", "physical_disk", "net", "process", "system", "os")


def quoted(text: str) -> str:
    """A PowerShell string that holds a text as it is.

    Raises:
        ValueError: the text isn't printable ASCII. Windows PowerShell reads a script in the code page of the
            machine, and takes some typographic quotes for quotes.
    """
    if not (text.isascii() and (text.isprintable() or not text)):
        raise ValueError(f"not printable ASCII: {text!r}")
    doubled = text.replace("'", "''")
    return f"'{doubled}'"


def _yaml_quoted(text: str) -> str:
    doubled = text.replace("'", "''")
    return f"'{doubled}'"


def config_lines(settings: StackSettings) -> list[str]:
    """windows_exporter's configuration file; the section `web` comes last, for the script adds to it.

    Keys that the exporter doesn't know would keep it from starting (internal/config/config.go, KnownFields).
    """
    windows = settings.guest_exporters.windows
    lines = [
        "# Written by the installer of pve-monitoring; changes by hand are overwritten by its next run.",
        "collectors:",
        f"  enabled: {','.join(COLLECTORS)}",
        "collector:",
        "  process:",
        f"    include: {_yaml_quoted(windows.process_include)}",
    ]
    if windows.process_exclude is not None:
        lines.append(f"    exclude: {_yaml_quoted(windows.process_exclude)}")
    return [
        *lines,
        # Passwords stand in command lines.
        "    cmdline: false",
        "log:",
        "  level: warn",
        "web:",
        f"  listen-address: {_yaml_quoted(f':{settings.scrape.exporter_ports.windows}')}",
    ]


def _array(values: Iterable[str]) -> str:
    lines = ",\n".join(f"    {quoted(value)}" for value in values)
    return f"@(\n{lines}\n)" if lines else "@()"


def script(settings: StackSettings, addresses: tuple[str, ...], server: Server | None = None) -> str:
    """The installer: Windows PowerShell 5.1 and PowerShell 7, ASCII.

    Args:
        settings: of the stack.
        addresses: from where Prometheus comes, as guests see it; at least one.
        server: with what guests speak TLS; a web configuration that the site puts there itself
            (`guestExporters.windows.webConfigFile`) wins.
    """
    windows = settings.guest_exporters.windows
    own = server if windows.web_config_file is None else None
    web_config = own.web_config(f"{FOLDER}\\{CERTIFICATE_NAME}", f"{FOLDER}\\{KEY_NAME}") if own else ""
    exporter = windows.exporter
    constants = {
        "Version": quoted(windows.version),
        "Sha256": quoted(windows.checksum),
        "ChecksumsUrl": quoted(exporter.checksums_url(windows.version)),
        "MsiName": quoted(exporter.archive_name(windows.version)),
        "DefaultMsi": quoted(windows.source),
        "DefaultWebConfigFile": quoted(windows.web_config_file or ""),
        "Port": str(settings.scrape.exporter_ports.windows),
        "Addresses": _array(addresses),
        "ConfigLines": _array(config_lines(settings)),
        "TlsFolder": quoted(FOLDER),
        "TlsWebConfigFile": quoted(f"{FOLDER}\\{WEB_CONFIG_NAME}" if own else ""),
        "CertificateLines": _array(own.certificate.splitlines() if own else ()),
        "KeyLines": _array(own.key.splitlines() if own else ()),
        "WebConfigLines": _array(web_config.splitlines()),
    }
    block = "\n".join(f"${name} = {value}" for name, value in constants.items())
    return SCRIPT.read_text("ascii").replace(PLACE, block)
