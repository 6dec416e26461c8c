"""The environment variables of the simulated cluster, read once."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

HOSTS = range(3, 51)
GUESTS = range(12, 5001)
GUESTS_PER_HOST = 200
RELEASES = {8: ("8.4", "8.4.14", "ec58e45e1bcdf2ac"), 9: ("9.2", "9.2.11", "9a1b2c3d4e5f6071")}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Sizes, release, ports and delays; every field has its ``LAB_`` variable (``LAB_HOSTS`` and so on).

    Delays are in seconds. ``auth_delay`` is what Proxmox VE waits before it answers 401; ``node_timeout`` is
    how long a call to an offline node takes; ``install_seconds`` is how long an installer runs in a guest;
    ``broadcast_expire`` is how long the other members keep the last values of an offline node's guests. With
    ``exporters_tls_dir`` exporters speak TLS: it holds a .crt, a .key and a .password of hosts and of guests.
    ``oddities`` of 0 makes every guest but the templates run and every agent and exporter answer: for
    measuring.
    """

    hosts: int = 3
    guests: int = 12
    seed: int = 1
    pve_release: int = 9
    cluster_name: str = "lab"
    listen: str = "0.0.0.0"
    api_port: int = 8006
    proxy_port: int = 3128
    control_port: int = 8080
    smtp_port: int = 2525
    tls_cert: str = ""
    tls_key: str = ""
    tls_dir: str = "/tmp/lab-tls"  # noqa: S108 - a container of its own; a volume in use
    exporters_tls_dir: str = ""
    agent_delay: float = 0.02
    agent_ping_timeout: float = 3.0
    agent_command_timeout: float = 5.0
    install_seconds: float = 2.0
    auth_delay: float = 3.0
    node_timeout: float = 3.0
    proxy_timeout: float = 1.0
    broadcast_expire: float = 300.0
    migrate_every: float = 1800.0
    oddities: int = 1

    @property
    def version(self) -> tuple[str, str, str]:
        """Release, version and repository id of the Proxmox VE that is played."""
        return RELEASES[self.pve_release]

    @property
    def tls_path(self) -> Path:
        """Where a certificate authority of its own is written."""
        return Path(self.tls_dir)


def load(env: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from the environment.

    Raises:
        ValueError: A variable isn't a number, or lies outside what the lab can play.
    """
    env = os.environ if env is None else env
    values: dict[str, Any] = {}
    for field in fields(Settings):
        variable = f"LAB_{field.name.upper()}"
        if text := env.get(variable, ""):
            values[field.name] = _convert(variable, text, type(field.default))
    if text := env.get("LAB_AGENT_DELAY_MS", ""):
        values["agent_delay"] = _convert("LAB_AGENT_DELAY_MS", text, float) / 1000
    settings = Settings(**values)
    _check("LAB_HOSTS", settings.hosts, HOSTS)
    _check("LAB_GUESTS", settings.guests, GUESTS)
    if settings.guests > settings.hosts * GUESTS_PER_HOST:
        least = -(-settings.guests // GUESTS_PER_HOST)
        raise ValueError(f"LAB_GUESTS is {settings.guests}; that many need LAB_HOSTS of {least} or more")
    if settings.pve_release not in RELEASES:
        raise ValueError(f"LAB_PVE_RELEASE is {settings.pve_release}; the lab plays 8 and 9")
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise ValueError("LAB_TLS_CERT and LAB_TLS_KEY go together; set both or neither")
    return settings


def _convert(name: str, text: str, kind: Any) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"{name} is {text!r}, which is not {kind.__name__}") from None


def _check(name: str, value: int, allowed: range) -> None:
    if value not in allowed:
        raise ValueError(f"{name} is {value}; the lab carries {allowed.start} to {allowed.stop - 1}")
