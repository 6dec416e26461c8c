"""What can be broken in the stack itself, and how it is put back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import docker
from docker.errors import DockerException, NotFound
from docker.models.containers import Container

from components import images
from components.images import Service
from components.prometheus import DATA_DIR
from components.render.scrape_configs import CONFIG_DIR
from lab.cluster.client import LabError
from ops.gameday.model import Break
from ops.stack import Stack

# A name that only a block of Prometheus' storage can have (a ULID), and no block ever gets.
_BLOCK = f"{DATA_DIR}/01ARZ3NDEKTSV4RRFFQ69G5FAV"
_RULES = {
    # Two series for one: the join fails at every evaluation.
    "rule_failing": """\
groups:
  - name: gameday
    rules:
      - record: gameday:failing
        expr: up * on () up
""",
    "config_broken": "groups: [this is no rule file\n",
}
_RULE_FILE = "rules/zz_gameday.yml"

KINDS = ("container_stopped", "block_broken", *_RULES)


@dataclass(frozen=True)
class StackFaults:
    """Breaks parts of a stack whose containers run on the local Docker daemon."""

    stack: Stack
    client: docker.DockerClient

    def begin(self, fault: Break) -> Callable[[], None]:
        """Break something; what is returned puts it back, and may be called more than once."""
        if fault.kind == "container_stopped":
            return self._stop(Service(fault.target))
        if fault.kind == "block_broken":
            return self._break_block()
        self._write_rules(_RULES[fault.kind])
        return self._put_rules_back

    def tidy(self) -> None:
        """Put back what an earlier run that was killed may have left."""
        if self._container(Service.PROMETHEUS).status == "running":
            self._put_rules_back()
        self._remove_rules()
        self._run(f"rm -rf {_BLOCK}")
        for instance in self.stack.topology.instances:
            with suppress(NotFound):
                container = self.client.containers.get(instance.container_name)
                if container.status == "exited":
                    container.start()

    def _container(self, service: Service) -> Container:
        (instance,) = self.stack.topology.of(service)
        return self.client.containers.get(instance.container_name)

    def _stop(self, service: Service) -> Callable[[], None]:
        container = self._container(service)
        container.stop(timeout=10)
        return container.start

    def _break_block(self) -> Callable[[], None]:
        self._run(f"mkdir -p {_BLOCK} && echo broken > {_BLOCK}/meta.json")
        return lambda: self._run(f"rm -rf {_BLOCK}")

    def _write_rules(self, text: str) -> None:
        self._run(f'printf %s "$TEXT" > {CONFIG_DIR}/{_RULE_FILE}', TEXT=text)

    def _put_rules_back(self) -> None:
        self._remove_rules()
        # Files that are again what Prometheus runs on are no change to it: after a failure it has to be told.
        self._container(Service.PROMETHEUS).kill(signal="HUP")

    def _remove_rules(self) -> None:
        self._run(f"rm -f {CONFIG_DIR}/{_RULE_FILE}")

    def _run(self, command: str, **environment: str) -> None:
        """Run a command on Prometheus' volumes, which its own container sees in part as read-only."""
        mounts = {
            mount["Name"]: mount["Destination"]
            for mount in self._container(Service.PROMETHEUS).attrs["Mounts"]
        }
        self.client.containers.run(
            self.stack.image_of(images.CONFIG_WRITER),
            ["sh", "-c", command],
            environment=environment,
            volumes={name: {"bind": place, "mode": "rw"} for name, place in mounts.items()},
            network_mode="none",
            user="0",
            remove=True,
        )


def undo(steps: list[Callable[[], None]]) -> list[str]:
    """Put everything back, the last thing first; returns what couldn't be."""
    failed = []
    while steps:
        try:
            steps.pop()()
        except (DockerException, LabError, OSError) as error:
            failed.append(str(error))
    return failed
