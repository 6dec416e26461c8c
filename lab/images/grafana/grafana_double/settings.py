"""The configuration, taken as Grafana's image takes it: grafana.ini, overridden by GF_ variables."""

from __future__ import annotations

import configparser
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DEFAULT_CONFIG = "/etc/grafana/grafana.ini"

_DEFAULTS = {
    ("paths", "data"): "/var/lib/grafana",
    ("server", "http_port"): "3000",
    ("server", "protocol"): "http",
    ("server", "cert_file"): "",
    ("server", "cert_key"): "",
    ("server", "root_url"): "http://localhost:3000/",
    ("security", "admin_user"): "admin",
    ("security", "admin_password"): "admin",
    ("metrics", "basic_auth_username"): "",
    ("metrics", "basic_auth_password"): "",
    ("auth.anonymous", "enabled"): "false",
    ("auth.anonymous", "org_role"): "Viewer",
}
"""Every setting that has an effect here, with Grafana's own default."""

_TRUE = {"1", "t", "true", "on", "yes", "y"}
_FALSE = {"0", "f", "false", "off", "no", "n", ""}
_ROLES = ("Viewer", "Editor", "Admin")
_TOP = "(top of the file)"
_EXPANSION = re.compile(r"\$__(env|file)\{([^}]*)\}|\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class SettingsError(Exception):
    """The configuration can't be used; the message says what and where."""


@dataclass(frozen=True)
class Settings:
    """What the server runs with.

    Attributes:
        data: the data directory.
        http_port: TCP port, 1 to 65535.
        root_url: the address that people use, with a trailing slash or not.
        admin_user: login of the first user.
        admin_password: its password at the very first start; later the data directory has it.
        certificate: files of certificate and key, None for plain HTTP.
        metrics_login: user and password that /metrics takes, None for no password.
        anonymous_role: role of callers without credentials, None to refuse them.
        without_effect: names of given settings that have no effect in this stand-in.
    """

    data: Path
    http_port: int
    root_url: str
    admin_user: str
    admin_password: str
    certificate: tuple[Path, Path] | None = None
    metrics_login: tuple[str, str] | None = None
    anonymous_role: str | None = None
    without_effect: tuple[str, ...] = ()


def load(environment: Mapping[str, str]) -> Settings:
    """Read the configuration.

    Raises:
        SettingsError: a file can't be read or parsed, or a value is out of range.
    """
    variables = _with_files(environment)
    values = _ini_values(variables)
    for section, key in _DEFAULTS:
        name = variable_name(section, key)
        if name in variables:
            values[section, key] = variables[name]
    chosen = {
        setting: _expand(values.get(setting, default), variables, setting)
        for setting, default in _DEFAULTS.items()
    }
    return Settings(
        data=Path(chosen["paths", "data"]),
        http_port=_port(chosen["server", "http_port"]),
        root_url=chosen["server", "root_url"],
        admin_user=_filled(chosen, "admin_user"),
        admin_password=_filled(chosen, "admin_password"),
        certificate=_certificate(chosen),
        metrics_login=_metrics_login(chosen),
        anonymous_role=_anonymous_role(chosen),
        without_effect=_without_effect(values, variables),
    )


def variable_name(section: str, key: str) -> str:
    """The environment variable that overrides a setting: GF_<SECTION>_<KEY>."""
    return f"GF_{section}_{key}".replace(".", "_").replace("-", "_").upper()


def _with_files(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment with every GF_X__FILE replaced by GF_X, as the image's start script does."""
    variables = {name: value for name, value in environment.items() if not _is_file_form(name)}
    for name, path in environment.items():
        if not _is_file_form(name):
            continue
        target = name.removesuffix("__FILE")
        if target in variables:
            raise SettingsError(f"both {target} and {name} are set, give only one of them")
        variables[target] = _read(Path(path), name).rstrip("\n")
    return variables


def _is_file_form(name: str) -> bool:
    return name.startswith("GF_") and name.endswith("__FILE")


def _ini_values(variables: Mapping[str, str]) -> dict[tuple[str, str], str]:
    path = Path(variables.get("GF_PATHS_CONFIG", DEFAULT_CONFIG))
    if "GF_PATHS_CONFIG" not in variables and not path.exists():
        return {}
    parser = configparser.RawConfigParser(strict=False, default_section="")
    try:
        parser.read_string(f"[{_TOP}]\n{_read(path, 'GF_PATHS_CONFIG')}", source=str(path))
    except configparser.ParsingError as error:
        # The line itself may hold a password; the first line is the one added above.
        lines = ", ".join(str(number - 1) for number, _ in error.errors)
        raise SettingsError(f"{path} is no readable ini file, see line {lines}") from None
    return {
        (section, key): _unquoted(value)
        for section in parser.sections()
        for key, value in parser.items(section)
    }


def _read(path: Path, name: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise SettingsError(f"{name}: can't read {path}: {reason}") from error


def _unquoted(value: str) -> str:
    for quote in ('"""', '"', "`", "'"):
        if len(value) >= 2 * len(quote) and value.startswith(quote) and value.endswith(quote):
            return value[len(quote) : -len(quote)]
    return value


def _expand(value: str, variables: Mapping[str, str], setting: tuple[str, str]) -> str:
    """Put in $__env{NAME}, ${NAME} and $__file{/path}."""
    where = f"[{setting[0]}] {setting[1]}"

    def replacement(match: re.Match[str]) -> str:
        kind, argument, short = match.groups()
        if kind == "file":
            return _read(Path(argument), where).strip()
        return variables.get(argument or short, "")

    return _EXPANSION.sub(replacement, value)


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise SettingsError(f"[server] http_port: {text!r} is no port, give a number from 1 to 65535")
    return int(text)


def _filled(chosen: Mapping[tuple[str, str], str], key: str) -> str:
    value = chosen["security", key]
    if not value:
        raise SettingsError(f"[security] {key} is empty: give it, or leave it out for the default")
    return value


def _certificate(chosen: Mapping[tuple[str, str], str]) -> tuple[Path, Path] | None:
    protocol = chosen["server", "protocol"]
    if protocol not in ("http", "https"):
        raise SettingsError(f"[server] protocol: {protocol!r} is not imitated, give http or https")
    if protocol == "http":
        return None
    files = Path(chosen["server", "cert_file"]), Path(chosen["server", "cert_key"])
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*files, password="")
    except OSError as error:
        names = " and ".join(map(str, files))
        raise SettingsError(f"[server] cert_file, cert_key: can't use {names}: {error.strerror}") from None
    return files


def _metrics_login(chosen: Mapping[tuple[str, str], str]) -> tuple[str, str] | None:
    # Grafana asks for them only where both are given.
    user, password = chosen["metrics", "basic_auth_username"], chosen["metrics", "basic_auth_password"]
    return (user, password) if user and password else None


def _anonymous_role(chosen: Mapping[tuple[str, str], str]) -> str | None:
    enabled = chosen["auth.anonymous", "enabled"].lower()
    if enabled not in _TRUE | _FALSE:
        raise SettingsError(f"[auth.anonymous] enabled: {enabled!r} is neither true nor false")
    role = chosen["auth.anonymous", "org_role"]
    if role not in _ROLES:
        raise SettingsError(f"[auth.anonymous] org_role: {role!r} is not one of {', '.join(_ROLES)}")
    return role if enabled in _TRUE else None


def _without_effect(values: Mapping[tuple[str, str], str], variables: Mapping[str, str]) -> tuple[str, ...]:
    known = {variable_name(*setting) for setting in _DEFAULTS} | {"GF_PATHS_CONFIG"}
    from_file = {f"[{section}] {key}" for section, key in values if (section, key) not in _DEFAULTS}
    from_variables = {name for name in variables if name.startswith("GF_")} - known
    return tuple(sorted(from_file | from_variables))
