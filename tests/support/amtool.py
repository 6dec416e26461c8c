"""Run amtool: the one on PATH, else the one inside an Alertmanager image that is already on this machine."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from components.images import DEFAULT_REFERENCES, Service

_IMAGE = DEFAULT_REFERENCES[Service.ALERTMANAGER]


def amtool(*arguments: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run amtool with `directory` mounted at /etc/alertmanager, the path that the rendered files name.

    Skips the test, with the reason, where no Alertmanager image is at hand.
    """
    if shutil.which("docker") is None:
        pytest.skip("amtool: Docker is not installed")
    present = subprocess.run(["docker", "image", "inspect", _IMAGE], capture_output=True, check=False)
    if present.returncode != 0:
        pytest.skip(f"amtool: no local image {_IMAGE} (docker pull {_IMAGE})")
    mount = ("-v", f"{directory.resolve()}:/etc/alertmanager:ro", "--entrypoint", "amtool")
    return subprocess.run(
        ["docker", "run", "--rm", "--network", "none", *mount, _IMAGE, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
