"""What is looked at before the program runs: taken ports, and what an earlier run left half done."""

from __future__ import annotations

import socket
from typing import Any

import docker
from docker.errors import NotFound

from components.container import OWNER_LABEL
from components.settings import LocalDocker, StackSettings
from components.topology import Instance
from lab.apply_docker import STACK_LABEL
from ops.console import OpsError
from ops.stack import Stack, stack_file


def check_ports(stack: Stack, client: docker.DockerClient) -> None:
    """Refuse ports that something else on this machine listens on.

    Raises:
        OpsError: naming each port, who should have it, and the key to change.
    """
    if not isinstance(stack.settings.docker, LocalDocker):
        return
    taken = []
    for instance in stack.topology.instances:
        if _ours(instance.container_name, client):
            continue
        taken += [
            f"  port {port} ({instance.service}): set pve-monitoring:{key}"
            for key, address, port in _published(instance, stack.settings)
            if _listening(address, port)
        ]
    if taken:
        what = "\n".join(taken)
        raise OpsError(
            f"something on this machine already listens on these ports (who: ss -ltnp):\n{what}\n"
            f"in {stack_file(stack.name).name}, or stop what uses them; nothing was created"
        )


def _published(instance: Instance, settings: StackSettings) -> list[tuple[str, str, int]]:
    """Key of the settings, address and port of everything that an instance listens on."""
    keys = {settings.gateway.port: "gateway.port", settings.gateway.http_port: "gateway.httpPort"}
    found = [(keys[e.published], e.address, e.published) for e in instance.entrances]
    if instance.published_port is not None:
        key = instance.service.replace("pve-exporter", "pveExporter")
        found.append((f"network.ports.{key}", settings.network.bind_address, instance.published_port))
    return found


def _ours(container: str, client: docker.DockerClient) -> bool:
    try:
        return bool(client.containers.get(container).status == "running")
    except NotFound:
        return False


def _listening(address: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As Docker's proxy does: ports of connections that just ended are free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return True
    return False


def remove_orphans(state: list[dict[str, Any]], stack: Stack, client: docker.DockerClient) -> list[str]:
    """Remove containers and networks of the stack that its state doesn't know; returns their names.

    A daemon that goes away in the middle of a run may have made them before it could answer; their names are
    fixed, so the next run would find them taken. Volumes are never touched: they are found again by name.
    """
    known = {resource.get("id") for resource in state}
    filters: dict[str, Any] = {"label": f"{OWNER_LABEL}={stack.settings.containers.name_prefix}"}
    containers = client.containers.list(all=True, filters=filters)
    # What the apply without the CLI made has an owner of its own.
    removed = []
    for container in containers:
        if container.id not in known and STACK_LABEL not in container.labels:
            container.remove(force=True, v=True)
            removed.append(str(container.name))
    for network in client.networks.list(filters=filters):
        if network.id not in known and STACK_LABEL not in (network.attrs.get("Labels") or {}):
            network.remove()
            removed.append(str(network.name))
    return removed


def failed_writers(state: list[dict[str, Any]]) -> list[str]:
    """URNs of configuration writers whose last run failed: they have to run again, though unchanged."""
    return [
        resource["urn"]
        for resource in state
        if resource["type"] == "docker:index/container:Container"
        and resource["outputs"].get("attach")
        and resource["outputs"].get("exitCode") not in (None, 0)
    ]
