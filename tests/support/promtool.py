"""Run promtool: the one on PATH, else the one inside a Prometheus image that is already on this machine."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from components.images import DEFAULT_REFERENCES, Service

_TIMEOUT_S = 300


def _pinned_image() -> str:
    """The reference that the platform runs."""
    return DEFAULT_REFERENCES[Service.PROMETHEUS]


def _local_images() -> list[str]:
    listing = subprocess.run(
        ["docker", "images", "--format", "{{.Repository}}:{{.Tag}}", "prom/prometheus"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return listing.stdout.split() if listing.returncode == 0 else []


@cache
def _command() -> tuple[str, ...] | None:
    """Words before promtool's own arguments; `{directory}` stands for the mounted one. None: no promtool."""
    if found := shutil.which("promtool"):
        return (found,)
    if shutil.which("docker") is None:
        return None
    local, pinned = _local_images(), _pinned_image()
    image = pinned if pinned in local else next(iter(local), None)
    if image is None:
        return None
    mount = ("-v", "{directory}:/w:ro", "-w", "/w")
    return ("docker", "run", "--rm", "--network", "none", *mount, "--entrypoint", "promtool", image)


def promtool(*arguments: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run promtool in `directory`, which is all that it can read; arguments name files relative to it.

    Skips the test, with the reason, where neither promtool nor an image with it is at hand.
    """
    command = _command()
    if command is None:
        pytest.skip("no promtool on PATH and no local prom/prometheus image (docker pull one of them)")
    words = [word.format(directory=directory.resolve()) for word in command]
    return subprocess.run(
        [*words, *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_S,
    )
