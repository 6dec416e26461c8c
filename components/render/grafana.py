"""grafana.ini."""

from __future__ import annotations

import configparser
import io
from email.utils import parseaddr

from components.render import tls
from components.render.platform_tls import CERTIFICATE_FILE, KEY_FILE, encrypted, scheme
from components.settings import Group, Secret, StackSettings

CONFIG_DIR = "/etc/pve-monitoring"
CONFIG_FILE = f"{CONFIG_DIR}/grafana.ini"
ADMIN_PASSWORD_FILE = "secrets/admin_password"  # noqa: S105 - a path
SMTP_PASSWORD_FILE = "secrets/smtp_password"  # noqa: S105 - a path
DATA_DIR = "/var/lib/grafana"


def external_url(settings: StackSettings) -> str:
    """URL that people type into the browser."""
    return settings.grafana.external_url or published_url(settings)


def published_url(settings: StackSettings) -> str:
    """URL of the published port, as seen from the Docker host."""
    address = settings.network.bind_address
    host = "127.0.0.1" if address == "0.0.0.0" else address  # noqa: S104 - compared, not bound
    return f"{scheme(settings)}://{host}:{settings.network.ports.grafana}"


def _smtp(settings: StackSettings) -> dict[str, str]:
    """How Grafana's own alerts go out by mail: as Alertmanager's do."""
    email = settings.alerting.email
    if email is None:
        return {"enabled": "false"}
    name, address = parseaddr(email.from_)
    section = {
        "enabled": "true",
        "host": email.smarthost,
        "from_address": address,
        "from_name": name or "Monitoring",
        "startTLS_policy": "MandatoryStartTLS" if email.require_tls else "OpportunisticStartTLS",
    }
    if email.username is not None:
        section |= {"user": email.username, "password": f"$__file{{{CONFIG_DIR}/{SMTP_PASSWORD_FILE}}}"}
    return section


def _server(settings: StackSettings) -> dict[str, str]:
    section = {"root_url": f"{external_url(settings)}/"}
    if encrypted(settings):
        section |= {
            "protocol": "https",
            "cert_file": f"{CONFIG_DIR}/{CERTIFICATE_FILE}",
            "cert_key": f"{CONFIG_DIR}/{KEY_FILE}",
        }
    return section


def _metrics(settings: StackSettings) -> dict[str, str]:
    section = {"enabled": "true"}
    if encrypted(settings):
        # Accounts of people don't open it, and this password opens nothing else.
        section |= {
            "basic_auth_username": tls.USER,
            "basic_auth_password": f"$__file{{{CONFIG_DIR}/{tls.password_file(Group.PLATFORM)}}}",
        }
    return section


def secret_files(settings: StackSettings) -> dict[str, Secret]:
    """Which secrets Grafana reads, by path below its configuration directory."""
    email = settings.alerting.email
    needs_login = email is not None and email.username is not None
    files = {ADMIN_PASSWORD_FILE: Secret.GRAFANA_ADMIN_PASSWORD}
    return {**files, SMTP_PASSWORD_FILE: Secret.SMTP_PASSWORD} if needs_login else files


def grafana_ini(settings: StackSettings) -> str:
    """Render grafana.ini. Passwords stay in files of their own."""
    sections: dict[str, dict[str, str]] = {
        "server": _server(settings),
        "security": {
            "admin_user": settings.grafana.admin_user,
            "admin_password": f"$__file{{{CONFIG_DIR}/{ADMIN_PASSWORD_FILE}}}",
            "disable_gravatar": "true",
        },
        "smtp": _smtp(settings),
        "users": {"allow_sign_up": "false"},
        # Everything that would call out: a monitoring host often has no way to the internet.
        "analytics": {
            "reporting_enabled": "false",
            "check_for_updates": "false",
            "check_for_plugin_updates": "false",
        },
        "plugins": {"preinstall_disabled": "true"},
        "news": {"news_feed_enabled": "false"},
        "metrics": _metrics(settings),
        "log": {"mode": "console"},
    }
    parser = configparser.RawConfigParser()
    parser.read_dict(sections)
    text = io.StringIO()
    parser.write(text)
    return text.getvalue().rstrip("\n") + "\n"
