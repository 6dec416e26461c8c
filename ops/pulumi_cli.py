"""The Pulumi CLI: found on PATH, else installed into the project's cache; and how a stack is run with it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
from pulumi.automation import PulumiCommand
from semver import VersionInfo

from ops.console import OpsError, console, step

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "pulumi"
STATE = ROOT / ".cache" / "pulumi-state"

# The SDK that the program is pinned to; Pulumi.yaml names the oldest CLI that will do.
CLI_VERSION = VersionInfo.parse("3.260.0")
OLDEST_CLI = VersionInfo.parse("3.230.0")

# Known to everybody: it opens the dev stack's secrets, which open a simulated cluster only.
DEV_PASSPHRASE = "pve-monitoring-dev"  # noqa: S105


@dataclass(frozen=True)
class Plugin:
    """A provider's plugin, as its SDK names it."""

    name: str
    version: str
    server: str | None


class CliUnavailable(Exception):  # noqa: N818 - says what is the case
    """No CLI on PATH or in the cache, and none can be downloaded."""


@dataclass(frozen=True)
class Pulumi:
    """A CLI with the environment it runs in."""

    command: str
    version: str
    environment: dict[str, str]

    def run(self, *arguments: str) -> int:
        """Run a command with its output on the terminal; returns the exit code."""
        return subprocess.run(
            [self.command, *arguments], cwd=ROOT, env=self.environment, check=False
        ).returncode

    def capture(self, *arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command and return what it printed; `given` is its standard input."""
        return subprocess.run(
            [self.command, *arguments],
            cwd=ROOT,
            env=self.environment,
            check=False,
            capture_output=True,
            input=given,
            text=True,
        )

    def ensure_stack(self, stack: str) -> None:
        """Select the stack, and make it if the backend doesn't know it.

        Raises:
            OpsError: with the CLI's own words.
        """
        result = self.capture("stack", "select", "--create", stack, "--non-interactive")
        if result.returncode != 0:
            raise OpsError(f"the stack {stack} can't be selected: {result.stderr.strip()}")

    def ensure_plugins(self) -> None:
        """Get the providers' plugins of the pinned SDKs, where PATH and the plugin cache don't have them.

        Raises:
            CliUnavailable: one can't be downloaded; without it the CLI can't do its work.
        """
        for plugin in _required_plugins():
            if self._has_plugin(plugin):
                continue
            console.print(f"  installing the plugin {plugin.name} {plugin.version}")
            server = ["--server", plugin.server] if plugin.server else []
            words = ["plugin", "install", "resource", plugin.name, plugin.version, *server]
            result = self.capture(*words, "--non-interactive")
            if result.returncode != 0:
                reason = (result.stderr.strip().splitlines() or ["no reason given"])[-1]
                raise CliUnavailable(
                    f"the plugin {plugin.name} {plugin.version} can't be downloaded: {reason}"
                )

    def _has_plugin(self, plugin: Plugin) -> bool:
        if shutil.which(f"pulumi-resource-{plugin.name}", path=self.environment["PATH"]):
            return True
        directory = f"resource-{plugin.name}-v{plugin.version}"
        return (_pulumi_home(self.environment) / "plugins" / directory).is_dir()

    def resources(self, stack: str) -> list[dict[str, Any]]:
        """Resources in the stack's state."""
        result = self.capture("stack", "export", "--stack", stack)
        if result.returncode != 0:
            return []
        return list(json.loads(result.stdout)["deployment"].get("resources") or [])


def _environment(command: str) -> dict[str, str]:
    environment = dict(os.environ)
    tools = [str(Path(command).parent), str(ROOT / ".cache" / "tools" / "bin"), str(ROOT / ".venv" / "bin")]
    environment["PATH"] = os.pathsep.join([*tools, environment.get("PATH", "")])
    environment.setdefault("PULUMI_SKIP_UPDATE_CHECK", "true")
    # An Output in an f-string is a mistake that otherwise ends up as text in a configuration file.
    environment.setdefault("PULUMI_ERROR_OUTPUT_STRING", "true")
    if "PULUMI_CONFIG_PASSPHRASE_FILE" not in environment:
        environment.setdefault("PULUMI_CONFIG_PASSPHRASE", DEV_PASSPHRASE)
    if not _logged_in(environment):
        STATE.mkdir(parents=True, exist_ok=True)
        environment["PULUMI_BACKEND_URL"] = f"file://{STATE}"
    return environment


def passphrase() -> str:
    """Passphrase of the stack's secrets: what the environment gives, else the development one."""
    given = os.environ.get("PULUMI_CONFIG_PASSPHRASE")
    if given is not None:
        return given
    file = os.environ.get("PULUMI_CONFIG_PASSPHRASE_FILE")
    return Path(file).read_text("utf-8").strip() if file else DEV_PASSPHRASE


def _pulumi_home(environment: dict[str, str]) -> Path:
    return Path(environment.get("PULUMI_HOME") or Path.home() / ".pulumi")


def _required_plugins() -> list[Plugin]:
    """Plugins of the SDKs in this environment; the CLI wants all of them, used or not."""
    packages = Path(pulumi.__file__).parent.parent
    found = [json.loads(path.read_text("utf-8")) for path in sorted(packages.glob("*/pulumi-plugin.json"))]
    return [Plugin(item["name"], item["version"], item.get("server")) for item in found]


def _logged_in(environment: dict[str, str]) -> bool:
    """True if people have chosen a backend themselves: that one is used."""
    if "PULUMI_BACKEND_URL" in environment or "PULUMI_ACCESS_TOKEN" in environment:
        return True
    credentials = _pulumi_home(environment) / "credentials.json"
    try:
        return bool(json.loads(credentials.read_text("utf-8")).get("current"))
    except (OSError, ValueError):
        return False


def find() -> Pulumi:
    """Find or install the CLI.

    Raises:
        CliUnavailable: with the reason.
        OpsError: the CLI that was found is too old.
    """
    command = _on_path() or _in_cache() or _install()
    version = str(command.version)
    return Pulumi(command.command, version, _environment(command.command))


def ready() -> Pulumi:
    """Find or install the CLI and its plugins, and say which it is.

    Raises:
        CliUnavailable: the CLI or a plugin can't be had.
        OpsError: the CLI that was found is too old.
    """
    step("Pulumi CLI")
    cli = find()
    cli.ensure_plugins()
    console.print(f"  {cli.version} ({cli.command})")
    return cli


def require(*, plugins: bool = True) -> Pulumi:
    """Find or install the CLI, and its plugins if they are needed, for what can't be done without.

    Raises:
        OpsError: the CLI or a plugin can't be had, or is too old.
    """
    try:
        return ready() if plugins else find()
    except CliUnavailable as reason:
        raise OpsError(f"this needs the Pulumi CLI: {reason}") from reason


def _on_path() -> PulumiCommand | None:
    try:
        return PulumiCommand(version=OLDEST_CLI)
    except FileNotFoundError:
        return None
    except Exception as error:
        if "version" in str(error):
            raise OpsError(
                f"the Pulumi CLI on PATH is too old: {error}; update it, or take it off PATH and a newer one "
                "is installed into .cache"
            ) from error
        raise


def _in_cache() -> PulumiCommand | None:
    if not (CACHE / "bin" / "pulumi").is_file():
        return None
    return PulumiCommand(str(CACHE), version=OLDEST_CLI)


def _install() -> PulumiCommand:
    console.print(f"  installing the Pulumi CLI {CLI_VERSION} into {CACHE}")
    try:
        return PulumiCommand.install(root=str(CACHE), version=CLI_VERSION)
    except Exception as error:
        raise CliUnavailable(f"it isn't on PATH and can't be downloaded: {error}") from error
