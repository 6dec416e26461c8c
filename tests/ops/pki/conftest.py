"""A stack's file with a Pulumi CLI that only knows `config`, and keeps what it was asked."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.settings import PROJECT, Secret
from ops import pulumi_cli, stack
from ops.pki import command, held
from ops.pulumi_cli import Pulumi
from tests.support.examples import ENCRYPTED

NAME = "trial"
PREFIX = f"{PROJECT}:"

Answer = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class FakeCli(Pulumi):
    """It encrypts in base64.

    Attributes:
        said: arguments of each command.
        refuses: what it answers instead, if anything, by what is asked.
    """

    said: list[tuple[str, ...]] = field(default_factory=list)
    refuses: Callable[[tuple[str, ...]], str | None] = lambda _: None
    file: Path = Path()

    def capture(self, *arguments: str, given: str | None = None) -> Answer:
        self.said.append(arguments)
        if (error := self.refuses(arguments)) is not None:
            return subprocess.CompletedProcess(arguments, 255, "", f"error: {error}\n")
        if arguments[:2] == ("config", "set"):
            assert given is not None
            self._set(arguments, given)
            return subprocess.CompletedProcess(arguments, 0, "", "")
        assert arguments[0] == "config", arguments
        return subprocess.CompletedProcess(arguments, 0, json.dumps(self._values()), "")

    def run(self, *arguments: str) -> int:
        self.said.append(arguments)
        return 0 if self.refuses(arguments) is None else 255

    def ensure_plugins(self) -> None:
        self.said.append(("plugins",))

    def _set(self, arguments: tuple[str, ...], given: str) -> None:
        file = Path(arguments[arguments.index("--config-file") + 1])
        document = yaml.safe_load(file.read_text("utf-8"))
        key = arguments[-1]
        if "--secret" in arguments:
            value = {"secure": base64.b64encode(given.encode()).decode()}
            document["config"][f"{PREFIX}{key}"] = value
        else:
            assert "--path" in arguments
            outer, _, inner = key.partition(".")
            document["config"].setdefault(f"{PREFIX}{outer}", {})[inner] = given
        file.write_text(yaml.safe_dump(document), "utf-8")

    def _values(self) -> dict[str, Any]:
        values = yaml.safe_load(self.file.read_text("utf-8"))["config"]
        return {key: _as_json(value) for key, value in values.items()}


def _as_json(value: Any) -> dict[str, Any]:
    if isinstance(value, dict) and set(value) == {"secure"}:
        return {"value": base64.b64decode(value["secure"]).decode(), "secret": True}
    return {"value": json.dumps(value), "objectValue": value, "secret": False}


@dataclass
class Site:
    """A stack in a directory of its own.

    Attributes:
        ups: stacks that were brought up by the path of `make up`.
    """

    file: Path
    cli: FakeCli
    ups: list[str] = field(default_factory=list)

    def values(self) -> dict[str, Any]:
        """The project's config, secrets in the clear."""
        answer = json.loads(self.cli.capture("config").stdout).items()
        return {key.removeprefix(PREFIX): value.get("objectValue", value["value"]) for key, value in answer}

    def held(self) -> held.Held:
        return held.read(self.cli, NAME)

    def change(self, **values: Any) -> None:
        """Change keys of the file; None removes one, secrets are given as text."""
        document = yaml.safe_load(self.file.read_text("utf-8"))
        for key, value in values.items():
            if key in set(Secret) and value is not None:
                value = {"secure": base64.b64encode(value.encode()).decode()}  # noqa: PLW2901 - as it is kept
            document["config"][f"{PREFIX}{key}"] = value
            if value is None:
                del document["config"][f"{PREFIX}{key}"]
        self.file.write_text(yaml.safe_dump(document), "utf-8")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A stack that has no certificates yet."""
    file = tmp_path / f"Pulumi.{NAME}.yaml"
    config = {f"{PREFIX}{key}": value for key, value in ENCRYPTED.items() if key != "pki"}
    file.write_text(yaml.safe_dump({"config": config}), "utf-8")
    cli = FakeCli("pulumi", "3.260.0", {"PULUMI_CONFIG_PASSPHRASE": "of their own"}, file=file)
    monkeypatch.setattr(stack, "ROOT", tmp_path)
    made = Site(file, cli)
    monkeypatch.setattr(pulumi_cli, "require", lambda **_: made.cli)
    monkeypatch.setattr(command, "bring_up", made.ups.append)
    return made
