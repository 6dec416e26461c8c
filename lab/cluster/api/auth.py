"""API tokens: who is asking, and with which privileges."""

# ruff: noqa: TID252 - the package is `lab.cluster` here and `cluster` in its image

from ..directory import Rights
from ..identities import Token
from ..state import Lab
from .call import ApiError

SCHEME = "PVEAPIToken="


def authenticate(lab: Lab, header: str, t: float) -> Token:
    """The token that an Authorization header carries.

    Raises:
        ApiError: 401; pve-manager since 9.1.5 doesn't say why, older ones do.
    """
    if not header.startswith(SCHEME):
        raise ApiError(401, "No ticket")
    name, _, secret = header.removeprefix(SCHEME).partition("=")
    revoked = any(fault.target == name for fault in lab.faults.active(t, "token_revoked"))
    token = None if revoked else lab.directory.token(name, secret, t)
    if token is not None:
        return token
    raise ApiError(401, _why(lab, name, t, revoked=revoked))


def _why(lab: Lab, name: str, t: float, *, revoked: bool) -> str:
    if lab.settings.pve_release >= 9:
        return "Authentication failed!"
    user, _, part = name.partition("!")
    known = lab.directory.tokens.get(name)
    if user not in lab.directory.users:
        return f"no such user ('{user}')"
    if known is None or revoked:
        return f"no such token '{part}' for user '{user}'"
    return f"token '{part}' access expired" if known.expired(t) else "invalid token value!"


class Rightful:
    """The rights of tokens, computed when something about them changed."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._known: dict[str, tuple[int, Rights]] = {}

    def rights(self, token: Token, t: float) -> Rights:
        """What a token may do at ``t``."""
        directory = self._lab.directory
        faults = self._lab.faults.active(t, "permission_lost")
        if lost := {str(fault.params["privilege"]) for fault in faults if fault.target == token.id}:
            return Rights(directory, token, self._lab.pool, None if "" in lost else frozenset(lost))
        version, rights = self._known.get(token.id, (-1, None))
        if rights is None or version != directory.version:
            rights = Rights(directory, token, self._lab.pool)
            self._known[token.id] = directory.version, rights
        return rights
