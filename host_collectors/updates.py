"""Packages that wait to be upgraded.

The API tells them to tokens with Sys.Modify only. The names are those of apt.sh in the textfile collectors of
the Prometheus community.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path

from host_collectors.textfile import Page, output, run

LISTS = Path("/var/lib/apt/lists")
# Inst openssl [3.5.1-1] (3.5.1-1+deb13u1 Debian-Security:13/stable-security [amd64])
_INSTALL = re.compile(r"^Inst \S+ (?P<old>\[\S+\] )?\(\S+ (?P<origin>[^\[)]*?)(?: \[(?P<arch>[^\]]+)\])?\)")


def pending(simulation: str) -> Counter[tuple[str, str]]:
    """Upgrades by origin and architecture, from what `apt-get --simulate dist-upgrade` prints.

    A package that comes from several places is counted for the first. New packages count too: a kernel comes
    as one.
    """
    found: Counter[tuple[str, str]] = Counter()
    for line in simulation.splitlines():
        if match := _INSTALL.match(line):
            found[match["origin"].split(",")[0].strip(), match["arch"] or ""] += 1
    return found


def simulate() -> str:
    """What an upgrade would do.

    Raises:
        CollectorError: apt-get fails, with its reason.
    """
    command = ["apt-get", "--simulate", "-o", "Debug::NoLocking=true", "dist-upgrade"]
    return output(command, "apt-get --simulate dist-upgrade")


def collect() -> Page:
    """What waits, and how old the package lists are that say so.

    Raises:
        CollectorError: apt-get fails.
    """
    page = Page()
    waiting = pending(simulate())
    for (origin, arch), count in sorted(waiting.items()):
        page.add("apt_upgrades_pending", _PENDING, count, origin=origin, arch=arch)
    if not waiting:
        # As apt.sh has it: none is something to know, too.
        page.add("apt_upgrades_pending", _PENDING, 0, origin="", arch="")
    if LISTS.is_dir():
        text = "When the package lists were last renewed."
        page.add("apt_package_cache_timestamp_seconds", text, LISTS.stat().st_mtime)
    return page


_PENDING = "Packages that wait to be upgraded, by where they come from."

if __name__ == "__main__":
    sys.exit(run("updates", collect))
