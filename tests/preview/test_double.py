"""What the double of Grafana does with the drawings, and how they get into its image; needs no node."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from lab.images import recipes
from lab.images.grafana.grafana_double import drawings
from lab.images.grafana.grafana_double.errors import ApiError
from lab.images.grafana.grafana_double.settings import Settings
from lab.preview import bundle
from tests.lab.grafana_double.conftest import ADMIN, serving


@pytest.fixture
def grafana(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    """A double with one dashboard, whose image has no drawings yet."""
    monkeypatch.setattr(drawings, "FOLDER", tmp_path / "preview")
    settings = Settings(
        data=tmp_path, http_port=0, root_url="http://x/", admin_user=ADMIN[0], admin_password=ADMIN[1]
    )
    with serving(settings, None) as client:
        model = {"uid": "d", "title": "Nodes", "panels": []}
        assert client.post("/api/dashboards/db", json={"dashboard": model}).status_code == 200
        yield client


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """The built page, as it lies in the image."""
    folder = tmp_path / "preview"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<title>Dashboard preview</title>", "utf-8")
    (folder / "assets" / "a.js").write_text("1", "utf-8")
    return folder


def test_without_drawings_tables_are_shown_and_the_list_says_why(grafana: httpx.Client) -> None:
    assert "that takes node and npm" in grafana.get("/dashboards").text
    assert "Present values" in grafana.get("/d/d?from=now-3h&var-node=pve1").text
    assert grafana.get("/public/preview/index.html").status_code == 404


def test_with_drawings_every_dashboard_is_drawn(grafana: httpx.Client, page: Path) -> None:
    assert "that takes node and npm" not in grafana.get("/dashboards").text
    for path in ("/d/d", "/d/d/nodes?from=now-3h&var-node=pve1"):
        assert "Dashboard preview" in grafana.get(path).text
    assert grafana.get("/d/none").status_code == 404


def test_the_api_is_as_strict_as_before(grafana: httpx.Client, page: Path) -> None:
    assert grafana.get("/api/search?unknown=1").status_code == 400
    assert grafana.get("/api/dashboards/uid/d", auth=("admin", "wrong")).status_code == 401


def test_files_of_the_page_are_served_and_no_others(grafana: httpx.Client, page: Path) -> None:
    found = grafana.get("/public/preview/assets/a.js")
    assert (found.status_code, found.text, found.headers["content-type"][:15]) == (
        200,
        "1",
        "text/javascript",
    )
    (page.parent / "secret").write_text("x", "utf-8")
    for path in ("..%2fsecret", "assets", "none.js"):
        assert grafana.get(f"/public/preview/{path}").status_code == 404, path
    for rest in ("../secret", "assets/../../secret", str(page.parent / "secret")):
        # A client takes the dots out before it asks; not every one does.
        call: Any = SimpleNamespace(params={"rest": rest})
        with pytest.raises(ApiError):
            drawings._file(call)


def _context(tmp_path: Path) -> tuple[Path, list[str]]:
    """Prepare the double's build context; returns the folder of the page and what was said."""
    recipe = recipes.named("grafana/grafana:13.2.3")
    assert recipe is not None
    said: list[str] = []
    with recipe.context("amd64", said.append) as context:
        shutil.copytree(context / "preview", tmp_path / "copy")
    return tmp_path / "copy", said


def test_the_image_gets_the_built_page(tmp_path: Path, page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(bundle, "builders", lambda: "node and npm")
    monkeypatch.setattr(bundle, "ensure", lambda *words: asked.append(words[0]))
    monkeypatch.setattr(bundle, "PAGE", page)
    folder, _ = _context(tmp_path)
    assert asked == ["node and npm"]
    assert {path.name for path in folder.rglob("*")} == {"index.html", "assets", "a.js"}


def test_without_node_the_image_is_built_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    folder, said = _context(tmp_path)
    assert list(folder.iterdir()) == []
    assert said[0].startswith("without drawings of dashboards: drawing dashboards needs nodejs, npm")
