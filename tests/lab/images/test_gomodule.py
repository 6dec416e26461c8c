from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from lab.images import gomodule
from lab.images.errors import ImageBuildFailed
from lab.images.gomodule import GoModule, binaries

MODULE = GoModule(path="example.com/program", commands=("program", "tool"), tags=("netgo",))

# Plays `go`: downloads a module without its web page, and compiles by writing what it saw.
FAKE_GO = """#!/bin/sh
echo "$@" >> "$CALLS"
case "$1" in
  mod) echo "{\\"Dir\\": \\"$MODULE_CACHE\\"}" ;;
  build)
    echo example.com/program
    [ -e "$FAIL" ] && { echo "undefined: x"; exit 1; }
    while [ "$1" != -o ]; do shift; done
    echo "$GOOS/$GOARCH" > "$2/program"
    cp ui/dist/index.html.gz "$2/tool" ;;
esac
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe with an overlay, a read-only module cache, and a `go` that needs no network."""
    folder = tmp_path / "program"
    (folder / "overlay/ui/dist").mkdir(parents=True)
    (folder / "overlay/ui/dist/index.html").write_text("<p>stand-in</p>")
    (folder / "go.mod").write_text("module example.org/x\n\ngo 1.26.0\n")
    (folder / "go.sum").write_text("sums\n")
    module_cache, tools = tmp_path / "modcache", tmp_path / "bin"
    (module_cache / "ui").mkdir(parents=True)
    (module_cache / "ui" / "web.go").write_text("package ui")
    (module_cache / "ui").chmod(0o555)
    tools.mkdir()
    (tools / "go").write_text(FAKE_GO)
    (tools / "go").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setenv("MODULE_CACHE", str(module_cache))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("FAIL", str(tmp_path / "fail"))
    monkeypatch.setattr(gomodule, "CACHE", tmp_path / "cache")
    return folder


def ignore(_line: str) -> None:
    pass


def calls(recipe: Path) -> list[str]:
    return (recipe.parent / "calls").read_text().splitlines()


def test_compiles_the_commands_with_the_recipes_own_files(recipe: Path) -> None:
    program, tool = binaries(MODULE, recipe, "3.1.4", "arm64", ignore)

    assert program.read_text() == "linux/arm64\n"
    assert gzip.decompress(tool.read_bytes()) == b"<p>stand-in</p>"
    download, build = calls(recipe)
    assert download == "mod download -json example.com/program"
    assert "-X github.com/prometheus/common/version.Version=3.1.4" in build
    assert build.endswith("./cmd/program ./cmd/tool")
    assert not (program.parent / "source").exists()


def test_compiles_once(recipe: Path) -> None:
    first = binaries(MODULE, recipe, "3.1.4", "amd64", ignore)

    assert binaries(MODULE, recipe, "3.1.4", "amd64", ignore) == first
    assert len(calls(recipe)) == 2


@pytest.mark.parametrize("changed", ["go.sum", "overlay/ui/dist/index.html"])
def test_compiles_again_when_the_recipe_changes(recipe: Path, changed: str) -> None:
    binaries(MODULE, recipe, "3.1.4", "amd64", ignore)
    (recipe / changed).write_text("other")

    binaries(MODULE, recipe, "3.1.4", "amd64", ignore)

    assert len(calls(recipe)) == 4


def test_a_failure_shows_the_compilers_words_and_the_needed_go(recipe: Path) -> None:
    (recipe.parent / "fail").touch()

    with pytest.raises(ImageBuildFailed, match=r"(?s)status 1.*undefined: x.*Go 1\.26\.0 or newer"):
        binaries(MODULE, recipe, "3.1.4", "amd64", ignore)


def test_says_which_package_has_go(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(recipe))

    with pytest.raises(ImageBuildFailed, match=r"Install Go 1\.26\.0 or newer.*golang-go"):
        binaries(MODULE, recipe, "3.1.4", "amd64", ignore)
