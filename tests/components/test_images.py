"""The table of images and how a mirror or a digest changes what is used."""

from __future__ import annotations

import pytest

from components.images import (
    CONFIG_WRITER,
    DEFAULT_REFERENCES,
    USERS,
    Service,
    problem_with_reference,
    resolve,
)

DIGEST = "sha256:" + "0" * 64


def test_every_default_is_pinned_by_an_exact_tag() -> None:
    assert [r for r in DEFAULT_REFERENCES.values() if problem_with_reference(r)] == []
    assert [r for r in DEFAULT_REFERENCES.values() if r.count(".") < 1] == []


def test_every_service_has_a_user_that_is_not_root() -> None:
    assert set(USERS) == set(Service)
    assert all(uid > 0 for uid, _ in USERS.values())


@pytest.mark.parametrize(
    "reference",
    [
        "prom/prometheus:v3.13.5",
        "registry.example.com:5000/a/b:1",
        f"prom/prometheus@{DIGEST}",
        f"grafana/grafana:13.2.3@{DIGEST}",
    ],
)
def test_pinned_references_are_accepted(reference: str) -> None:
    assert problem_with_reference(reference) is None


@pytest.mark.parametrize(
    "reference", ["prom/prometheus", "prom/prometheus:latest", "UPPER:1", "a b:1", "a@sha256:12", ""]
)
def test_other_references_are_not(reference: str) -> None:
    assert problem_with_reference(reference)


def test_a_mirror_stands_before_the_defaults_only() -> None:
    assert (
        resolve(Service.GRAFANA, "mirror.example.com/hub/", {})
        == "mirror.example.com/hub/grafana/grafana:13.2.3"
    )
    assert resolve(CONFIG_WRITER, "mirror.example.com", {}) == "mirror.example.com/library/busybox:1.37.0"
    given: dict[str, str] = {Service.GRAFANA: f"grafana/grafana@{DIGEST}"}
    assert resolve(Service.GRAFANA, "mirror.example.com", given) == given[Service.GRAFANA]
