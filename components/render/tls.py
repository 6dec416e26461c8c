"""Both sides of an encrypted scrape: what Prometheus is told, and a server's web configuration."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import bcrypt

from components.render import to_yaml
from components.settings import SCRAPE_PASSWORDS, Group, Secret, StackSettings

# Who scrapes; servers know nobody else.
USER = "prometheus"
CA_FILE = "tls/ca.pem"
# 2^10 rounds, 50 ms; exporter-toolkit remembers who was right and doesn't count again at each scrape.
_ROUNDS = 10


def password_file(group: Group) -> str:
    """Where a client finds a group's password, below its configuration directory."""
    return f"secrets/scrape_{group}_password"


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
    return {
        "scheme": "https",
        "tls_config": {"ca_file": f"{directory}/{CA_FILE}", "server_name": group.server_name},
        "basic_auth": {"username": USER, "password_file": f"{directory}/{password_file(group)}"},
    }


def client_files(settings: StackSettings) -> dict[str, str]:
    """Files that clients need, by path below their configuration directory; none where nobody speaks TLS."""
    return {CA_FILE: settings.pki.ca} if settings.pki is not None and settings.tls.groups else {}


def client_secrets(settings: StackSettings) -> dict[str, Secret]:
    """The same for their passwords."""
    return {password_file(group): SCRAPE_PASSWORDS[group] for group in settings.tls.groups}


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
    return to_yaml(
        {
            "tls_server_config": {
                "cert_file": certificate_file,
                "key_file": key_file,
                "min_version": "TLS12",
            },
            "basic_auth_users": {USER: password_hash(password)},
        }
    )
