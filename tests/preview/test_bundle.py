from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from lab.preview import bundle
from lab.preview.bundle import PreviewUnavailable


def test_what_is_missing_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/npm" if name == "npm" else None)
    with pytest.raises(PreviewUnavailable, match=r"needs nodejs, chromium \(node from 20.19 on\)") as error:
        bundle.programs()
    assert str(error.value).endswith("apt-get install nodejs chromium")
    with pytest.raises(PreviewUnavailable, match="apt-get install nodejs"):
        bundle.builders()
    assert bundle.inputs() == ""


def test_an_old_node_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    answer = subprocess.CompletedProcess(["node"], 0, "v18.20.4\n", "")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: answer)
    with pytest.raises(PreviewUnavailable, match=r"node is v18.20.4; .* 20\.19 or newer"):
        bundle.builders()


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A preview with two source files."""
    monkeypatch.setattr(bundle, "FOLDER", tmp_path)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.ts").write_text("1", "utf-8")
    (tmp_path / "package.json").write_text("{}", "utf-8")
    return tmp_path


def test_every_change_of_a_source_changes_the_digest(sources: Path) -> None:
    names = ("src", "package.json")
    digests = [bundle.digest(names)]
    (sources / "src" / "a.ts").write_text("2", "utf-8")
    digests.append(bundle.digest(names))
    (sources / "src" / "a.ts").rename(sources / "src" / "b.ts")
    digests.append(bundle.digest(names))
    (sources / "package.json").unlink()
    digests.append(bundle.digest(names))
    assert len(set(digests)) == 4


def test_a_failing_npm_is_told_with_its_last_words(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "_INSTALLED", sources / "node_modules" / ".installed-from")
    script = sources / "npm"
    script.write_text("#!/bin/sh\necho 'no network' >&2\nexit 1\n", "utf-8")
    script.chmod(0o755)
    said: list[str] = []
    with pytest.raises(PreviewUnavailable, match=r"npm ci failed in .*:\nno network"):
        bundle.ensure(bundle.Builders("node", str(script)), said.append)
    assert said[0].startswith("npm ci")


def test_the_lock_names_no_host() -> None:
    lock = (Path(bundle.__file__).parent / "package-lock.json").read_text("utf-8")
    assert '"resolved"' not in lock
    assert "AGPL" not in lock
