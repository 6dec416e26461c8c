"""What the command decides before it breaks anything, and how it reads what it asks."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from rich.console import Console

from components.topology import plan
from lab.cluster.client import LabError
from ops.console import OpsError
from ops.gameday import command, show
from ops.gameday.command import Breaker, GameDay, selected
from ops.gameday.course import Raised
from ops.gameday.model import Break
from ops.gameday.plan import DRILLS
from ops.gameday.watch import Watcher
from ops.stack import Stack
from tests.support.examples import EXAMPLES, settings

WATCHDOG = {"alertname": "Watchdog", "severity": "none"}
DOWN = {"alertname": "HostDown", "severity": "critical", "node": "pve2", "cluster": "lab"}
KILLED = {"alertname": "HostOomKill", "severity": "critical", "node": "pve1"}


class Lab:
    """A lab that has one fault on, and refuses another one."""

    def __init__(self) -> None:
        self.cleared = False

    def faults(self) -> list[dict[str, Any]]:
        return [] if self.cleared else [{"id": "f1"}]

    def clear(self, _: str | None = None) -> None:
        self.cleared = True

    def add(self, *_: Any, **__: Any) -> str:
        raise LabError("guest 105 is not running")

    def state(self) -> dict[str, Any]:
        return {"guests": [{"vmid": 101, "node": "pve1"}, {"vmid": 103, "node": "pve2"}]}


class Asked:
    """A watcher that was told what to say."""

    def __init__(self, *firing: dict[str, str], down: tuple[str, ...] = ()) -> None:
        self._alerts = [Raised(labels, True, 0.0) for labels in (WATCHDOG, *firing)]
        self._alerts.append(Raised({**DOWN, "node": "pve3"}, False, 0.0))
        self._down = down

    def alerts(self) -> list[Raised]:
        return self._alerts

    def down(self) -> list[str]:
        return list(self._down)


def day(watcher: Asked) -> GameDay:
    made = settings(EXAMPLES["dev"])
    result = GameDay(Stack("dev", made, plan(made)), Lab(), None)  # type: ignore[arg-type]
    result.watcher = watcher  # type: ignore[assignment]
    return result


def test_a_healthy_lab_fires_the_watchdog_and_what_is_meant_to() -> None:
    assert day(Asked({"alertname": "GuestsUnmonitored", "severity": "info"})).healthy() == []


def test_what_fires_or_isnt_scraped_though_nothing_is_broken_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_SETTLE_TIMEOUT_S", 0)
    found = day(Asked(DOWN, down=("linux 10.90.1.14:9100",))).healthy()
    assert found == [
        "linux 10.90.1.14:9100 isn't scraped",
        "HostDown fires: {'alertname': 'HostDown', 'severity': 'critical', 'node': 'pve2'}",
    ]


def test_what_looks_back_at_an_earlier_game_day_is_no_illness_and_isnt_tried_again() -> None:
    asked = day(Asked(KILLED))
    assert asked.healthy() == []
    left_out = {drill.name for drill in DRILLS} - {drill.name for drill in asked.fresh(DRILLS)}
    assert left_out == {"OOM kill"}


def test_severities_with_mail_are_those_of_the_routes() -> None:
    assert day(Asked()).mailed() == {"critical"}


def test_guests_are_where_the_lab_says() -> None:
    assert day(Asked()).homes() == {"101": "pve1", "103": "pve2"}


def test_what_the_lab_refuses_is_told_in_words() -> None:
    asked = day(Asked())
    with pytest.raises(OpsError, match="can't break guest_reboot 105: guest 105 is not running"):
        Breaker(asked.lab, asked.faults).begin(Break("guest_reboot", "105"))


def test_a_drill_that_doesnt_exist_is_told() -> None:
    with pytest.raises(OpsError, match="there is no drill 'flood'; there are: API away"):
        selected(["flood"], critical=False)


def test_the_plan_is_shown_whole() -> None:
    console = Console(width=200)
    with console.capture() as caught:
        console.print(show.listing(DRILLS))
    for drill in DRILLS:
        assert drill.name in caught.get()


class Session:
    """Answers by the end of the URL; what it doesn't know doesn't answer."""

    def __init__(self, **answers: Any) -> None:
        self._answers = answers

    def get(self, url: str, timeout: float) -> requests.Response:
        assert timeout > 0
        name = url.partition("?")[0].rpartition("/")[2]
        if name not in self._answers:
            raise requests.ConnectionError(url)
        response = requests.Response()
        response.status_code = 200
        response.json = lambda **_: self._answers[name]  # type: ignore[method-assign]
        return response


class Sinks:
    def hooks(self, name: str) -> list[dict[str, Any]]:
        if name == "watchdog":
            return [{"received": 40.0, "body": {}}]
        alerts = [{"status": "firing", "labels": DOWN}, {"status": "resolved", "labels": KILLED}]
        return [{"received": 50.0, "body": {"alerts": alerts}}]

    def mail(self) -> list[dict[str, Any]]:
        return [{"received": 51.0, "subject": "[FIRING:1]", "body": "text", "from": "", "to": []}]


def watch(**answers: Any) -> Watcher:
    session: Any = Session(**answers)
    sinks: Any = Sinks()
    return Watcher("http://p", "http://a", sinks, session)


def test_a_sample_holds_what_everybody_said() -> None:
    raised = {"labels": DOWN, "state": "firing", "activeAt": "2026-01-02T03:04:05.123456789Z"}

    class Both(Session):
        def get(self, url: str, timeout: float) -> requests.Response:
            self._answers["alerts"] = (
                {"data": {"alerts": [raised]}}
                if url.startswith("http://p")
                else [
                    {"labels": DOWN, "status": {"inhibitedBy": ["abc"]}},
                    {"labels": KILLED, "status": {"inhibitedBy": []}},
                ]
            )
            return super().get(url, timeout)

    sinks: Any = Sinks()
    both: Any = Both()
    sample = Watcher("http://p", "http://a", sinks, both).sample()
    assert sample.raised is not None
    (one,) = sample.raised
    assert (one.firing, one.active_at) == (True, 1767323045.0)
    assert [dict(labels) for labels in sample.held] == [DOWN]
    assert [(m.received, m.resolved, m.labels["alertname"]) for m in sample.messages] == [
        (50.0, False, "HostDown"), (50.0, True, "HostOomKill"),
    ]  # fmt: skip
    assert (sample.mails[0].received, list(sample.beats)) == (51.0, [40.0])


def test_who_doesnt_answer_is_left_out() -> None:
    sample = watch().sample()
    assert (sample.raised, list(sample.held)) == (None, [])
    with pytest.raises(OpsError, match="Prometheus doesn't answer at http://p"):
        watch().alerts()
    assert watch().down() != []


def test_targets_that_arent_up_are_named_but_for_those_whose_turn_hasnt_come() -> None:
    targets = [
        {"scrapePool": "linux", "labels": {"instance": "a"}, "health": "up"},
        {"scrapePool": "windows", "labels": {"instance": "b"}, "health": "down"},
        {"scrapePool": "pve-node", "labels": {"instance": "c"}, "health": "unknown"},
        {"scrapePool": "node", "labels": {"instance": "d"}, "health": "unknown"},
    ]
    assert watch(targets={"data": {"activeTargets": targets}}).down() == ["windows b", "node d"]
