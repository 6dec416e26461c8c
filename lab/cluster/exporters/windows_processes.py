"""The processes of a Windows guest."""

# ruff: noqa: TID252 - the package is `lab.cluster` here and `cluster` in its image

from functools import cache
from typing import NamedTuple

from ..load import chance
from ..model import Guest


class Process(NamedTuple):
    """A process: its part of the guest's CPU time and memory in use."""

    name: str
    pid: int
    cpu: float
    memory: float
    owner: str = "SYSTEM\\NT AUTHORITY"


SYSTEM = (
    Process("System", 4, 0.06, 0.0005, ""),
    Process("lsass", 712, 0.02, 0.01),
    Process("svchost", 1204, 0.05, 0.03, "NETWORK SERVICE\\NT AUTHORITY"),
    Process("svchost", 1388, 0.03, 0.02),
    Process("MsMpEng", 2104, 0.06, 0.06),
    Process("qemu-ga", 2360, 0.005, 0.003),
    Process("windows_exporter", 3344, 0.01, 0.008),
)
MAIN = {
    "sql": (Process("sqlservr", 2816, 0.70, 0.78, "MSSQLSERVER\\NT SERVICE"),),
    "web": (
        Process("w3wp", 4120, 0.50, 0.30, "DefaultAppPool\\IIS APPPOOL"),
        Process("w3wp", 4388, 0.20, 0.18, "Api\\IIS APPPOOL"),
    ),
    "app": (Process("java", 3912, 0.68, 0.52, "svc-app\\CORP"),),
    "files": (Process("dfsrs", 2992, 0.40, 0.22),),
    "dc": (Process("dns", 2648, 0.20, 0.12), Process("dfsrs", 2700, 0.2, 0.14)),
    "desktop": (Process("chrome", 7340, 0.40, 0.30, "user\\CORP"), Process("explorer", 5120, 0.1, 0.08)),
    "ml": (Process("python", 6204, 0.72, 0.60, "svc-ml\\CORP"),),
}  # fmt: skip
# What else a server runs: the first ones everywhere, the last ones where many do.
_SERVICES = ("svchost",) * 58
_OTHERS = """
    conhost conhost conhost conhost csrss csrss smss wininit winlogon services Registry LogonUI dwm
    spoolsv msdtc WmiPrvSE WmiPrvSE WmiPrvSE fontdrvhost fontdrvhost VSSVC NisSrv MpDefenderCoreService
    blnsvr dllhost dllhost taskhostw taskhostw LsaIso SgrmBroker AggregatorHost uhssvc wlms SearchIndexer
    SecurityHealthService sihost ctfmon explorer ShellExperienceHost StartMenuExperienceHost TextInputHost
    SearchApp RuntimeBroker RuntimeBroker RuntimeBroker RuntimeBroker smartscreen rdpclip ServerManager
    mmc mmc powershell powershell conhost conhost cmd cmd TrustedInstaller TiWorker MicrosoftEdgeUpdate
    backgroundTaskHost backgroundTaskHost ApplicationFrameHost msedgewebview2 msedgewebview2
    msedgewebview2 msedgewebview2 msedgewebview2 msiexec
"""
_FEWEST, _MOST = 78, 128


@cache
def _background() -> tuple[Process, ...]:
    """The same numbers in every guest; each takes a little of the CPU time and the memory."""
    return tuple(
        Process(name, 8192 + 4 * number, 0.0003, 0.0004 * (0.5 + chance(number, 61)))
        for number, name in enumerate((*_SERVICES, *_OTHERS.split()))
    )


def processes(guest: Guest) -> tuple[Process, ...]:
    """What runs in a guest: 80 to 150 processes, as on most servers."""
    others = _FEWEST + int((_MOST - _FEWEST) * chance(guest.seed, 62))
    return (Process("Idle", 0, 0.0, 0.0, ""), *SYSTEM, *MAIN.get(guest.role, ()), *_background()[:others])
