"""What the commands decide: taken ports, orphans of an interrupted run, writers that have to run again."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import NotFound

from components.topology import plan
from ops import before, stack
from ops.console import OpsError
from ops.pulumi_cli import ROOT
from ops.stack import Stack
from tests.support.examples import MINIMAL, settings


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def made(**network: Any) -> Stack:
    values = settings({**MINIMAL, "network": network})
    return Stack("test", values, plan(values))


class NoContainers:
    """A Docker client that knows none."""

    containers = SimpleNamespace(get=lambda name: (_ for _ in ()).throw(NotFound(name)))


def test_free_ports_are_fine() -> None:
    names = ("prometheus", "alertmanager", "grafana", "discovery", "pveExporter")
    before.check_ports(made(ports={name: free_port() for name in names}), NoContainers())  # type: ignore[arg-type]


def test_every_taken_port_is_named_at_once() -> None:
    with socket.socket() as one, socket.socket() as two:
        for taken in (one, two):
            taken.bind(("127.0.0.1", 0))
            taken.listen()
        first, second = one.getsockname()[1], two.getsockname()[1]
        ports = {"prometheus": first, "pveExporter": second, "alertmanager": None, "discovery": None}
        with pytest.raises(OpsError) as caught:
            before.check_ports(made(ports={**ports, "grafana": free_port()}), NoContainers())  # type: ignore[arg-type]
    assert f"port {first} (prometheus): set pve-monitoring:network.ports.prometheus" in str(caught.value)
    assert f"port {second} (pve-exporter): set pve-monitoring:network.ports.pveExporter" in str(caught.value)


def test_only_writers_that_failed_run_again() -> None:
    def container(urn: str, **outputs: Any) -> dict[str, Any]:
        return {"urn": urn, "type": "docker:index/container:Container", "outputs": outputs}

    state = [
        container("a", attach=True, exitCode=0),
        container("b", attach=True, exitCode=1),
        container("c", attach=False, exitCode=137),
        {"urn": "d", "type": "docker:index/volume:Volume", "outputs": {}},
    ]
    assert before.failed_writers(state) == ["b"]


def test_a_missing_stack_file_is_told() -> None:
    with pytest.raises(OpsError, match=r"Pulumi\.nowhere\.yaml doesn't exist; copy docs/examples"):
        stack.load("nowhere")


def test_every_target_of_the_makefile_is_a_command_or_explained() -> None:
    listing = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = {line.split()[1] for line in listing.splitlines() if " make " in f" {line}"}
    makefile = (ROOT / "Makefile").read_text("utf-8")
    phony = {line.split(":")[1].strip() for line in makefile.splitlines() if line.startswith(".PHONY:")}
    assert len(phony) >= 10
    assert {target for target in phony if f"make {target}" not in listing.replace("\x1b[1m", "")} == set(), (
        targets
    )


def test_what_people_can_mend_comes_without_a_traceback(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "ops", "status", "--stack", "nowhere"]
    result = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "Traceback" not in result.stdout + result.stderr
    assert "doesn't exist" in result.stdout
