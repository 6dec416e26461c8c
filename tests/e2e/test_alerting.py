"""From a fault to the people: delivery on every channel of a severity, inhibition, and the all-clear."""

from __future__ import annotations

import pytest
import requests

from components.images import Service
from tests.support.platform import Platform, wait_for

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("docker_ready")]


def heard(platform: Platform, status: str, **labels: str) -> bool:
    """Whether the webhook got an alert with this status and these labels."""
    return any(
        alert["status"] == status and labels.items() <= alert["labels"].items()
        for hook in platform.control.hooks("alerts")
        for alert in hook["body"]["alerts"]
    )


def inhibited(platform: Platform, name: str, node: str) -> bool:
    """Whether Alertmanager holds the alert back because of another one."""
    (alert,) = [
        a for a in platform.alerts() if a["labels"]["alertname"] == name and a["labels"]["node"] == node
    ]
    return bool(alert["status"]["inhibitedBy"])


def test_a_dead_host_wakes_people_on_every_critical_channel_and_silences_its_guests(fresh: Platform) -> None:
    fresh.up()
    wait_for("all targets up", fresh.all_up, 180)
    with fresh.control.fault("host_down", "pve2"):
        wait_for(
            "the webhook is told", lambda: heard(fresh, "firing", alertname="HostDown", node="pve2"), 300
        )
        (mail, *_) = wait_for("mail comes", fresh.control.mail, 60)
        assert "HostDown" in mail["subject"]
        assert "pve2" in mail["subject"]
        # A guest's alert on the dead host is held back, the same one on another host is not.
        probe = {"alertname": "GuestProbe", "severity": "warning", "scope": "guest", "cluster": "lab"}
        alerts = [{"labels": {**probe, "node": node}} for node in ("pve2", "pve3")]
        posted = requests.post(f"{fresh.url(Service.ALERTMANAGER)}/api/v2/alerts", json=alerts, timeout=15)
        assert posted.status_code == 200
        wait_for(
            "the other host's is told",
            lambda: heard(fresh, "firing", alertname="GuestProbe", node="pve3"),
            60,
        )
        assert inhibited(fresh, "GuestProbe", "pve2")
        assert not inhibited(fresh, "GuestProbe", "pve3")
        assert not heard(fresh, "firing", alertname="GuestProbe", node="pve2")
    wait_for("the all-clear", lambda: heard(fresh, "resolved", alertname="HostDown", node="pve2"), 300)
