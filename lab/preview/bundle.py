"""The page that draws and the program that takes pictures: built when their sources have changed."""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
DIST = FOLDER / "dist"
PAGE = DIST / "page"
SHOT = DIST / "shot" / "main.js"

_SOURCES = (
    "src",
    "shot",
    "index.html",
    "package.json",
    "package-lock.json",
    "vite.config.ts",
    "vite.shot.config.ts",
)
_LOCKS = ("package.json", "package-lock.json")
# Which sources the build was made of, and which lock the modules were installed from.
_BUILT = DIST / ".sources"
_INSTALLED = FOLDER / "node_modules" / ".installed-from"

_LOCK = ".building"
_OLDEST_NODE = (20, 19)
_CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_TIMEOUT_S = 900

Report = Callable[[str], None]


class PreviewUnavailable(Exception):  # noqa: N818 - says what is the case
    """A program that the preview needs is missing, or building it failed; the message says what to do."""


@dataclass(frozen=True)
class Builders:
    """What the preview is built with."""

    node: str
    npm: str


@dataclass(frozen=True)
class Programs(Builders):
    """What pictures are taken with."""

    chromium: str


def builders() -> Builders:
    """Find node and npm.

    Raises:
        PreviewUnavailable: naming what is missing, and what to install.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise PreviewUnavailable(_missing({"nodejs": node, "npm": npm}))
    _check_version(node)
    return Builders(node, npm)


def programs() -> Programs:
    """Find node, npm and a Chromium.

    Raises:
        PreviewUnavailable: naming all that is missing, and what to install.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    chromium = next(filter(None, map(shutil.which, _CHROMIUMS)), None)
    if node is None or npm is None or chromium is None:
        raise PreviewUnavailable(_missing({"nodejs": node, "npm": npm, "chromium": chromium}))
    _check_version(node)
    return Programs(node, npm, chromium)


def _missing(found: Mapping[str, str | None]) -> str:
    names = [name for name, path in found.items() if path is None]
    oldest = ".".join(map(str, _OLDEST_NODE))
    return (
        f"drawing dashboards needs {', '.join(names)} (node from {oldest} on); on Debian and Ubuntu: "
        f"apt-get install {' '.join(names)}"
    )


def _check_version(node: str) -> None:
    text = _run([node, "--version"]).stdout.strip()
    found = re.match(r"v(\d+)\.(\d+)", text)
    if found is None or (int(found[1]), int(found[2])) < _OLDEST_NODE:
        oldest = ".".join(map(str, _OLDEST_NODE))
        raise PreviewUnavailable(f"node is {text}; pictures of dashboards need {oldest} or newer")


def ensure(found: Builders, report: Report) -> None:
    """Install the packages of the lock and build, as far as something has changed since last time.

    Raises:
        PreviewUnavailable: one of the two failed; with its last words.
    """
    with (FOLDER / _LOCK).open("w") as lock:
        # Tests and commands may come here at the same time; the second one finds all done.
        fcntl.flock(lock, fcntl.LOCK_EX)
        _ensure(found, report)


def _ensure(found: Builders, report: Report) -> None:
    packages, sources = digest(_LOCKS), digest(_SOURCES)
    if _text(_INSTALLED) != packages:
        report("npm ci: packages of the preview (about 500 MB in lab/preview/node_modules)")
        _npm(found, "ci", "--no-audit", "--no-fund")
        _INSTALLED.write_text(packages, "utf-8")
    if _text(_BUILT) != sources:
        report("building the preview")
        _npm(found, "run", "build")
        _BUILT.write_text(sources, "utf-8")


def inputs() -> str:
    """What decides how the built page looks: a digest of its sources; empty where it can't be built."""
    try:
        builders()
    except PreviewUnavailable:
        return ""
    return digest(_SOURCES)


def digest(names: tuple[str, ...]) -> str:
    """A digest of files and folders of the preview."""
    total = hashlib.sha256()
    for name in names:
        path = FOLDER / name
        files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        for file in files:
            total.update(f"{file.relative_to(FOLDER)}\n".encode())
            total.update(file.read_bytes() if file.is_file() else b"")
    return total.hexdigest()


def _text(path: Path) -> str:
    return path.read_text("utf-8") if path.is_file() else ""


def _npm(found: Builders, *words: str) -> None:
    result = _run([found.npm, *words])
    if result.returncode != 0:
        last = (result.stdout + result.stderr)[-3000:]
        raise PreviewUnavailable(f"npm {words[0]} failed in {FOLDER}:\n{last}")


def _run(words: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, cwd=FOLDER, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S)
