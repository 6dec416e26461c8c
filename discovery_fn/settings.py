"""Settings from the environment; the only place of the service that reads it."""

from __future__ import annotations

import ipaddress
import re
import ssl
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from .addresses import Network
from .filters import Rule, parse_rules

_TOKEN_ID = re.compile(r"^[^\s:/!@]+@[A-Za-z][A-Za-z0-9.\-_]+![A-Za-z][A-Za-z0-9.\-_]+$")
_FINGERPRINT = re.compile(r"^[0-9a-f]{64}$")
_HOST = re.compile(r"^[A-Za-z0-9]([A-Za-z0-9.\-]*[A-Za-z0-9])?$")
DEFAULT_API_PORT = 8006

Port = Annotated[int, Field(ge=1, le=65535)]


class SettingsError(Exception):
    """The environment is wrong; the text lists everything that is, one line each, without secrets."""


def _items(value: Any) -> list[str]:
    if isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    return [str(item) for item in value]


class Settings(BaseSettings):
    """All settings of the service; names of fields are names of environment variables in lower case."""

    model_config = SettingsConfigDict(
        extra="ignore", frozen=True, hide_input_in_errors=True, validate_default=True, env_ignore_empty=True
    )

    pve_endpoints: Annotated[tuple[str, ...], NoDecode]
    pve_token_id: str
    pve_token_secret: SecretStr | None = None
    pve_token_secret_file: Path | None = None
    pve_verify_tls: bool = True
    pve_ca_file: Path | None = None
    pve_tls_fingerprint: Annotated[tuple[str, ...], NoDecode] = ()

    discovery_cluster: str = ""
    discovery_refresh_seconds: Annotated[float, Field(ge=1, le=3600)] = 15
    discovery_cache_seconds: Annotated[float, Field(ge=1, le=86400)] = 60
    discovery_state_dir: Path | None = None
    discovery_labels: Literal["full", "lean"] = "full"
    discovery_include: Annotated[tuple[Rule, ...], NoDecode] = ()
    discovery_exclude: Annotated[tuple[Rule, ...], NoDecode] = ()
    discovery_prefer_cidrs: Annotated[tuple[Network, ...], NoDecode] = ()
    discovery_node_addresses: Annotated[dict[str, str], NoDecode] = Field(default_factory=dict)
    discovery_gpu_nodes: Annotated[tuple[str, ...], NoDecode] = ()
    discovery_windows_port: Port = 9182
    discovery_linux_port: Port = 9100
    discovery_node_port: Port = 9100
    discovery_gpu_port: Port = 9835
    discovery_host: str = "0.0.0.0"  # noqa: S104 - a container's own network; what is published is decided outside
    discovery_port: Port = 8000
    discovery_tls_cert_file: Path | None = None
    discovery_tls_key_file: Path | None = None
    discovery_user: Annotated[str, Field(pattern=r"^[^:]+$")] = "prometheus"
    discovery_password_file: Path | None = None
    discovery_log_level: Literal["debug", "info", "warning", "error"] = "info"
    discovery_log_format: Literal["logfmt", "json"] = "logfmt"

    @field_validator("pve_endpoints", mode="before")
    @classmethod
    def _read_endpoints(cls, value: Any) -> tuple[str, ...]:
        endpoints = tuple(dict.fromkeys(_endpoint(item) for item in _items(value)))
        if not endpoints:
            raise ValueError(
                "give at least one https URL of a cluster member, such as https://pve1.example.com:8006"
            )
        return endpoints

    @field_validator("pve_token_id")
    @classmethod
    def _check_token_id(cls, value: str) -> str:
        if not _TOKEN_ID.match(value):
            raise ValueError("must look like user@realm!name (the secret goes into PVE_TOKEN_SECRET_FILE)")
        return value

    @field_validator("pve_token_secret_file")
    @classmethod
    def _check_secret(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        inline = info.data.get("pve_token_secret")
        if value is None and inline is None:
            raise ValueError("give the token's secret in this file, or in PVE_TOKEN_SECRET")
        if value is not None and inline is not None:
            raise ValueError("give either this file or PVE_TOKEN_SECRET, not both")
        if value is not None:
            _read_secret(value, "the token's secret")
        return value

    @field_validator("pve_ca_file")
    @classmethod
    def _check_ca_file(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError(f"{value} is not a file; on a node it is /etc/pve/pve-root-ca.pem")
        if value is not None and info.data.get("pve_verify_tls") is False:
            raise ValueError("has no effect with PVE_VERIFY_TLS=false; remove one of the two")
        return value

    @field_validator("pve_tls_fingerprint", mode="before")
    @classmethod
    def _read_fingerprints(cls, value: Any, info: ValidationInfo) -> tuple[str, ...]:
        found = tuple(item.replace(":", "").lower() for item in _items(value))
        if not all(_FINGERPRINT.match(item) for item in found):
            raise ValueError("must be SHA-256 fingerprints of 64 hexadecimal digits, one per certificate")
        if found and info.data.get("pve_verify_tls") is False:
            raise ValueError("has no effect with PVE_VERIFY_TLS=false; remove one of the two")
        return found

    @field_validator("discovery_include", "discovery_exclude", mode="before")
    @classmethod
    def _read_rules(cls, value: Any) -> tuple[Rule, ...]:
        return parse_rules(_items(value))

    @field_validator("discovery_prefer_cidrs", mode="before")
    @classmethod
    def _read_cidrs(cls, value: Any) -> tuple[Network, ...]:
        return tuple(ipaddress.ip_network(item, strict=False) for item in _items(value))

    @field_validator("discovery_node_addresses", mode="before")
    @classmethod
    def _read_node_addresses(cls, value: Any) -> dict[str, str]:
        if isinstance(value, dict):
            return value
        pairs = [item.partition("=") for item in _items(value)]
        if not all(node.strip() and _is_host(host.strip()) for node, _, host in pairs):
            raise ValueError("must look like pve1=192.0.2.1,pve2=pve2.example.com")
        return {node.strip(): host.strip() for node, _, host in pairs}

    @field_validator("discovery_gpu_nodes", mode="before")
    @classmethod
    def _read_names(cls, value: Any) -> tuple[str, ...]:
        return tuple(_items(value))

    @field_validator("discovery_state_dir")
    @classmethod
    def _check_state_dir(cls, value: Path | None) -> Path | None:
        if value is not None and value.exists() and not value.is_dir():
            raise ValueError(f"{value} is not a directory")
        return value

    @field_validator("discovery_tls_key_file")
    @classmethod
    def _check_certificate(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if "discovery_tls_cert_file" not in info.data:
            return value
        certificate = info.data["discovery_tls_cert_file"]
        if (value is None) is not (certificate is None):
            raise ValueError("goes with DISCOVERY_TLS_CERT_FILE; give both or neither")
        if value is not None:
            _check_pair(certificate, value)
        return value

    @field_validator("discovery_password_file")
    @classmethod
    def _check_password(cls, value: Path | None) -> Path | None:
        if value is not None:
            _read_secret(value, "the password")
        return value

    def password(self) -> str | None:
        """Return what is asked of clients, None for nothing.

        Raises:
            ValueError: The file is gone, empty or unreadable.
        """
        if self.discovery_password_file is None:
            return None
        return _read_secret(self.discovery_password_file, "the password")

    def secret(self) -> str:
        """Return the token's secret, read anew from its file so that a rotated one is found.

        Raises:
            ValueError: The file is gone, empty or unreadable.
        """
        if self.pve_token_secret_file is not None:
            return _read_secret(self.pve_token_secret_file, "the token's secret")
        return self.pve_token_secret.get_secret_value() if self.pve_token_secret else ""


def _endpoint(item: str) -> str:
    """Return a member's URL as https://host:port."""
    url = urlsplit(item if "://" in item else f"https://{item}")
    if url.scheme != "https":
        raise ValueError(f"{url.scheme}://… would send the token in the clear; write https://")
    if url.username or url.query or url.fragment or url.path not in {"", "/", "/api2/json", "/api2/json/"}:
        raise ValueError(
            "write only scheme, host and port of each member, such as https://pve1.example.com:8006"
        )
    host = url.hostname or ""
    if not _is_host(host):
        raise ValueError("an item has no valid host name or address")
    port = DEFAULT_API_PORT if url.port is None else url.port
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def _is_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return bool(_HOST.match(host))
    return True


def _check_pair(certificate: Path, key: Path) -> None:
    for path in (certificate, key):
        if not path.is_file():
            raise ValueError(f"{path} is not a file")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except (OSError, ValueError):
        raise ValueError(f"{key} is not the key of the certificate in {certificate}, both in PEM") from None


def _read_secret(path: Path, what: str) -> str:
    try:
        secret = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise ValueError(f"{path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} holds something else than {what}") from None
    if not secret or any(character.isspace() for character in secret):
        raise ValueError(f"{path} must hold {what} and nothing else")
    return secret


def load_settings() -> Settings:
    """Read the environment.

    Raises:
        SettingsError: One or more variables are missing or wrong; all of them are named.
    """
    try:
        return Settings()
    except ValidationError as error:
        lines = [f"{str(e['loc'][0]).upper()}: {_plain(e['msg'])}" for e in error.errors(include_input=False)]
        raise SettingsError("\n".join(lines)) from None


def _plain(message: str) -> str:
    return {"Field required": "is not set"}.get(message, message.removeprefix("Value error, "))
