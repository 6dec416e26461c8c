"""What is drawn, in one place: the choices, the moment, what happens in the cluster, what may be empty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lab.preview.recording.history import Scene

# The end of every recording, so that a picture changes only if a dashboard or the simulation does:
# 2026-01-14 11:50 UTC, a Wednesday. Within the same 30 days of the simulated cluster as the hours before, and
# off the full hour, whose label would be cut at the edge of every graph.
NOW = 1_768_391_400
# The range that dashboards open with is 6 h; some panels look an hour further back.
HOURS = 7.0
# Seconds between two scrapes: what the panels average over is 5 minutes.
SCRAPE_INTERVAL = "60s"


@dataclass(frozen=True)
class View:
    """A dashboard with something chosen.

    Attributes:
        name: of the picture; the dashboard's uid where nothing is added.
        parameters: of the address, such as var-vm.
    """

    dashboard: str
    name: str
    parameters: Mapping[str, str] = field(default_factory=dict)


# A dashboard that isn't named here is drawn as it opens. The first view is the one for documentation.
_CHOSEN = {
    "pve-vm-detail": (
        # A database server on Windows whose disks were slow for a while.
        View("pve-vm-detail", "pve-vm-detail", {"var-vm": "103"}),
        # A guest that moves between hosts, and one with a GPU.
        View("pve-vm-detail", "pve-vm-detail-moving", {"var-vm": "110"}),
        View("pve-vm-detail", "pve-vm-detail-gpu", {"var-vm": "111"}),
        # Linux: it alone knows steal.
        View("pve-vm-detail", "pve-vm-detail-linux", {"var-vm": "105"}),
    ),
    "pve-host-guest": (
        # The host of the slow disks, and one with GPUs that a guest moves to and away from.
        View("pve-host-guest", "pve-host-guest", {"var-node": "pve2"}),
        View("pve-host-guest", "pve-host-guest-gpu", {"var-node": "pve3"}),
    ),
}


def views(uid: str) -> tuple[View, ...]:
    """The views that a dashboard is drawn in."""
    return _CHOSEN.get(uid, (View(uid, uid),))


# Something for every part that shows trouble: seconds before the end, and how long it lasts.
SCENES = (
    Scene("memory_leak", "104", before_end=3 * 3600, lasts=5400, params={"fill_seconds": 3600.0}),
    Scene("disk_latency_storm", "103", before_end=7800, lasts=2400, params={"factor": 60.0}),
    Scene("gpu_hot", "111", before_end=4800, lasts=2100),
    Scene("cpu_hog", "110", before_end=3300),
    Scene("exporter_gone", "101", before_end=1500),
    Scene("network_errors", "pve2", before_end=5400, lasts=1800),
)

# Panels that show problems only, by dashboard and title: they may be empty in every picture.
MAY_BE_EMPTY: Mapping[str, frozenset[str]] = {
    "pve-cluster-overview": frozenset({"Critical alerts", "Warnings", "Alerts that fire"}),
    "pve-vm-detail": frozenset({"Alerts"}),
    "pve-coverage": frozenset({"Left out"}),
    "pve-platform-health": frozenset(
        {
            "Targets that are down",
            "Agents that fail",
            "Sent and failed",
        }
    ),
}
