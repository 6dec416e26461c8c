"""Secrets that commands open: with the passphrase alone, or as the Pulumi CLI gives them."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.settings import Group, Secret
from components.topology import plan
from ops import pulumi_cli, stack_secrets
from ops.console import OpsError
from ops.pulumi_cli import CliUnavailable
from ops.stack import Stack
from tests.support.examples import EXAMPLES, settings
from tests.support.pki import PAIRS

SECRETS = {Secret.TLS_GUESTS_KEY: PAIRS[Group.GUESTS].key, Secret.SCRAPE_GUESTS_PASSWORD: "old new"}
GIVEN = tuple(SECRETS)


class Cli:
    """Answers as `pulumi config get` does."""

    def __init__(self, values: Mapping[Secret, str]) -> None:
        self.values, self.words = values, list[str]()

    def capture(self, *words: str) -> subprocess.CompletedProcess[str]:
        self.words += words
        name = words[2].partition(":")[2]
        value = next((text for secret, text in self.values.items() if secret == name), None)
        if value is None:
            return subprocess.CompletedProcess(words, 255, "", "error: incorrect passphrase")
        return subprocess.CompletedProcess(words, 0, f"{value}\n", "")


def stack(name: str = "production", **changes: Any) -> Stack:
    made = settings({**EXAMPLES[name], **changes})
    return Stack("elsewhere", made, plan(made))


@pytest.fixture
def unlike_a_passphrase(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A stack whose keys somebody else keeps."""
    file = tmp_path / "Pulumi.elsewhere.yaml"
    values = {f"pve-monitoring:{secret}": {"secure": "AQICAH"} for secret in SECRETS}
    file.write_text(yaml.safe_dump({"config": values, "secretsprovider": "awskms://alias/x"}), "utf-8")
    monkeypatch.setattr(stack_secrets, "stack_file", lambda _: file)


@pytest.mark.usefixtures("unlike_a_passphrase")
def test_the_cli_opens_what_a_passphrase_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    cli = Cli(SECRETS)
    monkeypatch.setattr(pulumi_cli, "find", lambda: cli)
    server = stack_secrets.guest_server(stack())
    assert server is not None
    assert (server.certificate, server.key) == (PAIRS[Group.GUESTS].certificate, PAIRS[Group.GUESTS].key)
    assert server.passwords == "old new"
    # Values are told by its output, never by words that everybody sees.
    assert not any(value in cli.words for value in SECRETS.values())


@pytest.mark.usefixtures("unlike_a_passphrase")
def test_what_cannot_be_opened_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulumi_cli, "find", lambda: Cli({}))
    with pytest.raises(OpsError, match="tlsGuestsKey can't be opened: error: incorrect passphrase"):
        stack_secrets.guest_server(stack())

    def nowhere() -> None:
        raise CliUnavailable("not on PATH")

    monkeypatch.setattr(pulumi_cli, "find", nowhere)
    with pytest.raises(OpsError, match=r"isn't encrypted with a passphrase.*the Pulumi CLI: not on PATH"):
        stack_secrets.guest_server(stack())


def test_the_passphrase_alone_is_enough(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    command = shutil.which("pulumi")
    if command is None:
        pytest.skip("the Pulumi CLI, which encrypts them, is not on PATH")
    (tmp_path / "Pulumi.yaml").write_text("{name: pve-monitoring, runtime: python}", "utf-8")
    environment = {
        **os.environ,
        "PULUMI_BACKEND_URL": f"file://{tmp_path}",
        "PULUMI_CONFIG_PASSPHRASE": base64.b64encode(b"secret").decode(),
    }

    def run(*words: str, given: str = "") -> None:
        subprocess.run(
            [command, *words, "--non-interactive"],
            cwd=tmp_path,
            env=environment,
            input=given,
            text=True,
            check=True,
            capture_output=True,
        )

    run("stack", "init", "elsewhere")
    for secret, value in SECRETS.items():
        run("config", "set", "--secret", secret, given=value)
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", environment["PULUMI_CONFIG_PASSPHRASE"])
    monkeypatch.setattr(stack_secrets, "stack_file", lambda _: tmp_path / "Pulumi.elsewhere.yaml")
    found = stack_secrets.read("elsewhere", GIVEN)
    assert {secret: text.strip() for secret, text in found.items()} == {
        secret: text.strip() for secret, text in SECRETS.items()
    }


@pytest.mark.usefixtures("unlike_a_passphrase")
def test_a_key_of_somebody_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    other = {**SECRETS, Secret.TLS_GUESTS_KEY: PAIRS[Group.HOSTS].key}
    monkeypatch.setattr(pulumi_cli, "find", lambda: Cli(other))
    with pytest.raises(OpsError, match=r"tlsGuestsKey doesn't belong to the certificate pki\.guests"):
        stack_secrets.guest_server(stack())


def test_nothing_is_opened_where_nobody_needs_it() -> None:
    web = {"windows": {"webConfigFile": "C:\\web.yml"}, "linux": {"webConfigFile": "/etc/web.yml"}}
    assert stack_secrets.guest_server(stack("dev")) is None
    assert stack_secrets.guest_server(stack(tls={"guests": False})) is None
    assert stack_secrets.guest_server(stack(guestExporters=web)) is None
