"""What all tests share: strict Outputs, the project as directory, and the list of what was left out."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# An Output in an f-string raises instead of writing an error text into a configuration file.
os.environ["PULUMI_ERROR_OUTPUT_STRING"] = "true"


@pytest.fixture(autouse=True)
def _in_project_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program reads rules and dashboards relative to the project, as under Pulumi."""
    monkeypatch.chdir(ROOT)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what waits longest: stacks in Docker come up while everything else is tested beside them."""
    items.sort(key=lambda item: "tests/e2e/" not in item.nodeid)


def _layer(nodeid: str) -> str:
    parts = nodeid.split("::", maxsplit=1)[0].split("/")
    return "/".join(parts[1:-1]) or parts[-1]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say, before the last line, how many tests of each layer ran and which were skipped for which reason."""
    passed = Counter(_layer(report.nodeid) for report in terminalreporter.stats.get("passed", []))
    terminalreporter.section("layers")
    for layer, count in sorted(passed.items()):
        terminalreporter.line(f"{count:5d} passed  {layer}")
    skipped = Counter(
        (_layer(report.nodeid), report.longrepr[2].removeprefix("Skipped: "))
        for report in terminalreporter.stats.get("skipped", [])
    )
    for (layer, reason), count in sorted(skipped.items()):
        terminalreporter.line(f"{count:5d} SKIPPED {layer}: {reason}")
