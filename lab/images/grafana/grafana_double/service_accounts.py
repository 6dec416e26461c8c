"""Service accounts and their tokens."""

from __future__ import annotations

import hashlib
import secrets
import string
import zlib
from datetime import UTC, datetime, timedelta

from starlette.responses import Response

from .api import ORG_ID, Call, Route, answer, get, new_uid, now, slug
from .auth import SERVICE_ACCOUNT, TOKEN, USER, expired, token_hash
from .errors import public
from .schemas import CreateServiceAccount, CreateToken, UpdateServiceAccount
from .store import Document, Store

PATH = "/api/serviceaccounts"


def new_key() -> str:
    """A token in Grafana's form: glsa_, 32 letters and digits, _, and a CRC-32 of 8 hexadecimal digits."""
    alphabet = string.ascii_letters + string.digits
    body = "glsa_" + "".join(secrets.choice(alphabet) for _ in range(32))
    return f"{body}_{zlib.crc32(body.encode()):08x}"


def _find(call: Call) -> Document:
    account = call.store.get(SERVICE_ACCOUNT, call.params["id"])
    if account is None:
        raise public(404, "serviceaccounts.ErrNotFound", "service account not found")
    return account


def _tokens(store: Store, account_id: int) -> list[Document]:
    return [token for token in store.all(TOKEN) if token["account"] == account_id]


def _summary(store: Store, account: Document) -> Document:
    avatar = hashlib.sha256(account["login"].encode()).hexdigest()[:32]
    return {
        "id": account["id"],
        "uid": account["uid"],
        "name": account["name"],
        "login": account["login"],
        "orgId": ORG_ID,
        "isDisabled": account["isDisabled"],
        "role": account["role"],
        "tokens": len(_tokens(store, account["id"])),
        "avatarUrl": f"/avatar/{avatar}",
        "isExternal": False,
    }


def _shown(store: Store, account: Document) -> Document:
    return _summary(store, account) | {
        "createdAt": account["createdAt"],
        "updatedAt": account["updatedAt"],
        "teams": None,
    }


def _check_name(store: Store, name: str, own_id: int | None = None) -> None:
    for account in store.all(SERVICE_ACCOUNT):
        if account["name"] == name and account["id"] != own_id:
            raise public(400, "serviceaccounts.ErrAlreadyExists", "service account already exists")


def _create(call: Call) -> Response:
    command = call.parse(CreateServiceAccount)
    _check_name(call.store, command.name)
    account = {
        "id": call.store.next_id(USER),
        "uid": new_uid(),
        "name": command.name,
        "login": f"sa-{ORG_ID}-{slug(command.name)}",
        "role": command.role,
        "isDisabled": command.is_disabled,
        "createdAt": now(),
        "updatedAt": now(),
    }
    call.store.put(SERVICE_ACCOUNT, str(account["id"]), account)
    return answer(_summary(call.store, account), 201)


def _read(call: Call) -> Response:
    return answer(_shown(call.store, _find(call)))


def _search(call: Call) -> Response:
    text = (call.one("query") or "").lower()
    found = [
        _summary(call.store, account)
        for account in call.store.all(SERVICE_ACCOUNT)
        if text in account["name"].lower() or text in account["login"].lower()
    ]
    return answer({"totalCount": len(found), "serviceAccounts": found, "page": 1, "perPage": 1000})


def _update(call: Call) -> Response:
    account = _find(call)
    command = call.parse(UpdateServiceAccount)
    if command.name is not None:
        _check_name(call.store, command.name, account["id"])
    given = {"name": command.name, "role": command.role, "isDisabled": command.is_disabled}
    changed = {**account, **{key: value for key, value in given.items() if value is not None}}
    changed["updatedAt"] = now()
    call.store.put(SERVICE_ACCOUNT, str(account["id"]), changed)
    return answer(
        {
            "id": account["id"],
            "message": "Service account updated",
            "name": changed["name"],
            "serviceaccount": _shown(call.store, changed),
        }
    )


def _delete(call: Call) -> Response:
    account = _find(call)
    for token in _tokens(call.store, account["id"]):
        call.store.delete(TOKEN, str(token["id"]))
    call.store.delete(SERVICE_ACCOUNT, str(account["id"]))
    return answer({"message": "Service account deleted"})


def _shown_token(token: Document) -> Document:
    end = token["expiration"]
    left = (datetime.fromisoformat(end) - datetime.now(UTC)).total_seconds() if end else 0
    return {
        "id": token["id"],
        "name": token["name"],
        "created": token["created"],
        "lastUsedAt": token["lastUsedAt"],
        "expiration": end,
        "secondsUntilExpiration": max(left, 0),
        "hasExpired": expired(token),
        "isRevoked": False,
    }


def _list_tokens(call: Call) -> Response:
    identifier = call.params["id"]
    return answer(
        [_shown_token(token) for token in call.store.all(TOKEN) if str(token["account"]) == identifier]
    )


def _create_token(call: Call) -> Response:
    account = _find(call)
    command = call.parse(CreateToken)
    if any(token["name"] == command.name for token in call.store.all(TOKEN)):
        raise public(
            400,
            "serviceaccounts.ErrTokenAlreadyExists",
            "service account token with given name already exists in the organization",
        )
    end = datetime.now(UTC) + timedelta(seconds=command.seconds_to_live)
    key = new_key()
    token = {
        "id": call.store.next_id(TOKEN),
        "account": account["id"],
        "name": command.name,
        "hash": token_hash(key),
        "created": now(),
        "lastUsedAt": None,
        "expiration": end.strftime("%Y-%m-%dT%H:%M:%SZ") if command.seconds_to_live else None,
    }
    call.store.put(TOKEN, str(token["id"]), token)
    return answer({"id": token["id"], "name": token["name"], "key": key})


def _delete_token(call: Call) -> Response:
    account = _find(call)
    token = call.store.get(TOKEN, call.params["token"])
    if token is None or token["account"] != account["id"]:
        raise public(404, "serviceaccounts.ErrTokenNotFound", "service account token not found")
    call.store.delete(TOKEN, str(token["id"]))
    return answer({"message": "Service account token deleted"})


ROUTES = (
    get(f"{PATH}/search", _search, "query", "page", "perpage"),
    Route("POST", PATH, _create),
    get(f"{PATH}/{{id}}", _read),
    Route("PATCH", f"{PATH}/{{id}}", _update),
    Route("DELETE", f"{PATH}/{{id}}", _delete),
    get(f"{PATH}/{{id}}/tokens", _list_tokens),
    Route("POST", f"{PATH}/{{id}}/tokens", _create_token),
    Route("DELETE", f"{PATH}/{{id}}/tokens/{{token}}", _delete_token),
)
