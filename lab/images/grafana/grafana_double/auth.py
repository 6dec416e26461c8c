"""Who calls: Basic authentication, service account tokens, anonymous."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from datetime import UTC, datetime
from typing import Literal

from .api import Identity, now
from .errors import public
from .settings import Settings
from .store import Document, Store

USER = "user"
SERVICE_ACCOUNT = "service_account"
TOKEN = "token"

_ROUNDS = 10_000
"""PBKDF2 rounds; Grafana's own number (util.EncodePassword)."""


def ensure_admin(store: Store, settings: Settings) -> bool:
    """Create the first user unless there is one; True when the password of the settings was taken.

    A later change of the setting changes nothing, as in Grafana.
    """
    with store.transaction():
        if store.all(USER):
            return False
        salt = secrets.token_hex(16)
        document = {
            "id": store.next_id(USER),
            "login": settings.admin_user,
            "salt": salt,
            "hash": _password_hash(settings.admin_password, salt),
            "created": now(),
        }
        store.put(USER, settings.admin_user, document)
    return True


def identify(store: Store, settings: Settings, authorization: str | None) -> Identity:
    """The caller behind an Authorization header.

    Raises:
        ApiError: 401.
    """
    if not authorization:
        if settings.anonymous_role:
            return Identity("Anonymous", settings.anonymous_role)
        raise public(401, "auth.unauthorized", "Unauthorized")
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() == "basic":
        return _by_password(store, authorization)
    if scheme.lower() == "bearer":
        return _by_token(store, credentials)
    raise public(401, "auth.unauthorized", "Unauthorized")


def token_hash(key: str) -> str:
    """What is kept of a token; it is long and random, so one round is enough."""
    return hashlib.sha256(key.encode()).hexdigest()


def expired(token: Document) -> bool:
    """Whether a token's time is over."""
    end = token["expiration"]
    return end is not None and datetime.fromisoformat(end) <= datetime.now(UTC)


def allowed(identity: Identity, access: Literal["read", "write", "page", "open"]) -> bool:
    """Whether the role is enough: Viewer reads, Editor and Admin write, None does nothing."""
    if identity.role == "None":
        return False
    return access != "write" or identity.role != "Viewer"


def basic_login(authorization: str | None) -> tuple[str, str] | None:
    """User and password of an Authorization header; None if it holds none."""
    scheme, _, credentials = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        login, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return login, password


def _password_hash(password: str, salt: str) -> str:
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), _ROUNDS).hex()


def _by_password(store: Store, authorization: str) -> Identity:
    said = basic_login(authorization)
    if said is None:
        raise public(401, "auth.unauthorized", "Unauthorized")
    return by_name(store, *said)


def by_name(store: Store, login: str, password: str) -> Identity:
    """The user of that name.

    Raises:
        ApiError: 401, there is none, or the password is wrong.
    """
    user = store.get(USER, login)
    given = _password_hash(password, user["salt"] if user else "")
    if user is None or not hmac.compare_digest(given, user["hash"]):
        raise public(401, "password-auth.failed", "Invalid username or password")
    return Identity(login, "Admin")


def _by_token(store: Store, key: str) -> Identity:
    digest = token_hash(key)
    token = next((token for token in store.all(TOKEN) if token["hash"] == digest), None)
    if token is None:
        raise public(401, "api-key.invalid", "Invalid API key")
    account = store.get(SERVICE_ACCOUNT, str(token["account"]))
    if expired(token):
        raise public(401, "api-key.expired", "Expired API key")
    if account is None or account["isDisabled"]:
        raise public(401, "service-account.disabled", "Service account is disabled")
    if token["lastUsedAt"] != now():
        store.put(TOKEN, str(token["id"]), {**token, "lastUsedAt": now()})
    return Identity(account["login"], account["role"])
