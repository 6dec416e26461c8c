"""Compiling a program from its Go module with the Go toolchain of this machine."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import itertools
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.images.errors import ImageBuildFailed
from lab.images.process import stream

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "lab" / "go-bin"
_VERSION_PACKAGE = "github.com/prometheus/common/version"
_REPORT_EVERY = 100


@dataclass(frozen=True)
class GoModule:
    """A released Go module and the commands to compile of it.

    The recipe's folder holds a `go.mod` that requires the release and a `go.sum` with its checksum; what the
    program itself uses is pinned by its own. It may hold `overlay/`: files that the published module lacks,
    at the paths where its source expects them.

    Attributes:
        path: path of the module.
        commands: names of commands, and of the binaries.
        tags: Go build tags.
        packages: where the commands lie in the module; in `cmd/` unless it is said.
        parts: other modules whose source becomes a folder of this one: path and folder. What they import is
            pinned by this module's own go.mod.
        version_variable: what the program calls its version, if it isn't one of the Prometheus project; the
            value has a v.
    """

    path: str
    commands: tuple[str, ...]
    tags: tuple[str, ...]
    packages: tuple[str, ...] = ()
    parts: tuple[tuple[str, str], ...] = ()
    version_variable: str | None = None


def binaries(
    module: GoModule, recipe: Path, version: str, architecture: str, report: Callable[[str], None]
) -> list[Path]:
    """Return the compiled commands, from the cache if this recipe was compiled before.

    Args:
        module: what to compile.
        recipe: folder with `go.mod` and `go.sum`.
        version: what the binaries say of themselves, e.g. `3.13.5` (a Go module's version may differ).
        architecture: of the Docker daemon, in Go's words (`amd64`, `arm64`).
        report: takes progress, line by line.

    Raises:
        ImageBuildFailed: no Go toolchain, or the compiler's last lines.
    """
    folder = CACHE / f"{recipe.name}-{version}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        # Tests and commands may come here at the same time; the second one finds all done.
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _compiled(module, recipe, version, architecture, report)


def _compiled(
    module: GoModule, recipe: Path, version: str, architecture: str, report: Callable[[str], None]
) -> list[Path]:
    folder = CACHE / f"{recipe.name}-{version}"
    built = [folder / command for command in module.commands]
    stamp, stamp_file = _stamp(module, recipe, version, architecture), folder / "recipe"
    if stamp_file.is_file() and stamp_file.read_text() == stamp and all(path.is_file() for path in built):
        return built
    _require_go(recipe)
    shutil.rmtree(folder, ignore_errors=True)
    source = folder / "source"
    report(f"downloading {module.path}")
    shutil.copytree(_downloaded(module.path, recipe), source, copy_function=shutil.copyfile)
    for path, inside in module.parts:
        shutil.copytree(_downloaded(path, recipe), source / inside, copy_function=shutil.copyfile)
        # A folder with a go.mod is a module of its own.
        (source / inside / "go.mod").unlink()
    _writable(source)
    _overlay(recipe / "overlay", source)
    report(f"compiling {', '.join(module.commands)} {version}: a few minutes the first time")
    stream(
        _build_command(module, version, folder),
        _every(_REPORT_EVERY, lambda count, line: report(f"compiled {count} packages, {line}")),
        what=f"Compiling {module.path} {version}",
        advice=_toolchain_advice(recipe),
        cwd=source,
        env={"CGO_ENABLED": "0", "GOOS": "linux", "GOARCH": architecture, "GOWORK": "off"},
    )
    shutil.rmtree(source)
    stamp_file.write_text(stamp)
    return built


def _build_command(module: GoModule, version: str, target: Path) -> list[str]:
    said = {"Version": version, "Branch": "stand-in", "BuildUser": "lab/images"}
    variables = " ".join(f"-X {_VERSION_PACKAGE}.{name}={value}" for name, value in said.items())
    if module.version_variable is not None:
        variables = f"-X {module.version_variable}=v{version}"
    return [
        *("go", "build", "-v", "-trimpath", "-buildvcs=false", "-mod=readonly"),
        *("-tags", ",".join(module.tags)),
        *("-ldflags", f"-s -w {variables}"),
        *("-o", f"{target}/"),
        *(module.packages or (f"./cmd/{command}" for command in module.commands)),
    ]


def _every(step: int, say: Callable[[int, str], None]) -> Callable[[str], None]:
    """Return a taker of lines that passes on the number and text of every `step`-th one."""
    counter = itertools.count(1)

    def take(line: str) -> None:
        if (count := next(counter)) % step == 0:
            say(count, line)

    return take


def _downloaded(path: str, recipe: Path) -> Path:
    """Download a module, check it against `go.sum`, and return its folder in Go's read-only cache."""
    command = ["go", "mod", "download", "-json", path]
    done = subprocess.run(command, cwd=recipe, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ImageBuildFailed(
            f"{path} can't be downloaded.",
            _toolchain_advice(recipe),
            (done.stdout + done.stderr).splitlines(),
        )
    return Path(json.loads(done.stdout)["Dir"])


def _writable(folder: Path) -> None:
    for path in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        path.chmod(0o755)


def _overlay(overlay: Path, source: Path) -> None:
    """Add the recipe's own files to the source.

    Pages are added compressed: both web servers look for `.gz` files only.
    """
    for file in (path for path in overlay.rglob("*") if path.is_file()):
        target = source / file.relative_to(overlay)
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".html":
            target.with_name(f"{target.name}.gz").write_bytes(gzip.compress(file.read_bytes(), mtime=0))
        else:
            target.write_bytes(file.read_bytes())


def _stamp(module: GoModule, recipe: Path, version: str, architecture: str) -> str:
    digest = hashlib.sha256(repr((module, version, architecture)).encode())
    files = [recipe / "go.mod", recipe / "go.sum", *sorted((recipe / "overlay").rglob("*"))]
    for file in files:
        if file.is_file():
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _minimum_go(recipe: Path) -> str:
    found = re.search(r"^go (\S+)$", (recipe / "go.mod").read_text(), re.MULTILINE)
    return found[1] if found else "1.26"


def _toolchain_advice(recipe: Path) -> str:
    return (
        f"Go {_minimum_go(recipe)} or newer and a reachable Go module proxy (GOPROXY) are needed; "
        "with GOTOOLCHAIN=auto a Go from 1.21 on fetches the release it lacks."
    )


def _require_go(recipe: Path) -> None:
    if shutil.which("go") is None:
        raise ImageBuildFailed(
            f"The stand-in {recipe.name} is compiled from source, and this machine has no Go.",
            f"Install Go {_minimum_go(recipe)} or newer (Debian and Ubuntu: golang-go, Fedora: golang, "
            "macOS: brew install go), or make a registry of images reachable.",
        )
