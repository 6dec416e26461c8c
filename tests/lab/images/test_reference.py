from __future__ import annotations

import pytest

from lab.images.errors import ImageUnavailable
from lab.images.reference import parse

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("busybox", ("busybox", "docker.io", "busybox", "latest", None)),
        ("busybox:1.37.0", ("busybox", "docker.io", "busybox", "1.37.0", None)),
        ("prom/am:v0.34.2", ("prom/am", "docker.io", "prom/am", "v0.34.2", None)),
        (f"prom/am@{DIGEST}", ("prom/am", "docker.io", "prom/am", None, DIGEST)),
        (f"prom/am:v1@{DIGEST}", ("prom/am", "docker.io", "prom/am", "v1", DIGEST)),
        ("m.example.com/a/b:1", ("m.example.com/a/b", "m.example.com", "a/b", "1", None)),
        ("mirror:5000/a/b", ("mirror:5000/a/b", "mirror:5000", "a/b", "latest", None)),
        ("localhost/a:1", ("localhost/a", "localhost", "a", "1", None)),
    ],
)
def test_takes_references_apart(text: str, parts: tuple[str | None, ...]) -> None:
    reference = parse(text)

    assert (reference.name, reference.registry, reference.path, reference.tag, reference.digest) == parts
    assert reference.version == (reference.digest or reference.tag)


@pytest.mark.parametrize("text", ["", "https://example.com/a:1", "a@1234", " a:1", "-a.example.com/b:1"])
def test_refuses_what_is_no_reference(text: str) -> None:
    with pytest.raises(ImageUnavailable, match="not an image reference"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "repository", "same"),
    [
        ("prom/prometheus:v3", "prom/prometheus", True),
        ("mirror.example.com/prom/prometheus:v3", "prom/prometheus", True),
        ("mirror.example.com/hub/prom/prometheus:v3", "prom/prometheus", True),
        ("example.com/notprom/prometheus:v3", "prom/prometheus", False),
        ("prom/prometheus-fork:v3", "prom/prometheus", False),
        ("python:3.13-slim", "python", True),
        ("docker.io/library/python:3.13-slim", "python", True),
        ("mirror.example.com/hub/library/python:3.13-slim", "python", True),
        ("somebody/python:3.13-slim", "python", False),
    ],
)
def test_finds_the_repository_behind_a_prefix(text: str, repository: str, same: bool) -> None:
    assert parse(text).is_repository(repository) is same
