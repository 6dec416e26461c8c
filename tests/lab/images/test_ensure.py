from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.images import ImageBuildFailed, ImageResult, ImageUnavailable, Origin, build, ensure, ensure_all
from lab.images.recipes import RECIPE_LABEL, STAND_IN_LABEL, Recipe

PROMETHEUS = "prom/prometheus:v3.13.5"
DIGEST = "sha256:" + "0" * 64


def ignore(_line: str) -> None:
    pass


def given(_reference: str) -> Iterator[dict[str, Any]]:
    yield {"status": "Pull complete", "id": "aa"}


def no_such_tag(_reference: str) -> Iterator[dict[str, Any]]:
    yield {"error": "manifest for prom/prometheus:v3.13.5 not found: manifest unknown"}


def test_a_present_image_is_taken_as_it_is(daemon: Any, shelf: dict[str, Recipe]) -> None:
    daemon.local[PROMETHEUS] = {}

    assert ensure(PROMETHEUS, daemon, ignore) == ImageResult(PROMETHEUS, Origin.PRESENT, stand_in=False)
    assert daemon.pulls == []


def test_a_present_stand_in_is_known_by_its_label(daemon: Any, shelf: dict[str, Recipe]) -> None:
    daemon.local[PROMETHEUS] = shelf["prometheus"].labels()

    assert ensure(PROMETHEUS, daemon, ignore) == ImageResult(PROMETHEUS, Origin.PRESENT, stand_in=True)


@pytest.mark.parametrize("changed", ["prometheus", "python"])
def test_a_stand_in_of_an_older_recipe_is_built_again(
    daemon: Any, shelf: dict[str, Recipe], changed: str
) -> None:
    daemon.local = {"python:3.13-slim": shelf["python"].labels(), PROMETHEUS: shelf["prometheus"].labels()}
    with (shelf[changed].folder / "Dockerfile").open("a") as dockerfile:
        dockerfile.write("USER nobody\n")

    assert ensure(PROMETHEUS, daemon, ignore).origin == Origin.BUILT


def test_pulls_what_a_registry_gives(daemon: Any, shelf: dict[str, Recipe]) -> None:
    daemon.answers[PROMETHEUS] = given

    assert ensure(PROMETHEUS, daemon, ignore) == ImageResult(PROMETHEUS, Origin.PULLED, stand_in=False)
    assert daemon.builds == []


def test_pulls_by_digest(daemon: Any) -> None:
    reference = f"{PROMETHEUS}@{DIGEST}"
    daemon.answers[f"prom/prometheus@{DIGEST}"] = given

    assert ensure(reference, daemon, ignore) == ImageResult(reference, Origin.PULLED, stand_in=False)


def test_a_missing_tag_is_an_error_even_where_there_is_a_recipe(
    daemon: Any, shelf: dict[str, Recipe]
) -> None:
    daemon.answers[PROMETHEUS] = no_such_tag

    with pytest.raises(ImageUnavailable) as caught:
        ensure(PROMETHEUS, daemon, ignore)

    assert PROMETHEUS in str(caught.value)
    assert "manifest unknown" in str(caught.value)
    assert "Fix the tag" in str(caught.value)
    assert daemon.builds == []


def test_builds_a_stand_in_and_its_base_where_nobody_answers(daemon: Any, shelf: dict[str, Recipe]) -> None:
    lines: list[str] = []

    result = ensure(PROMETHEUS, daemon, lines.append)

    assert result == ImageResult(PROMETHEUS, Origin.BUILT, stand_in=True)
    base, top = daemon.builds
    assert (base["tag"], top["tag"]) == ("python:3.13-slim", PROMETHEUS)
    assert top["files"] == {"Dockerfile", "prometheus-amd64"}
    assert top["buildargs"]["VERSION"] == "3.13.5"
    assert top["labels"][STAND_IN_LABEL] == "true"
    assert top["labels"]["org.opencontainers.image.version"] == "3.13.5"
    assert "compiling" in lines


def test_a_silent_registry_is_asked_once_per_call(daemon: Any, shelf: dict[str, Recipe]) -> None:
    results = ensure_all(["python:3.13-slim", PROMETHEUS, PROMETHEUS], daemon, ignore)

    assert daemon.pulls == ["python:3.13-slim"]
    assert [result.origin for result in results] == [Origin.BUILT] * 3
    assert len(daemon.builds) == 2


def test_another_registry_is_still_asked(daemon: Any, shelf: dict[str, Recipe]) -> None:
    mirrored = f"mirror.example.com/{PROMETHEUS}"
    daemon.answers[mirrored] = given

    results = ensure_all(["python:3.13-slim", mirrored], daemon, ignore)

    assert [result.origin for result in results] == [Origin.BUILT, Origin.PULLED]


def test_a_stand_in_bears_the_name_that_was_asked_for(daemon: Any, shelf: dict[str, Recipe]) -> None:
    mirrored = f"mirror.example.com/hub/{PROMETHEUS}"

    assert ensure(mirrored, daemon, ignore).stand_in
    assert daemon.builds[-1]["tag"] == mirrored


@pytest.mark.parametrize(
    ("reference", "second_cause"),
    [
        ("example/unknown:1", "no recipe for a stand-in"),
        ("prom/prometheus:v2.0.0", "builds prom/prometheus:v3.13.5 only"),
        (f"{PROMETHEUS}@{DIGEST}", "can't bear a digest"),
    ],
)
def test_names_both_causes_where_nothing_can_be_built(
    daemon: Any, shelf: dict[str, Recipe], reference: str, second_cause: str
) -> None:
    with pytest.raises(ImageUnavailable) as caught:
        ensure(reference, daemon, ignore)

    message = str(caught.value)
    assert reference in message
    assert "no such host" in message
    assert second_cause in message


def test_a_recipe_without_its_folder_is_no_recipe(daemon: Any, shelf: dict[str, Recipe]) -> None:
    (shelf["prometheus"].folder / "Dockerfile").unlink()

    with pytest.raises(ImageUnavailable, match="no recipe"):
        ensure(PROMETHEUS, daemon, ignore)


def test_an_image_of_the_projects_own_is_no_stand_in(
    daemon: Any, shelf: dict[str, Recipe], tmp_path: Path
) -> None:
    context = tmp_path / "own"
    context.mkdir()
    (context / "Dockerfile").write_text("FROM python:3.13-slim\n")

    image = build(context, "pve-lab:dev", daemon, ignore, {"A": "b"})

    assert image == "sha256:pve-lab:dev"
    assert [made["tag"] for made in daemon.builds] == ["python:3.13-slim", "pve-lab:dev"]
    assert daemon.local["pve-lab:dev"] == {STAND_IN_LABEL: "false", RECIPE_LABEL: ""}


def test_a_context_without_dockerfile_is_said_to_be_so(daemon: Any, tmp_path: Path) -> None:
    with pytest.raises(ImageBuildFailed, match="is not there"):
        build(tmp_path, "pve-lab:dev", daemon, ignore)
