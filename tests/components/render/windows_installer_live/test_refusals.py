"""What the installer for Windows guests refuses, before anything is changed."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import pytest
import yaml

from tests.support.windows_guest import NEWER, VERSION, Guest, names
from tests.support.windows_machine import Ran


def refused(guest: Guest, ran: Ran, said: str) -> None:
    assert (ran.code, guest.products) == (1, [])
    assert re.search(said, ran.text), ran.text
    assert "msiexec" not in names(ran)
    assert guest.files == {}
    assert guest.machine.state["rules"] == []


def test_another_file_than_the_release_is_not_installed(guest: Guest) -> None:
    text = guest.script()
    changed, _ = guest.machine.msi(VERSION)
    changed.write_text("0.31.8 and more")
    found = hashlib.sha256(changed.read_bytes()).hexdigest().upper()
    ran = guest.machine.run(text)
    refused(
        guest, ran, f"the SHA-256 of {re.escape(str(changed))} is {found}, but [0-9a-f]{{64}} is expected"
    )
    assert names(ran) == ["Get-FileHash"]
    assert not guest.machine.folder.exists()


@pytest.mark.parametrize("place", ["http://127.0.0.1:{port}/none.msi", "{root}/none.msi"])
def test_a_package_that_is_not_reached(guest: Guest, place: str) -> None:
    msi = place.format(port=guest.port, root=guest.machine.root)
    ran = guest.machine.run(guest.script(), Msi=msi)
    refused(guest, ran, f"^{re.escape(msi)} can't be read: .* Nothing was changed")
    assert not guest.machine.folder.exists()


def test_the_package_may_come_from_elsewhere(guest: Guest) -> None:
    text = guest.script()
    package, _ = guest.machine.msi(VERSION)
    package.rename(package.with_name("moved.msi"))
    ran = guest.machine.run(text, Msi=f"http://127.0.0.1:{guest.port}/moved.msi")
    assert (ran.code, guest.products) == (0, [VERSION]), ran.text


@pytest.mark.parametrize(
    ("machine", "said"),
    [
        ({"administrator": False}, r"as an administrator or as SYSTEM, not as EXAMPLE\\somebody"),
        ({"bits": 32, "processBits": 32}, "this Windows has 32 bits"),
        ({"build": 9600}, "Windows build 9600 is too old"),
        ({"listeners": [{"port": 0, "process": 7, "name": "w3wp"}]}, r"is taken by w3wp \(process 7\)"),
        (
            {"service": {"Status": "Running", "ImagePath": "C:\\tools\\nssm.exe"}},
            r"windows_exporter exists that no MSI installed \(C:\\tools\\nssm.exe\)",
        ),
    ],
)
def test_a_machine_that_it_is_not_made_for(guest: Guest, machine: dict[str, Any], said: str) -> None:
    for listener in machine.get("listeners", []):
        listener["port"] = guest.port
    guest.machine.change(**machine)
    ran = guest.install()
    refused(guest, ran, said)
    assert ran.calls == []


def test_arm_has_another_package(guest: Guest) -> None:
    ran = guest.machine.run(guest.script(), architecture="ARM64")
    refused(guest, ran, "this machine is ARM64; the MSI windows_exporter-0.31.8-amd64.msi is for AMD64")


def test_a_newer_version_stays(guest: Guest) -> None:
    guest.install(NEWER)
    ran = guest.install()
    assert (ran.code, ran.calls, guest.products) == (1, [], [NEWER])
    assert f"version {NEWER} is installed and newer than {VERSION}" in ran.text


def test_a_web_configuration_of_the_site_has_to_be_there(encrypted: Guest) -> None:
    path = encrypted.machine.root / "it's für uns.yml"
    text = encrypted.script()
    refused(encrypted, encrypted.machine.run(text, WebConfigFile=str(path)), "doesn't exist")
    path.write_text("basic_auth_users: {}\n")
    ran = encrypted.machine.run(text, WebConfigFile=str(path))
    assert ran.code == 0, ran.text
    assert yaml.safe_load(encrypted.config.read_bytes())["web"]["config"] == {"file": str(path)}
    assert set(encrypted.files) == {"config.yaml"}
    assert encrypted.machine.run(text, WebConfigFile=str(path)).calls == []


def test_a_web_configuration_of_the_site_lies_where_nothing_is_removed(encrypted: Guest) -> None:
    encrypted.install()
    files = encrypted.files
    ran = encrypted.machine.run(encrypted.script(), WebConfigFile=str(encrypted.tls / "web.yml"))
    assert (ran.code, ran.calls, encrypted.files) == (1, [], files)
    assert f"lies in {encrypted.tls}, which this script writes and removes" in ran.text
    ran = encrypted.machine.run(encrypted.script(), WebConfigFile="web.yml")
    assert (ran.code, ran.said) == (
        1,
        ["the exporter wouldn't find web.yml; give the whole path of the file"],
    )


def test_application_control_that_forbids_it_is_told_of(guest: Guest) -> None:
    guest.machine.change(language="ConstrainedLanguage")
    ran = guest.install()
    refused(guest, ran, "^PowerShell runs this script as ConstrainedLanguage only; sign it")
