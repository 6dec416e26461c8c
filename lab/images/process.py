"""Running a tool of the host with its output passed on line by line."""

from __future__ import annotations

import os
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lab.images.builder import LAST_LINES
from lab.images.errors import ImageBuildFailed


def stream(
    command: Sequence[str],
    on_line: Callable[[str], None],
    *,
    what: str,
    advice: str,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> None:
    """Run `command` at low priority and give every line of its output (both streams) to `on_line`.

    Args:
        command: the tool and its arguments.
        on_line: takes every line, without its end.
        what: start of the error's sentence, e.g. `Compiling prometheus`.
        advice: what to do when it fails.
        cwd: folder to run in.
        env: variables beside those of this process.

    Raises:
        ImageBuildFailed: if it ends with another status than 0, with its last lines.
    """
    last: deque[str] = deque(maxlen=LAST_LINES)
    with subprocess.Popen(
        ["nice", "-n", "5", *command],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        for line in process.stdout or ():
            last.append(line.rstrip())
            on_line(line.rstrip())
    if process.returncode != 0:
        raise ImageBuildFailed(f"{what} failed with status {process.returncode}.", advice, last)
