"""All of it with the real Pulumi CLI, a backend in a directory, and a passphrase."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from components import pki
from components.settings import HOLDERS, PROJECT, SCRAPE_PASSWORDS, TLS_KEYS, Secret, validate
from ops import pulumi_cli, stack
from ops.console import OpsError
from ops.pki import held
from ops.pki.command import app
from tests.support.examples import ALL_SECRETS, ROOT

PASSPHRASE = "a passphrase of the test"

# Notes how it was called, and passes the call on.
SHIM = """\
#!/bin/sh
{{ printf '%s\\n' "$@"; env; }} >> {log}
exec {real} "$@"
"""


@dataclass
class Site:
    """A project with one stack.

    Attributes:
        log: arguments and environment of each call of the CLI.
        printed: what the commands said.
    """

    folder: Path
    log: Path
    printed: str = ""

    @property
    def file(self) -> Path:
        return self.folder / "Pulumi.production.yaml"

    def run(self, *words: str) -> str:
        result = CliRunner().invoke(app, [*words, "--stack", "production"], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        self.printed += result.output
        return result.output

    def held(self) -> held.Held:
        return held.read(pulumi_cli.find(), "production")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    if (real := shutil.which("pulumi")) is None:
        pytest.skip("no Pulumi CLI on PATH")
    made = Site(tmp_path / "project", tmp_path / "log")
    for folder in ("project", "state", "bin"):
        (tmp_path / folder).mkdir()
    shim = tmp_path / "bin" / "pulumi"
    shim.write_text(SHIM.format(log=made.log, real=real), "utf-8")
    shim.chmod(0o755)
    (tmp_path / "passphrase").write_text(PASSPHRASE, "utf-8")
    monkeypatch.setenv("PATH", str(shim.parent), prepend=":")
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path / 'state'}")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE_FILE", str(tmp_path / "passphrase"))
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE", raising=False)
    monkeypatch.setattr(stack, "ROOT", made.folder)
    monkeypatch.setattr(pulumi_cli, "ROOT", made.folder)
    shutil.copy(ROOT / "Pulumi.yaml", made.folder)
    cli = pulumi_cli.find()
    assert cli.capture("stack", "init", "production", "--non-interactive").returncode == 0
    salt = made.file.read_text("utf-8")
    made.file.write_text(
        (ROOT / "docs" / "examples" / "Pulumi.production.yaml").read_text("utf-8") + salt, "utf-8"
    )
    return made


def settings_of(site: Site) -> dict[str, object]:
    """The project's plain values, as the program gets them."""
    values = yaml.safe_load(site.file.read_text("utf-8"))["config"]
    own = {key.removeprefix(f"{PROJECT}:"): value for key, value in values.items()}
    own["cluster"].pop("caFile")  # the example's, which this machine doesn't have
    return {
        key: value
        for key, value in own.items()
        if not key.startswith("pulumi:") and not (isinstance(value, dict) and "secure" in value)
    }


def test_all_of_it(site: Site) -> None:
    assert "authority" in site.run()
    first = site.held()
    assert validate(settings_of(site), ALL_SECRETS, ROOT).certificate_holders == HOLDERS
    written = site.file.read_bytes()
    # Comments are the people's.
    assert b"# the label `cluster` on everything" in written

    assert "nothing was changed" in site.run("make")
    assert site.file.read_bytes() == written

    site.run("renew", "hosts", "--passwords", "--yes", "--no-up")
    second = site.held()
    assert {key for key, value in first.certificates.items() if second.certificates[key] != value} == {
        "hosts"
    }
    assert {key for key, value in first.secrets.items() if second.secrets[key] != value} == {
        TLS_KEYS["hosts"],
        Secret.SCRAPE_HOSTS_PASSWORD,
    }
    assert pki.belongs(second.certificates["hosts"], second.secrets[TLS_KEYS["hosts"]])
    assert second.certificates["hosts"].endswith("-----END CERTIFICATE-----\n")

    shown = site.run("show")
    assert all(holder in shown for holder in HOLDERS)
    assert site.run("show", "--ca") == first.certificates["ca"]
    _nothing_leaked(site, first, second)


def _nothing_leaked(site: Site, *known: held.Held) -> None:
    # The last line of a key is its public half, which stands in its certificate too.
    lines = {
        line
        for one in known
        for secret in one.secrets.values()
        for line in (secret.splitlines()[1:-2] if "KEY" in secret else secret.split())
    }
    secrets = {line for line in lines if len(line) > 20}
    assert len(secrets) > 2 * len(TLS_KEYS) + len(SCRAPE_PASSWORDS)
    log = site.log.read_text("utf-8")
    assert log.count("config\nset\n") >= 13
    state = "".join(
        path.read_text("utf-8", errors="replace")
        for path in (site.folder.parent / "state").rglob("*")
        if path.is_file()
    )
    places = {"calls": log, "output": site.printed, "file": site.file.read_text("utf-8"), "state": state}
    assert {place for place, text in places.items() if any(secret in text for secret in secrets)} == set()
    assert [path.name for path in site.folder.iterdir() if path.name.startswith(".")] == []


def test_a_wrong_passphrase_and_an_unknown_stack_are_told(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = site.file.read_bytes()
    with monkeypatch.context() as patch:
        patch.delenv("PULUMI_CONFIG_PASSPHRASE_FILE")
        patch.setenv("PULUMI_CONFIG_PASSPHRASE", "another one")
        with pytest.raises(OpsError, match=r"stay closed \(incorrect passphrase\)"):
            site.run()
    shutil.copy(site.file, site.folder / "Pulumi.elsewhere.yaml")
    with pytest.raises(OpsError, match=r"no stack named 'elsewhere' found: .*pulumi stack init elsewhere"):
        CliRunner().invoke(app, ["--stack", "elsewhere"], catch_exceptions=False)
    assert site.file.read_bytes() == before


def test_the_word_off_stays_a_word(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """In YAML 1.1 it would be a boolean, and Pulumi would hand on `false`."""
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE_FILE")
    shutil.copy(ROOT / "Pulumi.dev.yaml", site.folder)
    cli = pulumi_cli.find()
    assert cli.capture("stack", "init", "dev", "--non-interactive").returncode == 0
    answer: subprocess.CompletedProcess[str] = cli.capture("config", "--stack", "dev", "--json")
    assert json.loads(answer.stdout)[f"{PROJECT}:tls"]["value"] == "off"
