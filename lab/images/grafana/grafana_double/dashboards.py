"""Dashboards in their classic JSON form, and the search over folders and dashboards."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from . import folders
from .api import ORG_ID, Call, Route, answer, get, new_uid, now, slug
from .errors import ApiError, plain, refuse
from .folders import DASHBOARD, SHARED_IDS
from .schemas import SaveDashboard
from .store import Document, Store

SEARCH_LIMIT = 1000
"""How many hits /api/search gives when the caller names no limit (Grafana's default)."""


def url(dashboard: Document) -> str:
    """The address of a dashboard's page, without the host."""
    return f"/d/{dashboard['uid']}/{slug(dashboard['title'])}"


def not_found() -> ApiError:
    """The answer for a dashboard that doesn't exist."""
    return plain(404, "Dashboard not found", status="not-found")


def find(store: Store, uid: str) -> Document:
    """The stored dashboard.

    Raises:
        ApiError: 404.
    """
    dashboard = store.get(DASHBOARD, uid)
    if dashboard is None:
        raise not_found()
    return dashboard


def _check_model(model: dict[str, Any]) -> None:
    if {"apiVersion", "kind", "spec"} <= model.keys():
        raise refuse(400, "this stand-in takes classic dashboard JSON only, not the Kubernetes form")
    title = model.get("title", "")
    if not isinstance(title, str) or not title.strip():
        raise plain(400, "Dashboard title cannot be empty", status="empty-name")
    uid = model.get("uid")
    if uid is not None and (not isinstance(uid, str) or len(uid) > 40):
        raise plain(400, "uid too long, max 40 characters")
    if isinstance(uid, str) and not all(char.isascii() and (char.isalnum() or char in "-_") for char in uid):
        raise plain(400, "uid contains illegal characters")
    if not isinstance(model.get("id"), int | None):
        raise refuse(400, "bad request data: dashboard.id: Input should be a valid integer or null")


def _existing(store: Store, model: dict[str, Any]) -> Document | None:
    """The dashboard that a save is meant for: by id if it has one, else by uid."""
    by_uid = store.get(DASHBOARD, model["uid"]) if model.get("uid") else None
    if not model.get("id"):
        return by_uid
    by_id = next((one for one in store.all(DASHBOARD) if one["id"] == model["id"]), None)
    if by_id is None:
        raise not_found()
    if by_uid is not None and by_uid["id"] != by_id["id"]:
        raise plain(400, "A dashboard with the same uid already exists")
    return by_id


def _save(call: Call) -> Response:
    command = call.parse(SaveDashboard)
    model = command.dashboard
    _check_model(model)
    if command.folder_uid and call.store.get(folders.KIND, command.folder_uid) is None:
        raise plain(400, "folder not found")
    old = _existing(call.store, model)
    if old and not command.overwrite and model.get("version") != old["version"]:
        raise plain(412, "The dashboard has been changed by someone else", status="version-mismatch")
    saved = _stored(call, command, old)
    if old and old["uid"] != saved["uid"]:
        call.store.delete(DASHBOARD, old["uid"])
    call.store.put(DASHBOARD, saved["uid"], saved)
    return answer(
        {
            "folderUid": saved["folderUid"],
            "id": saved["id"],
            "slug": slug(saved["title"]),
            "status": "success",
            "uid": saved["uid"],
            "url": url(saved),
            "version": saved["version"],
        }
    )


def _stored(call: Call, command: SaveDashboard, old: Document | None) -> Document:
    model = command.dashboard
    uid = model.get("uid") or (old["uid"] if old else new_uid())
    number = old["id"] if old else call.store.next_id(SHARED_IDS)
    version = old["version"] + 1 if old else 1
    return {
        "id": number,
        "uid": uid,
        "title": model["title"],
        "folderUid": command.folder_uid,
        "version": version,
        "created": old["created"] if old else now(),
        "createdBy": old["createdBy"] if old else call.login,
        "updated": now(),
        "updatedBy": call.login,
        "message": command.message,
        "model": {**model, "uid": uid, "id": number, "version": version},
    }


def _read(call: Call) -> Response:
    dashboard = find(call.store, call.params["uid"])
    return answer({"meta": _meta(call.store, dashboard), "dashboard": dashboard["model"]})


def _meta(store: Store, dashboard: Document) -> Document:
    folder = store.get(folders.KIND, dashboard["folderUid"]) if dashboard["folderUid"] else None
    everything = {"canAdd": True, "canEdit": True, "canDelete": True}
    return {
        "type": "db",
        "canSave": True,
        "canEdit": True,
        "canAdmin": True,
        "canStar": True,
        "canDelete": True,
        "slug": slug(dashboard["title"]),
        "url": url(dashboard),
        "expires": "0001-01-01T00:00:00Z",
        "created": dashboard["created"],
        "updated": dashboard["updated"],
        "updatedBy": dashboard["updatedBy"],
        "createdBy": dashboard["createdBy"],
        "version": dashboard["version"],
        "hasAcl": False,
        "isFolder": False,
        "apiVersion": "v0alpha1",
        "folderId": folder["id"] if folder else 0,
        "folderUid": folder["uid"] if folder else "",
        "folderTitle": folder["title"] if folder else "Dashboards",
        "folderUrl": folders.url(folder) if folder else "",
        "provisioned": False,
        "provisionedExternalId": "",
        "annotationsPermissions": {"dashboard": everything, "organization": everything},
    }


def _delete(call: Call) -> Response:
    dashboard = find(call.store, call.params["uid"])
    call.store.delete(DASHBOARD, dashboard["uid"])
    title = dashboard["title"]
    return answer({"message": f"Dashboard {title} deleted", "title": title, "uid": dashboard["uid"]})


def _search(call: Call) -> Response:
    kind, text = call.one("type"), (call.one("query") or "").lower()
    hits = [
        *([] if kind == "dash-db" else map(_folder_hit, call.store.all(folders.KIND))),
        *([] if kind == "dash-folder" else map(_dashboard_hit, call.store.all(DASHBOARD))),
    ]
    limit = call.one("limit") or str(SEARCH_LIMIT)
    if not limit.isdecimal():
        raise plain(400, "limit is no number")
    return answer([hit for hit in hits if _wanted(call, hit) and text in hit["title"].lower()][: int(limit)])


def _wanted(call: Call, hit: Document) -> bool:
    inside, uids, tags = (call.query.get(name) for name in ("folderUIDs", "dashboardUIDs", "tag"))
    return (
        (inside is None or hit.get("folderUid", "general") in inside)
        and (uids is None or (hit["type"] == "dash-db" and hit["uid"] in uids))
        and (tags is None or set(tags) <= set(hit["tags"]))
    )


def _folder_hit(folder: Document) -> Document:
    hit = _hit(folder, "dash-folder", folders.url(folder), [])
    return hit | ({"folderUid": folder["parentUid"]} if folder["parentUid"] else {})


def _dashboard_hit(dashboard: Document) -> Document:
    hit = _hit(dashboard, "dash-db", url(dashboard), dashboard["model"].get("tags") or [])
    return hit | ({"folderUid": dashboard["folderUid"]} if dashboard["folderUid"] else {})


def _hit(document: Document, kind: str, address: str, tags: list[str]) -> Document:
    return {
        "id": document["id"],
        "orgId": ORG_ID,
        "uid": document["uid"],
        "title": document["title"],
        "uri": f"db/{slug(document['title'])}",
        "url": address,
        "slug": "",
        "type": kind,
        "tags": tags,
        "isStarred": False,
        "sortMeta": 0,
        "isDeleted": False,
    }


ROUTES = (
    Route("POST", "/api/dashboards/db", _save),
    get("/api/dashboards/uid/{uid}", _read),
    Route("DELETE", "/api/dashboards/uid/{uid}", _delete),
    get("/api/search", _search, "query", "type", "tag", "folderUIDs", "dashboardUIDs", "limit"),
)
