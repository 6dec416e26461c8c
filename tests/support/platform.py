"""A whole stack on this machine for tests: its own names, ports, simulated cluster and state."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import docker
import requests
import yaml
from docker.models.containers import Container
from pydantic.alias_generators import to_camel

from components.docker_host import BUILT
from components.images import Service
from components.topology import CONTAINER_PORTS, GATEWAY_HTTPS
from lab import apply as without_cli
from lab import environment, stack_config
from lab.cluster.client import LabClient
from lab.environment import Lab
from ops.pulumi_cli import DEV_PASSPHRASE, ROOT

# Several stacks come up beside each other on few cores: what is waited for takes longer than alone.
PATIENCE = 2
PORT_OFFSET = 12_000
CLI = shutil.which("pulumi")


T = TypeVar("T")


def wait_for(what: str, check: Callable[[], T], seconds: float, every: float = 1.0) -> T:
    """Call `check` until it gives something truthy.

    Raises:
        AssertionError: it never did, with the last thing it gave or raised.
    """
    seconds *= PATIENCE
    deadline, last = time.monotonic() + seconds, None
    while time.monotonic() < deadline:
        try:
            last = check()
            if last:
                return last
        except (OSError, LookupError, AssertionError) as error:  # those of requests are OSErrors
            last = error  # type: ignore[assignment]
        time.sleep(every)
    raise AssertionError(f"{what}: not within {seconds:.0f} s; last: {last!r}")


@dataclass
class Platform:
    """One stack.

    Attributes:
        name: of the stack; also in the names of all it makes.
        directory: for its stack file and state.
        offset: added to the development stack's ports.
        changes: values that always differ from the development stack, by dotted key.
        scheme: of the platform's own servers.
        session: what they are asked with.
    """

    name: str
    directory: Path
    offset: int = PORT_OFFSET
    changes: dict[str, Any] = field(default_factory=dict)
    scheme: str = "http"
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.client = docker.from_env(timeout=300)
        self.prefix = f"pve-monitoring-{self.name}"
        self.lab = Lab(
            name=f"pve-lab-{self.name}", control_port=18080 + self.offset, api_port=18006 + self.offset
        )
        self.control = LabClient(self.lab.control_url)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.write_config()

    # --- configuration

    @property
    def stack_file(self) -> Path:
        return self.directory / f"Pulumi.{self.name}.yaml"

    def write_config(self, **changes: Any) -> None:
        """Write the stack file: the development stack's, under other names and ports, and faster.

        Args:
            changes: by dotted key, besides those that the stack always has.
        """
        document = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text("utf-8"))
        ours: dict[str, Any] = {
            "network.extraNetworks": [self.lab.name],
            "network.ports": {
                to_camel(service.replace("-", "_")): port + self.offset
                for service, port in CONTAINER_PORTS.items()
                if service is not Service.GATEWAY
            },
            "gateway.port": GATEWAY_HTTPS + self.offset,
            "containers.namePrefix": self.prefix,
            "prometheus.scrapeInterval": "5s",
            "discovery.refreshSeconds": 5,
            "alerting.groupWait": "1s",
            "alerting.groupInterval": "5s",
        }
        config = copy.deepcopy(document["config"])
        for path, value in {**ours, **self.changes, **changes}.items():
            *parents, last = f"pve-monitoring:{path}".split(".")
            target = config
            for parent in parents:
                target = target.setdefault(parent, {})
            target[last] = value
        document["config"] = config
        self.stack_file.write_text(yaml.safe_dump(document), "utf-8")

    # --- with the CLI

    @property
    def environment(self) -> dict[str, str]:
        state = self.directory / "state"
        state.mkdir(exist_ok=True)
        return {
            **os.environ,
            "PULUMI_BACKEND_URL": f"file://{state}",
            "PULUMI_CONFIG_PASSPHRASE": DEV_PASSPHRASE,
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_ERROR_OUTPUT_STRING": "true",
            "PATH": f"{ROOT / '.venv' / 'bin'}:{ROOT / '.cache' / 'tools' / 'bin'}:{os.environ['PATH']}",
        }

    def pulumi(self, *words: str, **environment_: str) -> subprocess.CompletedProcess[str]:
        """Run the CLI on the project with this stack's file; returns what it printed."""
        file = ["--config-file", str(self.stack_file)]
        return self._run([*words, "--stack", self.name, *file], ROOT, environment_)

    def state(self) -> list[dict[str, Any]]:
        """Resources in the stack's state."""
        result = self._run(["stack", "export", "--stack", self.name], self.directory, {})
        found: list[dict[str, Any]] = json.loads(result.stdout)["deployment"].get("resources") or []
        return found

    def create_stack(self) -> None:
        """Make the stack, which then stays until its directory goes."""
        # `pulumi stack` takes no --config-file and writes beside Pulumi.yaml: a copy in our own directory.
        if not (self.directory / "Pulumi.yaml").exists():
            shutil.copy(ROOT / "Pulumi.yaml", self.directory)
            self._run(["stack", "select", "--create", self.name], self.directory, {})

    def up_with_cli(self, *words: str, **environment_: str) -> subprocess.CompletedProcess[str]:
        self.create_stack()
        return self.pulumi("up", "--yes", "--skip-preview", *words, **environment_)

    def _run(
        self, words: list[str], directory: Path, environment_: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        assert CLI is not None
        return subprocess.run(
            [CLI, *words, "--non-interactive"],
            cwd=directory,
            env={**self.environment, **environment_},
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )

    # --- without it

    def up_without_cli(self) -> without_cli.Summary:
        config = stack_config.read(self.stack_file, DEV_PASSPHRASE)
        return without_cli.apply(ROOT, self.name, config, self.client, lambda _: None)

    # --- both

    def start_lab(self) -> None:
        environment.up(self.lab, self.client, lambda _: None)

    def up(self) -> None:
        """Bring the lab and the stack up, with the CLI where there is one."""
        self.start_lab()
        if CLI is None:
            self.up_without_cli()
            return
        result = self.up_with_cli()
        assert result.returncode == 0, result.stdout + result.stderr

    def destroy(self) -> None:
        """Remove everything, whoever made it; the state in its temporary directory goes with that."""
        for container in self.client.containers.list(all=True, filters={"name": f"^/{self.prefix}-"}):
            container.remove(force=True, v=True)
        without_cli.destroy(self.name, self.client, lambda _: None)
        environment.down(self.lab, self.client, lambda _: None)
        for volume in self.client.volumes.list(filters={"name": f"{self.prefix}-"}):
            volume.remove(force=True)
        for network in self.client.networks.list(names=[f"^{self.prefix}-"]):
            network.remove()
        for image in (i for service in BUILT for i in self.client.images.list(f"{self.prefix}-{service}")):
            for tag in image.tags:
                if tag.startswith(f"{self.prefix}-"):
                    self.client.images.remove(tag)

    # --- what runs

    def container(self, service: Service) -> Container:
        return self.client.containers.get(f"{self.prefix}-{service}-a")

    def log(self, service: Service) -> str:
        return self.container(service).logs().decode(errors="replace")

    def url(self, service: Service) -> str:
        return f"{self.scheme}://127.0.0.1:{CONTAINER_PORTS[service] + self.offset}"

    def get(self, service: Service, path: str, **parameters: Any) -> Any:
        response = self.session.get(f"{self.url(service)}{path}", params=parameters, timeout=15)
        response.raise_for_status()
        return response.json()

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Result of an instant query."""
        answer = self.get(Service.PROMETHEUS, "/api/v1/query", query=expression)
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    def targets(self) -> list[dict[str, Any]]:
        """Active scrape targets."""
        answer = self.get(Service.PROMETHEUS, "/api/v1/targets", state="active")
        found: list[dict[str, Any]] = answer["data"]["activeTargets"]
        return found

    def all_up(self) -> bool:
        """Whether everything that the lab has is scraped, and nothing in vain.

        The nodes' own part of the API is asked every two minutes: it may not have been its turn yet.
        """
        targets = self.targets()
        waiting = [
            t["scrapePool"] for t in targets if t["health"] == "unknown" and t["scrapePool"] != "pve-node"
        ]
        down = [(t["scrapePool"], t["lastError"]) for t in targets if t["health"] == "down"]
        assert not down, down
        assert not waiting, waiting
        return len(targets) >= 18

    def alerts(self) -> list[dict[str, Any]]:
        """Alerts as Alertmanager has them."""
        found: list[dict[str, Any]] = self.get(Service.ALERTMANAGER, "/api/v2/alerts")
        return found


def running(platform: Platform) -> Iterator[Platform]:
    """Bring a stack up, hand it over, and tear it down whatever happens."""
    platform.destroy()
    try:
        platform.up()
        yield platform
    finally:
        platform.destroy()
