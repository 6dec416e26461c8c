"""Asks Prometheus, Alertmanager and the sinks of the lab what they have."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import requests

from components.images import Service
from components.render.platform_tls import scheme
from lab.cluster.client import LabClient, LabError
from ops.console import OpsError
from ops.gameday.course import Mail, Message, Raised, Sample
from ops.platform_client import Clients
from ops.stack import Stack

_TIMEOUT_S = 5


@dataclass
class Watcher:
    """Takes samples; what doesn't answer is left out of them.

    Attributes:
        prometheus: URL.
        alertmanager: URL.
        lab: the simulated cluster, with its sinks.
    """

    prometheus: str
    alertmanager: str
    lab: LabClient
    _session: requests.Session = field(default_factory=requests.Session)

    def sample(self) -> Sample:
        """What everybody says now."""
        at = time.time()
        with ThreadPoolExecutor(2) as pool:
            raised, held = pool.submit(self._raised), pool.submit(self._held)
            messages, mails, beats = self._sinks()
        return Sample(at, raised.result(), held.result(), messages, mails, beats)

    def alerts(self) -> list[Raised]:
        """What Prometheus has.

        Raises:
            OpsError: it doesn't answer.
        """
        found = self._raised()
        if found is None:
            raise OpsError(f"Prometheus doesn't answer at {self.prometheus}; look at: make status")
        return found

    def down(self) -> list[str]:
        """Targets that aren't up, as job and address; those that are asked seldom may not have been yet."""
        targets = (self._get(f"{self.prometheus}/api/v1/targets?state=active") or {}).get("data", {})
        return [
            f"{target['scrapePool']} {target['labels'].get('instance', '')}"
            for target in targets.get(
                "activeTargets", [{"scrapePool": "nothing", "labels": {}, "health": "unknown"}]
            )
            if target["health"] != "up"
            and not (target["health"] == "unknown" and target["scrapePool"] == "pve-node")
        ]

    def _raised(self) -> list[Raised] | None:
        answer = self._get(f"{self.prometheus}/api/v1/alerts")
        return None if answer is None else [_raised(alert) for alert in answer["data"]["alerts"]]

    def _held(self) -> list[Mapping[str, str]]:
        alerts = self._get(f"{self.alertmanager}/api/v2/alerts") or []
        return [alert["labels"] for alert in alerts if alert["status"]["inhibitedBy"]]

    def _sinks(self) -> tuple[list[Message], list[Mail], list[float]]:
        try:
            hooks, beats, mails = self.lab.hooks("alerts"), self.lab.hooks("watchdog"), self.lab.mail()
        except (requests.RequestException, LabError):
            return [], [], []
        messages = [
            Message(hook["received"], alert["status"] == "resolved", alert["labels"])
            for hook in hooks
            for alert in hook["body"]["alerts"]
        ]
        return (
            messages,
            [Mail(mail["received"], mail["subject"], mail["body"]) for mail in mails],
            [hook["received"] for hook in beats],
        )

    def _get(self, url: str) -> Any:
        try:
            response = self._session.get(url, timeout=_TIMEOUT_S)
            response.raise_for_status()
            return response.json()
        except (requests.RequestException, ValueError):
            return None


def _raised(alert: dict[str, Any]) -> Raised:
    # Nine digits after the point are more than Python reads.
    seconds, _, _ = alert["activeAt"].removesuffix("Z").partition(".")
    active_at = datetime.fromisoformat(f"{seconds}+00:00").timestamp()
    return Raised(alert["labels"], alert["state"] == "firing", active_at)


def watcher(stack: Stack, lab: LabClient) -> Watcher:
    """A watcher of a stack on this machine."""
    ports, bind = stack.settings.network.ports, stack.settings.network.bind_address
    if ports.prometheus is None or ports.alertmanager is None:
        raise OpsError(f"{Service.PROMETHEUS} and {Service.ALERTMANAGER} have to be published: network.ports")
    prometheus, alertmanager = (
        f"{scheme(stack.settings)}://{bind}:{port}" for port in (ports.prometheus, ports.alertmanager)
    )
    return Watcher(prometheus, alertmanager, lab, Clients(stack).of(prometheus))
