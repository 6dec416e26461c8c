"""Every panel's query against a Prometheus that watches the lab: an empty panel is a broken one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from dashboards import DASHBOARDS
from tests.support.platform import Platform, wait_for

pytestmark = pytest.mark.docker

_MACROS = (("$__rate_interval", "1m"), ("$__range", "1h"), ("$__interval", "1m"))
# 101 is a Windows guest, 105 the Linux guest: between them they have everything but a GPU of their own.
_VARIABLES = {"cluster": ".*", "node": ".*"}

# What is empty while nothing is wrong, or on a guest without the thing: (dashboard, panel, query).
ALLOWED_EMPTY = {
    ("pve-cluster-overview", "Critical alerts", "A"),
    ("pve-cluster-overview", "Warnings", "A"),
    ("pve-cluster-overview", "Alerts that fire", "A"),
    ("pve-vm-detail", "Alerts", "A"),
    ("pve-vm-detail", "GPU", "A"),
    ("pve-vm-detail", "GPU", "B"),
    ("pve-platform-health", "Targets that are down", "A"),
    ("pve-platform-health", "Sent and failed", "B"),
    # The lab has fewer guests than the graphs have lines: nobody is left over.
    ("pve-host-guest", "CPU: host and its guests", "B"),
    ("pve-host-guest", "Reads: host and its guests", "B"),
    ("pve-host-guest", "Writes: host and its guests", "B"),
    ("pve-host-guest", "Received: host and its guests", "B"),
    ("pve-host-guest", "Sent: host and its guests", "B"),
    # Nobody is left out on purpose, and every exporter answers.
    ("pve-coverage", "Left out", "A"),
    ("pve-coverage", "Watched and not watched", "D"),
    ("pve-coverage", "Exporters silent", "A"),
    ("pve-coverage", "Exporters that don't answer", "A"),
}


def queries() -> Iterator[tuple[str, str, str, str]]:
    """Dashboard, panel, letter and expression of every query."""
    for entry in DASHBOARDS:
        for panel in json.loads(entry.path.read_text("utf-8"))["panels"]:
            for target in panel.get("targets", ()):
                yield entry.uid, panel["title"], target["refId"], target["expr"]


def filled_in(expression: str, guest: str) -> str:
    """The query as Grafana would send it, with every variable at All and one guest chosen."""
    for macro, value in _MACROS:
        expression = expression.replace(macro, value)
    values = {**_VARIABLES, "vm": guest}
    return re.sub(r"\$\{?(\w+)(?::\w+)?\}?", lambda match: values.get(match[1], match[0]), expression)


def guest_ids(platform: Platform) -> list[str]:
    """One guest with windows_exporter and one with node_exporter."""
    ids = [
        series["metric"]["vm_id"]
        for job in ("windows", "linux")
        for series in platform.query(f'topk(1, up{{job="{job}"}} == 1)')
    ]
    assert len(ids) == 2
    return ids


def test_no_panel_is_empty(platform: Platform) -> None:
    def empty() -> list[tuple[str, str, str]]:
        guests = guest_ids(platform)
        return [
            (board, panel, letter)
            for board, panel, letter, expression in queries()
            if (board, panel, letter) not in ALLOWED_EMPTY
            and not any(platform.query(filled_in(expression, guest)) for guest in guests)
        ]

    def complete() -> bool:
        left = empty()
        assert left == []
        return True

    # Rates over five minutes have values after two samples; predictions take a little longer.
    wait_for("every panel has data", complete, 240, every=5)


def test_what_may_be_empty_exists() -> None:
    assert {(board, panel, letter) for board, panel, letter, _ in queries()} >= ALLOWED_EMPTY
