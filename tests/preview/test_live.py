"""The double of Grafana serves the drawings: a walk through them in a real browser."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from lab.images.grafana.grafana_double import drawings
from lab.images.grafana.grafana_double.app import build
from lab.images.grafana.grafana_double.settings import Settings
from lab.preview import bundle, views
from lab.preview.bundle import Programs
from lab.preview.drawing import Source

from .conftest import HOURS

pytestmark = pytest.mark.xdist_group("preview")

USER, PASSWORD = "admin", "not-a-secret"
WALK = bundle.FOLDER / "test" / "browser" / "walk.mjs"
FROM, TO = int(views.NOW - HOURS * 3600) * 1000, views.NOW * 1000


@pytest.fixture(scope="module")
def grafana(programs: Programs, source: Source, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The double with the project's dashboards and the recording as its data source; yields its URL."""
    settings = Settings(
        data=tmp_path_factory.mktemp("grafana"),
        http_port=0,
        root_url="http://x/",
        admin_user=USER,
        admin_password=PASSWORD,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawings, "FOLDER", bundle.PAGE)
        server = uvicorn.Server(uvicorn.Config(build(settings), host="127.0.0.1", port=0, log_level="error"))
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            time.sleep(0.05)
        url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        _fill(url, source)
        yield url
        server.should_exit = True
        thread.join()


def _fill(url: str, source: Source) -> None:
    prometheus = {
        "name": "Prometheus", "type": "prometheus", "uid": "prometheus", "access": "proxy", "isDefault": True,
        "url": source.url, "jsonData": {"timeInterval": source.scrape},
    }  # fmt: skip
    with httpx.Client(base_url=url, auth=(USER, PASSWORD), trust_env=False) as client:
        client.post("/api/datasources", json=prometheus).raise_for_status()
        for path in Path("dashboards/rendered").resolve().glob("*.json"):
            model = json.loads(path.read_text("utf-8"))
            client.post("/api/dashboards/db", json={"dashboard": model}).raise_for_status()


@pytest.fixture(scope="module")
def seen(grafana: str, programs: Programs) -> dict[str, Any]:
    """What the walk saw."""
    words = [programs.node, str(WALK), programs.chromium, grafana, USER, PASSWORD, str(FROM), str(TO)]
    result = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_the_page_says_that_it_is_no_grafana(seen: dict[str, Any]) -> None:
    assert seen["listed"] == 1
    assert seen["banner"].startswith("This is a preview, not Grafana")


def test_nothing_went_wrong_and_nobody_else_was_asked(seen: dict[str, Any]) -> None:
    assert (seen["errors"], seen["problems"], seen["elsewhere"]) == ([], [], [])
    for panel in (*seen["overview"], *seen["detail"]["panels"], *seen["zoomed"]["panels"]):
        assert panel["errors"] == [], panel["title"]
    assert sum(panel["values"] > 0 for panel in seen["overview"]) > 15


def test_a_link_of_a_table_leads_to_the_guest_and_keeps_the_time(seen: dict[str, Any]) -> None:
    assert seen["detail"]["vm"] == ["103"]
    assert seen["detail"]["from"] == [str(FROM)]
    assert _text(seen["detail"]["variables"], "vm") == "win-sql01"


def test_another_guest_can_be_chosen(seen: dict[str, Any]) -> None:
    assert _text(seen["chosen"], "vm") == "lnx-web01"


def test_the_time_range_changes_and_the_back_button_works(seen: dict[str, Any]) -> None:
    zoomed = seen["zoomed"]
    assert int(zoomed["to"][0]) - int(zoomed["from"][0]) == 2 * (TO - FROM)
    assert seen["back"] == [str(FROM)]


def test_a_row_can_be_closed(seen: dict[str, Any]) -> None:
    before, after = seen["rows"]
    assert before - after == 6


def _text(variables: list[dict[str, Any]], name: str) -> str:
    return next(str(variable["text"]) for variable in variables if variable["name"] == name)


def test_files_of_the_page_need_no_password_but_dashboards_do(grafana: str) -> None:
    with httpx.Client(base_url=grafana, trust_env=False) as client:
        page = client.get("/d/pve-vm-detail?var-vm=101")
        assert (page.status_code, page.headers["www-authenticate"][:5]) == (401, "Basic")
        shown = client.get("/d/pve-vm-detail?var-vm=101", auth=(USER, PASSWORD))
        assert "/public/preview/assets/" in shown.text
        assert client.get("/d/none", auth=(USER, PASSWORD)).status_code == 404
        icon = client.get("/public/preview/build/img/icons/unicons/angle-down.svg")
        assert (icon.status_code, icon.headers["content-type"]) == (200, "image/svg+xml")


@pytest.mark.parametrize("path", ["none.js", "..%2f..%2fpackage.json", "assets", ""])
def test_only_files_of_the_page_are_served(grafana: str, path: str) -> None:
    assert httpx.get(f"{grafana}/public/preview/{path}", trust_env=False).status_code == 404
