"""A stack as the commands see it: its settings, its parts, and whether they are healthy."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import yaml
from docker.errors import NotFound

from components import images
from components.alertmanager import external_url as alertmanager_url
from components.docker_host import BUILT
from components.images import Service
from components.prometheus import external_url as prometheus_url
from components.render import grafana as grafana_render
from components.render.platform_tls import scheme
from components.settings import PROJECT, StackSettings, parse, validate
from components.topology import Instance, Topology, plan
from lab import environment as lab_environment
from lab import stack_config
from lab.environment import Lab
from ops.console import OpsError
from ops.pulumi_cli import ROOT

# In the clear on purpose: they open the lab's Grafana (Pulumi.dev.yaml holds it encrypted).
LAB_GRAFANA_PASSWORD = "lab-admin"  # noqa: S105
LAB_GATEWAY_PASSWORD = "lab-gateway"  # noqa: S105


@dataclass(frozen=True)
class Stack:
    """Name, settings and topology of a stack.

    Attributes:
        file: that its config is in, if not in the project's directory.
    """

    name: str
    settings: StackSettings
    topology: Topology
    file: Path | None = None

    def image_references(self) -> list[str]:
        """Every image that the stack runs or builds from, the base of a build first."""
        given, wanted = self.settings.images.overrides(), {i.service for i in self.topology.instances}
        bases = [base for s in BUILT if s in wanted and s not in given for base in BUILT[s][1].values()]
        keys = [*bases, images.CONFIG_WRITER, *(s for s in Service if s in wanted and s not in BUILT)]
        return [self.image_of(key) for key in [*keys, *(s for s in BUILT if s in given)]]

    def image_of(self, key: str) -> str:
        """The image for a service, or for another entry of the image table."""
        given = self.settings.images
        return images.resolve(str(key), given.registry_prefix, given.overrides())


@dataclass(frozen=True)
class Part:
    """One instance and the state of its container."""

    instance: Instance
    state: str
    url: str | None

    @property
    def healthy(self) -> bool:
        """True if its health check passes."""
        return self.state == "healthy"


def stack_file(name: str) -> Path:
    """The file that holds a stack's config."""
    return ROOT / f"Pulumi.{name}.yaml"


def load(name: str, file: Path | None = None) -> Stack:
    """Read a stack's settings from its file; secrets stay closed.

    Args:
        name: of the stack.
        file: where its config lies, if not in the project's directory.

    Raises:
        OpsError: there is no such file.
        components.settings.SettingsError: with all problems.
    """
    settings = validate(*_values(file or stack_file(name)), ROOT)
    return Stack(name, settings, plan(settings), file)


def without_certificates(name: str) -> StackSettings:
    """A stack's settings as they are before it has certificates, keys and passwords: without `pki`.

    Raises:
        OpsError: there is no such file.
        components.settings.SettingsError: with all other problems of the settings themselves.
    """
    plain, secret = _values(stack_file(name))
    return parse({key: value for key, value in plain.items() if key != "pki"}, secret)


def plain_values(name: str) -> Mapping[str, Any]:
    """What stands in plain text in a stack's file, by key without the project's prefix.

    Raises:
        OpsError: there is no such file.
    """
    return _values(stack_file(name))[0]


def _values(path: Path) -> tuple[dict[str, Any], frozenset[str]]:
    """The project's plain values, and the names of its secrets."""
    if not path.is_file():
        raise OpsError(f"{path.name} doesn't exist; copy docs/examples/Pulumi.production.yaml and adapt it")
    values: Mapping[str, Any] = yaml.safe_load(path.read_text("utf-8")).get("config", {})
    own = {k.partition(":")[2]: v for k, v in values.items() if k.startswith(f"{PROJECT}:")}
    plain, secret = stack_config.split(own)
    return plain, frozenset(secret)


def prepare_lab(name: str) -> Lab | None:
    """Make the certificates that the development stack's settings name, and return its lab."""
    lab = lab_of(name)
    if lab is not None:
        lab_environment.ensure_certificates(lab)
    return lab


def lab_of(name: str) -> Lab | None:
    """The simulated cluster that belongs to a stack; only the development stack has one."""
    return Lab() if name == "dev" else None


def selected() -> str:
    """Name of the stack that the commands work on."""
    return os.environ.get("STACK", "dev")


def parts(stack: Stack, client: docker.DockerClient) -> list[Part]:
    """State of every instance, in the order of the topology."""
    return [
        Part(instance, _state(instance, client), _url(instance, stack.settings))
        for instance in stack.topology.instances
    ]


def _state(instance: Instance, client: docker.DockerClient) -> str:
    try:
        container = client.containers.get(instance.container_name)
    except NotFound:
        return "missing"
    state = container.attrs["State"]
    return str(
        state.get("Health", {}).get("Status", state["Status"]) if state["Running"] else state["Status"]
    )


def _url(instance: Instance, settings: StackSettings) -> str | None:
    pages = {
        Service.GATEWAY: settings.gateway_url,
        Service.GRAFANA: grafana_render.external_url(settings),
        Service.PROMETHEUS: prometheus_url(settings, instance),
        Service.ALERTMANAGER: alertmanager_url(settings, instance),
    }
    if instance.service in pages and (settings.gateway.enabled or instance.service is Service.GRAFANA):
        return pages[instance.service]
    if instance.published_port is None:
        return None
    return f"{scheme(settings)}://{settings.network.bind_address}:{instance.published_port}"
