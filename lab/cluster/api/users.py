"""/access/users: users and their tokens, as pve-access-control's API2/User.pm answers."""

# ruff: noqa: TID252 - the package is `lab.cluster` here and `cluster` in its image

import re
import uuid
from typing import Any

from ..directory import ApiToken
from .call import ApiError, Call

USER = frozenset({"comment", "email", "enable", "expire", "firstname", "groups", "keys", "lastname"})
TOKEN = frozenset({"comment", "expire", "privsep"})
NUMBERS = frozenset({"enable", "expire", "privsep"})
GROUPS = "/access/groups"
_TOKEN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9.\-_]+")


def _options(call: Call, known: frozenset[str]) -> dict[str, Any]:
    """What was given, as it is kept.

    Raises:
        ApiError: 400, a number isn't one.
    """
    given = {key: value for key, value in call.query.items() if key in known}
    for key in NUMBERS & set(given):
        if not given[key].isdigit():
            kind = "integer" if key == "expire" else "boolean"
            raise ApiError(
                400,
                "Parameter verification failed.",
                {key: f"type check ('{kind}') failed - got '{given[key]}'"},
            )
    return {key: int(value) if key in NUMBERS else value for key, value in given.items()}


def _user(call: Call) -> dict[str, Any]:
    found = call.lab.directory.users.get(call.params["userid"])
    if found is None:
        raise ApiError(500, f"no such user ('{call.params['userid']}')")
    return found


def _changed(call: Call) -> None:
    call.lab.directory.version += 1


async def create(call: Call) -> Any:
    """POST /access/users."""
    name = call.query.get("userid", "")
    realm = name.partition("@")[2]
    if not realm:
        text = f"invalid format - value '{name}' does not look like a valid user name"
        raise ApiError(400, "Parameter verification failed.", {"userid": text})
    call.need(f"/access/realm/{realm}", "Realm.AllocateUser")
    call.need(GROUPS, "User.Modify")
    if realm not in ("pam", "pve"):
        raise ApiError(500, f"create user failed: domain '{realm}' does not exist")
    if name in call.lab.directory.users:
        raise ApiError(500, f"create user failed: user '{name}' already exists")
    call.lab.directory.users[name] = {"enable": 1, "expire": 0} | _options(call, USER)
    _changed(call)


async def read(call: Call) -> Any:
    """GET /access/users/{userid}: what is empty is left out."""
    call.need(GROUPS, "User.Modify", "Sys.Audit")
    user = _user(call)
    shown = {key: value for key, value in user.items() if value != "" and key != "groups"}
    prefix = f"{call.params['userid']}!"
    tokens = {
        ident.removeprefix(prefix): token.options
        for ident, token in call.lab.directory.tokens.items()
        if ident.startswith(prefix)
    }
    return shown | {"groups": []} | ({"tokens": tokens} if tokens else {})


async def change(call: Call) -> Any:
    """PUT /access/users/{userid}."""
    call.need(GROUPS, "User.Modify")
    _user(call).update(_options(call, USER))
    _changed(call)


async def delete(call: Call) -> Any:
    """DELETE /access/users/{userid}: with its tokens, and with the ACL entries of all of them."""
    name, directory = call.params["userid"], call.lab.directory
    call.need(f"/access/realm/{name.partition('@')[2]}", "Realm.AllocateUser")
    call.need(GROUPS, "User.Modify")
    _user(call)
    for ident in [ident for ident in directory.tokens if ident.partition("!")[0] == name]:
        del directory.tokens[ident]
    for entry in [entry for entry in directory.acl if entry.who.partition("!")[0] == name]:
        del directory.acl[entry]
    del directory.users[name]
    _changed(call)


# --- tokens ---------------------------------------------------------------------------------------


def _token(call: Call) -> tuple[str, ApiToken]:
    """The token that the path names, for its user or for whoever manages users."""
    user, name = call.params["userid"], call.params["tokenid"]
    _self_or_manager(call)
    found = call.lab.directory.tokens.get(f"{user}!{name}")
    if found is None:
        raise ApiError(500, f"no such token '{name}' for user '{user}'")
    return f"{user}!{name}", found


def _self_or_manager(call: Call) -> None:
    # A token isn't its user: 'self' holds for tickets only.
    call.need(GROUPS, "User.Modify")
    _user(call)


async def create_token(call: Call) -> Any:
    """POST /access/users/{userid}/token/{tokenid}: the only answer that ever shows the secret."""
    user, name = call.params["userid"], call.params["tokenid"]
    _self_or_manager(call)
    if not _TOKEN_NAME.fullmatch(name):
        text = "value does not match the regex pattern"
        raise ApiError(400, "Parameter verification failed.", {"tokenid": text})
    ident = f"{user}!{name}"
    if ident in call.lab.directory.tokens:
        raise ApiError(400, "Parameter verification failed.", {"tokenid": "Token already exists."})
    options = {"expire": 0, "privsep": 1} | _options(call, TOKEN)
    token = ApiToken(str(uuid.uuid4()), options)
    call.lab.directory.tokens[ident] = token
    _changed(call)
    return {"full-tokenid": ident, "value": token.secret, "info": options}


async def read_token(call: Call) -> Any:
    """GET /access/users/{userid}/token/{tokenid}."""
    return _token(call)[1].options


async def change_token(call: Call) -> Any:
    """PUT /access/users/{userid}/token/{tokenid}: its secret stays."""
    token = _token(call)[1]
    token.options.update(_options(call, TOKEN))
    _changed(call)
    return token.options


async def delete_token(call: Call) -> Any:
    """DELETE /access/users/{userid}/token/{tokenid}: and with it its ACL entries."""
    ident, directory = _token(call)[0], call.lab.directory
    del directory.tokens[ident]
    for entry in [entry for entry in directory.acl if entry.who == ident]:
        del directory.acl[entry]
    _changed(call)
