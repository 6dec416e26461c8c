"""The game day's plan against the rules, the simulated cluster and the stack."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from components.images import Service
from lab.cluster.build import build
from lab.cluster.settings import Settings
from lab.cluster.state import Lab
from ops.gameday import stack_faults
from ops.gameday.command import selected
from ops.gameday.model import LIMIT_S, Alert, Break, Drill
from ops.gameday.plan import BY_DESIGN, DRILLS
from tests.support.promql import RULES, alert_labels, checker, rules

ALERTS = rules("alerts")
LEVELS = {(rule["alert"], rule["labels"]["severity"]): rule for rule in ALERTS}
EXPECTED = [alert for drill in DRILLS for alert in (*drill.expects, *drill.silences)]
_IDS = [f"{alert.name}-{alert.severity}" for alert in EXPECTED]


@pytest.mark.parametrize("alert", EXPECTED, ids=_IDS)
def test_every_alert_is_a_rule_and_has_the_labels(alert: Alert) -> None:
    rule = LEVELS[alert.name, alert.severity]
    assert alert.labels.keys() <= alert_labels(checker(), rule)


@pytest.mark.parametrize("alert", [alert for drill in DRILLS for alert in drill.expects], ids=str)
def test_critical_alerts_are_in_time_or_say_why_not(alert: Alert) -> None:
    late = alert.severity == "critical" and alert.within > LIMIT_S
    assert late == bool(alert.slow)


@pytest.mark.parametrize("one", [one for drill in DRILLS for one in drill.breaks], ids=str)
def test_everything_that_is_broken_can_be(one: Break) -> None:
    if one.kind in stack_faults.KINDS:
        assert one.target in set(Service)
        return
    lab = Lab(build(Settings()), Settings())
    lab.break_(one.kind, one.target, one.seconds, one.params)


def test_names_are_different_and_surroundings_exist() -> None:
    names = [drill.name for drill in DRILLS]
    assert len(set(names)) == len(names)
    assert {drill.during for drill in DRILLS} <= {"", *names}


def _told() -> list[Alert]:
    return [alert for drill in DRILLS for alert in drill.expects]


def test_every_file_of_alerts_every_severity_and_every_scope_has_a_drill() -> None:
    told = {(alert.name, alert.severity) for alert in EXPECTED}
    files = {path for path in sorted((RULES / "alerts").glob("*.yml")) if not path.stem.endswith("_test")}
    without = {path.name for path in files if not told & _alerts_of(path)}
    # They wait for a quarter of an hour inside their queries, or for what takes days: certificates, backups,
    # updates. Longer than the game day has.
    assert without == {"guests_resources.yml", "hosts_upkeep.yml", "platform_certificates.yml"}
    assert {LEVELS[alert.name, alert.severity]["labels"]["severity"] for alert in _told()} == {
        "critical", "warning", "info", "none",
    }  # fmt: skip
    scopes = {LEVELS[alert.name, alert.severity]["labels"]["scope"] for alert in _told()}
    assert scopes == {"guest", "host", "cluster", "platform"}


def _alerts_of(path: Path) -> set[tuple[str, str]]:
    return {
        (rule["alert"], rule["labels"]["severity"])
        for group in yaml.safe_load(path.read_text("utf-8"))["groups"]
        for rule in group["rules"]
    }


def test_a_silence_is_beside_something_that_is_told() -> None:
    for drill in (drill for drill in DRILLS if drill.silences):
        assert drill.expects, drill.name


def test_what_fires_by_design_exists() -> None:
    assert BY_DESIGN.keys() <= {rule["alert"] for rule in ALERTS}


def test_windows_and_linux_guests_are_among_the_subjects() -> None:
    lab = Lab(build(Settings()), Settings())
    systems = {guest.os for drill in DRILLS for one in drill.breaks if (guest := lab.find_guest(one.target))}
    assert systems == {"windows", "linux"}


def test_the_critical_ones_wake_people() -> None:
    chosen: list[Drill] = selected((), critical=True)
    assert {alert.severity for drill in chosen for alert in drill.expects} == {"critical"}
    assert all(not drill.silences and not drill.during for drill in chosen)
    assert [drill.name for drill in selected(["API away"], critical=False)] == [
        "host's exporters gone", "API away",
    ]  # fmt: skip
