"""`up`: Docker, images, the simulated cluster, the program, and the wait until all is healthy."""

from __future__ import annotations

import time

import docker

from components.settings import LocalDocker
from lab import apply as without_cli
from lab import environment as lab_environment
from lab import images, stack_config
from ops import docker_daemon, pulumi_cli
from ops.before import check_ports, failed_writers, remove_orphans
from ops.console import OpsError, console, note, progress, step
from ops.pulumi_cli import CliUnavailable, Pulumi
from ops.report import show
from ops.stack import Part, Stack, load, parts, prepare_lab, stack_file

_HEALTH_TIMEOUT_S = 180


def up(name: str) -> None:
    """Bring a stack up; ends with the table of its parts."""
    lab = prepare_lab(name)
    stack = load(name)
    client = docker_daemon.connect()
    check_ports(stack, client)
    _images(stack, client)
    if lab is not None:
        step("simulated Proxmox cluster")
        with progress("  starting it") as line:
            lab_environment.up(lab, client, line)
    try:
        cli = pulumi_cli.ready()
    except CliUnavailable as reason:
        _apply(stack, client, reason)
    else:
        _pulumi_up(cli, stack, client)
    unhealthy = _await_health(stack, client)
    show(stack, client)
    if unhealthy:
        names = ", ".join(part.instance.container_name for part in unhealthy)
        raise OpsError(f"not healthy: {names}; see: docker logs <name>")


def _images(stack: Stack, client: docker.DockerClient) -> None:
    if not isinstance(stack.settings.docker, LocalDocker):
        return
    step("images")
    with progress("  getting them") as line:
        results = images.ensure_all(stack.image_references(), client, line)
    stand_ins = sum(result.stand_in for result in results)
    if stand_ins:
        note(f"no registry answers: {stand_ins} of {len(results)} images are stand-ins built here")


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
    if without_cli.release(stack.name, client, lambda _: None):
        note("the stack ran without the CLI until now: its containers are made anew, history stays")
    state = cli.resources(stack.name)
    if isinstance(stack.settings.docker, LocalDocker):
        for name in remove_orphans(state, stack, client):
            note(f"removed {name}: an interrupted run had made it and not noted it in the state")
    step(f"pulumi up ({stack.name})")
    failed = [f"--replace={urn}" for urn in failed_writers(state)]
    code = cli.run("up", "--yes", "--stack", stack.name, "--suppress-outputs", *failed)
    if code != 0:
        raise OpsError(
            "pulumi up failed (its message is above). What was created stays; mend the cause and run it "
            "again: it goes on from there"
        )


def _await_health(stack: Stack, client: docker.DockerClient) -> list[Part]:
    if not isinstance(stack.settings.docker, LocalDocker):
        return []
    deadline = time.monotonic() + _HEALTH_TIMEOUT_S
    with progress("  waiting for health checks"):
        while True:
            waiting = [part for part in parts(stack, client) if not part.healthy]
            if not waiting or time.monotonic() > deadline or all(p.state == "missing" for p in waiting):
                return waiting
            time.sleep(1)
