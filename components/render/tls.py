"""Both sides of an encrypted scrape: what Prometheus is told, and a server's web configuration."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import bcrypt

from components.render import to_yaml
from components.settings import Group, StackSettings

# Who scrapes; servers know nobody else.
USER = "prometheus"
CA_FILE = "tls/ca.pem"
# Names of a server's files, in whichever directory they lie.
CERTIFICATE_NAME, KEY_NAME, WEB_CONFIG_NAME = "tls.crt", "tls.key", "web.yml"
# 2^10 rounds, 50 ms; exporter-toolkit remembers who was right and doesn't count again at each scrape.
_ROUNDS = 10


def password_file(group: Group) -> str:
    """Where a client finds a group's password, below its configuration directory."""
    return f"secrets/scrape_{group}_password"


def user_file(group: Group) -> str:
    """The same for who it is known by; the platform's own servers know USER."""
    return f"secrets/scrape_{group}_user"


def accepted(passwords: str) -> list[str]:
    """Passwords that servers of a group accept; the first is the one that is sent.

    Exporters can't all change theirs in the moment in which Prometheus does. While one password takes the
    other's place the stack's secret holds both, with white space between: first the new one after the old
    one, until every exporter has it, then before it.
    """
    return passwords.split()


def user(password: str) -> str:
    """Who is known by a password of exporters: whoever accepts two knows two users, each with one.

    It tells 32 bits of a digest of a password that can't be guessed.
    """
    return f"{USER}-{hashlib.sha256(f'pve-monitoring user {password}'.encode()).hexdigest()[:8]}"


def client(settings: StackSettings, group: Group, directory: str) -> dict[str, Any]:
    """How a client of Prometheus' kind speaks to the servers of a group; empty where they speak plain HTTP.

    Args:
        settings: of the stack.
        group: whose servers.
        directory: where the client's configuration is mounted.

    Returns:
        Keys of scrape_config, http_sd_config and alertmanager_config; http_sd_config has no scheme.
    """
    if group not in settings.tls.groups:
        return {}
    known = (
        {"username": USER}
        if group is Group.PLATFORM
        else {"username_file": f"{directory}/{user_file(group)}"}
    )
    return {
        "scheme": "https",
        "tls_config": {"ca_file": f"{directory}/{CA_FILE}", "server_name": group.server_name},
        "basic_auth": {**known, "password_file": f"{directory}/{password_file(group)}"},
    }


def client_files(settings: StackSettings) -> dict[str, str]:
    """Files that clients need, by path below their configuration directory; none where nobody speaks TLS."""
    return {CA_FILE: settings.pki.ca} if settings.pki is not None and settings.tls.groups else {}


@cache
def password_hash(password: str) -> str:
    """Bcrypt of a password, the same for the same password: a new one each time would be drift.

    Its salt comes from the password itself. That tells who has two hashes whether their passwords are equal
    and nothing else, for the passwords that `ops pki` makes can't be guessed.
    """
    digest = hashlib.sha256(f"pve-monitoring {password}".encode()).digest()
    # bcrypt spells base64 with an alphabet of its own, and 16 bytes end in one of four letters.
    letters = base64.b64encode(digest[:16], altchars=b"./").decode()[:21]
    return bcrypt.hashpw(password.encode(), f"$2b${_ROUNDS}${letters}u".encode()).decode()


def web_config(certificate_file: str, key_file: str, password: str) -> str:
    """Web configuration of a server that uses exporter-toolkit (Prometheus, Alertmanager, exporters).

    It is read anew at each connection, its certificate too: neither needs a restart.
    """
    return _web_config(certificate_file, key_file, {USER: password})


@dataclass(frozen=True, kw_only=True)
class Server:
    """What the exporters of a group show, and whom they let in.

    Attributes:
        certificate: PEM.
        key: its private key, PEM.
        passwords: as the stack's secret holds them (`accepted`).
    """

    certificate: str
    key: str = field(repr=False)
    passwords: str = field(repr=False)

    def web_config(self, certificate_file: str, key_file: str) -> str:
        """Web configuration of such an exporter."""
        users = {user(password): password for password in accepted(self.passwords)}
        return _web_config(certificate_file, key_file, users)


def _web_config(certificate_file: str, key_file: str, users: Mapping[str, str]) -> str:
    return to_yaml(
        {
            "tls_server_config": {
                "cert_file": certificate_file,
                "key_file": key_file,
                "min_version": "TLS12",
            },
            "basic_auth_users": {name: password_hash(password) for name, password in users.items()},
        }
    )
