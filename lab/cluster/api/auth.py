"""API tokens: who is asking, and with which privileges."""

# ruff: noqa: TID252 - the package is `lab.cluster` here and `cluster` in its image

from ..identities import TOKENS, Token
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
    token = TOKENS.get(name)
    revoked = any(fault.target == name for fault in lab.faults.active(t, "token_revoked"))
    if token is not None and token.secret == secret and not revoked:
        return token
    raise ApiError(401, _why(lab, name, known=token is not None and not revoked))


def _why(lab: Lab, name: str, *, known: bool) -> str:
    if lab.settings.pve_release >= 9:
        return "Authentication failed!"
    user, _, part = name.partition("!")
    if known:
        return "invalid token value!"
    if user in {token.user for token in TOKENS.values()}:
        return f"no such token '{part}' for user '{user}'"
    return f"no such user ('{user}')"


def privileges(lab: Lab, token: Token, t: float) -> frozenset[str]:
    """What a token may do on ``/`` at ``t``."""
    granted = token.privileges(lab.settings.pve_release)
    for fault in lab.faults.active(t, "permission_lost"):
        if fault.target == token.id:
            lost = str(fault.params["privilege"])
            granted = granted - {lost} if lost else frozenset()
    return granted
