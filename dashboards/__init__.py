"""The dashboards: one file each, rendered to JSON that is committed.

Nothing here imports the SDK that builds them, so a program that only installs what is rendered doesn't
need it. `python -m dashboards` renders; `python -m dashboards --check` fails when a file is stale.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dashboards.sdk import Dashboard

RENDERED = Path(__file__).parent / "rendered"

# Fixed uids of the data sources: a dashboard that names them needs no import dialog.
PROMETHEUS_UID = "prometheus"
ALERTMANAGER_UID = "alertmanager"
# Titles of the folders in Grafana.
FOLDER_PROXMOX = "Proxmox"
FOLDER_PLATFORM = "Platform"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A dashboard of the registry.

    Attributes:
        uid: identity in Grafana and name of the rendered file; links and alerts hold it, so it never changes.
        folder: title of the folder that it lies in.
        module: where its `build()` is.
    """

    uid: str
    folder: str
    module: str

    @property
    def path(self) -> Path:
        """The committed JSON."""
        return RENDERED / f"{self.uid}.json"

    def build(self) -> Dashboard:
        """Build the dashboard; needs grafana-foundation-sdk."""
        dashboard: Dashboard = import_module(self.module).build()
        return dashboard


DASHBOARDS = (
    Entry(uid="pve-cluster-overview", folder=FOLDER_PROXMOX, module="dashboards.cluster_overview"),
    Entry(uid="pve-host-guest", folder=FOLDER_PROXMOX, module="dashboards.host_guest"),
    Entry(uid="pve-vm-comparison", folder=FOLDER_PROXMOX, module="dashboards.vm_comparison"),
    Entry(uid="pve-vm-detail", folder=FOLDER_PROXMOX, module="dashboards.vm_detail"),
    Entry(uid="pve-coverage", folder=FOLDER_PLATFORM, module="dashboards.coverage"),
    Entry(uid="pve-platform-health", folder=FOLDER_PLATFORM, module="dashboards.platform_health"),
)
