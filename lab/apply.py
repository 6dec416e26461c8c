"""Applies the program without the Pulumi CLI: what it registers is created by Docker's and Grafana's API.

For a machine where no CLI can be had. It creates, it recreates what has changed, and it destroys; it keeps no
state, shows no preview, and doesn't delete what has left the program. The program is the same, unchanged.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import json
import logging
import runpy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import pulumi
from pulumi.runtime import mocks

from components.images import Service
from components.settings import PROJECT, FirewallMode, load
from lab.apply_docker import DockerApplier
from lab.apply_grafana import GrafanaApplier
from lab.stack_config import StackConfig

Report = Callable[[str], None]
Handler = Callable[[str, dict[str, Any]], dict[str, Any]]


class ApplyError(Exception):
    """A resource couldn't be created; the message says which and why."""


@dataclass
class Summary:
    """What one apply did: logical names by what happened to them."""

    created: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)


def fingerprint(inputs: Mapping[str, Any]) -> str:
    """SHA-256 over a resource's inputs: equal means nothing to do."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, default=str).encode()).hexdigest()


# How the engine's protocol marks a secret value (pulumi/pulumi: sdk/python/lib/pulumi/runtime/rpc.py).
SIGNATURE_KEY = "4dabf18193072939515e22adb298388d"
SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"


def unwrap(value: Any) -> Any:
    """Remove the marks of secrets from a value, at any depth; whole numbers become integers again.

    The protocol knows floating-point numbers only.
    """
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        if value.get(SIGNATURE_KEY) == SECRET_SIGNATURE:
            return unwrap(value["value"])
        return {key: unwrap(item) for key, item in value.items()}
    return [unwrap(item) for item in value] if isinstance(value, list) else value


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


def use_event_loop() -> None:
    """Give the thread the loop that the SDK takes; `asyncio.run`, used by anybody before, leaves none."""
    asyncio.set_event_loop(_loop())


class _Monitor(mocks.Mocks):
    """Creates each resource at the moment the program registers it."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self._handlers = handlers

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        handler = self._handlers.get(args.typ)
        if handler is None:
            if args.typ.startswith(("pve-monitoring:", "pulumi:")):
                return args.name, dict(args.inputs)
            raise ApplyError(f"{args.name}: {args.typ} can't be created without the Pulumi CLI")
        try:
            outputs = handler(args.name, unwrap(dict(args.inputs)))
        except Exception as error:
            raise ApplyError(f"{args.name}: {error}") from error
        return str(outputs.get("id", args.name)), {**args.inputs, **outputs}

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        raise ApplyError(f"{args.token} can't be called without the Pulumi CLI")


def apply(
    project: Path, stack: str, config: StackConfig, client: docker.DockerClient, report: Report
) -> Summary:
    """Run the program and create what it declares.

    Args:
        project: directory with __main__.py.
        stack: name of the stack; what is created bears it as a label.
        config: the stack's configuration.
        client: the local Docker daemon.
        report: takes one line per created resource.

    Raises:
        ApplyError: a resource can't be created; what exists stays, and the next run goes on from there.
        pulumi.RunError: the settings can't be used.
    """
    summary = Summary()

    def note(name: str, *, changed: bool) -> None:
        (summary.created if changed else summary.unchanged).append(name)
        if changed:
            report(f"created {name}")

    containers = DockerApplier(client, stack, note, report, fingerprint)
    grafana = GrafanaApplier(note)
    handlers = {**containers.handlers, **grafana.handlers}
    values = {k: v if isinstance(v, str) else json.dumps(v) for k, v in config.plain.items()}
    pulumi.runtime.set_all_config({**values, **config.secrets}, list(config.secrets))
    # The error of one resource is every waiting resource's too; asyncio would print each with its traceback.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    use_event_loop()
    _refuse_the_cluster(project)
    with contextlib.chdir(project):
        pulumi.runtime.set_mocks(_Monitor(handlers), project=PROJECT, stack=stack, preview=False)

        @pulumi.runtime.test  # type: ignore[untyped-decorator]
        def run() -> None:
            runpy.run_path(str(project / "__main__.py"))

        run()
    return summary


def _refuse_the_cluster(project: Path) -> None:
    """Say what only the CLI can make, before anything is made.

    Raises:
        ApplyError: the settings ask for it.
    """
    settings, _ = load(project)
    if settings.access.manage:
        raise ApplyError(
            "access.manage makes users and API tokens on the cluster, which takes the Pulumi CLI; install "
            "it, or set access.manage to false, make the tokens by hand (README.md, In production) and give "
            "them as the secrets pveDiscoveryToken and pveExporterToken"
        )
    if settings.firewall.mode is FirewallMode.PROXMOX:
        raise ApplyError(
            "firewall.mode proxmox changes the cluster's firewall, which takes the Pulumi CLI; install it, "
            "or set firewall.mode to nftables or none"
        )


def release(stack: str, client: docker.DockerClient, report: Report) -> int:
    """Remove what `apply` created, so that the CLI can make its own; history stays.

    Grafana's data goes too: what is in it comes from the program, and would be in the CLI's way.
    """
    applier = DockerApplier(client, stack, lambda *_, **__: None, report, fingerprint)
    return applier.destroy(keep=lambda volume: str(Service.GRAFANA) not in volume)


def destroy(stack: str, client: docker.DockerClient, report: Report) -> int:
    """Remove what `apply` created for a stack; returns how many things were removed."""
    return DockerApplier(client, stack, lambda *_, **__: None, report, fingerprint).destroy()
