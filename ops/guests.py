"""`guests`: the installers for guests as files, from a stack's settings, and what to do with each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from components.render import guest_userdata, linux_installer, windows_installer
from components.render.tls import Server
from components.settings import StackSettings
from ops.console import OpsError, console, note, table
from ops.pulumi_cli import ROOT
from ops.stack import Stack, load, prepare_lab
from ops.stack_secrets import guest_server

DOCS = "docs/guests.md"


@dataclass(frozen=True)
class Use:
    """A way for a file to reach guests."""

    file: str
    way: str
    what: str


_PS1, _SH = windows_installer.FILE_NAME, linux_installer.FILE_NAME
# %~dp0 and the like don't work everywhere: commands are those of the folder that the tool runs them in.
_POWERSHELL = f"powershell.exe -NoProfile -NonInteractive -ExecutionPolicy Bypass -File {_PS1}"

USES = (
    Use(
        _PS1,
        "Group policy",
        "Computer Configuration > Policies > Windows Settings > Scripts > Startup > PowerShell Scripts: "
        "Add, and the file in the folder that Show Files opens",
    ),
    Use(
        _PS1,
        "SCCM, Intune",
        f"{_POWERSHELL}; removal: the same with -Uninstall. Codes: 0 done, 3010 done and restart, 1618 "
        "retry, others failed",
    ),
    Use(guest_userdata.WINDOWS_FILE, "cloudbase-init", "user data of new Windows guests (cicustom user=…)"),
    Use(
        _SH,
        "ssh, Ansible",
        f"ssh root@guest sh -s < {_SH}; Ansible: module script. Codes: 0 done, 1 nothing changed, 2 no "
        "answer",
    ),
    Use(_SH, "LXC", f"on the host: pct push ID {_SH} /root/{_SH} && pct exec ID -- sh /root/{_SH}"),
    Use(guest_userdata.LINUX_FILE, "cloud-init", "vendor data of new Linux guests (cicustom vendor=…)"),
    Use("-", "guest agent", "ops enroll --missing: all guests that Prometheus doesn't see yet"),
)


def addresses(settings: StackSettings) -> tuple[str, ...]:
    """From where Prometheus comes.

    Raises:
        OpsError: nobody knows.
    """
    if not settings.monitoring_addresses:
        raise OpsError(
            "nobody knows from which address Prometheus reaches the guests: network.bindAddress is "
            f"{settings.network.bind_address}. Set pve-monitoring:guestExporters.monitoringAddresses to the "
            "address that the Docker host has in the guests' eyes: their firewalls let in nobody else"
        )
    return settings.monitoring_addresses


def files(settings: StackSettings, server: Server | None) -> Mapping[str, str]:
    """Text of each file by its name; with what guests speak TLS, where it is given.

    Raises:
        OpsError: nobody knows from where Prometheus comes.
    """
    known = addresses(settings)
    windows = windows_installer.script(settings, known, server)
    linux = linux_installer.script(settings, known, server)
    return {
        _PS1: windows,
        _SH: linux,
        guest_userdata.WINDOWS_FILE: guest_userdata.cloudbase_init(windows),
        guest_userdata.LINUX_FILE: guest_userdata.cloud_init(linux),
    }


def write(stack: Stack, folder: Path, server: Server | None) -> list[Path]:
    """Write the files of a stack into a folder: for everybody, or for one alone where they hold a key.

    Raises:
        OpsError: nobody knows from where Prometheus comes, or the folder can't be written.
    """
    texts = files(stack.settings, server)
    others = 0o755 if server is None else 0o700
    try:
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for name, text in texts.items():
            path = folder / name
            # A former one may be open to others, and somebody may have opened it.
            path.unlink(missing_ok=True)
            path.touch(0o600)
            path.write_text(text, "utf-8", newline="\n")
            path.chmod(others if name.endswith(".sh") else others & 0o666)
            paths.append(path)
    except OSError as error:
        raise OpsError(f"{folder} can't be written: {error.strerror}") from error
    return paths


def guests(name: str) -> None:
    """Write the installers of a stack, and say what to do with them."""
    prepare_lab(name)
    stack = load(name)
    folder = ROOT / "build" / "guests" / name
    server = guest_server(stack)
    write(stack, folder, server)
    exporters = stack.settings.guest_exporters
    versions = f"windows_exporter {exporters.windows.version} and node_exporter {exporters.linux.version}"
    console.print(f"Installers of {versions} are in [bold]{folder}[/]")
    console.print(f"Guests with a firewall let in [bold]{', '.join(addresses(stack.settings))}[/] only\n")
    if server is not None:
        note(
            "they hold the private key of the guests' exporters, and only you can read them: put them where "
            f"nobody else can (not into SYSVOL), and delete them afterwards ({DOCS}, TLS and passwords)\n"
        )
    made = table("What to do with them", "file", "for", "what")
    for use in USES:
        made.add_row(use.file, use.way, use.what)
    console.print(made)
    console.print(f"All of it, step by step: {DOCS}")
