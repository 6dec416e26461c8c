"""The program as the image runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.images.grafana import grafana_double

IMAGE = Path(grafana_double.__file__).parents[1]


def run(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "grafana_double"],
        cwd=IMAGE,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (
            {"GF_PATHS_CONFIG": "/nowhere/grafana.ini"},
            "can't start: GF_PATHS_CONFIG: can't read /nowhere/grafana.ini",
        ),
        ({"GF_PATHS_DATA": "/nowhere"}, "can't start: [paths] data: can't use /nowhere/grafana-double.db"),
    ],
)
def test_what_cannot_start_says_why_and_ends(environment: dict[str, str], message: str) -> None:
    ended = run(**environment)
    assert ended.returncode == 1
    assert message in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "grafana-double.db").write_text("no database" * 100)
    ended = run(GF_PATHS_DATA=str(tmp_path))
    assert ended.returncode == 1
    assert "file is not a database" in ended.stdout
