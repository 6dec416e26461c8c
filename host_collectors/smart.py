"""What disks say of their own health.

The names are those of the textfile collectors of the Prometheus community (smartmon, nvme_metrics), so that
rules and dashboards made for those fit.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from host_collectors.textfile import CollectorError, Page, run

Ask = Callable[[list[str]], dict[str, Any]]

# Bits of smartctl's exit status (smartctl(8)): the first two mean that the disk wasn't asked; a failing disk
# sets others, with an answer.
_NOT_ASKED = 0b11


def smartctl(arguments: list[str]) -> dict[str, Any]:
    """What smartctl answers, as JSON.

    Raises:
        CollectorError: it isn't there, or too old for JSON.
    """
    try:
        done = subprocess.run(
            ["smartctl", "--json=c", *arguments], capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise CollectorError(f"smartctl can't be run ({error}); apt-get install smartmontools") from error
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError as error:
        raise CollectorError(f"smartctl answers no JSON: {done.stdout[:200]}") from error
    return answer


def add_disk(page: Page, device: dict[str, str], answer: dict[str, Any]) -> None:
    """Add what one disk says. One that sleeps is left asleep, and is only said to do so."""
    name, kind = device["name"], device["type"]
    status = int(answer.get("smartctl", {}).get("exit_status", 0))
    asked = "smart_status" in answer or not status & _NOT_ASKED
    page.add(
        "smartmon_device_active",
        "1 unless the disk sleeps or can't be asked.",
        int(asked),
        disk=name,
        type=kind,
    )
    if not asked:
        return
    page.add(
        "smartmon_device_info", "What disk it is.", 1, disk=name, type=kind,
        device_model=str(answer.get("model_name", "")), serial_number=str(answer.get("serial_number", "")),
        firmware_version=str(answer.get("firmware_version", "")),
    )  # fmt: skip
    if (passed := answer.get("smart_status", {}).get("passed")) is not None:
        text = "0 if the disk fails its own health check."
        page.add("smartmon_device_smart_healthy", text, int(passed), disk=name, type=kind)
    used = answer.get("nvme_smart_health_information_log", {}).get("percentage_used")
    if used is not None:
        text = "Share of the writes that its maker guarantees."
        page.add("nvme_percentage_used_ratio", text, used / 100, device=name.removeprefix("/dev/"))


def collect(ask: Ask = smartctl) -> Page:
    """All disks that smartctl finds.

    Raises:
        CollectorError: smartctl can't be asked.
    """
    page = Page()
    for device in ask(["--scan"]).get("devices", ()):
        wanted = ["--nocheck=standby", "--info", "--health", "--attributes", f"--device={device['type']}"]
        add_disk(page, device, ask([*wanted, device["name"]]))
    return page


if __name__ == "__main__":
    sys.exit(run("smart", collect))
