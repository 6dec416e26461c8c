"""A value for every secret of a stack, its own in each run, and how a stack file holds it.

Whoever adds a secret to the settings adds its value here: `tests/e2e/test_secrets.py` fails until then, and
searches for it everywhere from then on.
"""

from __future__ import annotations

import base64
import os
import secrets
import uuid
from collections.abc import Mapping
from functools import cache

import yaml
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from components.settings import Group, Secret
from lab import stack_config
from ops.pulumi_cli import DEV_PASSPHRASE, ROOT
from tests.support.pki import AUTHORITY, PAIRS


def _unique() -> str:
    """Text that stands nowhere else and stays as it is in URLs, JSON and YAML."""
    return f"sought{secrets.token_hex(16)}"


def _hook() -> str:
    """A URL that nobody listens at: no channel of a test reaches anybody."""
    return f"http://127.0.0.1:9/hooks/{_unique()}"


VALUES: Mapping[Secret, str] = {
    Secret.PVE_DISCOVERY_TOKEN: str(uuid.uuid4()),
    Secret.PVE_EXPORTER_TOKEN: str(uuid.uuid4()),
    Secret.PVE_PROVISIONING_TOKEN: f"provisioning@pve!pulumi={uuid.uuid4()}",
    # What is written otherwise in URLs, in JSON and in shells.
    Secret.GRAFANA_ADMIN_PASSWORD: f"{_unique()} &\"<'%/+",
    Secret.SMTP_PASSWORD: f"{_unique()} &\"<'%/+",
    Secret.WEBHOOK_URL: _hook(),
    Secret.SLACK_URL: _hook(),
    Secret.TEAMS_URL: _hook(),
    Secret.DISCORD_URL: _hook(),
    Secret.TELEGRAM_TOKEN: f"123456:{_unique()}",
    Secret.PAGERDUTY_ROUTING_KEY: _unique(),
    Secret.WATCHDOG_URL: _hook(),
    Secret.REMOTE_WRITE_PASSWORD: f"{_unique()} &\"<'%/+",
    Secret.TLS_CA_KEY: AUTHORITY.key,
    Secret.TLS_HOSTS_KEY: PAIRS[Group.HOSTS].key,
    Secret.TLS_GUESTS_KEY: PAIRS[Group.GUESTS].key,
    Secret.TLS_PLATFORM_KEY: PAIRS[Group.PLATFORM].key,
    Secret.SCRAPE_HOSTS_PASSWORD: _unique(),
    Secret.SCRAPE_GUESTS_PASSWORD: _unique(),
    Secret.SCRAPE_PLATFORM_PASSWORD: _unique(),
}

ADMIN_PASSWORD = VALUES[Secret.GRAFANA_ADMIN_PASSWORD]


@cache
def _development_key() -> AESGCM:
    path = ROOT / "Pulumi.dev.yaml"
    salt = yaml.safe_load(path.read_text("utf-8"))["encryptionsalt"]
    return AESGCM(stack_config.secrets_key(salt, DEV_PASSPHRASE, path))


def encrypted(value: str) -> dict[str, str]:
    """A value as a stack file has it whose salt is the development stack's."""
    nonce = os.urandom(12)
    parts = (nonce, _development_key().encrypt(nonce, value.encode(), None))
    return {"secure": ":".join(["v1", *(base64.b64encode(part).decode() for part in parts)])}


def stack_values(values: Mapping[Secret, str] = VALUES) -> dict[str, dict[str, str]]:
    """Secrets as keys of a stack file, without the project's prefix."""
    return {str(secret): encrypted(value) for secret, value in values.items()}
