"""Where the colours of a panel change: at the alert's own threshold, read from the rule file.

A threshold stands in one place, the rule; a panel that repeated it would soon disagree with the alert.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import yaml

_ALERTS = Path(__file__).parent.parent / "rules" / "alerts"
_COMPARISON = re.compile(r"[<>]=?\s*([0-9.]+)\b")


@cache
def _expressions() -> dict[tuple[str, str], str]:
    files = (path for path in _ALERTS.glob("*.yml") if not path.stem.endswith("_test"))
    groups = (group for path in files for group in yaml.safe_load(path.read_text("utf-8"))["groups"])
    return {
        (rule["alert"], rule["labels"]["severity"]): rule["expr"]
        for group in groups
        for rule in group["rules"]
    }


def threshold(alert: str, severity: str) -> float:
    """Return the number that the first comparison of an alert's expression names, in the query's own unit.

    Raises:
        LookupError: there is no such alert, or its expression compares with no number.
    """
    expression = _expressions().get((alert, severity))
    if expression is None:
        raise LookupError(f"rules/alerts has no alert {alert} of severity {severity}")
    match = _COMPARISON.search(expression)
    if match is None:
        raise LookupError(f"the expression of {alert} ({severity}) compares with no number")
    return float(match[1])


def levels(alert: str) -> tuple[float, float]:
    """Return the (warning, critical) thresholds of an alert that has both."""
    return threshold(alert, "warning"), threshold(alert, "critical")
