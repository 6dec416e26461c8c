from __future__ import annotations

from typing import Any

import httpx
import pytest


def folder(grafana: httpx.Client, uid: str, parent: str = "") -> httpx.Response:
    body = {"uid": uid, "title": uid.title()} | ({"parentUid": parent} if parent else {})
    return grafana.post("/api/folders", json=body)


def dashboard(grafana: httpx.Client, model: dict[str, Any], **more: Any) -> httpx.Response:
    return grafana.post("/api/dashboards/db", json={"dashboard": model, **more})


def test_folder_errors(grafana: httpx.Client) -> None:
    assert folder(grafana, "a").status_code == 200
    assert folder(grafana, "a").status_code == 409
    assert folder(grafana, "b", parent="nowhere").status_code == 404
    missing = grafana.get("/api/folders/b")
    assert (missing.status_code, missing.json()) == (
        404,
        {"message": "folder not found", "status": "not-found"},
    )
    assert grafana.post("/api/folders", json={"uid": "c", "title": ""}).status_code == 400
    assert grafana.post("/api/folders", json={"uid": "no space", "title": "c"}).status_code == 400


def test_folder_update_needs_overwrite_or_the_version(grafana: httpx.Client) -> None:
    folder(grafana, "a")
    stale = grafana.put("/api/folders/a", json={"title": "A2"})
    assert (stale.status_code, stale.json()["status"]) == (412, "version-mismatch")
    assert grafana.put("/api/folders/a", json={"title": "A2", "version": 1}).json()["version"] == 2
    forced = grafana.put("/api/folders/a", json={"title": "A & 3", "overwrite": True}).json()
    assert (forced["title"], forced["version"], forced["url"]) == ("A & 3", 3, "/dashboards/f/a/a-and-3")


def test_folders_move_and_nest_four_deep(grafana: httpx.Client) -> None:
    for uid, parent in (("a", ""), ("b", "a"), ("c", "b"), ("d", "c")):
        assert folder(grafana, uid, parent).status_code == 200
    assert folder(grafana, "e", "d").status_code == 400
    assert [one["uid"] for one in grafana.get("/api/folders/d").json()["parents"]] == ["a", "b", "c"]
    assert grafana.post("/api/folders/a/move", json={"parentUid": "c"}).status_code == 400
    moved = grafana.post("/api/folders/c/move", json={"parentUid": ""}).json()
    assert "parentUid" not in moved
    folder(grafana, "x")
    folder(grafana, "y", "x")
    folder(grafana, "z", "y")
    assert grafana.post("/api/folders/c/move", json={"parentUid": "z"}).status_code == 400
    assert [one["uid"] for one in grafana.get("/api/folders?parentUid=c").json()] == ["d"]


def test_deleting_a_folder_takes_its_content_along(grafana: httpx.Client) -> None:
    folder(grafana, "a")
    folder(grafana, "b", "a")
    dashboard(grafana, {"uid": "in", "title": "In"}, folderUid="b")
    dashboard(grafana, {"uid": "out", "title": "Out"})
    gone = grafana.delete("/api/folders/a?forceDeleteRules=true")
    assert (gone.status_code, gone.json()["message"]) == (200, "Folder deleted")
    assert grafana.get("/api/folders/b").status_code == 404
    assert grafana.get("/api/dashboards/uid/in").status_code == 404
    assert grafana.get("/api/dashboards/uid/out").status_code == 200


def test_a_saved_dashboard_gets_the_next_version(grafana: httpx.Client) -> None:
    first = dashboard(grafana, {"uid": "d", "title": "One", "schemaVersion": 41}).json()
    refused = dashboard(grafana, {"uid": "d", "title": "Two"})
    assert (refused.status_code, refused.json()["status"]) == (412, "version-mismatch")
    again = dashboard(grafana, {"uid": "d", "title": "Two", "version": 1})
    assert again.json()["version"] == 2
    third = dashboard(grafana, {"uid": "d", "title": "Three", "id": first["id"]}, overwrite=True).json()
    assert (third["id"], third["version"], third["url"]) == (first["id"], 3, "/d/d/three")
    model = grafana.get("/api/dashboards/uid/d").json()["dashboard"]
    assert model == {"uid": "d", "title": "Three", "id": first["id"], "version": 3}


def test_dashboard_uid_can_change_by_id(grafana: httpx.Client) -> None:
    number = dashboard(grafana, {"uid": "old", "title": "One"}).json()["id"]
    dashboard(grafana, {"uid": "other", "title": "Other"})
    assert dashboard(grafana, {"uid": "other", "title": "x", "id": number}, overwrite=True).status_code == 400
    assert dashboard(grafana, {"uid": "new", "title": "x", "id": number}, overwrite=True).status_code == 200
    assert grafana.get("/api/dashboards/uid/old").status_code == 404
    assert grafana.get("/api/dashboards/uid/new").json()["dashboard"]["id"] == number


@pytest.mark.parametrize(
    ("model", "more", "status", "message"),
    [
        ({"title": ""}, {}, 400, "Dashboard title cannot be empty"),
        ({"title": "x", "id": 99}, {}, 404, "Dashboard not found"),
        ({"title": "x"}, {"folderUid": "nowhere"}, 400, "folder not found"),
        ({"title": "x", "uid": "u" * 41}, {}, 400, "uid too long, max 40 characters"),
        ({"title": "x", "uid": "a b"}, {}, 400, "uid contains illegal characters"),
        ({"title": "x", "id": "7"}, {}, 400, "bad request data: dashboard.id"),
        ({"apiVersion": "v1", "kind": "Dashboard", "spec": {}}, {}, 400, "this stand-in takes classic"),
    ],
)
def test_dashboards_that_are_not_saved(
    grafana: httpx.Client, model: dict[str, Any], more: dict[str, Any], status: int, message: str
) -> None:
    response = dashboard(grafana, model, **more)
    assert response.status_code == status
    assert response.json()["message"].startswith(message)


def test_deleting_a_missing_dashboard(grafana: httpx.Client) -> None:
    assert grafana.delete("/api/dashboards/uid/none").status_code == 404


def test_search(grafana: httpx.Client) -> None:
    folder(grafana, "a")
    folder(grafana, "b", "a")
    dashboard(grafana, {"uid": "in", "title": "In the folder", "tags": ["x", "y"]}, folderUid="a")
    dashboard(grafana, {"uid": "out", "title": "Outside"})

    def found(query: str) -> list[str]:
        return [hit["uid"] for hit in grafana.get(f"/api/search?{query}").json()]

    assert found("") == ["a", "b", "in", "out"]
    assert found("folderUIDs=a") == ["b", "in"]
    assert found("type=dash-db") == ["in", "out"]
    assert found("type=dash-folder") == ["a", "b"]
    assert found("tag=x&tag=y") == ["in"]
    assert found("dashboardUIDs=out") == ["out"]
    assert found("query=FOLDER") == ["in"]
    assert found("limit=1") == ["a"]
