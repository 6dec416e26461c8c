"""The installer for Windows guests installs, upgrades, mends and removes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from components.render import windows_installer
from components.render.tls import Server
from tests.support.examples import MINIMAL, settings
from tests.support.windows_guest import ADDRESSES, OLDER, SERVER, VERSION, Guest, names


def test_a_first_installation(guest: Guest) -> None:
    ran = guest.install()
    assert ran.code == 0, ran.text
    assert names(ran) == ["Get-FileHash", "msiexec", "New-NetFirewallRule"]
    # What was checked is what is installed, and no property stands beside it.
    checked = ran.calls[0].removeprefix("Get-FileHash ")
    log = f"{guest.machine.log}.msi"
    assert shlex.split(ran.calls[1])[1:] == ["/i", checked, "/qn", "/norestart", "/l*v", log]
    assert Path(checked).parent == guest.machine.folder
    assert guest.products == [VERSION]
    assert set(guest.files) == {"config.yaml"}
    assert ran.said == [
        f"{guest.config} is written",
        f"windows_exporter {VERSION} is installed",
        f"firewall: TCP {guest.port} from 192.0.2.10, 2001:db8::/64, for Prometheus",
        f"windows_exporter {VERSION} answers on port {guest.port}",
    ]
    noted = guest.machine.log.read_text("ascii").splitlines()
    assert [line[20:] for line in noted] == ran.said
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d ", line[:20]) for line in noted)


def test_the_exporter_reads_the_rendered_configuration_from_its_start_on(guest: Guest) -> None:
    assert guest.install(processExclude="it's").code == 0
    written = guest.config.read_bytes()
    wanted = windows_installer.config_lines(
        settings(
            {
                **MINIMAL,
                "scrape": {"exporterPorts": {"windows": guest.port}},
                "guestExporters": {"windows": {"processExclude": "it's"}},
            }
        )
    )
    # No byte-order mark, and ends of lines as Windows has them.
    assert written == "".join(f"{line}\r\n" for line in wanted).encode("ascii")
    assert guest.machine.state["service"]["Config"].encode() == written
    assert yaml.safe_load(written)["web"] == {"listen-address": f":{guest.port}"}


def test_the_rule_lets_in_the_monitoring_and_nobody_else(guest: Guest) -> None:
    open_rule = {
        "Name": "{F1}",
        "DisplayName": "windows_exporter",
        "Enabled": "True",
        "Direction": "Inbound",
        "Action": "Allow",
        "RemoteAddress": ["Any"],
    }
    own = open_rule | {"Name": "{F2}", "RemoteAddress": ["192.0.2.77"]}
    guest.machine.change(rules=[open_rule, own])
    ran = guest.install()
    assert "the firewall rule {F1} let everybody in and is removed" in ran.said
    kept, made = guest.machine.state["rules"]
    assert kept["Name"] == "{F2}"
    assert made == {
        "Name": "pve-monitoring-windows-exporter",
        "DisplayName": "windows_exporter for Prometheus",
        "Description": f"TCP {guest.port} from 192.0.2.10, 2001:db8::/64, for Prometheus",
        "Enabled": "True",
        "Direction": "Inbound",
        "Action": "Allow",
        "Profile": "Any",
        "Protocol": "TCP",
        "LocalPort": str(guest.port),
        "RemoteAddress": list(ADDRESSES),
        "Program": str(guest.machine.folder / "windows_exporter.exe"),
    }
    # Somebody switches it off, somebody deletes it.
    guest.machine.change(rules=[made | {"Enabled": "False"}])
    assert names(guest.install()) == ["Remove-NetFirewallRule", "New-NetFirewallRule"]
    guest.machine.change(rules=[])
    assert names(guest.install()) == ["New-NetFirewallRule"]


@pytest.mark.parametrize("firewall", [None, {"Status": "Stopped"}])
def test_without_the_firewall_of_windows_it_says_what_another_has_to_do(
    guest: Guest, firewall: dict[str, str] | None
) -> None:
    guest.machine.change(firewall=firewall)
    ran = guest.install()
    assert ran.code == 0
    assert f"has to let 192.0.2.10, 2001:db8::/64 reach TCP {guest.port}" in ran.text
    assert guest.machine.state["rules"] == []


@pytest.mark.parametrize("server", [None, SERVER])
def test_a_second_run_changes_nothing(guest: Guest, server: Server | None) -> None:
    guest.server = server
    guest.install()
    files, state = guest.files, guest.machine.state
    ran = guest.install()
    assert (ran.code, ran.calls) == (0, [])
    assert ran.said == [f"windows_exporter {VERSION}: nothing to change"]
    assert guest.files == files
    assert guest.machine.state | {"calls": None} == state | {"calls": None}


def test_other_settings_restart_the_exporter_and_load_nothing(guest: Guest) -> None:
    guest.install()
    ran = guest.install(processInclude="sqlservr")
    assert (ran.code, ran.calls) == (0, ["Restart-Service windows_exporter"])
    assert "include: 'sqlservr'" in guest.machine.state["service"]["Config"]


def test_it_upgrades(guest: Guest) -> None:
    guest.install(OLDER)
    ran = guest.install()
    assert (ran.code, names(ran)) == (0, ["Get-FileHash", "msiexec"]), ran.text
    assert ran.calls[1].startswith("msiexec /i ")
    assert guest.products == [VERSION]
    assert f"windows_exporter {VERSION} answers on port {guest.port}" in ran.said
    assert set(guest.files) == {"config.yaml"}


@pytest.mark.parametrize(("shown", "sweeps"), [(VERSION, False), (f"{VERSION}.0", True)])
def test_an_installation_with_other_flags_is_made_anew(guest: Guest, shown: str, sweeps: bool) -> None:
    product = {"DisplayName": "windows_exporter", "DisplayVersion": shown, "WindowsInstaller": 1}
    command = f'"{guest.machine.folder}\\windows_exporter.exe" --collectors.enabled cpu,process'
    service = {"Status": "Running", "ImagePath": command}
    guest.machine.change(products={"{OLD}": product}, service=service, sweeps=sweeps)
    ran = guest.install()
    assert (ran.code, names(ran)) == (0, ["Get-FileHash", "msiexec", "msiexec", "New-NetFirewallRule"])
    assert [call.split()[1] for call in ran.calls[1:3]] == ["/x", "/i"]
    assert guest.machine.state["service"]["Config"].encode() == guest.files["config.yaml"] != b""
    assert guest.install().calls == []


def test_a_service_that_stands_still_is_started(guest: Guest) -> None:
    guest.install()
    stopped = guest.machine.state["service"] | {"Status": "Stopped"}
    guest.machine.change(service=stopped)
    assert guest.install().calls == ["Start-Service windows_exporter"]


def test_it_removes_what_it_brought(encrypted: Guest) -> None:
    encrypted.install()
    text = encrypted.script()
    ran = encrypted.machine.run(text, Uninstall=True)
    assert (ran.code, names(ran)) == (0, ["msiexec", "Remove-NetFirewallRule"])
    assert ran.calls[0].startswith("msiexec /x {00000000-0.31.8} /qn /norestart ")
    assert (encrypted.files, encrypted.products, encrypted.machine.state["rules"]) == ({}, [], [])
    assert not encrypted.machine.folder.exists()

    ran = encrypted.machine.run(text, Uninstall=True)
    assert (ran.code, ran.calls) == (0, [])
    assert ran.said == ["windows_exporter is not installed: nothing to remove"]


def test_a_removal_that_fails_leaves_the_rest_as_it_is(guest: Guest) -> None:
    guest.install()
    guest.machine.change(msiexec=[1618])
    assert guest.machine.run(guest.script(), Uninstall=True).code == 1618
    assert set(guest.files) == {"config.yaml"}
    assert len(guest.machine.state["rules"]) == 1
