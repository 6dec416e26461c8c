"""The TypeScript side: its types, and its own tests."""

from __future__ import annotations

import subprocess

import pytest

from lab.preview import bundle
from lab.preview.bundle import Programs

pytestmark = pytest.mark.xdist_group("preview")


@pytest.mark.parametrize("script", ["types", "test"])
def test_npm_run(programs: Programs, script: str) -> None:
    words = [programs.npm, "run", "--silent", script]
    result = subprocess.run(
        words, cwd=bundle.FOLDER, capture_output=True, text=True, check=False, timeout=300
    )
    assert result.returncode == 0, result.stdout + result.stderr
