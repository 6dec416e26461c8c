"""What is broken in the stack, against a Docker of paper."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import APIError

from components.topology import plan
from ops.gameday.model import Break
from ops.gameday.stack_faults import KINDS, StackFaults, undo
from ops.stack import Stack
from tests.support.examples import EXAMPLES, settings


class Container:
    def __init__(self) -> None:
        self.status = "running"
        self.signals: list[str] = []
        self.attrs = {
            "Mounts": [
                {"Name": "data", "Destination": "/prometheus"},
                {"Name": "config", "Destination": "/etc/prometheus"},
            ]
        }

    def stop(self, timeout: int) -> None:
        assert timeout > 0
        self.status = "exited"

    def kill(self, signal: str) -> None:
        self.signals.append(signal)

    def start(self) -> None:
        self.status = "running"


class Docker:
    def __init__(self) -> None:
        self.made: dict[str, Container] = {}
        self.commands: list[str] = []
        self.containers = SimpleNamespace(get=self.get, run=self.run)

    def get(self, name: str) -> Container:
        return self.made.setdefault(name, Container())

    def run(self, image: str, command: list[str], **options: Any) -> None:
        assert image.startswith("busybox:")
        assert set(options["volumes"]) == {"data", "config"}
        assert options["remove"]
        self.commands.append(command[-1])


@pytest.fixture
def client() -> Docker:
    return Docker()


@pytest.fixture
def faults(client: Docker) -> StackFaults:
    made = settings(EXAMPLES["dev"])
    return StackFaults(Stack("dev", made, plan(made)), client)  # type: ignore[arg-type]


def test_a_container_is_stopped_by_the_stacks_own_name_and_started_again(
    faults: StackFaults, client: Docker
) -> None:
    put_back = faults.begin(Break("container_stopped", "discovery"))
    assert {name: one.status for name, one in client.made.items()} == {
        "pve-monitoring-dev-discovery-a": "exited"
    }
    put_back()
    put_back()
    assert client.made["pve-monitoring-dev-discovery-a"].status == "running"


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"container_stopped"}))
def test_what_is_written_is_removed(faults: StackFaults, client: Docker, kind: str) -> None:
    put_back = faults.begin(Break(kind, "prometheus"))
    put_back()
    written, removed = client.commands
    assert removed.startswith("rm -")
    place = removed.split()[-1]
    assert place.startswith(("/prometheus/", "/etc/prometheus/rules/"))
    assert place in written
    # Files that are as before are no change to Prometheus, which has failed to read the others.
    (prometheus,) = client.made.values()
    assert prometheus.signals == (["HUP"] if "rules" in place else [])


def test_what_a_killed_run_left_is_tidied_up(faults: StackFaults, client: Docker) -> None:
    faults.begin(Break("container_stopped", "prometheus"))
    faults.tidy()
    assert {one.status for one in client.made.values()} == {"running"}
    assert len(client.commands) == 2


def test_one_thing_that_cant_be_put_back_doesnt_keep_the_others() -> None:
    done: list[str] = []

    def fail() -> None:
        raise APIError("no such container")

    steps = [lambda: done.append("first"), fail, lambda: done.append("last")]
    assert undo(steps) == ["no such container"]
    assert done == ["last", "first"]
