"""User data that lets new guests install their exporter at their first boot."""

from __future__ import annotations

from components.render import to_yaml

WINDOWS_FILE = "cloudbase-init.ps1"
LINUX_FILE = "cloud-init.yaml"

_SCRIPT_PATH = "/var/lib/pve-monitoring-install-node-exporter.sh"


def cloudbase_init(installer: str) -> str:
    """User data for cloudbase-init: the installer itself, under the line that tells PowerShell from batch.

    Its exit codes mean something else to cloudbase-init: 1001 to 1003 ask for a restart, all others are noted
    in its log (cloudbaseinit/plugins/common/execcmd.py).
    """
    return f"#ps1_sysnative\n{installer}"


def cloud_init(installer: str) -> str:
    """Vendor or user data for cloud-init: writes the installer and runs it once, when the network is up."""
    document = {
        "write_files": [{"path": _SCRIPT_PATH, "permissions": "0700", "content": installer}],
        "runcmd": [["sh", _SCRIPT_PATH]],
    }
    return f"#cloud-config\n{to_yaml(document)}"
