"""Notes what Python processes start and write, however briefly, where PYTHONPATH names this directory.

Each line of the file that NOTES names is an event of https://docs.python.org/3/library/audit_events.html.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

_FILE = os.environ.get("NOTES", os.devnull)
# By it the engine gives the program its configuration, secrets too; children inherit it.
_PROGRAMS_OWN = "PULUMI_CONFIG"
_STARTED = {"subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "pty.spawn"}
_WRITING = os.O_WRONLY | os.O_RDWR


def _told(event: str, arguments: tuple[Any, ...]) -> str | None:
    if event in _STARTED:
        return repr([_without(one) for one in arguments])
    # A number is that of an open file, which was noted.
    if event == "open" and not isinstance(arguments[0], int) and arguments[2] & _WRITING:
        return str(Path(os.fsdecode(arguments[0])).absolute())
    return None


def _without(value: Any) -> Any:
    """An environment without the program's own variables."""
    if not isinstance(value, dict):
        return value
    return {k: v for k, v in value.items() if not os.fsdecode(k).startswith(_PROGRAMS_OWN)}


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    text = _told(event, arguments)
    if text is not None:
        os.write(_NOTES, f"{event} {text}\n".encode())


_NOTES = os.open(_FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
sys.addaudithook(_note)
