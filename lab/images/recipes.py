"""How each stand-in is made: a table of repositories, the tag that each recipe builds, and what it lacks.

A recipe builds one tag. To move it to another release, change its `tag` here and, beside its Dockerfile,

- of a Go module: `go mod edit -require <module>@<version>`, empty `go.sum`, `go mod download <module>`;
- of a Python package: `requirements.in`, and the lock by the command that is written there.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from docker.utils import exclude_paths

from lab.images.builder import base_images
from lab.images.debian import PACKAGES, SUITE, root_file_system
from lab.images.gomodule import GoModule, binaries
from lab.images.reference import Reference
from lab.preview import bundle

FOLDER = Path(__file__).resolve().parent
STAND_IN_LABEL = "org.pve-monitoring.stand-in"
RECIPE_LABEL = "org.pve-monitoring.stand-in.recipe"
"""Label with the digest of the recipe that a stand-in was built by: another digest means it is outdated."""
# Written by running from the folder or by a checkout's tools, never part of a recipe.
_NOT_CONTEXT = ["**/__pycache__", "**/*.pyc", "**/.*_cache"]

Report = Callable[[str], None]
Prepare = Callable[["Recipe", Path, str, Report], None]


@dataclass(frozen=True)
class Recipe:
    """A stand-in that can be built.

    Attributes:
        repository: the image on Docker Hub whose place it takes, e.g. `prom/prometheus`.
        tag: the one tag that it is a stand-in for.
        folder: the build context, with its Dockerfile.
        contents: what is in it, for the label that describes it.
        lacks: how it differs from the real image, for the same label.
        inputs: everything beside the folder that decides what `prepare` makes, so that the digest shows it.
        prepare: adds to a copy of the context what can't be kept in a repository; its arguments are the
            recipe, the copy, the architecture of the Docker daemon, and where progress goes.
    """

    repository: str
    tag: str
    folder: Path
    contents: str
    lacks: str
    inputs: str = ""
    prepare: Prepare | None = None

    @property
    def version(self) -> str:
        """The tag as a version number, e.g. `3.13.5` for `v3.13.5`."""
        return self.tag.removeprefix("v")

    def labels(self) -> dict[str, str]:
        """Return the labels that tell a stand-in from the real image."""
        return {
            STAND_IN_LABEL: "true",
            RECIPE_LABEL: self.digest(),
            "org.opencontainers.image.title": f"{self.repository} (stand-in)",
            "org.opencontainers.image.version": self.version,
            "org.opencontainers.image.description": (
                f"Built on this machine because no registry gave {self.repository}:{self.tag}. "
                f"It is {self.contents}. It is not the upstream image: {self.lacks}."
            ),
        }

    def digest(self) -> str:
        """Return a digest of the context's files, the description, and the recipes that it is based on."""
        facts = (self.repository, self.tag, self.contents, self.lacks, self.inputs)
        total = hashlib.sha256(repr(facts).encode())
        for path in self._context_files():
            total.update(f"\n{path.relative_to(self.folder)}\n".encode())
            total.update(path.read_bytes())
        for base in self.bases():
            below = named(base)
            total.update(f"\n{base} {below.digest() if below else ''}".encode())
        return total.hexdigest()

    def bases(self) -> list[str]:
        """Return the images that its Dockerfile starts from."""
        return base_images((self.folder / "Dockerfile").read_text())

    @contextmanager
    def context(self, architecture: str, report: Report) -> Iterator[Path]:
        """Yield a complete build context for the time of the build."""
        with tempfile.TemporaryDirectory(prefix="stand-in-") as name:
            copy = Path(name)
            for path in self._context_files():
                target = copy / path.relative_to(self.folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, target)
            if self.prepare is not None:
                self.prepare(self, copy, architecture, report)
            yield copy

    def _context_files(self) -> list[Path]:
        ignore = self.folder / ".dockerignore"
        patterns = [*_NOT_CONTEXT, *(ignore.read_text().splitlines() if ignore.is_file() else [])]
        paths = (self.folder / name for name in sorted(exclude_paths(str(self.folder), patterns)))
        return [path for path in paths if path.is_file()]


def _add_root_file_system(_recipe: Recipe, context: Path, _architecture: str, report: Report) -> None:
    root_file_system(context / "rootfs.tar", report)


def _add_binaries(module: GoModule, recipe: Recipe, context: Path, architecture: str, report: Report) -> None:
    for binary in binaries(module, recipe.folder, recipe.version, architecture, report):
        shutil.copy2(binary, context / binary.name)


def _add_preview(_recipe: Recipe, context: Path, _architecture: str, report: Report) -> None:
    """Add the page that draws dashboards; an empty folder where there is no node, or no package for it."""
    folder = context / "preview"
    try:
        bundle.ensure(bundle.builders(), report)
    except bundle.PreviewUnavailable as reason:
        report(f"without drawings of dashboards: {reason}")
        folder.mkdir()
    else:
        shutil.copytree(bundle.PAGE, folder)


_PROMETHEUS = GoModule(
    path="github.com/prometheus/prometheus",
    commands=("prometheus", "promtool"),
    # The discovery of every cloud is most of the program; files and static targets are always in it.
    tags=("netgo", "builtinassets", "remove_all_sd", "enable_http_sd", "enable_dns_sd"),
)
_ALERTMANAGER = GoModule(
    path="github.com/prometheus/alertmanager", commands=("alertmanager", "amtool"), tags=("netgo",)
)
CADDY = GoModule(
    path="github.com/caddyserver/caddy/v2",
    commands=("caddy",),
    # As upstream builds it.
    tags=("nobadger", "nomysql", "nopgx"),
    parts=(("github.com/mholt/caddy-ratelimit", "modules/caddyratelimit"),),
    version_variable="github.com/caddyserver/caddy/v2.CustomVersion",
)
CADDY_TAG = "2.11.9"

RECIPES: tuple[Recipe, ...] = (
    Recipe(
        repository="python",
        tag="3.13-slim",
        folder=FOLDER / "python",
        contents="Debian trixie with Debian's Python 3.13, pip, and the CA certificates of this machine",
        lacks="Python is /usr/bin/python3 with a virtual environment over /usr/local",
        inputs=f"{SUITE} {PACKAGES}",
        prepare=_add_root_file_system,
    ),
    Recipe(
        repository="busybox",
        tag="1.37.0",
        folder=FOLDER / "busybox",
        contents="Debian's busybox-static and its applets",
        lacks="the choice of applets is Debian's",
    ),
    Recipe(
        repository="prom/prometheus",
        tag="v3.13.5",
        folder=FOLDER / "prometheus",
        contents="Prometheus and promtool, compiled from the Go module of that release",
        lacks="a small page is in place of the web interface, and of the service discoveries only http, dns, "
        "file and static are compiled in",
        inputs=repr(_PROMETHEUS),
        prepare=partial(_add_binaries, _PROMETHEUS),
    ),
    Recipe(
        repository="prom/alertmanager",
        tag="v0.34.2",
        folder=FOLDER / "alertmanager",
        contents="Alertmanager and amtool, compiled from the Go module of that release",
        lacks="a small page is in place of the web interface",
        inputs=repr(_ALERTMANAGER),
        prepare=partial(_add_binaries, _ALERTMANAGER),
    ),
    Recipe(
        repository="prompve/prometheus-pve-exporter",
        tag="3.10.0",
        folder=FOLDER / "pve_exporter",
        contents="the Python package prometheus-pve-exporter of that release with locked dependencies",
        lacks="Debian is below it instead of Alpine, and there is no init process",
    ),
    Recipe(
        repository="caddy",
        tag=CADDY_TAG,
        folder=FOLDER / "caddy",
        contents="Caddy, compiled from the Go module of that release with caddy-ratelimit",
        lacks="Debian is below it instead of Alpine, the binary has a module more than upstream's, and no "
        "capability to listen on low ports",
        inputs=repr(CADDY),
        prepare=partial(_add_binaries, CADDY),
    ),
    Recipe(
        repository="caddy",
        tag=f"{CADDY_TAG}-builder",
        folder=FOLDER / "caddy_builder",
        contents="the stand-in of Caddy, and an xcaddy that copies it",
        lacks="it compiles nothing: the one set of modules that the platform uses is in it",
    ),
    Recipe(
        repository="grafana/grafana",
        tag="13.2.3",
        folder=FOLDER / "grafana",
        contents="a double of the HTTP API of Grafana that the stack and its health checks use, and a page "
        "that draws dashboards",
        lacks="of Grafana's own code only the components that draw run, in the browser",
        inputs=bundle.inputs(),
        prepare=_add_preview,
    ),
)


def for_repository(reference: Reference) -> Recipe | None:
    """Return the recipe for the repository that a reference names, of its tag if there are several.

    None if there is none; else it may be for another tag.
    """
    found = [
        recipe
        for recipe in RECIPES
        if reference.is_repository(recipe.repository) and (recipe.folder / "Dockerfile").is_file()
    ]
    return next((recipe for recipe in found if recipe.tag == reference.tag), next(iter(found), None))


def named(text: str) -> Recipe | None:
    """Return the recipe for exactly `repository:tag`, None if there is none."""
    return next((recipe for recipe in RECIPES if f"{recipe.repository}:{recipe.tag}" == text), None)
