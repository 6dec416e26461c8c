"""What `up`, `down`, `preview`, `drift` and `status` do."""

from __future__ import annotations

import socket
import sys
import time
from typing import Any

import docker
from docker.errors import NotFound

from components.container import OWNER_LABEL
from components.settings import SshDocker
from lab import apply as without_cli
from lab import environment as lab_environment
from lab import images, stack_config
from lab.apply_docker import STACK_LABEL
from lab.environment import Lab
from ops import docker_daemon, pulumi_cli
from ops.console import OpsError, console, note, progress, step, table
from ops.pulumi_cli import CliUnavailable, Pulumi
from ops.stack import Part, Stack, load, parts, stack_file

_HEALTH_TIMEOUT_S = 180
_DRIFT_EXIT_CODE = 7


def up(name: str) -> None:
    """Bring a stack up; ends with the table of its parts."""
    lab = prepare_lab(name)
    stack = load(name)
    client = docker_daemon.connect()
    check_ports(stack, client)
    stand_ins = _images(stack, client)
    if lab is not None:
        step("simulated Proxmox cluster")
        with progress("  starting it") as line:
            lab_environment.up(lab, client, line)
    try:
        cli = _cli()
    except CliUnavailable as reason:
        _apply(stack, client, reason)
    else:
        _pulumi_up(cli, stack, client)
    unhealthy = _await_health(stack, client)
    show(stack, client, stand_ins, lab)
    if unhealthy:
        names = ", ".join(part.instance.container_name for part in unhealthy)
        raise OpsError(f"not healthy: {names}; see: docker logs <name>")


def prepare_lab(name: str) -> Lab | None:
    """Make the certificates that the development stack's settings name, and return its lab."""
    lab = lab_of(name)
    if lab is not None:
        lab_environment.ensure_certificates(lab)
    return lab


def lab_of(name: str) -> Lab | None:
    """The simulated cluster that belongs to a stack; only the development stack has one."""
    return Lab() if name == "dev" else None


def check_ports(stack: Stack, client: docker.DockerClient) -> None:
    """Refuse ports that something else on this machine listens on.

    Raises:
        OpsError: naming each port, who should have it, and the key to change.
    """
    if isinstance(stack.settings.docker, SshDocker):
        return
    taken = []
    for instance in stack.topology.instances:
        port = instance.published_port
        if port is None or _ours(instance.container_name, client):
            continue
        if _listening(stack.settings.network.bind_address, port):
            key = instance.service.replace("pve-exporter", "pveExporter")
            taken.append(f"  port {port} ({instance.service}): set pve-monitoring:network.ports.{key}")
    if taken:
        what = "\n".join(taken)
        raise OpsError(
            f"something on this machine already listens on these ports (who: ss -ltnp):\n{what}\n"
            f"in {stack_file(stack.name).name}, or stop what uses them; nothing was created"
        )


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


def _images(stack: Stack, client: docker.DockerClient) -> frozenset[str]:
    """Get the images; returns the references of those that are stand-ins."""
    if isinstance(stack.settings.docker, SshDocker):
        return frozenset()
    step("images")
    with progress("  getting them") as line:
        results = images.ensure_all(stack.image_references(), client, line)
    stand_ins = frozenset(result.reference for result in results if result.stand_in)
    if stand_ins:
        note(f"no registry answers: {len(stand_ins)} of {len(results)} images are stand-ins built here")
    return stand_ins


def _cli() -> Pulumi:
    step("Pulumi CLI")
    cli = pulumi_cli.find()
    cli.ensure_plugins()
    console.print(f"  {cli.version} ({cli.command})")
    return cli


def _apply(stack: Stack, client: docker.DockerClient, reason: CliUnavailable) -> None:
    note(f"{reason}")
    note("going on without it: resources are created directly; no preview, no drift detection, no state")
    step("applying the program")
    passphrase = pulumi_cli.passphrase()
    config = stack_config.read(stack_file(stack.name), passphrase)
    with progress("  creating") as line:
        summary = without_cli.apply(pulumi_cli.ROOT, stack.name, config, client, line)
    console.print(f"  {len(summary.created)} created, {len(summary.unchanged)} unchanged")


def _pulumi_up(cli: Pulumi, stack: Stack, client: docker.DockerClient) -> None:
    cli.ensure_stack(stack.name)
    if not isinstance(stack.settings.docker, SshDocker):
        for name in remove_orphans(cli.resources(stack.name), stack, client):
            note(f"removed {name}: an interrupted run had made it and not noted it in the state")
    step(f"pulumi up ({stack.name})")
    failed = [f"--replace={urn}" for urn in failed_writers(cli.resources(stack.name))]
    code = cli.run("up", "--yes", "--stack", stack.name, "--suppress-outputs", *failed)
    if code != 0:
        raise OpsError(
            "pulumi up failed (its message is above). What was created stays; mend the cause and run it "
            "again: it goes on from there"
        )


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
            container.remove(force=True)
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


def _await_health(stack: Stack, client: docker.DockerClient) -> list[Part]:
    if isinstance(stack.settings.docker, SshDocker):
        return []
    deadline = time.monotonic() + _HEALTH_TIMEOUT_S
    with progress("  waiting for health checks"):
        while True:
            waiting = [part for part in parts(stack, client) if not part.healthy]
            if not waiting or time.monotonic() > deadline or all(p.state == "missing" for p in waiting):
                return waiting
            time.sleep(1)


def show(stack: Stack, client: docker.DockerClient, stand_ins: frozenset[str], lab: Lab | None) -> None:
    """Print the table of a stack's parts, and how to log in."""
    made = table(f"Stack {stack.name}", "part", "state", "URL", "image")
    for part in parts(stack, client):
        colour = "green" if part.healthy else "red"
        made.add_row(
            str(part.instance.service),
            f"[{colour}]{part.state}[/]",
            part.url or "(not published)",
            _image_note(part, stack, stand_ins),
        )
    if lab is not None:
        made.add_row("simulated cluster", "[green]running[/]", lab.control_url, "built from lab/cluster")
    console.print()
    console.print(made)
    password = pulumi_cli.DEV_PASSPHRASE if lab is not None else "(pulumi config get grafanaAdminPassword)"
    console.print(f"Log in to Grafana as [bold]{stack.settings.grafana.admin_user}[/], password {password}")
    if stand_ins:
        console.print(
            "[dim]stand-in: built here because no registry answers; Grafana's is a double of its API[/]"
        )


def _image_note(part: Part, stack: Stack, stand_ins: frozenset[str]) -> str:
    if part.instance.service == "discovery":
        return "built from discovery_fn" if stack.settings.images.discovery is None else "given"
    references = [r for r in stack.image_references() if part.instance.service.split("-")[-1] in r]
    reference = references[0] if references else ""
    return f"{reference} [yellow](stand-in)[/]" if reference in stand_ins else reference


def down(name: str) -> None:
    """Remove everything that `up` made, and nothing else."""
    client = docker_daemon.connect()
    try:
        cli = _cli()
    except CliUnavailable:
        cli = None
    if cli is not None and cli.capture("stack", "select", name, "--non-interactive").returncode == 0:
        step(f"pulumi destroy ({name})")
        if cli.run("destroy", "--yes", "--stack", name, "--suppress-outputs") != 0:
            raise OpsError("pulumi destroy failed (its message is above); mend the cause and run it again")
        cli.capture("stack", "rm", name, "--yes", "--preserve-config", "--non-interactive")
    with progress("  removing") as line:
        count = without_cli.destroy(name, client, line)
        lab = lab_of(name)
        if lab is not None:
            lab_environment.down(lab, client, line)
    if count:
        console.print(f"  {count} resources that were created without the CLI removed")
    console.print(f"Stack [bold]{name}[/] is gone; images and caches stay (docker image ls, .cache).")


def status(name: str) -> None:
    """Print the table of a stack's parts."""
    client = docker_daemon.connect()
    stack = load(name)
    references = stack.image_references()
    local = [r for r in references if client.images.list(r)]
    stand_ins = frozenset(r.reference for r in images.ensure_all(local, client, lambda _: None) if r.stand_in)
    show(stack, client, stand_ins, lab_of(name))


def preview(name: str) -> None:
    """Show what `up` would change."""
    docker_daemon.connect()
    prepare_lab(name)
    cli = _require_cli()
    cli.ensure_stack(name)
    sys.exit(cli.run("preview", "--stack", name, "--diff"))


def drift(name: str) -> None:
    """Compare the program with reality; exit 2 where they differ, 1 if they couldn't be compared."""
    docker_daemon.connect()
    prepare_lab(name)
    cli = _require_cli()
    cli.ensure_stack(name)
    step("comparing the program with what runs")
    code = cli.run("preview", "--stack", name, "--refresh", "--expect-no-changes", "--diff")
    if code == 0:
        console.print("[green]no drift[/]: what runs is what the program says")
        return
    # An error must never read as drift, nor the other way round.
    if code == _DRIFT_EXIT_CODE:
        console.print("[yellow]drift[/]: the differences stand above; repair with: pulumi up --refresh")
        sys.exit(2)
    raise OpsError("the comparison failed (its message is above)")


def _require_cli() -> Pulumi:
    try:
        return _cli()
    except CliUnavailable as reason:
        raise OpsError(f"this needs the Pulumi CLI: {reason}") from reason
