"""Which dashboards there are, and in which folder: plain data, so that the Pulumi program needs no builder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

RENDERED = Path(__file__).parent / "rendered"

# uid -> title, as Grafana shows it.
FOLDERS = {"pve": "Proxmox", "pve-platform": "Platform"}


@dataclass(frozen=True)
class Entry:
    """One dashboard.

    Attributes:
        uid: fixed: links and alerts refer to it.
        folder: uid of its folder.
        module: module below `dashboards` whose `build()` makes it.
    """

    uid: str
    folder: str
    module: str

    @property
    def rendered(self) -> Path:
        """The JSON that is committed and created in Grafana."""
        return RENDERED / f"{self.uid}.json"


DASHBOARDS = (
    Entry(uid="pve-cluster-overview", folder="pve", module="cluster_overview"),
    Entry(uid="pve-vm-detail", folder="pve", module="vm_detail"),
    Entry(uid="pve-platform-health", folder="pve-platform", module="platform_health"),
)
# What opens after login.
HOME = "pve-cluster-overview"
