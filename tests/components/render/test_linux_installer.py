"""The shell script for Linux guests: its text, for every shell that is at hand."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import docker
import pytest
import yaml
from docker.errors import DockerException

from components.render import guest_userdata
from components.render.linux_installer import script
from components.render.tls import Server
from components.settings import Group, SettingsError
from tests.support.examples import EXAMPLES, MINIMAL, settings
from tests.support.pki import PAIRS

ADDRESSES = ("192.0.2.10", "2001:db8::/64")
PLAIN = script(settings(MINIMAL), ADDRESSES)
PAIR = PAIRS[Group.GUESTS]
SERVER = Server(certificate=PAIR.certificate, key=PAIR.key, passwords="a-password-of-the-guests")
ENCRYPTED = script(settings(MINIMAL), ADDRESSES, SERVER)
SHELLCHECK = Path(sys.executable).with_name("shellcheck")
BUSYBOX = "busybox:1.37.0"


def syntax(words: list[str], text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, input=text, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("example", EXAMPLES)
def test_it_is_ascii_and_shellcheck_has_nothing_to_say(example: str) -> None:
    for server in (None, SERVER):
        text = script(settings(EXAMPLES[example]), ADDRESSES, server)
        assert text.isascii()
        assert text.startswith("#!/bin/sh\n")
        result = syntax([str(SHELLCHECK), "--shell=sh", "-"], text)
        assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("shell", ["sh", "dash", "bash"])
def test_every_shell_can_read_it(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    assert syntax([shell, "-n"], PLAIN).stderr == ""
    assert syntax([shell, "-n"], ENCRYPTED).stderr == ""
    assert syntax([shell, "-n"], PLAIN.replace("esac", "", 1)).returncode != 0


@pytest.mark.docker
def test_busybox_can_read_it() -> None:
    try:
        client = docker.from_env()
        client.ping()
    except DockerException as error:
        pytest.skip(f"no Docker daemon answers ({type(error).__name__})")
    if not client.images.list(BUSYBOX):
        pytest.skip(f"the image {BUSYBOX} is missing; make test gets or builds it")
    words = ["docker", "run", "--rm", "--interactive", "--network=none", BUSYBOX, "sh", "-n"]
    assert syntax(words, PLAIN).stderr == ""
    assert syntax(words, ENCRYPTED).stderr == ""
    assert syntax(words, PLAIN.replace("esac", "", 1)).returncode != 0


def test_it_is_posix() -> None:
    code = re.sub(r"(?m)^\s*#.*$", "", PLAIN)
    assert not re.search(r"\[\[ |^ *local |<<<|\bfunction\b|<\(|\$'|&>", code)


def test_a_site_s_values_stay_values(tmp_path: Path) -> None:
    made = tmp_path / "made"
    nasty = f"https://a/'; touch {made}; $(touch {made})"
    values = {**MINIMAL, "guestExporters": {"linux": {"downloadBaseUrl": nasty}}}
    text = script(settings(values), ADDRESSES)
    head = text[: text.index("# Everything is checked")]
    result = syntax(["sh"], head + 'printf %s "$base_url"')
    assert result.stdout == nasty
    assert not made.exists()


def test_the_checksum_is_compared_before_anything_is_unpacked_or_run() -> None:
    unpack = PLAIN[PLAIN.index("unpack() {") :]
    order = [
        unpack.index(part) for part in ("download ", "checksum ", "tar -xzf", "mkdir", "--version", "mv ")
    ]
    assert order == sorted(order)


def test_it_says_where_it_may_run(tmp_path: Path) -> None:
    """Without root nothing is looked at, let alone changed."""
    stand_in = tmp_path / "id"
    stand_in.write_text("#!/bin/sh\necho 1000\n")
    stand_in.chmod(0o755)
    text = PLAIN.replace("PATH=/usr/local/sbin", f"PATH={tmp_path}:/usr/local/sbin")
    result = syntax(["sh"], text)
    assert result.returncode == 1
    assert "run this as root" in result.stderr


def test_an_unknown_word_is_refused() -> None:
    result = syntax(["sh", "-s", "--", "--remove"], PLAIN)
    assert (result.returncode, "unknown word --remove" in result.stderr) == (1, True)


def test_another_version_needs_its_checksum() -> None:
    with pytest.raises(SettingsError, match=r"node_exporter-1\.13\.0.* isn't known here; set sha256 to"):
        settings({**MINIMAL, "guestExporters": {"linux": {"version": "1.13.0"}}})
    given = {"version": "1.13.0", "sha256": "ab" * 32}
    text = script(settings({**MINIMAL, "guestExporters": {"linux": given}}), ADDRESSES)
    assert "sha256_arm64=''" in text


def test_the_files_for_tls_are_written_as_they_are(tmp_path: Path) -> None:
    head = ENCRYPTED[: ENCRYPTED.index("# Everything is checked")]
    assert syntax(["sh"], f"{head}\ntls_folder={tmp_path}\nwrite_tls\n").stderr == ""
    made = {path.name: path.read_text("utf-8") for path in tmp_path.iterdir()}
    assert made["tls.crt.new"] == PAIR.certificate
    assert made["tls.key.new"] == PAIR.key
    assert list(yaml.safe_load(made["web.yml.new"])) == ["tls_server_config", "basic_auth_users"]
    assert "a-password-of-the-guests" not in ENCRYPTED


def test_without_tls_the_script_holds_none_of_it() -> None:
    values = {**MINIMAL, "guestExporters": {"linux": {"webConfigFile": "/etc/own.yml"}}}
    for text in (PLAIN, script(settings(values), ADDRESSES, SERVER)):
        assert "BEGIN" not in text
        assert "own_tls=''\n" in text


# --- user data -----------------------------------------------------------------------------------


def test_cloud_init_writes_the_very_script_and_runs_it() -> None:
    text = guest_userdata.cloud_init(PLAIN)
    assert text.startswith("#cloud-config\n")
    document = yaml.safe_load(text)
    (file,) = document["write_files"]
    assert file["content"] == PLAIN
    assert document["runcmd"] == [["sh", file["path"]]]


def test_cloudbase_init_knows_powershell_by_the_first_line() -> None:
    assert guest_userdata.cloudbase_init("exit 0\n") == "#ps1_sysnative\nexit 0\n"
