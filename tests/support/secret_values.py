"""A value for every secret of a stack, its own in each run.

Whoever adds a secret to the settings adds its value here: `tests/e2e/test_secrets.py` fails until then, and
searches for it everywhere from then on.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime

from components import pki
from components.settings import Group, Secret
from tests.support.pki import AUTHORITY, CERTIFICATES, PAIRS

_GATEWAY = pki.issue(AUTHORITY, ["localhost", "127.0.0.1"], datetime.now(UTC))
# The setting `pki` with every certificate whose key is among the values.
ALL_CERTIFICATES = {**CERTIFICATES, "gateway": _GATEWAY.certificate}


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
    Secret.TLS_GATEWAY_KEY: _GATEWAY.key,
    Secret.GATEWAY_PASSWORD: f"{_unique()} &\"<'%/+",
    Secret.OIDC_CLIENT_SECRET: _unique(),
    Secret.SCRAPE_HOSTS_PASSWORD: _unique(),
    Secret.SCRAPE_GUESTS_PASSWORD: _unique(),
    Secret.SCRAPE_PLATFORM_PASSWORD: _unique(),
}

ADMIN_PASSWORD = VALUES[Secret.GRAFANA_ADMIN_PASSWORD]
