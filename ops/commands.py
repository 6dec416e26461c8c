"""What `down`, `status`, `preview` and `drift` do."""

from __future__ import annotations

import contextlib
import sys

import docker
from docker.errors import APIError

from components.docker_host import BUILT
from lab import apply as without_cli
from lab import environment as lab_environment
from ops import docker_daemon, pulumi_cli
from ops.console import OpsError, console, progress, step
from ops.drift import how_to_replace, lost_tokens
from ops.pulumi_cli import CliUnavailable, Pulumi
from ops.report import show
from ops.stack import lab_of, load, prepare_lab

_DRIFT_EXIT_CODE = 7


def down(name: str) -> None:
    """Remove everything that `up` made, and nothing else."""
    client = docker_daemon.connect()
    try:
        cli: Pulumi | None = pulumi_cli.ready()
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
        _remove_built_images(name, client)
    if count:
        console.print(f"  {count} resources that were created without the CLI removed")
    console.print(f"Stack [bold]{name}[/] is gone; pulled images, stand-ins and .cache stay.")


def _remove_built_images(name: str, client: docker.DockerClient) -> None:
    """Remove the images that `up` built for this stack; pulled ones and stand-ins may serve others."""
    repositories = [f"{load(name).settings.containers.name_prefix}-{service}" for service in BUILT]
    if lab_of(name) is not None:
        repositories.append(lab_environment.IMAGE)
    for repository in repositories:
        for tag in (tag for image in client.images.list(repository) for tag in image.tags):
            # One that a container of somebody else runs stays.
            with contextlib.suppress(APIError):
                client.images.remove(tag)


def status(name: str) -> None:
    """Print the table of a stack's parts."""
    client = docker_daemon.connect()
    prepare_lab(name)
    show(load(name), client)


def preview(name: str) -> None:
    """Show what `up` would change."""
    docker_daemon.connect()
    prepare_lab(name)
    cli = pulumi_cli.require()
    cli.ensure_stack(name)
    sys.exit(cli.run("preview", "--stack", name, "--diff"))


def drift(name: str) -> None:
    """Compare the program with reality; exit 2 where they differ, 1 if they couldn't be compared."""
    docker_daemon.connect()
    prepare_lab(name)
    cli = pulumi_cli.require()
    cli.ensure_stack(name)
    step("comparing the program with what runs")
    comparison = ("preview", "--stack", name, "--refresh", "--expect-no-changes")
    code = cli.run(*comparison, "--diff")
    if code == 0:
        console.print("[green]no drift[/]: what runs is what the program says")
        return
    # An error must never read as drift, nor the other way round.
    if code == _DRIFT_EXIT_CODE:
        console.print("[yellow]drift[/]: the differences stand above; repair with: pulumi up --refresh")
        sys.exit(2)
    if gone := lost_tokens(cli.capture(*comparison).stdout):
        console.print(f"[yellow]drift[/]: {how_to_replace(gone)}", soft_wrap=True)
        sys.exit(2)
    raise OpsError("the comparison failed (its message is above)")
