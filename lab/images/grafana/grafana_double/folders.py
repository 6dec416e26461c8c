"""Folders, nested ones too."""

from __future__ import annotations

from collections.abc import Iterator

from starlette.responses import Response

from .api import ORG_ID, Call, Route, answer, get, new_uid, now, slug
from .errors import ApiError, plain
from .references import ALERT_RULE
from .schemas import CreateFolder, MoveFolder, UpdateFolder
from .store import Document, Store

KIND = "folder"
DASHBOARD = "dashboard"
SHARED_IDS = "dashboard_id"
"""Folders and dashboards share one sequence of numeric ids."""

MAX_DEPTH = 4
"""How deep folders can be nested (Grafana's folder.MaxNestedFolderDepth)."""


def find(store: Store, uid: str) -> Document:
    """The stored folder.

    Raises:
        ApiError: 404.
    """
    folder = store.get(KIND, uid)
    if folder is None:
        raise not_found()
    return folder


def not_found() -> ApiError:
    """The answer for a folder that doesn't exist."""
    return plain(404, "folder not found", status="not-found")


def url(folder: Document) -> str:
    """The address of a folder's page, without the host."""
    return f"/dashboards/f/{folder['uid']}/{slug(folder['title'])}"


def ancestors(store: Store, folder: Document) -> list[Document]:
    """The folders above, the top one first."""
    above: list[Document] = []
    while parent_uid := folder["parentUid"]:
        folder = find(store, parent_uid)
        above.insert(0, folder)
    return above


def within(store: Store, uid: str) -> Iterator[str]:
    """The uid of the folder and of every folder below it."""
    yield uid
    for folder in store.all(KIND):
        if folder["parentUid"] == uid:
            yield from within(store, folder["uid"])


def _single(folder: Document) -> Document:
    shown = {
        "id": folder["id"],
        "uid": folder["uid"],
        "orgId": ORG_ID,
        "title": folder["title"],
        "url": url(folder),
        "hasAcl": False,
        "canSave": True,
        "canEdit": True,
        "canAdmin": True,
        "canDelete": True,
        "createdBy": folder["createdBy"],
        "created": folder["created"],
        "updatedBy": folder["updatedBy"],
        "updated": folder["updated"],
        "version": folder["version"],
    }
    return shown | {key: folder[key] for key in ("description", "parentUid") if folder[key]}


def _shown(store: Store, folder: Document) -> Document:
    above = ancestors(store, folder)
    return _single(folder) | ({"parents": [_single(parent) for parent in above]} if above else {})


def _check_depth(store: Store, parent_uid: str, height: int) -> None:
    """Refuse a place that would nest deeper than allowed; height counts the moved folder and those below."""
    if not parent_uid:
        return
    if len(ancestors(store, find(store, parent_uid))) + 1 + height > MAX_DEPTH:
        raise plain(400, "folder max depth exceeded", status="bad-request")


def _height(store: Store, uid: str) -> int:
    below = [folder["uid"] for folder in store.all(KIND) if folder["parentUid"] == uid]
    return 1 + max((_height(store, child) for child in below), default=0)


def _create(call: Call) -> Response:
    command = call.parse(CreateFolder)
    if not command.title:
        raise plain(400, "folder title cannot be empty", status="bad-request")
    uid = command.uid or new_uid()
    if call.store.get(KIND, uid):
        raise plain(409, "a folder with the same uid already exists", status="conflict")
    _check_depth(call.store, command.parent_uid, 1)
    folder = {
        "id": call.store.next_id(SHARED_IDS),
        "uid": uid,
        "title": command.title,
        "description": command.description,
        "parentUid": command.parent_uid,
        "createdBy": call.login,
        "created": now(),
        "updatedBy": call.login,
        "updated": now(),
        "version": 1,
    }
    call.store.put(KIND, uid, folder)
    return answer(_shown(call.store, folder))


def _read(call: Call) -> Response:
    return answer(_shown(call.store, find(call.store, call.params["uid"])))


def _list(call: Call) -> Response:
    parent = call.one("parentUid") or ""
    return answer(
        [
            {"id": folder["id"], "uid": folder["uid"], "title": folder["title"]}
            | ({"parentUid": parent} if parent else {})
            for folder in call.store.all(KIND)
            if folder["parentUid"] == parent
        ]
    )


def _save(call: Call, folder: Document) -> Response:
    changed = {**folder, "updatedBy": call.login, "updated": now(), "version": folder["version"] + 1}
    call.store.put(KIND, folder["uid"], changed)
    return answer(_shown(call.store, changed))


def _update(call: Call) -> Response:
    folder = find(call.store, call.params["uid"])
    command = call.parse(UpdateFolder)
    if not command.overwrite and command.version != folder["version"]:
        raise plain(412, "the folder has been changed by someone else", status="version-mismatch")
    return _save(
        call,
        {
            **folder,
            "title": command.title or folder["title"],
            "description": command.description or folder["description"],
        },
    )


def _move(call: Call) -> Response:
    folder = find(call.store, call.params["uid"])
    parent_uid = call.parse(MoveFolder).parent_uid
    if parent_uid in within(call.store, folder["uid"]):
        raise plain(400, "folder cannot be moved into itself or below itself", status="bad-request")
    _check_depth(call.store, parent_uid, _height(call.store, folder["uid"]))
    return _save(call, {**folder, "parentUid": parent_uid})


def _delete(call: Call) -> Response:
    folder = find(call.store, call.params["uid"])
    gone = set(within(call.store, folder["uid"]))
    rules = [rule for rule in call.store.all(ALERT_RULE) if rule["folderUID"] in gone]
    if rules and call.one("forceDeleteRules") != "true":
        raise plain(400, "folder cannot be deleted: folder is not empty: it contains alert rules")
    for rule in rules:
        call.store.delete(ALERT_RULE, rule["uid"])
    for dashboard in call.store.all(DASHBOARD):
        if dashboard["folderUid"] in gone:
            call.store.delete(DASHBOARD, dashboard["uid"])
    for uid in gone:
        call.store.delete(KIND, uid)
    return answer({"message": "Folder deleted", "title": folder["title"], "id": folder["id"]})


ROUTES = (
    get("/api/folders", _list, "parentUid"),
    Route("POST", "/api/folders", _create),
    get("/api/folders/{uid}", _read),
    Route("PUT", "/api/folders/{uid}", _update),
    Route("POST", "/api/folders/{uid}/move", _move),
    Route("DELETE", "/api/folders/{uid}", _delete, frozenset({"forceDeleteRules"})),
)
