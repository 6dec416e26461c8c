"""What the agent runs inside guests: files, a few commands, and the installers of exporters.

Nothing is really run. An installer that is whole and fits the system ends, after a while, what a fault
``exporter_gone`` of this guest began.
"""

# ruff: noqa: TID252 - the package is `lab.cluster` here and `cluster` in its image

import base64
import binascii
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..model import Guest
from .call import ApiError, Call

FIRST_PID = 4242
# From the schema of file-write.
CONTENT_LIMIT = 61_440
SILENT = "Agent error: Command {command} has been disabled: the command is not allowed"
MISSING = (
    "Agent error: Guest agent command failed, error was 'Failed to execute child process \"{name}\" ({why})'"
)
NOT_FOUND = {"windows": "The system cannot find the file specified", "linux": "No such file or directory"}
# The programs that a guest has.
PROGRAMS: Mapping[str, frozenset[str]] = {
    "windows": frozenset({"powershell.exe", "cmd.exe"}),
    "linux": frozenset({"/bin/sh", "/bin/rm"}),
}
# What an installer ends in when nothing of it is missing, and where it says which version it installs.
INSTALLERS = {
    "windows": ("windows_exporter", "exit 0", re.compile(r"^\$Version = '(.+)'$", re.MULTILINE)),
    "linux": ("node_exporter", 'main "$@" </dev/null', re.compile(r"^version=(.+)$", re.MULTILINE)),
}


@dataclass(frozen=True)
class Process:
    """A process in a guest: when it ends (Unix seconds), with which code, and what it printed by then."""

    end: float
    code: int
    output: str


@dataclass
class Shell:
    """Processes by guest and number."""

    processes: dict[tuple[int, int], Process] = field(default_factory=dict)
    started: int = 0

    def write(self, call: Call, guest: Guest) -> None:
        """Write a file.

        Raises:
            ApiError: 400 for parameters that aren't right, 500 where the agent bars it.
        """
        path, content = _parameter(call, "file"), _parameter(call, "content")
        if len(content) > CONTENT_LIMIT:
            text = f"value may only be {CONTENT_LIMIT} characters long"
            raise ApiError(400, "Parameter verification failed.", {"content": text})
        _allowed(call, guest, "guest-file-open")
        try:
            encoded = call.query.get("encode", "1") == "0"
            data = base64.b64decode(content, validate=True) if encoded else content.encode()
        except binascii.Error:
            raise ApiError(500, "Agent error: Invalid parameter 'buf-b64'") from None
        call.lab.provisioned.files[guest.vmid, path] = data

    def execute(self, call: Call, guest: Guest) -> int:
        """Start a process; its number.

        Raises:
            ApiError: 400 without a command, 500 where the agent bars it or the program isn't there.
        """
        words = _parameter(call, "command").split("\0")
        _allowed(call, guest, "guest-exec")
        if words[0] not in PROGRAMS[guest.os]:
            raise ApiError(500, MISSING.format(name=words[0], why=NOT_FOUND[guest.os]))
        self.started += 1
        pid = FIRST_PID + self.started
        self.processes[guest.vmid, pid] = self._run(call, guest, words)
        return pid

    def status(self, call: Call, guest: Guest) -> dict[str, Any]:
        """How a process does; once it has ended and that was told, nobody knows it any more.

        Raises:
            ApiError: 500 for a process that the agent doesn't know.
        """
        text = _parameter(call, "pid")
        key = (guest.vmid, int(text) if text.isdigit() else 0)
        process = self.processes.get(key)
        if process is None:
            raise ApiError(500, "Agent error: Invalid parameter 'pid'")
        if call.t < process.end:
            return {"exited": 0}
        del self.processes[key]
        printed = {"out-data": process.output} if process.output else {}
        return {"exited": 1, "exitcode": process.code, **printed}

    def _run(self, call: Call, guest: Guest, words: Sequence[str]) -> Process:
        name = words[0]
        if name == "powershell.exe":
            return self._install(call, guest, words[words.index("-File") + 1])
        if name == "/bin/sh" and words[1] != "-c":
            return self._install(call, guest, words[1])
        # del, copy /b A+B WHOLE; rm -f; cat A B > WHOLE
        files = call.lab.provisioned.files
        rest = shlex.split(words[2]) if name == "/bin/sh" else list(words[2 if name == "cmd.exe" else 1 :])
        if rest[:1] in (["copy"], ["cat"]):
            *parts, whole = [word for word in rest[1:] if word not in ("/b", "/y", ">")]
            paths = parts[0].split("+") if rest[0] == "copy" else parts
            files[guest.vmid, whole] = b"".join(files.get((guest.vmid, path), b"") for path in paths)
        else:
            for path in rest:
                files.pop((guest.vmid, path), None)
        return Process(call.t, 0, "")

    def _install(self, call: Call, guest: Guest, path: str) -> Process:
        exporter, end, version = INSTALLERS[guest.os]
        text = call.lab.provisioned.files.get((guest.vmid, path), b"").decode()
        if not text.rstrip().endswith(end) or (found := version.search(text)) is None:
            return Process(call.t, 1, f"{path} is no installer of {exporter}, or breaks off\n")
        name = f"{exporter} {found[1]}"
        if call.fault(guest.vmid, "download_blocked"):
            return Process(call.t, 1, f"{name} can't be read: timed out. Nothing was changed.\n")
        end_time = call.t + call.lab.settings.install_seconds
        for fault in list(call.lab.faults.on(guest.vmid)):
            if fault.kind == "exporter_gone" and not fault.hosts:
                call.lab.faults.clear(fault.id, end_time)
        return Process(end_time, 0, f"{name} is installed\n{name} answers\n")


def _parameter(call: Call, name: str) -> str:
    if not call.query.get(name):
        raise ApiError(
            400, "Parameter verification failed.", {name: "property is missing and it is not optional"}
        )
    return call.query[name]


def _allowed(call: Call, guest: Guest, command: str) -> None:
    if call.fault(guest.vmid, "exec_forbidden"):
        raise ApiError(500, SILENT.format(command=command))
