"""Sessions: who logs in gets a cookie, which opens pages and API until it is given back."""

from __future__ import annotations

import httpx
import pytest

from tests.lab.grafana_double.conftest import ADMIN, NOBODY

FORM = {"user": ADMIN[0], "password": ADMIN[1]}


@pytest.fixture
def browser(grafana: httpx.Client) -> httpx.Client:
    """A client without credentials of its own."""
    grafana.auth = NOBODY
    return grafana


def test_a_session_opens_pages_and_api_until_it_is_given_back(browser: httpx.Client) -> None:
    assert browser.get("/api/user").status_code == 401
    answer = browser.post("/login", json=FORM, headers={"X-Forwarded-Proto": "https"})
    assert answer.json()["message"] == "Logged in"
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith("grafana_session=")
    assert {"httponly", "samesite=lax", "secure"} <= {part.strip() for part in cookie.split(";")}
    session = {"Cookie": answer.headers["set-cookie"].partition(";")[0]}
    assert browser.get("/api/user", headers=session).json()["login"] == "admin"
    assert browser.get("/", headers=session).status_code == 200
    assert browser.get("/logout", headers=session).headers["location"] == "/login"
    assert browser.get("/api/user", headers=session).status_code == 401


def test_a_wrong_password_makes_no_session(browser: httpx.Client) -> None:
    answer = browser.post("/login", json={**FORM, "password": "wrong"})
    assert (answer.status_code, answer.json()["messageId"]) == (401, "password-auth.failed")
    assert "set-cookie" not in answer.headers
    assert browser.get("/api/user", headers={"Cookie": "grafana_session=guess"}).status_code == 401


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        ("%2Fprometheus%2F", "/prometheus/"),
        ("%2F%2Fevil.example.com", "/"),
        ("https%3A%2F%2Fevil.example.com", "/"),
    ],
)
def test_a_session_is_led_back_within_the_server_only(browser: httpx.Client, wanted: str, given: str) -> None:
    path = f"/user/auth-tokens/rotate?redirectTo={wanted}"
    assert browser.get(path).headers["location"] == "/login"
    token = browser.post("/login", json=FORM).headers["set-cookie"].partition(";")[0]
    assert browser.get(path, headers={"Cookie": token}).headers["location"] == given


def test_behind_a_gateway_pages_send_to_the_form_with_the_way_back(browser: httpx.Client) -> None:
    page = browser.get("/d/d/x?var-node=a", headers={"X-Forwarded-Proto": "https"})
    assert page.status_code == 302
    assert page.headers["location"] == "/login?redirectTo=%2Fd%2Fd%2Fx%3Fvar-node%3Da"
