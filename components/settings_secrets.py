"""The secret keys of a stack's config, and what each is for."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from components.settings_alerting import Channel
from components.settings_tls import GATEWAY, Group


class Secret(StrEnum):
    """A flat secret key of the stack config (names of keys, not values)."""

    PVE_DISCOVERY_TOKEN = "pveDiscoveryToken"
    PVE_EXPORTER_TOKEN = "pveExporterToken"
    PVE_PROVISIONING_TOKEN = "pveProvisioningToken"
    GRAFANA_ADMIN_PASSWORD = "grafanaAdminPassword"
    SMTP_PASSWORD = "smtpPassword"
    WEBHOOK_URL = "webhookUrl"
    SLACK_URL = "slackUrl"
    TEAMS_URL = "teamsUrl"
    DISCORD_URL = "discordUrl"
    TELEGRAM_TOKEN = "telegramToken"
    PAGERDUTY_ROUTING_KEY = "pagerdutyRoutingKey"
    WATCHDOG_URL = "watchdogUrl"
    REMOTE_WRITE_PASSWORD = "remoteWritePassword"
    TLS_CA_KEY = "tlsCaKey"
    TLS_HOSTS_KEY = "tlsHostsKey"
    TLS_GUESTS_KEY = "tlsGuestsKey"
    TLS_PLATFORM_KEY = "tlsPlatformKey"
    TLS_GATEWAY_KEY = "tlsGatewayKey"
    GATEWAY_PASSWORD = "gatewayPassword"
    OIDC_CLIENT_SECRET = "oidcClientSecret"
    SCRAPE_HOSTS_PASSWORD = "scrapeHostsPassword"
    SCRAPE_GUESTS_PASSWORD = "scrapeGuestsPassword"
    SCRAPE_PLATFORM_PASSWORD = "scrapePlatformPassword"


ALWAYS_REQUIRED = (Secret.GRAFANA_ADMIN_PASSWORD,)

# The secret without which a channel can't deliver.
CHANNEL_SECRETS: Mapping[Channel, Secret] = {
    Channel.WEBHOOK: Secret.WEBHOOK_URL,
    Channel.SLACK: Secret.SLACK_URL,
    Channel.TEAMS: Secret.TEAMS_URL,
    Channel.DISCORD: Secret.DISCORD_URL,
    Channel.TELEGRAM: Secret.TELEGRAM_TOKEN,
    Channel.PAGERDUTY: Secret.PAGERDUTY_ROUTING_KEY,
}

# The key of each certificate, and the password that the servers of a group want.
TLS_KEYS: Mapping[str, Secret] = {
    Group.HOSTS: Secret.TLS_HOSTS_KEY,
    Group.GUESTS: Secret.TLS_GUESTS_KEY,
    Group.PLATFORM: Secret.TLS_PLATFORM_KEY,
    GATEWAY: Secret.TLS_GATEWAY_KEY,
}
SCRAPE_PASSWORDS: Mapping[Group, Secret] = {
    Group.HOSTS: Secret.SCRAPE_HOSTS_PASSWORD,
    Group.GUESTS: Secret.SCRAPE_GUESTS_PASSWORD,
    Group.PLATFORM: Secret.SCRAPE_PLATFORM_PASSWORD,
}
