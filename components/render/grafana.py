"""grafana.ini."""

from __future__ import annotations

import configparser
import io

from components.settings import StackSettings

CONFIG_DIR = "/etc/pve-monitoring"
CONFIG_FILE = f"{CONFIG_DIR}/grafana.ini"
ADMIN_PASSWORD_FILE = f"{CONFIG_DIR}/secrets/admin_password"
DATA_DIR = "/var/lib/grafana"


def external_url(settings: StackSettings) -> str:
    """URL that people type into the browser."""
    return settings.grafana.external_url or published_url(settings)


def published_url(settings: StackSettings) -> str:
    """URL of the published port, as seen from the Docker host."""
    address = settings.network.bind_address
    host = "127.0.0.1" if address == "0.0.0.0" else address  # noqa: S104 - compared, not bound
    return f"http://{host}:{settings.network.ports.grafana}"


def grafana_ini(settings: StackSettings) -> str:
    """Render grafana.ini. The admin password stays in a file of its own."""
    sections: dict[str, dict[str, str]] = {
        "server": {"root_url": f"{external_url(settings)}/"},
        "security": {
            "admin_user": settings.grafana.admin_user,
            "admin_password": f"$__file{{{ADMIN_PASSWORD_FILE}}}",
            "disable_gravatar": "true",
        },
        "users": {"allow_sign_up": "false"},
        # Everything that would call out: a monitoring host often has no way to the internet.
        "analytics": {
            "reporting_enabled": "false",
            "check_for_updates": "false",
            "check_for_plugin_updates": "false",
        },
        "plugins": {"preinstall_disabled": "true"},
        "news": {"news_feed_enabled": "false"},
        "metrics": {"enabled": "true"},
        "log": {"mode": "console"},
    }
    parser = configparser.RawConfigParser()
    parser.read_dict(sections)
    text = io.StringIO()
    parser.write(text)
    return text.getvalue().rstrip("\n") + "\n"
