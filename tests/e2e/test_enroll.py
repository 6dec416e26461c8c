"""A guest whose exporter is missing gets one through its agent, and Prometheus sees it: the whole chain."""

from __future__ import annotations

import re

import pytest

from components.pve_api import Token
from dashboards import coverage
from lab.cluster.identities import ENROLLER
from ops.enroll.choice import Choice, Options
from ops.enroll.command import Order, enroll
from ops.enroll.watch import watch_of
from ops.stack import load
from tests.support.platform import Platform, wait_for

pytestmark = pytest.mark.docker

# What the dashboard Coverage counts as exporters that don't answer.
SILENT = re.sub(r"\$\w+", ".+", coverage._SILENT)


def silent(platform: Platform) -> set[str]:
    return {series["metric"]["vm_id"] for series in platform.query(SILENT)}


def order(platform: Platform, choice: Choice, *, dry_run: bool = False) -> Order:
    stack = load(platform.name, platform.stack_file)
    token = Token.parse(f"{ENROLLER.id}={ENROLLER.secret}")
    options = Options(yes=True, dry_run=dry_run, timeout=30, patience=45)
    watch = watch_of(stack, None, None)
    return Order(stack, choice, options, token, watch, [platform.lab.api_url])


def test_a_guest_without_an_exporter_is_seen_enrolled_and_watched(
    calm: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    wait_for("everything is watched", lambda: not silent(calm), 60)
    calm.control.add("exporter_gone", "103")
    calm.control.add("exporter_gone", "105")
    wait_for("both are missed", lambda: silent(calm) == {"103", "105"}, 40)

    assert enroll(order(calm, Choice(missing=True), dry_run=True)) == 1
    said = capsys.readouterr().out
    assert "install windows_exporter as SYSTEM" in said
    assert "install node_exporter as root" in said

    assert enroll(order(calm, Choice((103, 105)))) == 0
    said = capsys.readouterr().out
    assert said.count("✓") == 2
    assert silent(calm) == set()
