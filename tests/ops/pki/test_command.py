"""The commands, with a CLI that only knows `config`: what is written, asked, told, and refused."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from components import pki
from components.settings import HOLDERS, Secret, SettingsError, validate
from ops import pulumi_cli, stack
from ops.console import OpsError
from ops.pki.command import app
from ops.pki.show import thresholds
from ops.pulumi_cli import DEV_PASSPHRASE, CliUnavailable
from tests.ops.pki.conftest import NAME, FakeCli, Site
from tests.support.examples import ALL_SECRETS, ENCRYPTED, ROOT


def run(*words: str, fails: str | None = None) -> str:
    """Type a command; returns what it says, with single spaces.

    Args:
        words: of the command.
        fails: pattern of the message that it ends in, if it does.
    """
    words = (*words, "--stack", NAME)
    if fails is not None:
        with pytest.raises(OpsError, match=fails):
            CliRunner().invoke(app, words, catch_exceptions=False)
        return ""
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def test_the_program_takes_what_was_made(site: Site) -> None:
    run()
    values = site.values()
    plain = {key: value for key, value in values.items() if key not in set(Secret)}
    made = validate(plain, ALL_SECRETS, ROOT)
    # This stack has no gateway yet: what it would need is there already.
    assert (*made.certificate_holders, "gateway") == HOLDERS
    assert {secret for secret in Secret if secret.value in values} == site.held().secrets.keys()


def test_a_second_run_changes_nothing_and_says_so(site: Site) -> None:
    run()
    before = site.file.read_bytes()
    assert "Everything is in Pulumi.trial.yaml and fits; nothing was changed." in run("make")
    assert site.file.read_bytes() == before


def test_an_address_that_changed_is_the_reason_for_a_new_certificate(site: Site) -> None:
    run()
    site.change(network={"bindAddress": "192.0.2.77"})
    assert "it wasn't made out to 192.0.2.77" in run()
    assert "192.0.2.77" in pki.names(site.held().certificates["platform"])


def test_no_secret_is_in_an_argument_or_is_printed(site: Site) -> None:
    printed = run() + run("renew", "--passwords", "--authority", "--yes") + run("show")
    seen = "".join(str(one) for one in site.cli.said) + printed
    parts = [line for secret in site.held().secrets.values() for line in secret.split()]
    assert len(parts) > 20
    assert [part for part in parts if len(part) > 20 and part in seen] == []
    assert "PRIVATE" not in seen


def test_renewal_is_one_command(site: Site) -> None:
    run()
    before = site.held()
    text = run("renew", "--yes")
    after = site.held()
    assert site.ups == [NAME]
    assert {key for key in before.certificates if before.certificates[key] != after.certificates[key]} == {
        *HOLDERS
    }
    assert "make guests STACK=trial" in text
    assert "python -m ops enroll --stack trial" in text
    assert "ops pki forget" not in text


def test_only_who_is_named_is_renewed_and_nothing_is_brought_up_unasked(site: Site) -> None:
    run()
    before = site.held().certificates
    assert "make guests" not in run("renew", "hosts", "gateway", "--yes", "--no-up")
    after = site.held().certificates
    assert {key for key in before if before[key] != after[key]} == {"hosts", "gateway"}
    assert site.ups == []


def test_an_unknown_name_is_told(site: Site) -> None:
    result = CliRunner().invoke(app, ["renew", "host", "--stack", NAME])
    assert result.exit_code == 2
    assert "host: give hosts, guests, platform, gateway" in " ".join(result.output.replace("│", " ").split())
    assert site.cli.said == []


def test_a_new_authority_and_the_end_of_the_former(site: Site) -> None:
    run()
    text = run("renew", "--authority", "--passwords", "--yes")
    assert len(pki.certificates(site.held().certificates["ca"])) == 2
    assert " " in site.held().secrets[Secret.SCRAPE_HOSTS_PASSWORD]
    assert "python -m ops pki forget --stack trial" in text
    run("forget", "--yes")
    assert len(pki.certificates(site.held().certificates["ca"])) == 1
    assert " " not in site.held().secrets[Secret.SCRAPE_HOSTS_PASSWORD]
    assert site.ups == [NAME, NAME]
    assert "There is nothing former; nothing was changed." in run("forget")


@pytest.mark.parametrize("yes", [False, True])
def test_a_stack_elsewhere_is_brought_up_by_pulumi_itself(
    site: Site, monkeypatch: pytest.MonkeyPatch, *, yes: bool
) -> None:
    run()
    site.change(docker={"target": "ssh", "host": "192.0.2.10"}, network={"bindAddress": "192.0.2.10"})
    # Somebody answers the question of `renew`, if it is asked.
    monkeypatch.setattr("ops.pki.command.confirm", lambda *_, **__: None)
    run("renew", *(["--yes"] if yes else []))
    asked = ["--yes"] if yes else []
    assert site.cli.said[-2:] == [("plugins",), ("up", "--stack", NAME, "--suppress-outputs", *asked)]
    assert site.ups == []


def test_an_up_that_fails_says_that_nothing_has_to_be_renewed_again(site: Site) -> None:
    run()
    site.change(docker={"target": "ssh", "host": "192.0.2.10"}, network={"bindAddress": "192.0.2.10"})
    refusing = _refusing(site, "up", "no")
    site.cli = refusing
    run("renew", "--yes", fails=r"run pulumi up --stack trial; there is no need to renew it again")


def _refusing(site: Site, word: str, error: str, *, after: int = 0) -> FakeCli:
    """A CLI that refuses commands with a word, or those after some of them."""
    seen: list[str] = []

    def refuses(arguments: tuple[str, ...]) -> str | None:
        if word not in arguments:
            return None
        seen.append(word)
        return error if len(seen) > after else None

    return FakeCli("pulumi", "3.260.0", site.cli.environment, refuses=refuses, file=site.file)


def test_nobody_can_be_asked_without_a_terminal(site: Site) -> None:
    run()
    before = site.file.read_bytes()
    run("renew", fails="add --yes")
    assert site.file.read_bytes() == before


class TestTrouble:
    """Nothing is changed, and it can be run again."""

    @pytest.mark.parametrize(
        ("error", "fails"),
        [
            ("incorrect passphrase", r"the secrets of trial stay closed.*PULUMI_CONFIG_PASSPHRASE_FILE"),
            ("no stack named 'trial' found", r"pulumi login .*pulumi stack init trial"),
            ("open Pulumi.trial.yaml: disk quota exceeded", r"disk quota exceeded\. Nothing was changed"),
        ],
    )
    @pytest.mark.parametrize("after", [0, 5], ids=["at-once", "half-way"])
    def test_what_the_cli_says_is_told_with_what_to_do(
        self, site: Site, error: str, fails: str, after: int
    ) -> None:
        before = site.file.read_bytes()
        word = "config" if after == 0 else "set"
        good, site.cli = site.cli, _refusing(site, word, error, after=after)
        run(fails=fails)
        assert site.file.read_bytes() == before
        assert list(site.file.parent.iterdir()) == [site.file]
        site.cli = good
        run()
        assert site.held().certificates.keys() == {"ca", *HOLDERS}

    def test_ctrl_c_half_way_changes_nothing(self, site: Site) -> None:
        before = site.file.read_bytes()
        seen: list[int] = []

        def refuses(arguments: tuple[str, ...]) -> str | None:
            seen.append(1)
            if len(seen) == 6:
                raise KeyboardInterrupt
            return None

        site.cli = FakeCli("pulumi", "3.260.0", site.cli.environment, refuses=refuses, file=site.file)
        run(fails=r"interrupted; nothing was changed in Pulumi\.trial\.yaml")
        assert site.file.read_bytes() == before
        assert list(site.file.parent.iterdir()) == [site.file]

    def test_a_change_by_somebody_else_meanwhile_isnt_lost(self, site: Site) -> None:
        def refuses(arguments: tuple[str, ...]) -> str | None:
            if arguments[-1] == Secret.SCRAPE_PLATFORM_PASSWORD:
                site.change(smtpPassword="theirs")
            return None

        site.cli = FakeCli("pulumi", "3.260.0", site.cli.environment, refuses=refuses, file=site.file)
        run(fails=r"Pulumi\.trial\.yaml was changed by somebody else meanwhile; run it again")
        assert site.values()["smtpPassword"] == "theirs"
        assert "pki" not in site.values()

    @pytest.mark.usefixtures("site")
    def test_a_file_that_is_write_protected_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("ops.pki.held.os.access", lambda *_: False)
        run(fails=r"can't be written: it is write-protected\. Nothing was changed")

    def test_without_a_cli_it_says_why(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.undo()
        monkeypatch.setattr(stack, "ROOT", site.file.parent)

        def find() -> None:
            raise CliUnavailable("it isn't on PATH and can't be downloaded: no route to host")

        monkeypatch.setattr(pulumi_cli, "find", find)
        run(fails="this needs the Pulumi CLI: it isn't on PATH and can't be downloaded: no route to host")

    def test_settings_that_are_wrong_elsewhere_are_told(self, site: Site) -> None:
        site.change(network={"bindAddress": "nonsense"})
        with pytest.raises(SettingsError, match=r"network\.bindAddress"):
            CliRunner().invoke(app, ["--stack", NAME], catch_exceptions=False)

    def test_broken_certificates_are_no_obstacle(self, site: Site) -> None:
        site.change(pki={"ca": "nonsense", "hosts": 3})
        run()
        assert site.held().certificates.keys() == {"ca", *HOLDERS}
        assert pki.certificates(site.held().certificates["ca"])

    def test_where_tls_is_off_nothing_is_made(self, site: Site) -> None:
        site.change(tls="off")
        run(fails=r"tls is off in Pulumi\.trial\.yaml")
        assert site.cli.said == []

    def test_a_new_stack_isnt_encrypted_with_the_passphrase_that_everybody_knows(self, site: Site) -> None:
        site.cli.environment["PULUMI_CONFIG_PASSPHRASE"] = DEV_PASSPHRASE

        def refuses(arguments: tuple[str, ...]) -> str | None:
            return "none" if arguments[0] == "whoami" else None

        site.cli = FakeCli("pulumi", "3.260.0", site.cli.environment, refuses=refuses, file=site.file)
        run(fails="no passphrase protects the secrets of trial yet.*PULUMI_CONFIG_PASSPHRASE_FILE")
        assert "pki" not in site.values()
        with site.file.open("a") as file:
            file.write("encryptionsalt: v1:of-their-own\n")
        run()


class TestShow:
    """The table needs no CLI and no passphrase."""

    def test_it_has_every_certificate(self, site: Site) -> None:
        run()
        site.cli.said.clear()
        text = run("show")
        assert site.cli.said == []
        assert "hosts.pve-monitoring.internal" in text
        assert "pve-monitoring trial" in text
        assert "│396│" in text.replace(" ", "")

    def test_what_is_missing_or_broken_is_shown_as_such(self, site: Site) -> None:
        site.change(pki={"ca": "nonsense"})
        text = run("show")
        assert "is no certificate; run: python -m ops pki" in text
        assert text.count("(none)") == 4

    def test_the_authority_alone_is_what_browsers_import(self, site: Site) -> None:
        run("show", "--ca", fails="trial has no authority yet; run: python -m ops pki --stack trial")
        run()
        run("renew", "--authority", "--yes")
        (first, _) = pki.certificates(site.held().certificates["ca"])
        assert CliRunner().invoke(app, ["show", "--ca", "--stack", NAME]).stdout == first

    def test_its_colours_are_those_of_the_alert(self) -> None:
        assert thresholds() == {"warning": 30, "critical": 7}


def test_rights_of_the_file_stay(site: Site) -> None:
    site.file.chmod(0o640)
    run()
    assert stat.S_IMODE(site.file.stat().st_mode) == 0o640


def test_a_link_stays_one(site: Site) -> None:
    real = site.file.with_name("real.yaml")
    site.file.rename(real)
    site.file.symlink_to(real.name)
    run()
    assert site.file.is_symlink()
    assert "BEGIN CERTIFICATE" in real.read_text("utf-8")


def test_secrets_do_not_stand_in_what_python_shows(site: Site) -> None:
    run()
    held = site.held()
    assert not any(secret in repr(held) for secret in held.secrets.values())


def test_the_example_is_a_stack_that_can_be_begun_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before any secret is set: that order is nobody's mistake."""
    file = tmp_path / f"Pulumi.{NAME}.yaml"
    file.write_text((ROOT / "docs" / "examples" / "Pulumi.production.yaml").read_text("utf-8"), "utf-8")
    cli = FakeCli("pulumi", "3.260.0", {"PULUMI_CONFIG_PASSPHRASE": "x"}, file=file)
    monkeypatch.setattr(stack, "ROOT", tmp_path)
    monkeypatch.setattr(pulumi_cli, "require", lambda **_: cli)
    run()
    assert "monitoring.example.com" in pki.names(Site(file, cli).held().certificates["gateway"])
    assert ENCRYPTED["pki"]["ca"] not in file.read_text("utf-8")
