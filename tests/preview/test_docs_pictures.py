"""The pictures in docs/ show the dashboards as they are."""

from __future__ import annotations

from pathlib import Path

from lab.preview import manifest
from ops import pictures

DOCS = Path(__file__).parents[2] / "docs"


def test_no_picture_is_older_than_its_dashboard() -> None:
    problems = manifest.stale(pictures.DOCS, pictures._documented())
    assert problems == [], "run `make pictures-docs`, look at the result, and commit it"


def test_every_picture_is_shown_in_the_documentation() -> None:
    page = (DOCS / "dashboards.md").read_text(encoding="utf-8")
    for shown in pictures._documented():
        assert f"(pictures/{shown.file})" in page
