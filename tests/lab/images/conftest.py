"""A Docker daemon that only remembers, and recipes that need no network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import ImageNotFound

from lab.images import recipes
from lab.images.recipes import Recipe

Answer = Callable[[str], Iterator[dict[str, Any]]]


class FakeDaemon:
    """The part of docker.DockerClient that lab.images uses.

    `answers` maps a registry-side name to what pulling it yields (or raises); everything else is unreachable.
    """

    def __init__(self) -> None:
        self.local: dict[str, dict[str, str]] = {}
        self.answers: dict[str, Answer] = {}
        self.pulls: list[str] = []
        self.builds: list[dict[str, Any]] = []
        self.build_events: list[dict[str, str]] = [{"stream": "Step 1/1 : FROM scratch\n"}]
        self.images = SimpleNamespace(get=self._get)
        self.api = SimpleNamespace(pull=self._pull, build=self._build)

    def version(self) -> dict[str, str]:
        return {"Arch": "amd64"}

    def _get(self, name: str) -> SimpleNamespace:
        if name not in self.local:
            raise ImageNotFound(f"No such image: {name}")
        return SimpleNamespace(id=f"sha256:{name}", labels=self.local[name])

    def _pull(self, name: str, *, tag: str, stream: bool, decode: bool) -> Iterator[dict[str, Any]]:
        assert stream
        assert decode
        reference = f"{name}@{tag}" if tag.startswith("sha256:") else f"{name}:{tag}"
        self.pulls.append(reference)
        yield from self.answers.get(reference, no_such_host)(reference)
        self.local[reference] = {}

    def _build(self, *, path: str, tag: str, labels: dict[str, str], **rest: Any) -> Iterator[dict[str, str]]:
        files = {str(file.relative_to(path)) for file in Path(path).rglob("*") if file.is_file()}
        self.builds.append({"tag": tag, "labels": labels, "files": files, **rest})
        yield from self.build_events
        self.local[tag] = labels


def no_such_host(_reference: str) -> Iterator[dict[str, Any]]:
    yield {
        "error": 'Get "https://registry.example.com/v2/": dial tcp: lookup registry.example.com: no such host'
    }


@pytest.fixture
def daemon() -> FakeDaemon:
    return FakeDaemon()


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Recipe]:
    """Two recipes: python from scratch, and prom/prometheus with a generated binary on top of it."""

    def add_binary(_recipe: Recipe, context: Path, architecture: str, report: Callable[[str], None]) -> None:
        report("compiling")
        (context / f"prometheus-{architecture}").write_text("ELF")

    def recipe(repository: str, tag: str, dockerfile: str, **rest: Any) -> Recipe:
        folder = tmp_path / repository.replace("/", "-")
        folder.mkdir()
        (folder / "Dockerfile").write_text(dockerfile)
        return Recipe(repository, tag, folder, contents="a test", lacks="everything", **rest)

    table = {
        "python": recipe("python", "3.13-slim", "FROM scratch\n"),
        "prometheus": recipe(
            "prom/prometheus",
            "v3.13.5",
            "ARG PYTHON=python:3.13-slim\nFROM ${PYTHON}\nCOPY prometheus-amd64 /bin/\n",
            prepare=add_binary,
        ),
    }
    monkeypatch.setattr(recipes, "RECIPES", tuple(table.values()))
    return table
