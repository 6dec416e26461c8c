"""Settings of a stack: the whole of its Pulumi config, and the only reader of it.

The models of its rooms are in the files settings_*; everybody takes their names from here.

Structured values are plain (addresses, sizes, names). Secrets are flat keys of their own, so that
`pulumi config set --secret KEY` is all that is needed, and stay Pulumi Outputs: no model ever holds one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self

import pulumi
from pulumi.runtime import config as runtime_config
from pydantic import Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from components.settings_alerting import (
    Alerting,
    Channel,
    ClockSpan,
    Email,
    Grafana,
    MuteTiming,
    RepeatIntervals,
    Routes,
    Severity,
    Slack,
    Telegram,
)
from components.settings_cluster import Access, Cluster, Firewall, FirewallGuest, FirewallMode, Switch
from components.settings_docker import (
    Containers,
    Docker,
    Images,
    LocalDocker,
    MemoryLimits,
    Network,
    Ports,
    ProxmoxDocker,
    Replica,
    SshDocker,
)
from components.settings_exporters import Collector, ExporterHost, ExporterRelease, HostExporters, HostRelease
from components.settings_gateway import (
    AcmeTls,
    AuthMode,
    BasicAuth,
    ForwardAuth,
    Gateway,
    GivenTls,
    InternalTls,
    OidcAuth,
    OwnTls,
    RateLimits,
    TlsMode,
    certifies,
)
from components.settings_guests import GuestExporters, LinuxGuests, WindowsGuests
from components.settings_model import PROJECT, Model
from components.settings_replica import REPLICA_LABEL, addresses, check_replica, replica_of
from components.settings_scraping import (
    Discovery,
    ExporterPorts,
    LabelsMode,
    Prometheus,
    RemoteWrite,
    Scrape,
    StaticHost,
)
from components.settings_tls import GATEWAY, HOLDERS, Group, Pki, Tls, faults
from components.words import problem

__all__ = [
    "ALWAYS_REQUIRED",
    "CHANNEL_SECRETS",
    "GATEWAY",
    "HOLDERS",
    "PROJECT",
    "REPLICA_LABEL",
    "SCRAPE_PASSWORDS",
    "TLS_KEYS",
    "Access",
    "AcmeTls",
    "Alerting",
    "BasicAuth",
    "Channel",
    "ClockSpan",
    "Cluster",
    "Collector",
    "Containers",
    "Discovery",
    "Docker",
    "Email",
    "ExporterHost",
    "ExporterPorts",
    "ExporterRelease",
    "Firewall",
    "FirewallGuest",
    "FirewallMode",
    "ForwardAuth",
    "Gateway",
    "GivenTls",
    "Grafana",
    "Group",
    "GuestExporters",
    "HostExporters",
    "HostRelease",
    "Images",
    "InternalTls",
    "LabelsMode",
    "LinuxGuests",
    "LocalDocker",
    "MemoryLimits",
    "Model",
    "MuteTiming",
    "Network",
    "OidcAuth",
    "OwnTls",
    "Pki",
    "Ports",
    "Problem",
    "Prometheus",
    "ProxmoxDocker",
    "RateLimits",
    "RemoteWrite",
    "RepeatIntervals",
    "Replica",
    "Routes",
    "Scrape",
    "Secret",
    "Secrets",
    "SettingsError",
    "Severity",
    "Slack",
    "SshDocker",
    "StackSettings",
    "StaticHost",
    "Switch",
    "Telegram",
    "Tls",
    "WindowsGuests",
    "load",
    "parse",
    "validate",
]


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


class StackSettings(Model):
    """Everything a stack decides, without its secrets."""

    cluster: Cluster
    alerting: Alerting
    access: Access = Access()
    firewall: Firewall = Firewall()
    docker: Docker = LocalDocker()
    network: Network = Network()
    prometheus: Prometheus = Prometheus()
    scrape: Scrape = Scrape()
    discovery: Discovery = Discovery()
    grafana: Grafana = Grafana()
    images: Images = Images()
    containers: Containers = Containers()
    host_exporters: HostExporters = HostExporters()
    guest_exporters: GuestExporters = GuestExporters()
    tls: Tls = Tls()
    pki: Pki | None = None
    gateway: Gateway = Field(default_factory=Gateway, validate_default=True)

    @model_validator(mode="after")
    def _grafana_reachable(self) -> Self:
        remote = isinstance(self.docker, SshDocker) and not self.gateway.enabled
        if remote and ip_address(self.network.bind_address).is_loopback and self.grafana.api_url is None:
            raise problem(
                "docker.target is ssh and network.bindAddress is loopback on that host: Grafana's API can't "
                "be reached from here; turn the gateway on, or set network.bindAddress to an address of the "
                "host, or grafana.apiUrl to a tunnel"
            )
        return self

    @model_validator(mode="after")
    def _bound_to_the_vm(self) -> Self:
        if not isinstance(self.docker, ProxmoxDocker) or self.grafana.api_url is not None:
            return self
        address = self.network.bind_address
        if address in (self.docker.host, "0.0.0.0"):  # noqa: S104 - a comparison
            return self
        if not (self.gateway.enabled and ip_address(address).is_loopback):
            raise problem(
                f"docker.target is proxmox and network.bindAddress is {address}, which the VM doesn't "
                "have or nobody reaches; turn the gateway on and set network.bindAddress to 127.0.0.1, or "
                f"set it to {self.docker.host} or 0.0.0.0, or grafana.apiUrl to a tunnel"
            )
        return self

    @model_validator(mode="after")
    def _tokens_can_be_made(self) -> Self:
        given = (self.cluster.discovery_token_id, self.cluster.exporter_token_id)
        if not self.access.manage:
            return self
        for ident in given:
            if not ident.partition("!")[0].endswith("@pve"):
                raise problem(
                    f"access.manage makes the users of the tokens, and only in the realm pve, but there is "
                    f"{ident}; write user@pve!name in cluster.discoveryTokenId and cluster.exporterTokenId"
                )
        if given[0] == given[1]:
            raise problem(
                f"access.manage makes a token for each, but both are {given[0]}; give "
                "cluster.discoveryTokenId and cluster.exporterTokenId different names"
            )
        return self

    @property
    def certificate_holders(self) -> tuple[str, ...]:
        """Who uses a certificate of `pki`: groups whose servers speak TLS, and a gateway without another."""
        gateway = self.gateway.enabled and isinstance(self.gateway.tls, OwnTls)
        return (*self.tls.groups, *((GATEWAY,) if gateway else ()))

    @model_validator(mode="after")
    def _two_hosts_work_together(self) -> Self:
        check_replica(self.docker, self.network, self.tls, self.firewall, self.prometheus)
        return self

    @model_validator(mode="after")
    def _grafana_is_asked_over_tls(self) -> Self:
        url = str(self.grafana.api_url or "")
        if Group.PLATFORM in self.tls.groups and url.startswith("http://"):
            raise problem(
                f"grafana.apiUrl is {url}, and with tls.platform Grafana speaks https only; write https://"
            )
        return self

    @model_validator(mode="after")
    def _ports_are_free(self) -> Self:
        others = self.network.ports.model_dump().items()
        for service, port in ((s, p) for s, p in others if p in self.gateway.ports):
            raise problem(
                f"gateway and network.ports.{to_camel(service)} both want port {port}; give one of them "
                "another"
            )
        return self

    @model_validator(mode="after")
    def _gateway_can_be_verified(self) -> Self:
        if self.api_through_gateway and isinstance(self.gateway.tls, InternalTls):
            raise problem(
                "gateway.tls is internal, whose authority this machine doesn't know, but Grafana's API is "
                "reached through the gateway; use own, given or acme, or set grafana.apiUrl"
            )
        return self

    @property
    def gateway_url(self) -> str | None:
        """URL that people open; None without a gateway."""
        return self.gateway.url if self.gateway.enabled else None

    @property
    def api_through_gateway(self) -> bool:
        """Whether this program reaches Grafana through the gateway: all else is bound to another machine."""
        elsewhere = (
            not isinstance(self.docker, LocalDocker) and ip_address(self.network.bind_address).is_loopback
        )
        return self.gateway.enabled and elsewhere and self.grafana.api_url is None

    @property
    def replica(self) -> Replica | None:
        """The second Docker host; None where there is one."""
        return replica_of(self.docker)

    @property
    def host_addresses(self) -> tuple[str, ...]:
        """Addresses by which two Docker hosts reach each other; empty where there is one."""
        return addresses(self.docker, self.network)

    @property
    def discovery_token_id(self) -> str:
        """Id of the token that discovery uses."""
        return self._generation(self.cluster.discovery_token_id)

    @property
    def exporter_token_id(self) -> str:
        """Id of the token that pve-exporter uses."""
        return self._generation(self.cluster.exporter_token_id)

    def _generation(self, ident: str) -> str:
        number = self.access.token_generation if self.access.manage else 1
        return ident if number == 1 else f"{ident}-{number}"

    @property
    def uses_the_provider(self) -> bool:
        """Whether anything is made on the cluster."""
        filters = self.firewall.mode is FirewallMode.PROXMOX
        return self.access.manage or filters or isinstance(self.docker, ProxmoxDocker)

    @model_validator(mode="after")
    def _the_vm_stays_reachable(self) -> Self:
        filters = self.firewall.mode is FirewallMode.PROXMOX
        if filters and isinstance(self.docker, ProxmoxDocker) and not self.firewall.admins:
            raise problem(
                "firewall.mode is proxmox and docker.target too: the VM would accept nobody; give "
                "firewall.admins, with the address of the machine that runs Pulumi among them"
            )
        return self

    @property
    def monitoring_addresses(self) -> tuple[str, ...]:
        """From where Prometheus comes: as given, or each Docker host's address; empty if nobody knows."""
        if known := self.guest_exporters.monitoring_addresses or self.firewall.monitoring:
            return known
        if self.host_addresses:
            return self.host_addresses
        if isinstance(self.docker, ProxmoxDocker):
            return (self.docker.host,)
        given = [self.network.bind_address]
        if isinstance(self.docker, SshDocker):
            given.append(self.docker.host)
        return tuple(address for address in given if _can_be_reached(address))[:1]

    def required_secrets(self) -> tuple[Secret, ...]:
        """Secret keys that this configuration can't do without."""
        needed = [*ALWAYS_REQUIRED]
        if not self.access.manage:
            needed += [Secret.PVE_DISCOVERY_TOKEN, Secret.PVE_EXPORTER_TOKEN]
        if self.uses_the_provider:
            needed.append(Secret.PVE_PROVISIONING_TOKEN)
        needed += [
            CHANNEL_SECRETS[c] for c in sorted(self.alerting.routes.channels()) if c in CHANNEL_SECRETS
        ]
        if self.alerting.email is not None and self.alerting.email.username is not None:
            needed.append(Secret.SMTP_PASSWORD)
        if self.prometheus.remote_write is not None and self.prometheus.remote_write.username is not None:
            needed.append(Secret.REMOTE_WRITE_PASSWORD)
        for group in self.tls.groups:
            needed += [TLS_KEYS[group], SCRAPE_PASSWORDS[group]]
        return (*needed, *self._gateway_secrets())

    def _gateway_secrets(self) -> tuple[Secret, ...]:
        if not self.gateway.enabled:
            return ()
        wanted = {
            Secret.TLS_GATEWAY_KEY: isinstance(self.gateway.tls, OwnTls | GivenTls),
            Secret.GATEWAY_PASSWORD: isinstance(self.gateway.auth, BasicAuth),
            Secret.OIDC_CLIENT_SECRET: isinstance(self.gateway.auth, OidcAuth),
        }
        return tuple(secret for secret, needed in wanted.items() if needed)


def _can_be_reached(address: str) -> bool:
    """Whether it is an address, and one of a single machine that others reach."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return not parsed.is_loopback and not parsed.is_unspecified


# --- reading -------------------------------------------------------------------------------------


class Secrets:
    """The secret values of a stack, as Outputs."""

    def __init__(self, values: Mapping[Secret, pulumi.Output[str]]) -> None:
        self._values = dict(values)

    def __contains__(self, secret: Secret) -> bool:
        return secret in self._values

    def __getitem__(self, secret: Secret) -> pulumi.Output[str]:
        return self._values[secret]

    def replaced(self, values: Mapping[Secret, pulumi.Output[str]]) -> Secrets:
        """The same with other values for some, or with more."""
        return Secrets({**self._values, **values})


class Problem(Model):
    """One thing wrong with the configuration."""

    key: str
    text: str

    def __str__(self) -> str:
        return f"{self.key}: {self.text}"


class SettingsError(pulumi.RunError):
    """The configuration can't be used; the message lists every problem, and no resource was registered."""

    def __init__(self, problems: list[Problem]) -> None:
        lines = "\n".join(f"  - {problem}" for problem in problems)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(f"{count} in the stack configuration; nothing was created.\n{lines}")
        self.problems = tuple(problems)


_ADVICE = {
    "missing": "is required and missing",
    "extra_forbidden": "is not a known key; remove it or correct its spelling",
}


# The discriminator of a union stands in the location of an error too; it is no key of the file.
_UNIONS = {
    "docker": ("local", "ssh", "proxmox"),
    "gateway.tls": tuple(TlsMode),
    "gateway.auth": tuple(AuthMode),
}


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        if part in _UNIONS.get(path, ()):
            continue
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path


def _explain(error: ValidationError) -> list[Problem]:
    problems = []
    for item in error.errors(include_url=False):
        text = _ADVICE.get(item["type"], item["msg"])
        if item["type"] not in ("missing", "extra_forbidden", "setting", "secret"):
            text = f"{text[0].lower()}{text[1:]}, but it is {item['input']!r}"
        problems.append(Problem(key=_path(item["loc"]) or "(stack)", text=text))
    return problems


# What `ops pki` makes; others come from people.
_MADE = frozenset({*TLS_KEYS.values(), *SCRAPE_PASSWORDS.values()})


def _secret_problems(settings: StackSettings, given: frozenset[str]) -> list[Problem]:
    return [
        Problem(
            key=secret,
            text="is required and missing; run: "
            + ("python -m ops pki" if secret in _MADE else f"pulumi config set --secret {secret}"),
        )
        for secret in settings.required_secrets()
        if secret not in given
    ]


def _pki_problems(settings: StackSettings, now: datetime) -> list[Problem]:
    found = {**faults(settings.pki, settings.certificate_holders, now), **_gateway_fault(settings)}
    return [Problem(key=key, text=text) for key, text in found.items()]


def _gateway_fault(settings: StackSettings) -> Mapping[str, str]:
    host = settings.gateway.host
    if settings.pki is None or settings.pki.gateway is None or host is None:
        return {}
    if GATEWAY not in settings.certificate_holders or certifies(settings.pki.gateway, host):
        return {}
    return {"pki.gateway": f"isn't made out to gateway.host, {host}; run: python -m ops pki"}


def _plain_problems(plain: Mapping[str, object]) -> list[Problem]:
    known = {secret.value for secret in Secret}
    return [
        Problem(
            key=key,
            text="is a secret but stands in plain text in the stack file; remove it, change the secret, "
            f"and run: pulumi config set --secret {key}",
        )
        for key in plain
        if key in known
    ]


_IDENTITY = "a private key without a passphrase"


def _exporter_files(exporters: HostExporters) -> dict[str, tuple[Path | None, str]]:
    files = {"hostExporters.identityFile": (exporters.identity_file, _IDENTITY)}
    for name, host in exporters.hosts.items():
        files[f"hostExporters.hosts.{name}.identityFile"] = (host.identity_file, _IDENTITY)
    releases: dict[str, HostRelease | None] = {
        "nodeExporter": exporters.node_exporter,
        "gpuExporter": exporters.gpu_exporter,
    }
    for key, release in releases.items():
        if release is not None:
            archive = release.exporter.archive_name(release.version)
            files[f"hostExporters.{key}.file"] = (release.file, f"the archive {archive}")
    return files


def _file_problems(settings: StackSettings, root: Path) -> list[Problem]:
    files = {"cluster.caFile": (settings.cluster.ca_file, "the cluster's CA certificate (PEM)")}
    if isinstance(settings.docker, ProxmoxDocker):
        files["docker.identityFile"] = (settings.docker.identity_file, _IDENTITY)
    files.update(_exporter_files(settings.host_exporters))
    files.update(settings.gateway.files())
    missing = [
        Problem(key=key, text=f"{path} is not a readable file; give the path of {what}")
        for key, (path, what) in files.items()
        if path is not None and not (root / path).is_file()
    ]
    return missing or _certificate_problems(settings.gateway, root)


def _certificate_problems(gateway: Gateway, root: Path) -> list[Problem]:
    if not gateway.enabled or not isinstance(gateway.tls, GivenTls) or gateway.host is None:
        return []
    path = gateway.tls.certificate_file
    try:
        fits = certifies((root / path).read_text("utf-8"), gateway.host)
    except ValueError:
        text = (
            f"{path} is not a certificate in PEM; give the gateway's, then those between it and the authority"
        )
        return [Problem(key="gateway.tls.certificateFile", text=text)]
    text = f"{path} is not for gateway.host, {gateway.host}; correct the one or have the other issued anew"
    return [] if fits else [Problem(key="gateway.tls.certificateFile", text=text)]


def _parse(
    plain: Mapping[str, object], secret_keys: frozenset[str]
) -> tuple[StackSettings | None, list[Problem]]:
    secrets = {secret.value for secret in Secret}
    problems = _plain_problems(plain)
    problems += [
        Problem(key=key, text="is encrypted, but no secret is known by that name; correct its spelling")
        for key in sorted(secret_keys - secrets)
        if key not in {to_camel(name) for name in StackSettings.model_fields}
    ]
    try:
        # A key with nothing but comments below it is null, or "" as Pulumi reads it: it is left out.
        values = {k: v for k, v in plain.items() if k not in secrets and v not in (None, "")}
        return StackSettings.model_validate(values), problems
    except ValidationError as error:
        return None, problems + _explain(error)


def parse(plain: Mapping[str, object], secret_keys: frozenset[str]) -> StackSettings:
    """Build the settings as `validate` does, whether or not their secrets, certificates and files are there.

    Raises:
        SettingsError: with all problems of what is there.
    """
    settings, problems = _parse(plain, secret_keys)
    if settings is None or problems:
        raise SettingsError(problems)
    return settings


def validate(plain: Mapping[str, object], secret_keys: frozenset[str], root: Path) -> StackSettings:
    """Build the settings from plain values and the names of the secrets that are set.

    Args:
        plain: structured values by key, without the project's prefix.
        secret_keys: keys that are given as secrets.
        root: directory that relative paths in the settings start from.

    Raises:
        SettingsError: with all problems at once.
    """
    settings, problems = _parse(plain, secret_keys)
    if settings is None:
        raise SettingsError(problems)
    known = {secret.value for secret in Secret}
    problems += _secret_problems(settings, secret_keys | {key for key in plain if key in known})
    problems += _pki_problems(settings, datetime.now(UTC))
    problems += _file_problems(settings, root)
    if problems:
        raise SettingsError(problems)
    return settings


def _decode(value: Any) -> object:
    """Structured values arrive as JSON text; a plain word is a value of its own."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def load(root: Path) -> tuple[StackSettings, Secrets]:
    """Read the config of the current stack.

    Args:
        root: the project's directory; relative paths in the settings start there.

    Raises:
        SettingsError: with all problems at once, before any resource exists.
    """
    prefix = f"{PROJECT}:"
    keys = {key.removeprefix(prefix): key for key in _config_keys() if key.startswith(prefix)}
    secret = frozenset(name for name, key in keys.items() if runtime_config.is_config_secret(key))
    plain = {n: _decode(runtime_config.get_config(key)) for n, key in keys.items() if n not in secret}
    settings = validate(plain, secret, root)
    config = pulumi.Config(PROJECT)
    return settings, Secrets({s: config.require_secret(s) for s in Secret if s.value in secret})


def _config_keys() -> set[str]:
    return {*runtime_config.CONFIG.get(), *runtime_config.get_config_env()}
