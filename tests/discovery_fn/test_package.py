"""The package as it is shipped."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "discovery_fn"


def test_the_lock_holds_every_dependency_with_hashes() -> None:
    wanted = tomllib.loads((PACKAGE / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "dependencies"
    ]
    lock = (PACKAGE / "requirements.lock").read_text(encoding="utf-8")
    for pin in wanted:
        assert f"\n{pin} " in f"\n{lock}"
    entries = re.split(r"\n(?=[a-z0-9])", lock)
    assert all("--hash=sha256:" in entry for entry in entries)


def test_the_package_uses_nothing_of_the_rest() -> None:
    for file in PACKAGE.glob("*.py"):
        imported = re.findall(
            r"^\s*(?:from|import) ([a-z_]+)", file.read_text(encoding="utf-8"), re.MULTILINE
        )
        assert not {"components", "lab", "ops", "dashboards", "policy"} & set(imported), file.name


def test_a_wrong_environment_ends_the_start_with_all_that_is_wrong() -> None:
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PVE_", "DISCOVERY_"))}
    env |= {"PVE_TOKEN_ID": "nobody", "PVE_TOKEN_SECRET": "very-secret"}
    done = subprocess.run(
        [sys.executable, "-m", "discovery_fn"],
        env=env,
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "PVE_ENDPOINTS: is not set" in done.stderr
    assert "PVE_TOKEN_ID: must look like user@realm!name" in done.stderr
    assert "very-secret" not in done.stderr
    assert "Traceback" not in done.stderr
