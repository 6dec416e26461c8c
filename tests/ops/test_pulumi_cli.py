"""Finding the CLI, and whose login and passphrase count."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from ops import pulumi_cli
from ops.console import OpsError
from ops.pulumi_cli import CliUnavailable, Plugin, Pulumi


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine on which nothing of Pulumi is set up."""
    for name in [name for name in os.environ if name.startswith("PULUMI_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(pulumi_cli, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(pulumi_cli, "STATE", tmp_path / "state")
    return tmp_path


def fake_cli(directory: Path, version: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "pulumi"
    path.write_text(f"#!/bin/sh\necho v{version}\n", "utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def unreachable(*_: object, **__: object) -> None:
    raise OSError("Temporary failure in name resolution")


def test_the_one_on_path_is_used(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_cli(home / "bin", "3.260.0")
    monkeypatch.setenv("PATH", f"{home / 'bin'}:/usr/bin:/bin")
    assert pulumi_cli.find().version == "3.260.0"


def test_one_that_is_too_old_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_cli(home / "bin", "3.100.0")
    monkeypatch.setenv("PATH", f"{home / 'bin'}:/usr/bin:/bin")
    with pytest.raises(OpsError, match="too old"):
        pulumi_cli.find()


def test_without_one_the_cache_is_used(home: Path) -> None:
    fake_cli(home / "cache" / "bin", "3.260.0")
    assert pulumi_cli.find().command == str(home / "cache" / "bin" / "pulumi")


def test_without_any_way_to_one_the_reason_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pulumi.automation.PulumiCommand.install", unreachable)
    with pytest.raises(CliUnavailable, match="Temporary failure in name resolution"):
        pulumi_cli.find()


def environment(home: Path) -> dict[str, str]:
    fake_cli(home / "cache" / "bin", "3.260.0")
    return pulumi_cli.find().environment


def test_a_local_backend_and_the_development_passphrase_by_default(home: Path) -> None:
    made = environment(home)
    assert made["PULUMI_BACKEND_URL"] == f"file://{home / 'state'}"
    assert made["PULUMI_CONFIG_PASSPHRASE"] == pulumi_cli.DEV_PASSPHRASE


def test_variables_of_the_environment_win(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://bucket")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "ours")
    made = environment(home)
    assert (made["PULUMI_BACKEND_URL"], made["PULUMI_CONFIG_PASSPHRASE"]) == ("s3://bucket", "ours")


def test_a_passphrase_file_wins(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "passphrase").write_text("ours\n", "utf-8")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE_FILE", str(home / "passphrase"))
    assert "PULUMI_CONFIG_PASSPHRASE" not in environment(home)
    assert pulumi_cli.passphrase() == "ours"


def test_an_existing_login_wins(home: Path) -> None:
    (home / ".pulumi").mkdir()
    (home / ".pulumi" / "credentials.json").write_text(json.dumps({"current": "s3://bucket"}), "utf-8")
    assert "PULUMI_BACKEND_URL" not in environment(home)


def test_plugins_of_every_sdk_are_wanted_at_the_pinned_version() -> None:
    found = {plugin.name: plugin.version for plugin in pulumi_cli._required_plugins()}
    assert found == {"docker": "5.1.1", "grafana": "2.38.0", "proxmoxve": "8.3.0", "command": "1.2.1"}


def test_a_plugin_that_cant_be_downloaded_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = home / "pulumi"
    command.write_text("#!/bin/sh\necho 'error: no route to host' >&2\nexit 1\n", "utf-8")
    command.chmod(0o755)
    plugin = Plugin("docker", "5.1.1", None)
    monkeypatch.setattr(pulumi_cli, "_required_plugins", lambda: [plugin])
    cli = Pulumi(str(command), "3.260.0", {"PATH": "/usr/bin:/bin", "HOME": str(home)})
    with pytest.raises(
        CliUnavailable, match=r"plugin docker 5\.1\.1 can't be downloaded: error: no route to host"
    ):
        cli.ensure_plugins()
    (home / ".pulumi" / "plugins" / "resource-docker-v5.1.1").mkdir(parents=True)
    cli.ensure_plugins()
