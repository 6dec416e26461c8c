"""Sessions of people: the login form, its cookie, and what Grafana answers about who is signed in.

Logins by OpenID Connect aren't imitated, nor are users other than the first. A session's token is never due
for rotation, so that asking for it leads straight back.
"""

from __future__ import annotations

import secrets
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, quote, urlsplit

from pydantic import BaseModel
from starlette.responses import RedirectResponse, Response

from .api import Call, Identity, Route, answer, get, now
from .auth import by_name, token_hash
from .errors import public
from .store import Store

COOKIE = "grafana_session"
"""Grafana's own default of [auth] login_cookie_name."""

SESSION = "session"
_MAX_AGE_S = 30 * 86400


class Login(BaseModel):
    """The form's fields."""

    user: str
    password: str


def identify(store: Store, cookies: str | None) -> Identity | None:
    """Who is signed in, None if nobody is."""
    session = store.get(SESSION, token_hash(token)) if (token := _token(cookies)) else None
    return Identity(session["login"], "Admin") if session else None


def to_login(raw_path: str, query: str) -> Response:
    """Where a browser without a session is sent, with the way back."""
    back = f"{raw_path}?{query}" if query else raw_path
    return RedirectResponse(f"/login?redirectTo={quote(back, safe='')}", 302)


def _token(cookies: str | None) -> str | None:
    try:
        found = SimpleCookie(cookies or "").get(COOKIE)
    except CookieError:
        return None
    return found.value if found else None


def _back(call: Call) -> str:
    """A path of this server from the query; anything else would send people elsewhere."""
    target = (parse_qs(call.query_string).get("redirectTo") or ["/"])[0]
    parts = urlsplit(target)
    ours = not parts.scheme and not parts.netloc and target.startswith("/") and not target.startswith("//")
    return target if ours else "/"


def _login(call: Call) -> Response:
    given = call.parse(Login)
    identity = by_name(call.store, given.user, given.password)
    token = secrets.token_hex(16)
    document = {"login": identity.login, "created": now()}
    call.store.put(SESSION, token_hash(token), document)
    response = answer({"message": "Logged in", "redirectUrl": "/"})
    secure = call.headers.get("x-forwarded-proto") == "https"
    response.set_cookie(COOKIE, token, _MAX_AGE_S, httponly=True, samesite="lax", secure=secure)
    return response


def _logout(call: Call) -> Response:
    if token := _token(call.headers.get("cookie")):
        call.store.delete(SESSION, token_hash(token))
    response = RedirectResponse("/login", 302)
    response.delete_cookie(COOKIE)
    return response


def _rotate(call: Call) -> Response:
    if identify(call.store, call.headers.get("cookie")) is None:
        return RedirectResponse("/login", 302)
    return RedirectResponse(_back(call), 302)


def _user(call: Call) -> Response:
    identity = call.identity
    if identity is None or identity.login.startswith("sa-"):
        raise public(404, "user.not-found", "user not found")
    return answer(
        {
            "id": 1,
            "login": identity.login,
            "email": f"{identity.login}@localhost",
            "name": "",
            "orgId": 1,
            "isGrafanaAdmin": True,
            "isDisabled": False,
            "isExternal": False,
        }
    )


ROUTES = (
    Route("POST", "/login", _login, access="open"),
    get("/logout", _logout, access="open"),
    Route("GET", "/user/auth-tokens/rotate", _rotate, None, "open"),
    get("/api/user", _user),
)
