"""The table that `up` and `status` end in."""

from __future__ import annotations

import docker
from docker.errors import ImageNotFound

from components.docker_host import BUILT
from components.settings import BasicAuth
from lab import environment as lab_environment
from lab.images import STAND_IN_LABEL
from ops.console import console, table
from ops.stack import LAB_GATEWAY_PASSWORD, LAB_GRAFANA_PASSWORD, Part, Stack, lab_of, parts


def show(stack: Stack, client: docker.DockerClient) -> None:
    """Print the table of a stack's parts, and how to log in."""
    made = table(f"Stack {stack.name}", "part", "state", "URL", "image")
    for part in parts(stack, client):
        colour = "green" if part.healthy else "red"
        made.add_row(
            str(part.instance.service),
            f"[{colour}]{part.state}[/]",
            part.url or "(not published)",
            _image_note(part, stack, client),
        )
    lab = lab_of(stack.name)
    if lab is not None:
        state = "[green]running[/]" if lab_environment.runs(lab, client) else "[red]missing[/]"
        made.add_row("simulated cluster", state, lab.control_url, "built from lab/cluster")
    console.print()
    console.print(made)
    password = LAB_GRAFANA_PASSWORD if lab is not None else "of: pulumi config get grafanaAdminPassword"
    console.print(f"Log in to Grafana as [bold]{stack.settings.grafana.admin_user}[/], password {password}")
    auth = stack.settings.gateway.auth
    if stack.settings.gateway.enabled and isinstance(auth, BasicAuth):
        password = LAB_GATEWAY_PASSWORD if lab is not None else "of: pulumi config get gatewayPassword"
        console.print(f"Prometheus and Alertmanager: [bold]{auth.user}[/], password {password}")
    if any(_is_stand_in(reference, client) for reference in stack.image_references()):
        console.print("[dim]stand-in: built here because no registry answers; Grafana's is a double[/]")


def _is_stand_in(reference: str, client: docker.DockerClient) -> bool:
    try:
        return bool(client.images.get(reference).labels.get(STAND_IN_LABEL) == "true")
    except ImageNotFound:
        return False


def _image_note(part: Part, stack: Stack, client: docker.DockerClient) -> str:
    service = part.instance.service
    if service in BUILT and service not in stack.settings.images.overrides():
        return f"built from {BUILT[service][0]}"
    reference = stack.image_of(part.instance.service)
    return f"{reference} [yellow](stand-in)[/]" if _is_stand_in(reference, client) else reference
