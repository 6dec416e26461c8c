"""Links in the annotations of alerts: relative in the rules, whole where people read them."""

from __future__ import annotations

from collections.abc import Mapping

from components.render import grafana
from components.settings import StackSettings

Bases = Mapping[str, str | None]


def link_bases(settings: StackSettings) -> Bases:
    """URL that a relative link starts from, by annotation; None leaves the path within the project."""
    return {
        "runbook_url": settings.alerting.runbook_base_url,
        "dashboard_url": grafana.external_url(settings),
    }


def complete_links(annotations: Mapping[str, str], bases: Bases) -> dict[str, str]:
    """The same annotations with whole links."""
    return {k: v if bases.get(k) is None else f"{bases[k]}/{v}" for k, v in annotations.items()}
