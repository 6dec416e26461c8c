"""Users, tokens, roles and ACL entries (user.cfg), and the privileges that follow from them.

Kept in memory: a lab that is started again has only those of ``identities``.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .identities import ROLES, TOKENS, Token, known_privileges, special_roles

TOP = ("/", "/access", "/access/groups", "/nodes", "/pool", "/sdn", "/storage", "/vms")
NO_ACCESS = "NoAccess"


@dataclass
class ApiToken:
    """A token: its secret, and its options by key as the API shows them (expire, privsep, comment)."""

    secret: str
    options: dict[str, Any]

    def expired(self, t: float) -> bool:
        """Whether it isn't accepted any more; 0 is never."""
        return 0 < int(self.options.get("expire", 0)) <= t


@dataclass(frozen=True)
class Entry:
    """An ACL entry, but for whether it propagates: ``kind`` is user or token, ``who`` its id."""

    path: str
    kind: str
    who: str
    role: str


@dataclass
class Directory:
    """Who there is and who may what; ``version`` counts the changes."""

    release: int
    roles: dict[str, frozenset[str]] = field(default_factory=lambda: dict(ROLES))
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    tokens: dict[str, ApiToken] = field(default_factory=dict)
    acl: dict[Entry, bool] = field(default_factory=dict)
    version: int = 0

    def __post_init__(self) -> None:
        """Fill in the identities that everybody knows."""
        for token in TOKENS.values():
            self.users[token.user] = {"enable": 1}
            self.tokens[token.id] = ApiToken(token.secret, {"expire": 0, "privsep": 1})
            for role in token.granted(self.release):
                self.acl[Entry("/", "user", token.user, role)] = True
                self.acl[Entry("/", "token", token.id, role)] = True

    def privileges_of(self, role: str) -> frozenset[str]:
        """What a role contains on this release: a privilege that it doesn't know is left out."""
        found = special_roles(self.release).get(role, self.roles.get(role, frozenset()))
        return found & known_privileges(self.release)

    def token(self, ident: str, secret: str, t: float) -> Token | None:
        """The token of that id and secret, if it and its user are accepted at ``t``."""
        known = self.tokens.get(ident)
        user = self.users.get(ident.partition("!")[0], {})
        if known is None or known.secret != secret or known.expired(t) or not user.get("enable", 1):
            return None
        return Token(ident, secret)

    def roles_at(self, path: str, kind: str, who: str) -> dict[str, bool]:
        """The roles of a user or token by itself on a path, and whether they propagate.

        As PVE::AccessControl::roles: what stands on a deeper path replaces what was inherited, and on one
        path the roles add up.
        """
        roles: dict[str, bool] = {}
        for place in _downwards(path):
            here = {
                entry.role: propagate
                for entry, propagate in self.acl.items()
                if (entry.path, entry.kind, entry.who) == (place, kind, who) and (propagate or place == path)
            }
            roles = here or roles
        return {NO_ACCESS: roles[NO_ACCESS]} if NO_ACCESS in roles else roles

    def privileges_in(self, roles: dict[str, bool]) -> dict[str, bool]:
        """What roles contain together."""
        found: dict[str, bool] = {}
        for role, propagate in roles.items():
            for privilege in self.privileges_of(role):
                found[privilege] = found.get(privilege, False) or propagate
        return found


def _downwards(path: str) -> Iterator[str]:
    yield "/"
    parts = path.strip("/").split("/")
    for count in range(1, len(parts) + 1):
        if parts != [""]:
            yield "/" + "/".join(parts[:count])


class Rights:
    """What a token may do on which path, and through the pool that a guest is in.

    Args:
        pool: the pool of a guest by vmid, or "".
        lost: what a fault takes away: privileges, or None for all of them.
    """

    def __init__(
        self,
        directory: Directory,
        token: Token,
        pool: Callable[[str], str],
        lost: frozenset[str] | None = frozenset(),
    ) -> None:
        self._directory, self._token, self._pool, self._lost = directory, token, pool, lost
        own = {entry for entry in directory.acl if entry.who in (token.id, token.user)}
        # All on / and propagated, as most are: then every path is alike, and asked thousands of times.
        self.uniform = all(e.path == "/" and directory.acl[e] for e in own)
        self._everywhere = frozenset(self._compute("/")) if self.uniform else frozenset()

    def at(self, path: str) -> frozenset[str]:
        """The privileges on a path."""
        return self._everywhere if self.uniform else frozenset(self._compute(path))

    def listed(self, path: str) -> dict[str, bool]:
        """The same, and whether each propagates."""
        return self._compute(path)

    def _compute(self, path: str) -> dict[str, bool]:
        if self._lost is None:
            return {}
        user = self._of("user", self._token.user, path)
        options = self._directory.tokens[self._token.id].options
        if options.get("privsep", 1):
            user = {p: v for p, v in self._of("token", self._token.id, path).items() if p in user}
        return {privilege: value for privilege, value in user.items() if privilege not in self._lost}

    def _of(self, kind: str, who: str, path: str) -> dict[str, bool]:
        roles = self._directory.roles_at(path, kind, who)
        room, _, vmid = path.rpartition("/")
        if room == "/vms" and NO_ACCESS not in roles and (pool := self._pool(vmid)):
            # As RPCEnvironment::compile_acl_path: what the pool gives is added, and isn't passed on.
            of_pool = self._directory.roles_at(f"/pool/{pool}", kind, who)
            roles = of_pool if NO_ACCESS in of_pool else dict.fromkeys(of_pool, False) | roles
        return self._directory.privileges_in(roles)
