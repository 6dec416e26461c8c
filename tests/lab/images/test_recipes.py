from __future__ import annotations

import re
from pathlib import Path

import pytest

from components.images import DEFAULT_REFERENCES
from lab.images import recipes
from lab.images.recipes import RECIPES, Recipe
from lab.images.reference import parse

EXISTING = [recipe for recipe in RECIPES if (recipe.folder / "Dockerfile").is_file()]


def ignore(_line: str) -> None:
    pass


def required(recipe: Recipe, module: str) -> str:
    found = re.search(rf"^require {module} v(\S+)$", (recipe.folder / "go.mod").read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


def by_name(repository: str) -> Recipe:
    return next(recipe for recipe in RECIPES if recipe.repository == repository)


def test_finds_a_recipe_behind_a_mirror() -> None:
    found = recipes.for_repository(parse("mirror.example.com/hub/library/python:3.13-slim"))

    assert found is by_name("python")
    assert recipes.for_repository(parse("example/python:3.13-slim")) is None


@pytest.mark.parametrize("recipe", EXISTING, ids=lambda recipe: recipe.repository)
def test_every_base_has_a_recipe(recipe: Recipe) -> None:
    assert all(recipes.named(base) is not None for base in recipe.bases())


@pytest.mark.parametrize("recipe", EXISTING, ids=lambda recipe: recipe.repository)
def test_labels_say_what_it_is_and_what_not(recipe: Recipe) -> None:
    labels = recipe.labels()

    assert labels["org.pve-monitoring.stand-in"] == "true"
    assert labels["org.opencontainers.image.version"] in recipe.tag
    assert recipe.repository in labels["org.opencontainers.image.title"]
    assert "not the upstream image" in labels["org.opencontainers.image.description"]


def test_prometheus_is_compiled_at_its_tag() -> None:
    """Go modules of Prometheus 3.x are numbered v0.3<minor as two digits>.<patch>."""
    recipe = by_name("prom/prometheus")
    major, minor, patch = recipe.version.split(".")

    assert required(recipe, "github.com/prometheus/prometheus") == f"0.{major}{int(minor):02}.{patch}"


def test_alertmanager_is_compiled_at_its_tag() -> None:
    recipe = by_name("prom/alertmanager")

    assert required(recipe, "github.com/prometheus/alertmanager") == recipe.version


@pytest.mark.parametrize("reference", sorted(DEFAULT_REFERENCES.values()))
def test_the_stack_pins_what_the_recipes_build(reference: str) -> None:
    recipe = recipes.for_repository(parse(reference))

    assert recipe is None or recipes.named(reference) is recipe


@pytest.mark.parametrize("name", ["requirements.in", "requirements.lock"])
def test_pve_exporter_is_installed_at_its_tag(name: str) -> None:
    recipe = by_name("prompve/prometheus-pve-exporter")
    lines = (recipe.folder / name).read_text().splitlines()

    assert any(line.split(" ")[0] == f"prometheus-pve-exporter=={recipe.version}" for line in lines)


def test_the_lock_pins_every_package_by_hash() -> None:
    text = (by_name("prompve/prometheus-pve-exporter").folder / "requirements.lock").read_text()
    entries = re.split(r"^(?=\w)", text, flags=re.MULTILINE)[1:]

    assert entries
    assert all("==" in entry and "--hash=sha256:" in entry for entry in entries)


def test_what_tools_leave_behind_is_no_part_of_a_recipe(shelf: dict[str, Recipe]) -> None:
    recipe = shelf["python"]
    before = recipe.digest()
    (recipe.folder / "__pycache__").mkdir()
    (recipe.folder / "__pycache__" / "x.pyc").write_text("x")

    assert recipe.digest() == before
    with recipe.context("amd64", ignore) as context:
        assert {path.name for path in context.rglob("*")} == {"Dockerfile"}


def test_dockerignore_counts(shelf: dict[str, Recipe]) -> None:
    recipe = shelf["python"]
    (recipe.folder / "notes.md").write_text("x")
    (recipe.folder / ".dockerignore").write_text("*.md\n")

    with recipe.context("amd64", ignore) as context:
        assert not (context / "notes.md").exists()


def test_the_digest_follows_files_and_inputs(shelf: dict[str, Recipe], tmp_path: Path) -> None:
    recipe = shelf["python"]
    other_inputs = Recipe(recipe.repository, recipe.tag, recipe.folder, "a test", "everything", inputs="x")
    before = recipe.digest()
    (recipe.folder / "new").write_text("x")

    assert len({before, recipe.digest(), other_inputs.digest()}) == 3
