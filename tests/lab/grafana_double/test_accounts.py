"""Who may call, what survives a restart, service accounts and preferences."""

from __future__ import annotations

import time
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest

from lab.images.grafana.grafana_double.store import FILE_NAME

from .conftest import ADMIN, NOBODY, Start


def token(grafana: httpx.Client, role: str = "Viewer", seconds: int = 0) -> tuple[int, str]:
    account = grafana.post("/api/serviceaccounts", json={"name": f"a {role}", "role": role}).json()["id"]
    body = {"name": f"token of {role}", "secondsToLive": seconds}
    return account, grafana.post(f"/api/serviceaccounts/{account}/tokens", json=body).json()["key"]


class Bearer(httpx.Auth):
    """The credentials of a service account."""

    def __init__(self, key: str) -> None:
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"Bearer {self._key}"
        yield request


def test_wrong_credentials(grafana: httpx.Client) -> None:
    wrong = grafana.get("/api/folders", auth=("admin", "wrong"))
    assert wrong.status_code == 401
    assert wrong.json() == {
        "message": "Invalid username or password",
        "messageId": "password-auth.failed",
        "statusCode": 401,
    }
    assert grafana.get("/api/folders", auth=("nobody", ADMIN[1])).status_code == 401
    bearer = grafana.get("/api/folders", auth=Bearer("glsa_no"))
    assert (bearer.status_code, bearer.json()["messageId"]) == (401, "api-key.invalid")
    nobody = grafana.get("/api/folders", auth=NOBODY)
    assert (nobody.status_code, nobody.json()["messageId"]) == (401, "auth.unauthorized")
    broken = grafana.get("/api/folders", auth=NOBODY, headers={"Authorization": "Basic ?"})
    assert broken.status_code == 401


def test_the_first_password_stays_and_the_state_survives(start: Start, tmp_path: Path) -> None:
    start(password="first-password").post("/api/folders", json={"uid": "kept", "title": "Kept"})
    again = start(password="second-password")
    assert again.get("/api/folders/kept").json()["title"] == "Kept"
    assert again.get("/api/folders/kept", auth=("admin", "second-password")).status_code == 401
    assert b"first-password" not in (tmp_path / FILE_NAME).read_bytes()


def test_roles(grafana: httpx.Client) -> None:
    _, viewer_key = token(grafana)
    _, editor_key = token(grafana, "Editor")
    _, none_key = token(grafana, "None")
    viewer, editor, nobody = Bearer(viewer_key), Bearer(editor_key), Bearer(none_key)
    assert grafana.get("/api/folders", auth=viewer).status_code == 200
    refused = grafana.post("/api/folders", json={"uid": "v", "title": "v"}, auth=viewer)
    assert (refused.status_code, refused.json()["messageId"]) == (403, "accesscontrol.forbidden")
    # Queries are no changes: a Viewer may send them by POST.
    assert grafana.post("/api/datasources/proxy/uid/none/api/v1/query", auth=viewer).status_code == 404
    assert grafana.post("/api/folders", json={"uid": "e", "title": "e"}, auth=editor).status_code == 200
    assert grafana.get("/api/folders", auth=nobody).status_code == 403


def test_anonymous_reads_only(start: Start) -> None:
    grafana = start(anonymous_role="Viewer")
    assert grafana.get("/api/folders", auth=NOBODY).status_code == 200
    assert grafana.post("/api/folders", json={"uid": "v", "title": "v"}, auth=NOBODY).status_code == 403


def test_tokens_end(grafana: httpx.Client, tmp_path: Path) -> None:
    account, key = token(grafana, seconds=2)
    assert grafana.get("/api/folders", auth=Bearer(key)).status_code == 200
    listed = grafana.get(f"/api/serviceaccounts/{account}/tokens").json()
    assert (listed[0]["hasExpired"], listed[0]["lastUsedAt"] is not None) == (False, True)
    time.sleep(2.1)
    assert grafana.get("/api/folders", auth=Bearer(key)).json()["messageId"] == "api-key.expired"
    listed = grafana.get(f"/api/serviceaccounts/{account}/tokens").json()
    assert (listed[0]["hasExpired"], listed[0]["secondsUntilExpiration"]) == (True, 0)
    assert key.encode() not in (tmp_path / FILE_NAME).read_bytes()


def test_tokens_of_a_disabled_account_are_refused(grafana: httpx.Client) -> None:
    account, key = token(grafana)
    changed = grafana.patch(f"/api/serviceaccounts/{account}", json={"isDisabled": True})
    assert changed.json()["serviceaccount"]["isDisabled"] is True
    assert changed.json()["serviceaccount"]["role"] == "Viewer"
    assert grafana.get("/api/folders", auth=Bearer(key)).status_code == 401


def test_names_are_unique(grafana: httpx.Client) -> None:
    token(grafana)
    other = grafana.post("/api/serviceaccounts", json={"name": "other"}).json()["id"]
    same = grafana.post("/api/serviceaccounts", json={"name": "a Viewer"})
    assert (same.status_code, same.json()["messageId"]) == (400, "serviceaccounts.ErrAlreadyExists")
    assert grafana.patch(f"/api/serviceaccounts/{other}", json={"name": "a Viewer"}).status_code == 400
    # Per organization, not per account.
    same = grafana.post(f"/api/serviceaccounts/{other}/tokens", json={"name": "token of Viewer"})
    assert (same.status_code, same.json()["messageId"]) == (400, "serviceaccounts.ErrTokenAlreadyExists")
    assert grafana.get("/api/serviceaccounts/search?query=VIEW").json()["totalCount"] == 1


def test_deleting_accounts_and_tokens(grafana: httpx.Client) -> None:
    account, key = token(grafana)
    number = grafana.get(f"/api/serviceaccounts/{account}/tokens").json()[0]["id"]
    assert grafana.delete(f"/api/serviceaccounts/{account}/tokens/{number}").status_code == 200
    assert grafana.delete(f"/api/serviceaccounts/{account}/tokens/{number}").status_code == 404
    assert grafana.delete(f"/api/serviceaccounts/{account}").status_code == 200
    assert grafana.get(f"/api/serviceaccounts/{account}").status_code == 404
    assert grafana.get(f"/api/serviceaccounts/{account}/tokens").json() == []
    assert grafana.get("/api/folders", auth=Bearer(key)).status_code == 401


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"homeDashboardUID": "nowhere"}, 404),
        ({"timezone": "Mars/Olympus"}, 400),
        ({"theme": "pink"}, 400),
        ({"weekStart": "friday"}, 400),
        ({"timezone": "browser", "theme": "dark", "weekStart": "monday"}, 200),
    ],
)
def test_preferences(grafana: httpx.Client, body: dict[str, str], status: int) -> None:
    assert grafana.put("/api/org/preferences", json=body).status_code == status


def test_preferences_are_replaced_as_a_whole(grafana: httpx.Client) -> None:
    grafana.put("/api/org/preferences", json={"theme": "dark", "timezone": "utc"})
    grafana.put("/api/org/preferences", json={"theme": "light"})
    assert grafana.get("/api/org/preferences").json() == {"theme": "light"}
