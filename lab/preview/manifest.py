"""The pictures in docs/pictures: which dashboards, and which state of them, they show."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_NAME = "manifest.json"


@dataclass(frozen=True)
class Shown:
    """A picture of the documentation: its file, the dashboard's uid and JSON."""

    file: str
    uid: str
    dashboard: Path


def write(folder: Path, shown: Sequence[Shown]) -> None:
    """Note what each picture was drawn from."""
    entries = {one.file: {"dashboard": one.uid, "sha256": _digest(one.dashboard)} for one in shown}
    text = json.dumps(entries, indent=2, sort_keys=True) + "\n"
    (folder / _NAME).write_text(text, "utf-8")


def stale(folder: Path, shown: Sequence[Shown]) -> list[str]:
    """Say what is wrong with the pictures: missing, superfluous, or older than their dashboards."""
    known = _read(folder)
    wanted = {one.file: one for one in shown}
    problems = [f"{name} belongs to no dashboard" for name in sorted(known.keys() - wanted.keys())]
    for name, one in sorted(wanted.items()):
        if name not in known or not (folder / name).is_file():
            problems.append(f"{name} is missing")
        elif known[name].get("sha256") != _digest(one.dashboard):
            problems.append(f"{name} is older than the dashboard {one.uid}")
    return problems


def _read(folder: Path) -> Mapping[str, Mapping[str, str]]:
    path = folder / _NAME
    if not path.is_file():
        return {}
    entries: Mapping[str, Mapping[str, str]] = json.loads(path.read_text("utf-8"))
    return entries


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
