from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from lab.images import debian
from lab.images.errors import ImageBuildFailed


def ignore(_line: str) -> None:
    pass


@pytest.mark.parametrize(
    ("targets", "mirror"),
    [
        (
            (
                "Packages Debian-Security main http://mirror.example.com/debian-security/\n"
                "DEP-11 Debian main http://wrong.example.com/debian/\n"
                "Packages Debian contrib http://wrong.example.com/debian/\n"
                "Packages Debian main http://mirror.example.com/debian/\n"
            ),
            "http://mirror.example.com/debian/",
        ),
        ("Packages $(LABEL) main http://mirror.example.com/debian\n", "http://mirror.example.com/debian"),
        ("Packages Ubuntu main http://mirror.example.com/ubuntu/\n", None),
        ("Packages $(LABEL) main http://mirror.example.com/apt\n", None),
        ("", None),
    ],
)
def test_finds_debians_archive_among_apts_sources(targets: str, mirror: str | None) -> None:
    assert debian.mirror_among(targets) == mirror


def test_a_named_mirror_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(debian.MIRROR_VARIABLE, "http://mirror.example.com/debian")

    assert debian.debian_mirror() == "http://mirror.example.com/debian"


def test_says_that_root_is_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(ImageBuildFailed, match="as root"):
        debian.root_file_system(tmp_path / "rootfs.tar", ignore)


def test_says_that_debootstrap_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda _name: None)

    with pytest.raises(ImageBuildFailed, match="Install the package debootstrap"):
        debian.root_file_system(tmp_path / "rootfs.tar", ignore)
