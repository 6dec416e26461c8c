"""Settings of a stack: the whole of its Pulumi config, and the only reader of it.

The models of its rooms are in the files settings_*; everybody takes their names from here.

Structured values are plain (addresses, sizes, names). Secrets are flat keys of their own, so that
`pulumi config set --secret KEY` is all that is needed, and stay Pulumi Outputs: no model ever holds one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime import config as runtime_config
from pydantic import ValidationError
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
    BasicAuth,
    ForwardAuth,
    Gateway,
    GivenTls,
    InternalTls,
    OidcAuth,
    OwnTls,
    RateLimits,
)
from components.settings_guests import GuestExporters, LinuxGuests, WindowsGuests
from components.settings_model import PROJECT, Model
from components.settings_problems import (
    Problem,
    SettingsError,
    explain,
    file_problems,
    pki_problems,
    plain_problems,
    secret_problems,
)
from components.settings_replica import REPLICA_LABEL
from components.settings_scraping import (
    Discovery,
    ExporterPorts,
    LabelsMode,
    Prometheus,
    RemoteWrite,
    Scrape,
    StaticHost,
)
from components.settings_secrets import ALWAYS_REQUIRED, CHANNEL_SECRETS, SCRAPE_PASSWORDS, TLS_KEYS, Secret
from components.settings_stack import StackSettings
from components.settings_tls import GATEWAY, HOLDERS, Group, Pki, Tls

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


def _parse(
    plain: Mapping[str, object], secret_keys: frozenset[str]
) -> tuple[StackSettings | None, list[Problem]]:
    secrets = {secret.value for secret in Secret}
    problems = plain_problems(plain)
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
        return None, problems + explain(error)


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
    problems += secret_problems(settings, secret_keys | {key for key in plain if key in known})
    problems += pki_problems(settings, datetime.now(UTC))
    problems += file_problems(settings, root)
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
