"""Who may ask: everybody, or who knows the password (HTTP basic authentication, RFC 7617)."""

from __future__ import annotations

import binascii
import hmac
from base64 import b64decode
from hashlib import sha256

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

# Whoever looks after the process has no password: the answer is one word.
OPEN_PATH = "/healthz"
_LIFESPAN = "lifespan"


class BasicAuthentication:
    """ASGI middleware that answers 401 to all but the health check without the right name and password."""

    def __init__(self, app: ASGIApp, user: str, password: str) -> None:
        self._app = app
        self._expected = _digest(f"{user}:{password}".encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on."""
        known = scope["type"] == _LIFESPAN or scope["path"] == OPEN_PATH
        if known or hmac.compare_digest(_digest(_given(scope)), self._expected):
            await self._app(scope, receive, send)
            return
        headers = {"WWW-Authenticate": 'Basic realm="discovery", charset="UTF-8"'}
        await PlainTextResponse("Name and password are needed.\n", 401, headers)(scope, receive, send)


def _digest(login: bytes) -> bytes:
    # Of one length, so that comparing takes the same time whatever was given.
    return sha256(login).digest()


def _given(scope: Scope) -> bytes:
    """`user:password` of a request; empty if it gives none, or no readable one."""
    header: bytes = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    method, _, login = header.partition(b" ")
    if method.lower() != b"basic":
        return b""
    try:
        return b64decode(login.strip(), validate=True)
    except binascii.Error:
        return b""
