"""A minimal Debian root file system, the ground that every stand-in stands on."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.images.errors import ImageBuildFailed
from lab.images.process import stream

SUITE = "trixie"
# pip comes with python3-venv; python3-pip would be a second one, which refuses to install (PEP 668).
PACKAGES = ("ca-certificates", "python3", "python3-venv", "tzdata")
MIRROR_VARIABLE = "PVE_LAB_DEBIAN_MIRROR"
"""Environment variable with the URL of a Debian mirror, where the machine's own apt isn't Debian's."""
_CA_BUNDLE = "etc/ssl/certs/ca-certificates.crt"
# Contents that the daemon brings itself, and documentation that a container never shows.
_LEFT_OUT = (
    *("dev", "proc", "sys", "run"),
    *("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale"),
    *("var/cache/apt", "var/cache/debconf", "var/lib/apt/lists", "var/log"),
)


def root_file_system(archive: Path, report: Callable[[str], None]) -> None:
    """Write the root file system of a Debian with Python as a tar archive.

    Raises:
        ImageBuildFailed: debootstrap is missing, isn't run by root, or its last lines.
    """
    _require_debootstrap(report)
    with _scratch_folder() as root:
        include = f"--include={','.join(PACKAGES)}"
        mirror = [url] if (url := debian_mirror()) else []
        stream(
            ["debootstrap", "--variant=minbase", include, SUITE, str(root), *mirror],
            report,
            what=f"Installing Debian {SUITE}",
            advice="A Debian mirror has to be reachable: the one that apt uses on this machine, or the one "
            f"named by the environment variable {MIRROR_VARIABLE}.",
        )
        _trust_what_this_machine_trusts(root)
        exclude = [f"--exclude=./{path}/*" for path in _LEFT_OUT]
        stream(
            ["tar", "--numeric-owner", *exclude, "-C", str(root), "-cf", str(archive), "."],
            report,
            what="Packing the root file system",
            advice=f"Is there room for 200 MB in {archive.parent}?",
        )


def debian_mirror() -> str | None:
    """Return the URL of the Debian mirror to use, None for debootstrap's own default.

    apt itself is asked what it is configured with: it understands every format of its source files.
    """
    if named := os.environ.get(MIRROR_VARIABLE):
        return named
    if shutil.which("apt-get") is None:
        return None
    done = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(CREATED_BY) $(LABEL) $(COMPONENT) $(REPO_URI)"],
        capture_output=True,
        text=True,
        check=False,
    )
    return mirror_among(done.stdout)


def mirror_among(targets: str) -> str | None:
    """Find Debian's main archive among lines of `created-by label component uri`, None if it isn't there.

    The label is `Debian` for the archive alone (`Debian-Security` and third parties have others); before the
    first `apt-get update` apt doesn't know it and leaves its name in the output.
    """
    for line in targets.splitlines():
        match line.split():
            case ["Packages", "Debian" | "$(LABEL)", "main", uri] if uri.rstrip("/").endswith("/debian"):
                return uri
    return None


def _require_debootstrap(report: Callable[[str], None]) -> None:
    if os.geteuid() != 0:
        raise ImageBuildFailed(
            "The stand-in of python is made with debootstrap, which needs root.",
            "Run the command again as root, or make a registry of images reachable.",
        )
    if shutil.which("debootstrap"):
        return
    if shutil.which("apt-get") is None:
        raise ImageBuildFailed(
            "The stand-in of python is made with debootstrap, which is not installed.",
            "Install the package debootstrap, or make a registry of images reachable.",
        )
    stream(
        ["apt-get", "install", "--yes", "--no-install-recommends", "debootstrap"],
        report,
        what="Installing debootstrap",
        advice="Install the package debootstrap by hand (apt-get update first, if its lists are old).",
        env={"DEBIAN_FRONTEND": "noninteractive"},
    )


def _trust_what_this_machine_trusts(root: Path) -> None:
    """Copy this machine's CA bundle: it may sit behind a proxy with a CA of its own."""
    bundle = ssl.get_default_verify_paths().cafile
    if bundle:
        shutil.copyfile(bundle, root / _CA_BUNDLE)


@contextmanager
def _scratch_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="stand-in-rootfs-"))
    try:
        yield folder
    finally:
        # An aborted debootstrap may leave /proc mounted inside: never step over into it.
        subprocess.run(["rm", "-rf", "--one-file-system", str(folder)], check=False)
