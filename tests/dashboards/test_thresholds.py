"""Thresholds of panels come from the rules."""

from __future__ import annotations

import pytest

from dashboards.thresholds import levels, threshold


def test_levels_are_the_rules_own_numbers() -> None:
    assert levels("HostCpuSaturated") == (0.90, 0.98)
    assert levels("GuestDiskLatencyHigh") == (0.05, 0.25)
    assert threshold("GuestCpuSaturated", "warning") == 0.95


@pytest.mark.parametrize(
    ("alert", "severity"), [("NoSuchAlert", "warning"), ("GuestCpuSaturated", "critical")]
)
def test_unknown_alert_is_named(alert: str, severity: str) -> None:
    with pytest.raises(LookupError, match=f"no alert {alert} of severity {severity}"):
        threshold(alert, severity)


def test_alert_without_a_number() -> None:
    with pytest.raises(LookupError, match="compares with no number"):
        threshold("Watchdog", "none")
