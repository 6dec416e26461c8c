"""A stack that is made of one part of the project, by the real engine and providers: no Docker is needed.

The program runs in a process of its own, where the SDK may leave its event loops open: run as a module, this
file is that process.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pulumi import automation as auto

from components import settings as configuration
from components.settings import PROJECT
from ops.pulumi_cli import DEV_PASSPHRASE, ROOT

NO_CHANGES, CHANGES, FAILED = 0, 7, 1
# The simulated cluster's token (lab/cluster/identities.py), encrypted as the dev stack's secrets are.
PROVISIONING_TOKEN = {
    "secure": "v1:RSG2dnFTCktVxUcI:"
    "HZsF8kh70We+PwP/+u/T9m8NmIf2Qgi2Aoxb43FmszVp9pm2KnC0AP3WQj4776EEEWSKkQuLwrARMztffT4ftYAAZtGBxHip07K2Cg=="
}


@dataclass(frozen=True)
class Result:
    """What a command ended with."""

    code: int
    output: str


@dataclass(frozen=True)
class InlineStack:
    """One stack.

    Attributes:
        directory: for its stack file and state.
        program: what registers the resources, given settings and secrets, as `module:function`.
        environment: for the engine and its providers.
    """

    name: str
    directory: Path
    program: str
    environment: Mapping[str, str]

    def configure(self, values: Mapping[str, Any]) -> None:
        """Write the stack file: the development stack's, with other values."""
        document = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text("utf-8"))
        document["config"] |= {f"{PROJECT}:{key}": value for key, value in values.items()}
        (self.directory / f"Pulumi.{self.name}.yaml").write_text(yaml.safe_dump(document), "utf-8")

    def _run(self, command: str) -> Result:
        state = self.directory / "state"
        state.mkdir(exist_ok=True)
        result = subprocess.run(
            [sys.executable, "-m", __name__, command, self.name, str(self.directory), self.program],
            cwd=ROOT,
            env={
                **os.environ,
                "PULUMI_BACKEND_URL": f"file://{state}",
                "PULUMI_CONFIG_PASSPHRASE": DEV_PASSPHRASE,
                "PULUMI_SKIP_UPDATE_CHECK": "true",
                **self.environment,
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        return Result(result.returncode, result.stdout + result.stderr)

    def up(self, *, refresh: bool = False) -> Result:
        return self._run("up-refresh" if refresh else "up")

    def preview(self) -> Result:
        return self._run("preview")

    def drift(self) -> Result:
        """`pulumi preview --refresh --expect-no-changes`."""
        return self._run("drift")

    def destroy(self) -> Result:
        return self._run("destroy")

    def state(self) -> str:
        """The state as it lies in the backend."""
        (file,) = (self.directory / "state" / ".pulumi" / "stacks" / PROJECT).glob("*.json")
        return file.read_text("utf-8")


def _say(text: str) -> None:
    print(text, flush=True)


COMMANDS: dict[str, Callable[[auto.Stack], object]] = {
    "up": lambda stack: stack.up(on_output=_say, on_error=_say),
    "up-refresh": lambda stack: stack.up(on_output=_say, on_error=_say, refresh=True),
    "preview": lambda stack: stack.preview(on_output=_say, on_error=_say),
    "drift": lambda stack: stack.preview(on_output=_say, on_error=_say, refresh=True, expect_no_changes=True),
    "destroy": lambda stack: stack.destroy(on_output=_say, on_error=_say),
}


def main(command: str, name: str, directory: str, program: str) -> int:
    """Run a command on a stack; its exit code."""
    module, _, function = program.partition(":")
    register = getattr(importlib.import_module(module), function)
    stack = auto.create_or_select_stack(
        stack_name=name,
        project_name=PROJECT,
        program=lambda: register(*configuration.load(ROOT)) and None,
        opts=auto.LocalWorkspaceOptions(
            work_dir=directory, project_settings=auto.ProjectSettings(name=PROJECT, runtime="python")
        ),
    )
    try:
        COMMANDS[command](stack)
    except auto.CommandError as error:
        # The SDK has the code in its text only.
        return CHANGES if "code: 7" in str(error) else FAILED
    return NO_CHANGES


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
