"""The links in the head of every dashboard: to all the others, with what is chosen and the time range."""

from __future__ import annotations

from typing import Any

from dashboards import layout

# uid, title, what is found there; in the order of the way down from the cluster to a guest.
_PLACES = (
    ("pve-cluster-overview", "Cluster Overview", "The whole cluster"),
    ("pve-host-guest", "Host and Guests", "One host, held against the guests on it"),
    ("pve-vm-comparison", "VM Comparison", "Guests side by side"),
    ("pve-vm-detail", "VM Detail", "One guest, and the host it is on"),
    ("pve-coverage", "Coverage", "Which guests are watched, which not, and why"),
    ("pve-platform-health", "Platform Health", "Can these numbers be trusted?"),
)


def links_from(uid: str) -> list[Any]:
    """Links from one dashboard to all the others."""
    return [layout.link_to(title, other, tooltip=tip) for other, title, tip in _PLACES if other != uid]
