"""With what the installer for Windows guests ends, and what it says then."""

from __future__ import annotations

import os
import re
import shlex

import pytest

from tests.support.windows_guest import OLDER, VERSION, Guest


@pytest.mark.parametrize(
    ("msiexec", "code", "installed"),
    [(3010, 3010, True), (1641, 3010, True), (1618, 1618, False), (1603, 1603, False)],
)
def test_what_msiexec_ends_with(guest: Guest, msiexec: int, code: int, installed: bool) -> None:
    guest.machine.change(msiexec=[msiexec])
    ran = guest.install()
    assert (ran.code, bool(guest.products)) == (code, installed), ran.text
    assert set(guest.files) == {"config.yaml"}, "the package is gone"
    if code == 1603:
        assert f"msiexec ended with 1603; see {guest.machine.log}.msi" in ran.text
    # Again later: it ends what it began.
    assert (guest.install().code, guest.products) == (0, [VERSION])


def test_an_exporter_that_does_not_answer_is_waited_for_and_told_of(guest: Guest) -> None:
    guest.machine.change(starts="StartPending", events=["yaml: line 3: did not find expected key"])
    ran = guest.install()
    assert ran.code == 2
    assert 90 <= guest.machine.state["waited"] <= 92
    assert "event log: yaml: line 3: did not find expected key" in ran.said
    assert "doesn't answer within 90 s: the service is not running." in ran.said[-1]
    guest.machine.change(starts="Running", service=guest.machine.state["service"] | {"Status": "Running"})
    assert guest.install().code == 0


def test_the_restart_that_windows_wants_may_be_what_is_missing(guest: Guest) -> None:
    guest.machine.change(starts="StartPending", msiexec=[3010])
    ran = guest.install()
    assert ran.code == 3010
    assert ran.said[-1].endswith("Windows wants a restart before it answers: the service is not running")


def test_an_exporter_that_does_not_start_tells_why(guest: Guest) -> None:
    guest.install()
    guest.machine.change(starts="Stopped", events=["error parsing regexp"])
    ran = guest.install(processInclude="sql.*")
    assert (ran.code, ran.calls) == (2, ["Restart-Service windows_exporter"])
    assert ran.said[1:3] == ["Failed to start the service.", "event log: error parsing regexp"]
    ran = guest.install(processInclude="sql.*")
    assert (ran.code, ran.calls) == (2, ["Start-Service windows_exporter"])


def test_an_exporter_that_does_not_stop_is_no_success(guest: Guest) -> None:
    guest.install()
    guest.machine.change(starts="StopPending")
    ran = guest.install(processInclude="sql.*")
    assert (ran.code, ran.calls) == (2, ["Restart-Service windows_exporter"])
    assert ran.said[1].startswith("stopped unexpectedly: Failed to start the service. (At ")


def test_a_collector_that_fails_is_told_of(guest: Guest) -> None:
    guest.machine.change(failing=["process"])
    ran = guest.install()
    assert ran.code == 0
    assert "collector process fails. If its performance counters are broken" in ran.text


def test_what_nobody_thought_of_is_told_with_its_place(guest: Guest) -> None:
    product = {"DisplayName": "windows_exporter", "DisplayVersion": "next", "WindowsInstaller": 1}
    guest.machine.change(products={"{OLD}": product})
    ran = guest.install()
    assert ran.code == 2
    assert re.search(r'^stopped unexpectedly: .*"next".*\(At .*script\.ps1:\d+', ran.text), ran.text


@pytest.mark.parametrize("code", [0, 1, 3010 % 256])
def test_a_powershell_of_32_bits_hands_everything_on(guest: Guest, code: int) -> None:
    native = guest.machine.system / "Sysnative" / "WindowsPowerShell" / "v1.0" / "powershell.exe"
    native.parent.mkdir(parents=True)
    words = guest.machine.root / "words"
    native.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {words}\nexit {code}\n')
    native.chmod(0o755)
    guest.machine.change(processBits=32)
    ran = guest.machine.run(guest.script(), Msi="\\\\server\\a share\\a.msi", Uninstall=True)
    assert (ran.code, ran.calls, guest.files) == (code, [], {})
    assert words.read_text().splitlines() == [
        *("-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass"),
        *("-File", str(guest.machine.root / "script.ps1"), "-Msi", "\\\\server\\a share\\a.msi"),
        *("-LogFile", str(guest.machine.log), "-Uninstall"),
    ]


def test_the_log_does_not_grow_for_ever(guest: Guest) -> None:
    guest.machine.log.write_text("x" * 1_048_576)
    guest.install()
    assert guest.machine.log.read_text().startswith("x")
    guest.install()
    assert "x" not in guest.machine.log.read_text()[:8]


def test_another_log(guest: Guest) -> None:
    log = guest.machine.root / "none yet" / "a.log"
    ran = guest.machine.run(guest.script(), LogFile=str(log))
    assert (ran.code, len(log.read_text().splitlines())) == (0, len(ran.said)), ran.text
    assert not guest.machine.log.exists()
    # msiexec has another idea of where it is.
    relative = os.path.relpath(log.with_name("b.log"))
    ran = guest.machine.run(guest.script(OLDER), Uninstall=True, LogFile=relative)
    assert (ran.code, shlex.split(ran.calls[0])[-1]) == (0, f"{log.with_name('b.log')}.msi")


def test_a_log_that_can_not_be_written_keeps_nothing_from_being_done(guest: Guest) -> None:
    ran = guest.machine.run(guest.script(), LogFile="/proc/a.log")
    assert (ran.code, guest.products) == (0, [VERSION]), ran.text
    assert ran.said[1].startswith("(not noted in /proc/a.log: ")
