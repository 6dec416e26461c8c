"""How the backups of this node ended, by guest and by job.

vzdump keeps the log of each guest's last backup in /var/log/vzdump (PVE::VZDump, `$logdir`), whatever storage
it goes to, and the task log of the node says how each run as a whole ended (/var/log/pve/tasks/index). A log
shows one run only, so the last success and the last failure are remembered here.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from host_collectors.textfile import STATE, Page, run, write

GUEST_LOGS = Path("/var/log/vzdump")
TASKS = Path("/var/log/pve/tasks")

_END = re.compile(
    r"^(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) "
    r"(?:INFO: (?P<ok>Finished) Backup of VM (?P<done>\d+) \((?P<took>\d+):(\d\d):(\d\d)\)"
    r"|ERROR: Backup of VM (?P<failed>\d+) failed)"
)
# UPID:node:pid:start of the process:start:type:id:user: end status
_TASK = re.compile(
    r"^(?P<upid>UPID:[^:]+:[0-9A-F]+:[0-9A-F]+:(?P<start>[0-9A-F]{8}):vzdump:[^:]*:[^:]+:) "
    r"(?P<end>[0-9A-F]{8}) (?P<status>\S.*)$"
)
_JOB = re.compile(r"starting new backup job: vzdump.* --job-id '?(?P<job>[\w.-]+)")
# Backups that somebody starts, and jobs of Proxmox VE before 8.2.5, name no job.
NO_JOB = "none"


@dataclass(frozen=True)
class Ending:
    """How a run ended: for a guest (`key` is its VMID) or a job (its id), and when, in seconds since 1970."""

    key: str
    time: int
    ok: bool
    seconds: int = 0


def guest_endings(logs: Path) -> Iterator[Ending]:
    """How the last backup of each guest ended; one that still runs has none yet."""
    for path in sorted(logs.glob("*-*.log")):
        for line in path.read_text("utf-8", errors="replace").splitlines():
            if match := _END.match(line):
                ended = int(time.mktime(time.strptime(match["time"], "%Y-%m-%d %H:%M:%S")))
                hours, minutes, seconds = (int(part or 0) for part in match.group(4, 5, 6))
                took = hours * 3600 + minutes * 60 + seconds
                yield Ending(match["done"] or match["failed"], ended, match["ok"] is not None, took)


def job_endings(tasks: Path) -> Iterator[Ending]:
    """How each run in the task log ended, oldest first.

    `job errors` is what a run says in which single guests failed: those are told by their own logs.
    """
    for name in ("index.1", "index"):
        index = tasks / name
        lines = index.read_text("utf-8", errors="replace").splitlines() if index.is_file() else ()
        for line in lines:
            if match := _TASK.match(line):
                ok = match["status"] in ("OK", "job errors") or match["status"].startswith("WARNINGS")
                job = _job(tasks / match["start"][-1] / match["upid"])
                yield Ending(job, int(match["end"], 16), ok)


def _job(log: Path) -> str:
    """The job that a task belongs to, as its log says it in its first lines."""
    try:
        with log.open(encoding="utf-8", errors="replace") as file:
            head = file.read(4096)
    except OSError:
        return NO_JOB
    match = _JOB.search(head)
    return match["job"] if match else NO_JOB


Remembered = dict[str, dict[str, int]]


def remember(before: Remembered, endings: Iterator[Ending]) -> Remembered:
    """Last success, its duration, and last failure by key; what is in no log any more is forgotten."""
    now: Remembered = {}
    for ending in endings:
        entry = now.setdefault(ending.key, dict(before.get(ending.key, {})))
        what = "success" if ending.ok else "failure"
        if ending.time >= entry.get(what, 0):
            entry[what] = ending.time
            if ending.ok:
                entry["seconds"] = ending.seconds
    return now


def collect() -> Page:
    """The backups that this node made."""
    file = STATE / "backups.json"
    try:
        before = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        before = {}
    guests = remember(before.get("guests", {}), guest_endings(GUEST_LOGS))
    jobs = remember({}, job_endings(TASKS))
    write(file, json.dumps({"guests": guests}))
    page = Page()
    for kind, label, found in (("guest", "vm_id", guests), ("job", "backup_job", jobs)):
        for key, entry in sorted(found.items()):
            for what in ("success", "failure"):
                if what in entry:
                    name = f"vzdump_{kind}_last_{what}_timestamp_seconds"
                    page.add(name, f"End of the last backup that was a {what}.", entry[what], **{label: key})
            if kind == "guest" and "seconds" in entry:
                text = "How long the last backup took that was a success."
                page.add("vzdump_guest_last_success_duration_seconds", text, entry["seconds"], vm_id=key)
    return page


if __name__ == "__main__":
    sys.exit(run("backups", collect))
