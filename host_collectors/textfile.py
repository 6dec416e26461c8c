"""The text format of Prometheus, written where node_exporter's textfile collector reads it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

# systemd gives it to services with StateDirectory=.
STATE = Path(os.environ.get("STATE_DIRECTORY", "/var/lib/pve-monitoring"))


class CollectorError(Exception):
    """What is asked for can't be had on this host; the message says why."""


class Page:
    """Gauges by name, each with its help text."""

    def __init__(self) -> None:
        self._families: dict[str, list[str]] = {}

    def add(self, name: str, text: str, value: float, **labels: str) -> None:
        """Add one sample; `text` is the help of the metric, the same for all of its samples."""
        lines = self._families.setdefault(name, [f"# HELP {name} {text}", f"# TYPE {name} gauge"])
        pairs = ",".join(f'{key}="{_escape(of)}"' for key, of in sorted(labels.items()))
        lines.append(f"{name}{{{pairs}}} {value!r}" if pairs else f"{name} {value!r}")

    def text(self) -> str:
        """The whole page; empty where nothing was added."""
        return "".join(f"{line}\n" for lines in self._families.values() for line in lines)


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def write(path: Path, text: str) -> None:
    """Write a file at once: whoever reads it gets the old one or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The textfile collector reads *.prom only.
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
        try:
            file.write(text)
            file.flush()
            Path(file.name).chmod(0o644)
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def output(command: list[str], failing: str) -> str:
    """What a program prints; `failing` says what couldn't be done if it fails.

    Raises:
        CollectorError: it can't be run, or fails.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise CollectorError(f"{command[0]} can't be run: {error}") from error
    if done.returncode != 0:
        raise CollectorError(f"{failing}: {done.stderr.strip()}")
    return done.stdout


def run(name: str, collect: Callable[[], Page]) -> int:
    """Write what a collector finds; returns the exit code, 1 with the reason on stderr.

    What was written before stays: its age is what HostCollectorStale looks at.
    """
    try:
        page = collect()
    except (CollectorError, OSError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    write(STATE / "textfile" / f"{name}.prom", page.text())
    return 0
