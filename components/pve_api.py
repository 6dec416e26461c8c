"""Proxmox VE's API as the program and its commands ask it, with errors for people."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import proxmoxer
import requests
from proxmoxer.core import ResourceException

from components.settings import Cluster

# The server itself waits 3 s for a ping of an agent and 5 s for an answer.
TIMEOUT_SECONDS = 20
# The oldest release whose API and privileges this project knows; 7 had its last update in July 2024.
OLDEST_RELEASE = 8

_TOKEN = re.compile(
    r"(?P<user>[^@!\s]+@[^@!\s]+)!(?P<name>[A-Za-z0-9][A-Za-z0-9._-]+)=(?P<secret>[0-9a-fA-F-]{36})"
)
_T = TypeVar("_T")

_LOOK = (
    "\nSee whether pve-monitoring:cluster.endpoints is right, whether a firewall lets this machine through, "
    "and on the host: systemctl status pveproxy"
)


class Refused(Exception):  # noqa: N818 - what the cluster or a guest answers
    """It can't be done; the message says why and what to do."""


class NotAccepted(Refused):
    """No member knows the token."""


class Silent(Refused):
    """A member doesn't answer."""


class TooOld(Refused):
    """The cluster's release is before the oldest."""

    def __init__(self, release: int) -> None:
        super().__init__(
            f"the cluster runs Proxmox VE {release}, which has had no update since July 2024 and doesn't "
            f"know all calls that this program makes; upgrade it to {OLDEST_RELEASE} or later"
        )


@dataclass(frozen=True)
class Token:
    """An API token; its secret is never shown."""

    user: str
    name: str
    secret: str

    def __repr__(self) -> str:
        return f"Token({self.id})"

    @property
    def id(self) -> str:
        """user@realm!name."""
        return f"{self.user}!{self.name}"

    @classmethod
    def parse(cls, text: str) -> Token:
        """Read a whole token.

        Raises:
            Refused: it is none; the text isn't repeated.
        """
        match = _TOKEN.fullmatch(text.strip())
        if match is None:
            raise Refused(
                "that is not a whole API token; write user@realm!name=secret, where the secret is the UUID "
                "that Proxmox VE showed when the token was made"
            )
        return cls(match["user"], match["name"], match["secret"])


class Api:
    """The API of one cluster. A thread needs one of its own.

    Args:
        cluster: its settings.
        token: who asks.
        endpoints: members that are tried in this order.
        root: directory that a relative caFile starts from.
    """

    def __init__(self, cluster: Cluster, token: Token, endpoints: Sequence[str], root: Path) -> None:
        self._cluster, self._token, self._endpoints, self._root = cluster, token, endpoints, root
        self._client: Any = None
        self.release = 0

    def connect(self) -> Any:
        """Find a member that answers; what proxmoxer makes of its paths.

        Raises:
            Refused: none does, its certificate isn't trusted, the token isn't accepted, or it is too old.
        """
        reasons = {}
        for endpoint in self._endpoints:
            self._client = self._open(endpoint)
            try:
                release = str(self.call(self._client.version.get)["release"])
            except NotAccepted:
                raise
            except Refused as error:
                reasons[endpoint] = error
                continue
            self.release = int(release.partition(".")[0])
            if self.release < OLDEST_RELEASE:
                raise TooOld(self.release)
            return self._client
        listed = "\n  ".join(f"{endpoint}: {reason}" for endpoint, reason in reasons.items())
        look = _LOOK if any(isinstance(reason, Silent) for reason in reasons.values()) else ""
        raise Refused(f"no member of the cluster answers:\n  {listed}{look}")

    def call(self, ask: Callable[[], _T], advise: Callable[[str], str] | None = None) -> _T:
        """Ask, and say what is wrong where that fails.

        Args:
            ask: makes the request.
            advise: gives what to do about what Proxmox VE says; "" for nothing.

        Raises:
            Refused: it did.
        """
        try:
            return ask()
        except ResourceException as error:
            kind = NotAccepted if error.status_code == 401 else Refused
            raise kind(self._explained(error, advise)) from None
        except requests.exceptions.SSLError as error:
            raise Refused(
                f"its certificate isn't trusted ({_innermost(error)}); set pve-monitoring:cluster.caFile to "
                "the cluster's CA"
            ) from None
        except requests.RequestException as error:
            raise Silent(f"no answer ({_innermost(error)})") from None

    def privileges(self, path: str) -> frozenset[str]:
        """What the token may do on a path, by ACLs on it, above it, and on pools.

        Raises:
            Refused: the API doesn't answer.
        """
        answer = self.call(lambda: self._client.access.permissions.get(path=path))
        return frozenset(answer.get(path, {}))

    def _open(self, endpoint: str) -> Any:
        parts = urlsplit(endpoint)
        cluster = self._cluster
        verify = cluster.verify_tls if cluster.ca_file is None else str(self._root / cluster.ca_file)
        return proxmoxer.ProxmoxAPI(
            parts.hostname,
            port=parts.port,
            user=self._token.user,
            token_name=self._token.name,
            token_value=self._token.secret,
            verify_ssl=verify,
            timeout=TIMEOUT_SECONDS,
        )

    def _explained(self, error: ResourceException, advise: Callable[[str], str] | None) -> str:
        # Before 9 the text stands in the reason phrase alone.
        said = str(error.content).partition(" - {")[0].strip() or str(error.status_message)
        if error.status_code == 401:
            return f"the token {self._token.id} isn't accepted ({said}): mistyped, expired or removed"
        if error.status_code >= 595:
            return f"its host isn't reached ({said})"
        advice = advise(said) if advise else ""
        return f"{advice}. Proxmox VE says: {said}" if advice else said


def _innermost(error: BaseException) -> str:
    while error.__context__ is not None:
        error = error.__context__
    return str(error) or type(error).__name__
