from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.images.builder import LAST_LINES, base_images, build_context
from lab.images.errors import ImageBuildFailed


def ignore(_line: str) -> None:
    pass


def test_names_the_images_that_a_dockerfile_starts_from() -> None:
    dockerfile = """
        ARG BUSYBOX=busybox:1.37.0
        ARG PYTHON="python:3.13-slim"
        FROM ${BUSYBOX} AS tools
        FROM --platform=linux/amd64 $PYTHON AS base
        FROM base
        COPY --from=tools /bin/busybox /bin/
        FROM scratch
        FROM ${BUSYBOX}
    """.replace("        ", "")

    assert base_images(dockerfile) == ["busybox:1.37.0", "python:3.13-slim"]


def test_build_arguments_replace_the_defaults_of_base_images() -> None:
    dockerfile = "ARG PYTHON=python:3.13-slim\nFROM ${PYTHON}\n"

    assert base_images(dockerfile, {"PYTHON": "mirror.example.com/python:1"}) == [
        "mirror.example.com/python:1"
    ]


def test_streams_lines_without_colours_and_returns_the_id(daemon: Any, tmp_path: Path) -> None:
    daemon.build_events = [{"stream": "\x1b[91mone\x1b[0m\n\ntwo\n"}, {"aux": {"ID": "x"}}]
    lines: list[str] = []

    image = build_context(tmp_path, "trial:1", daemon, lines.append, buildargs={"VERSION": "1"})

    assert (image, lines) == ("sha256:trial:1", ["one", "two"])
    assert daemon.builds[0]["network_mode"] == "host"
    assert daemon.builds[0]["buildargs"]["VERSION"] == "1"


def test_passes_the_proxies_of_this_machine_on(
    daemon: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.com:3128")

    build_context(tmp_path, "trial:1", daemon, ignore)

    assert daemon.builds[0]["buildargs"]["HTTPS_PROXY"] == "http://proxy.example.com:3128"


def test_a_failed_build_shows_its_last_lines_and_where_to_look(daemon: Any, tmp_path: Path) -> None:
    lines = [{"stream": f"line {number}\n"} for number in range(LAST_LINES + 10)]
    daemon.build_events = [*lines, {"error": "returned a non-zero code: 2"}]

    with pytest.raises(ImageBuildFailed) as caught:
        build_context(tmp_path, "trial:1", daemon, ignore)

    message = str(caught.value)
    assert "trial:1 failed: returned a non-zero code: 2" in message
    assert f"line {LAST_LINES + 9}" in message
    assert "line 9\n" not in message
    assert str(tmp_path / "Dockerfile") in message
