"""pve.yml of prometheus-pve-exporter."""

from __future__ import annotations

from components.render import to_yaml
from components.settings import StackSettings

CONFIG_DIR = "/etc/pve-exporter"
CONFIG_FILE = f"{CONFIG_DIR}/secrets/pve.yml"
CA_FILE = f"{CONFIG_DIR}/ca.pem"
EXPORTER_MODULE = "default"

# Seconds for one API call. proxmoxer gives up after 5, a busy cluster takes longer; a member that can't
# reach another one answers 595 after 30 (pve-http-server), which is longer than a scrape may take.
_API_TIMEOUT = 20


def pve_yml(settings: StackSettings, token: str) -> str:
    """Render pve.yml. The text holds the token: it is a secret file.

    Args:
        settings: the stack's settings.
        token: secret part of the exporter's API token, a UUID.
    """
    user, _, token_name = settings.exporter_token_id.partition("!")
    verify: bool | str = settings.cluster.verify_tls
    if settings.cluster.ca_file is not None:
        verify = CA_FILE
    module = {
        "user": user,
        "token_name": token_name,
        "token_value": token,
        "verify_ssl": verify,
        "timeout": _API_TIMEOUT,
    }
    return to_yaml({EXPORTER_MODULE: module})
