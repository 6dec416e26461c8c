"""Searches for secrets where none may stand, and tells which one was found where, never its value."""

from __future__ import annotations

import base64
import io
import os
import re
import stat
import tarfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

from components.settings import Secret

# What commands need in PYTHONPATH to note what their Python processes start and write.
NOTING = Path(__file__).with_name("noting")
# How often processes and temporary files are looked at while a command runs.
EVERY_S = 0.1
# With less of a secret than this nobody can do anything, and it may stand somewhere by chance.
_SHORTEST = 16


def _cores(value: str) -> list[str]:
    """The parts of a secret that stay as they are in URLs, JSON and YAML."""
    if "-----BEGIN" in value:
        # The last line of a key of an elliptic curve is of its public part.
        return [line for line in value.splitlines() if not line.startswith("-----")][:-1]
    text = urlsplit(value).path if value.startswith("http") else value
    return [part for part in re.split(r"[^A-Za-z0-9-]+", text) if len(part) >= _SHORTEST]


def _in_base64(core: bytes) -> Iterator[bytes]:
    """How it stands in base64 of something longer, at each of the three places where it can begin."""
    for before in range(3):
        text = base64.b64encode(b"\0" * before + core)
        # What depends on what stands before and after it.
        yield text[-(-before * 8 // 6) : (before + len(core)) * 8 // 6]


def forms(value: str) -> frozenset[bytes]:
    """Every spelling by which a secret is recognised.

    Raises:
        ValueError: it is too short to be told from anything else.
    """
    cores = [core.encode() for core in _cores(value)]
    if not cores:
        raise ValueError(f"a secret to search for has {_SHORTEST} letters, digits and dashes in a row")
    found = set(cores)
    for core in cores:
        for text in _in_base64(core):
            found |= {text, text.translate(bytes.maketrans(b"+/", b"-_"))}
        # A line of a key has plus signs and slashes.
        found |= {quote(core, safe="").encode(), core.replace(b"/", b"\\/"), core.hex().encode()}
    return frozenset(found)


@dataclass(frozen=True)
class Keeper:
    """Who may keep which secrets in files.

    Attributes:
        uid: owner of the files.
        widest: the mode that they may have at most.
        secrets: what may be in them.
    """

    uid: int
    widest: int
    secrets: frozenset[str]


@dataclass
class Search:
    """What was found so far.

    Attributes:
        values: what is searched for, by the names that are told.
        found: which secret, and where.
        places: how many places were looked at, by their first word.
    """

    values: Mapping[Secret, str] | Mapping[str, str] = field(repr=False)
    found: set[tuple[str, str]] = field(default_factory=set)
    places: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._forms = {secret: forms(value) for secret, value in self.values.items()}

    def within(self, content: bytes | str) -> set[str]:
        """Secrets that stand in it."""
        data = content.encode() if isinstance(content, str) else content
        return {secret for secret, known in self._forms.items() if any(text in data for text in known)}

    def look(self, where: str, content: bytes | str, allowed: Iterable[str] = ()) -> None:
        """Note what stands in it and isn't allowed to."""
        kind = where.partition(" ")[0]
        self.places[kind] = self.places.get(kind, 0) + 1
        self.found |= {(secret, where) for secret in self.within(content) - set(allowed)}

    def files(self, where: str, root: Path, *, since: float = 0.0, skip: Iterable[str] = ()) -> None:
        """The same for the files below a directory that were changed since a moment (seconds, Unix)."""
        for directory, names, files in os.walk(root):
            names[:] = [name for name in names if name not in skip]
            for name in files:
                path = Path(directory, name)
                with suppress(OSError):
                    if path.is_file() and not path.is_symlink() and path.stat().st_mtime >= since:
                        self.look(f"{where} {path.relative_to(root)}", path.read_bytes())

    def archive(self, where: str, content: bytes, keeper: Keeper | None = None) -> None:
        """The same for the files of a tar archive, of which a keeper's may hold what is theirs."""
        with tarfile.open(fileobj=io.BytesIO(content)) as members:
            for member in members:
                file = members.extractfile(member) if member.isfile() else None
                if file is None:
                    continue
                mode = stat.S_IMODE(member.mode)
                private = keeper is not None and member.uid == keeper.uid and not mode & ~keeper.widest
                known = keeper.secrets if keeper is not None and private else ()
                self.look(f"{where} {member.name} ({member.uid}, {mode:04o})", file.read(), known)

    def noted(self, notes: Path) -> None:
        """The same for what Python processes started, and for what they wrote and left, wherever it lies."""
        for line in notes.read_text("utf-8").splitlines():
            event, _, text = line.partition(" ")
            if event != "open":
                self.look(f"process that was started ({event})", text)
            elif Path(text).is_file():
                with suppress(OSError):
                    self.look(f"written and left: {text}", Path(text).read_bytes())

    @property
    def report(self) -> list[str]:
        """One line for each secret and place; empty where nothing was found."""
        return sorted(f"{secret} in {where}" for secret, where in self.found)

    @contextmanager
    def watching(self, temporary: Path, program: Iterable[str] = ("PULUMI_CONFIG",)) -> Iterator[None]:
        """Look at all processes and at a directory for temporary files while something runs.

        Args:
            temporary: the directory; a file there may hold secrets for its owner alone.
            program: variables by which the engine gives the program its configuration, secrets too. They are
                the user's own, who has the passphrase in the same environment.
        """
        over = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(over, temporary, tuple(program)))
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()
        self.files("temporary file that is left:", temporary)

    def _watch(self, over: threading.Event, temporary: Path, program: tuple[str, ...]) -> None:
        seen: set[int] = set()
        while not over.is_set():
            for process in Path("/proc").glob("[0-9]*"):
                for kind in ("cmdline", "environ"):
                    with suppress(OSError):
                        self._process(process, kind, (process / kind).read_bytes(), seen, program)
            for path in (path for path in temporary.rglob("*") if path.is_file()):
                with suppress(OSError):
                    if path.stat().st_mode & 0o077:
                        self.look(f"temporary file {path.name}, which others can read", path.read_bytes())
            over.wait(EVERY_S)

    def _process(
        self, process: Path, kind: str, content: bytes, seen: set[int], program: tuple[str, ...]
    ) -> None:
        # Most of them are as they were a moment ago.
        if hash(content) in seen:
            return
        seen.add(hash(content))
        words = content.split(b"\0")
        kept = [word for word in words if not word.startswith(tuple(f"{p}=".encode() for p in program))]
        name = ""
        with suppress(OSError):
            name = (process / "comm").read_text().strip()
        self.look(f"process {name}, {kind}", b"\0".join(kept))


def moment() -> float:
    """Now, less what a file system's clock may be behind."""
    return time.time() - 1
