"""What differs between Windows and Linux: the installer, where it is written, how it is run and removed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from components.render import linux_installer, windows_installer
from components.render.tls import Server
from components.settings import StackSettings


@dataclass(frozen=True)
class System:
    """A kind of operating system.

    Attributes:
        account: as whom the agent runs programs.
        path: of a file with a name that nobody guesses, in a folder that others can't change files in.
        done: exit codes of an installer that succeeded.
        log: where the guest itself notes what was done.
    """

    name: str
    account: str
    exporter: str
    path: str
    done: frozenset[int]
    log: str
    script: Callable[[StackSettings, tuple[str, ...], Server | None], str]
    run: Callable[[str], Sequence[str]]
    remove: Callable[[Sequence[str]], Sequence[str]]
    join: Callable[[Sequence[str], str], Sequence[str]]


_POWERSHELL = ("powershell.exe", "-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass", "-File")

WINDOWS = System(
    name="Windows",
    account="SYSTEM",
    exporter="windows_exporter",
    path="C:\\Windows\\Temp\\pve-monitoring-{key}.ps1",
    done=frozenset({0, 3010}),
    log="C:\\Windows\\Temp\\pve-monitoring-windows-exporter.log",
    script=windows_installer.script,
    run=lambda path: [*_POWERSHELL, path],
    remove=lambda paths: ["cmd.exe", "/c", "del", "/f", "/q", *paths],
    join=lambda parts, whole: ["cmd.exe", "/c", "copy", "/y", "/b", "+".join(parts), whole],
)
LINUX = System(
    name="Linux",
    account="root",
    exporter="node_exporter",
    path="/root/.pve-monitoring-{key}.sh",
    done=frozenset({0}),
    log="journalctl -u pve-monitoring-node-exporter",
    script=linux_installer.script,
    run=lambda path: ["/bin/sh", path],
    remove=lambda paths: ["/bin/rm", "-f", *paths],
    join=lambda parts, whole: ["/bin/sh", "-c", f"cat {' '.join(parts)} > {whole}"],
)

# Agents run on these too; there is no installer for them.
_OTHERS = ("freebsd", "netbsd", "openbsd", "dragonfly", "macos", "solaris", "illumos")


def system_of(osinfo: Mapping[str, str]) -> System | None:
    """The system that an agent's get-osinfo tells of; None for one without an installer."""
    ident = str(osinfo.get("id", "")).lower()
    if ident == "mswindows":
        return WINDOWS
    return None if not ident or ident.startswith(_OTHERS) else LINUX
