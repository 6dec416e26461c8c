"""What the plan is made of: drills, what they break, and the alerts that have to come of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

Labels = Mapping[str, str]

# Seconds from a fault to the first message about a critical alert.
LIMIT_S = 150


@dataclass(frozen=True)
class Break:
    """One thing that is broken.

    Attributes:
        kind: a fault of the simulated cluster (`GET /kinds`), or of the stack (`stack_faults.KINDS`).
        target: what it is aimed at: a host, a guest, a token, a sink; for faults of the stack a service.
        params: of the fault.
        after: seconds after the beginning of the drill.
        seconds: how long it lasts; None until the drill is over.
    """

    kind: str
    target: str
    params: Mapping[str, float | str] = field(default_factory=dict)
    after: float = 0
    seconds: float | None = None


@dataclass(frozen=True)
class Alert:
    """An alert that is expected.

    Attributes:
        name: of the rule.
        severity: of the rule.
        labels: that it has to bear, besides.
        within: seconds from the fault to the first message, at most.
        slow: why a critical alert may take longer than `LIMIT_S`.
        pending: why it is watched until it is pending only.
        lasts: why it goes on when the fault is over, and no resolved message is waited for.
        by: the only channel that can tell it ("email" while the webhook is what is broken); "" for all.
    """

    name: str
    severity: str
    labels: Labels = field(default_factory=dict)
    within: float = LIMIT_S
    slow: str = ""
    pending: str = ""
    lasts: str = ""
    by: str = ""

    def matches(self, labels: Labels) -> bool:
        """Whether an alert with these labels is the expected one."""
        return self.wanted.items() <= labels.items()

    @property
    def wanted(self) -> dict[str, str]:
        """Every label that it has to bear."""
        return {"alertname": self.name, "severity": self.severity, **self.labels}

    @property
    def subject(self) -> str:
        """What it is about, in a word or two."""
        named = [self.labels[key] for key in ("vm_name", "node", "storage", "job") if key in self.labels]
        return " ".join(named)


@dataclass(frozen=True)
class Drill:
    """Something that breaks, what has to be told of it, and what has to be held back.

    Attributes:
        name: as people call it, and as `--only` takes it.
        breaks: what is broken, side by side or one after another.
        expects: alerts that have to be told.
        silences: alerts that fire too and that Alertmanager holds back because of those.
        needs: besides what its alerts need, parts of the platform that must not be broken meanwhile.
        during: name of a drill that has to have been told before, and goes on until this one is over.
        long: why `--critical` leaves it out although its alerts are critical.
    """

    name: str
    breaks: tuple[Break, ...]
    expects: tuple[Alert, ...]
    silences: tuple[Alert, ...] = ()
    needs: tuple[str, ...] = ()
    during: str = ""
    long: str = ""

    @property
    def wakes(self) -> bool:
        """Whether it is among those of `--critical`."""
        critical = all(a.severity in {"critical", "none"} and not a.slow for a in self.expects)
        return critical and not self.long

    @property
    def brief(self) -> Drill:
        """The drill without what is held back, and what has to be broken for that."""
        return replace(
            self, breaks=tuple(one for one in self.breaks if not one.after), silences=(), during=""
        )

    @property
    def within(self) -> float:
        """Seconds until all of it has been told and held back, at most."""
        return max(alert.within for alert in (*self.expects, *self.silences))


def facts(labels: Labels) -> dict[str, Any]:
    """Labels as they are shown: without those that every alert bears."""
    return {key: value for key, value in labels.items() if key not in {"cluster", "scope", "depends"}}
