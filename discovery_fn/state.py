"""What survives a restart: one file, written atomically, with a checksum; a damaged one is set aside."""

from __future__ import annotations

import hashlib
import logging
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from .logs import event
from .model import Facts, Guest, Node


@dataclass(frozen=True, slots=True)
class State:
    """All that is known about a cluster.

    Attributes:
        version: Raised whenever older files can't be read any more.
        saved_at: Unix time of writing.
        saved_clock: The event loop's clock at the same moment; all times in `facts` are of that clock.
        success_at: Unix time of the last good refresh.
    """

    version: Literal[1]
    cluster: str
    saved_at: float
    saved_clock: float
    success_at: float
    complete: bool
    guests: tuple[Guest, ...]
    facts: dict[int, Facts]
    nodes: tuple[Node, ...]
    storages: dict[str, str]
    gpus: dict[str, frozenset[str]] = field(default_factory=dict)
    mappings: dict[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    endpoint_nodes: dict[str, str] = field(default_factory=dict)


_ADAPTER = TypeAdapter(State)


def _sealed(content: bytes) -> bytes:
    """Add a checksum: a changed digit makes a wrong address, or a guest that is never asked again."""
    checksum = hashlib.blake2b(content, digest_size=16).hexdigest().encode()
    return b'{"blake2b":"%b","state":%b}' % (checksum, content)


_BEFORE_STATE = len(_sealed(b"")) - 1


def _unsealed(data: bytes) -> bytes:
    content = data[_BEFORE_STATE:-1]
    if _sealed(content) != data:
        raise ValueError("the checksum is wrong")
    return content


def rebased(state: State, wall: float, clock: float) -> State:
    """Move all times to this process's clock; a wall clock that was set back counts as no time at all."""
    elapsed = max(0.0, wall - state.saved_at)
    shift = clock - elapsed - state.saved_clock
    facts = {vmid: _shifted(entry, shift) for vmid, entry in state.facts.items()}
    return replace(state, facts=facts, saved_at=wall, saved_clock=clock)


def _shifted(facts: Facts, shift: float) -> Facts:
    return replace(
        facts,
        config_due=facts.config_due + shift,
        agent_due=facts.agent_due + shift,
        seen_at=facts.seen_at + shift,
        alive_at=facts.alive_at + shift,
    )


class StateFile:
    """The file `state.json` in a directory; without a directory nothing is kept."""

    def __init__(self, directory: Path | None) -> None:
        self.path = directory / "state.json" if directory else None

    def load(self) -> State | None:
        """Return what was saved; None where nothing is, or nothing that can be read."""
        if self.path is None:
            return None
        try:
            return _ADAPTER.validate_json(_unsealed(self.path.read_bytes()))
        except FileNotFoundError:
            return None
        except OSError as error:
            event(logging.WARNING, "state file can't be read; starting without it", error=error.strerror)
            return None
        except ValueError:  # no state of this version, or not as it was written
            self._set_aside()
            return None

    def _set_aside(self) -> None:
        if self.path is None:
            return
        aside = self.path.with_suffix(".json.damaged")
        event(
            logging.WARNING,
            "state file is damaged or of another version; set aside and rebuilt from the cluster",
            kept_as=aside,
        )
        try:
            self.path.replace(aside)
        except OSError as problem:
            event(logging.WARNING, "damaged state file can't be set aside", error=problem.strerror)

    def save(self, state: State) -> None:
        """Replace the file in one step.

        Raises:
            OSError: The directory is missing, full or not writable.
        """
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(".json.new")
        with draft.open("wb") as file:
            file.write(_sealed(_ADAPTER.dump_json(state)))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)
