"""The command that writes the installers for guests."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from components.render.tls import Server
from components.settings import Group
from components.topology import plan
from ops import guests
from ops.console import OpsError
from ops.pulumi_cli import ROOT
from ops.stack import Stack
from tests.support.examples import EXAMPLES, MINIMAL, settings
from tests.support.pki import PAIRS

PAIR = PAIRS[Group.GUESTS]
SERVER = Server(certificate=PAIR.certificate, key=PAIR.key, passwords="a-password")


def stack(name: str) -> Stack:
    values = settings(EXAMPLES[name])
    return Stack(name, values, plan(values))


def test_every_file_is_written_and_what_it_is_for_is_said(tmp_path: Path) -> None:
    written = guests.write(stack("production"), tmp_path / "guests" / "production", None)
    names = {path.name for path in written}
    assert names == {use.file for use in guests.USES} - {"-"}
    for path in written:
        assert "192.0.2.10" in path.read_text("utf-8")
        assert b"\r" not in path.read_bytes()
    assert (tmp_path / "guests" / "production" / "install-node-exporter.sh").stat().st_mode & 0o111


def test_the_same_settings_give_the_same_files() -> None:
    made = settings(EXAMPLES["production"])
    assert guests.files(made, SERVER) == guests.files(made, SERVER)


def test_no_secret_stands_in_a_file() -> None:
    for text in guests.files(settings(EXAMPLES["dev"]), None).values():
        assert "secure:" not in text
        assert "PRIVATE KEY" not in text
        assert "monitoring@pve" not in text


def test_files_that_hold_a_key_are_for_one_alone(tmp_path: Path) -> None:
    def modes() -> dict[str, int]:
        return {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}

    guests.write(stack("production"), tmp_path, None)
    assert set(modes().values()) == {0o644, 0o755}
    guests.write(stack("production"), tmp_path, SERVER)
    assert set(modes().values()) == {0o600, 0o700}
    for path in tmp_path.iterdir():
        assert "BEGIN PRIVATE KEY" in path.read_text("utf-8")
        assert "a-password" not in path.read_text("utf-8")


def test_what_the_site_puts_there_itself_is_not_in_the_files() -> None:
    exporters = {
        "windows": {"webConfigFile": "C:\\web.yml"},
        "linux": {"webConfigFile": "/etc/web.yml"},
        "monitoringAddresses": ["192.0.2.10"],
    }
    made = settings({**EXAMPLES["production"], "guestExporters": exporters})
    for text in guests.files(made, SERVER).values():
        assert "PRIVATE KEY" not in text
        assert "web.yml" in text


def test_who_does_not_know_where_prometheus_is_is_told_what_to_set() -> None:
    with pytest.raises(OpsError, match=r"guestExporters\.monitoringAddresses"):
        guests.files(settings(MINIMAL), None)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "guests").write_text("")
    with pytest.raises(OpsError, match="can't be written"):
        guests.write(stack("production"), tmp_path / "guests", None)


def test_git_leaves_them_alone_and_the_docs_are_there() -> None:
    ignored = subprocess.run(["git", "check-ignore", "-q", "build/guests/x/y.sh"], cwd=ROOT, check=False)
    assert ignored.returncode == 0
    text = (ROOT / guests.DOCS).read_text("utf-8")
    for use in guests.USES:
        assert use.file in text
