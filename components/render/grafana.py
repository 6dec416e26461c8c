"""grafana.ini."""

from __future__ import annotations

import configparser
import io
from email.utils import parseaddr

from components.render import tls
from components.render.platform_tls import CERTIFICATE_FILE, KEY_FILE, encrypted, scheme
from components.settings import Group, OidcAuth, Secret, StackSettings

CONFIG_DIR = "/etc/pve-monitoring"
CONFIG_FILE = f"{CONFIG_DIR}/grafana.ini"
ADMIN_PASSWORD_FILE = "secrets/admin_password"  # noqa: S105 - a path
OIDC_SECRET_FILE = "secrets/oidc_client_secret"  # noqa: S105 - a path
OIDC_CA_FILE = "oidc_ca.pem"
SMTP_PASSWORD_FILE = "secrets/smtp_password"  # noqa: S105 - a path
DATA_DIR = "/var/lib/grafana"


def external_url(settings: StackSettings) -> str:
    """URL that people type into the browser."""
    return settings.grafana.external_url or settings.gateway_url or published_url(settings)


def api_url(settings: StackSettings) -> str:
    """URL by which the program creates content."""
    way = settings.gateway_url if settings.api_through_gateway else None
    return settings.grafana.api_url or way or published_url(settings)


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


def oidc(settings: StackSettings) -> OidcAuth | None:
    """How people log in by OpenID Connect; None where they don't."""
    auth = settings.gateway.auth
    return auth if settings.gateway.enabled and isinstance(auth, OidcAuth) else None


def _sessions(settings: StackSettings) -> dict[str, dict[str, str]]:
    """How people log in, where a gateway stands in front."""
    auth = oidc(settings)
    if auth is None:
        return {}
    login = {
        "enabled": "true",
        "name": auth.name,
        "client_id": auth.client_id,
        "client_secret": f"$__file{{{CONFIG_DIR}/{OIDC_SECRET_FILE}}}",
        "auth_url": auth.auth_url,
        "token_url": auth.token_url,
        "api_url": auth.api_url,
        "scopes": " ".join(auth.scopes),
        "role_attribute_path": auth.role_attribute_path,
        # Without a role nobody gets in, or Grafana would make everybody a Viewer.
        "role_attribute_strict": "true",
        "allow_sign_up": "true",
        "use_pkce": "true",
    }
    if auth.ca_file is not None:
        login["tls_client_ca"] = f"{CONFIG_DIR}/{OIDC_CA_FILE}"
    # The session opens the pages of Prometheus and Alertmanager, which can't renew it: not every 10 minutes.
    return {"auth": {"token_rotation_interval_minutes": "60"}, "auth.generic_oauth": login}


def files(settings: StackSettings) -> dict[str, str]:
    """Files that aren't secret, by path below the configuration directory."""
    auth = oidc(settings)
    ca = {} if auth is None or auth.ca_file is None else {OIDC_CA_FILE: auth.ca_file.read_text("utf-8")}
    return {"grafana.ini": grafana_ini(settings), **ca}


def secret_files(settings: StackSettings) -> dict[str, Secret]:
    """Which secrets Grafana reads, by path below its configuration directory."""
    email = settings.alerting.email
    needs_login = email is not None and email.username is not None
    files = {ADMIN_PASSWORD_FILE: Secret.GRAFANA_ADMIN_PASSWORD}
    if needs_login:
        files[SMTP_PASSWORD_FILE] = Secret.SMTP_PASSWORD
    if oidc(settings) is not None:
        files[OIDC_SECRET_FILE] = Secret.OIDC_CLIENT_SECRET
    return files


def grafana_ini(settings: StackSettings) -> str:
    """Render grafana.ini. Passwords stay in files of their own."""
    sections: dict[str, dict[str, str]] = {
        "server": _server(settings),
        "security": {
            "admin_user": settings.grafana.admin_user,
            "admin_password": f"$__file{{{CONFIG_DIR}/{ADMIN_PASSWORD_FILE}}}",
            "disable_gravatar": "true",
            **({"cookie_secure": "true"} if settings.gateway.enabled else {}),
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
        **_sessions(settings),
    }
    parser = configparser.RawConfigParser()
    parser.read_dict(sections)
    text = io.StringIO()
    parser.write(text)
    return text.getvalue().rstrip("\n") + "\n"
