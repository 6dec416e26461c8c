"""`ops test`: prepares what the tests need, then lint, types, and all layers of tests."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lab import images
from lab.images.errors import ImageError
from ops import docker_daemon, pulumi_cli
from ops.console import OpsError, console, note, progress, step
from ops.pulumi_cli import ROOT, CliUnavailable
from ops.stack import load, prepare_lab

# More than cores: most of the time of the slow layers is spent waiting for scrapes and alerts. With more of
# them stacks start at once by the half dozen, and wait for each other.
_WORKERS = "4"
_CHECKS = (
    ("ruff", ["ruff", "check", "."]),
    ("ruff format", ["ruff", "format", "--check", "."]),
    ("mypy --strict", ["mypy", "."]),
    ("dashboards as rendered", ["python", "-m", "dashboards", "--check"]),
)


def test(arguments: list[str]) -> int:
    """Run everything; returns the exit code of the first thing that failed.

    Args:
        arguments: handed to pytest; with any given, lint and types are left out.
    """
    with ExitStack() as ending:
        # Beside each other, and beside what mostly waits for Docker.
        wanted = () if arguments else _CHECKS
        checks = [(name, ending.enter_context(_started(words))) for name, words in wanted]
        environment = _prepare()
        for name, check in checks:
            step(name)
            print(check.communicate()[0], end="", flush=True)
            if check.returncode != 0:
                console.print(f"[bold red]✗[/] {name} failed (see above); the tests were not run")
                return check.returncode
    step("tests")
    # Nothing after it: pytest's own closing line is the last one.
    words = [_program("pytest"), *(arguments or ["-q", "-n", _WORKERS])]
    return subprocess.run(words, cwd=ROOT, env=environment, check=False).returncode


@contextmanager
def _started(words: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A check that runs; ended where nobody waits for its result any more."""
    with subprocess.Popen(
        [_program(words[0]), *words[1:]],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as check:
        try:
            yield check
        finally:
            check.kill()


def _program(name: str) -> str:
    return str(ROOT / ".venv" / "bin" / name)


def _prepare() -> dict[str, str]:
    """Get Docker, images and the CLI where they can be had; tests that lack them say so themselves."""
    step("preparing: Docker, images, Pulumi CLI")
    environment = dict(os.environ)
    try:
        client = docker_daemon.connect()
        prepare_lab("dev")
        with progress("  images") as line:
            images.ensure_all(load("dev").image_references(), client, line)
    except (OpsError, ImageError) as error:
        note(f"tests with containers will be skipped: {error}")
    try:
        cli = pulumi_cli.find()
        cli.ensure_plugins()
        environment["PATH"] = f"{Path(cli.command).parent}{os.pathsep}{environment['PATH']}"
    except (CliUnavailable, OpsError) as error:
        note(f"tests with the real engine will be skipped: {error}")
    return environment
