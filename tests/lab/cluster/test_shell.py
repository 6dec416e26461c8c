"""What agents run in guests: files, commands, installers, and what they refuse."""

import base64
from typing import Any

import pytest

from components.render import linux_installer, windows_installer
from lab.cluster.identities import DISCOVERY, ENROLLER
from tests.support.examples import EXAMPLES, settings

from .conftest import Live

DEV = settings(EXAMPLES["dev"])
WINDOWS = windows_installer.script(DEV, ("10.90.0.2",))
LINUX = linux_installer.script(DEV, ("10.90.0.2",))
PS1, SH = "C:\\Windows\\Temp\\a.ps1", "/root/a.sh"


def agent(live: Live, vmid: int, what: str, **kwargs: Any) -> Any:
    node = "pve2" if vmid == 103 else "pve1"
    return live.api(f"/nodes/{node}/qemu/{vmid}/agent/{what}", **{"token": ENROLLER, **kwargs})


def post(live: Live, vmid: int, what: str, **form: Any) -> Any:
    answer = agent(live, vmid, what, method="POST", form=form)
    assert answer.status_code == 200, answer.reason
    return answer.json()["data"]


def write(live: Live, vmid: int, path: str, text: str) -> None:
    post(live, vmid, "file-write", file=path, content=base64.b64encode(text.encode()).decode(), encode=0)


def run(live: Live, vmid: int, *command: str) -> dict[str, Any]:
    """Start it, and ask until it has ended."""
    pid = post(live, vmid, "exec", command=list(command))["pid"]
    while not (answer := agent(live, vmid, f"exec-status?pid={pid}").json()["data"])["exited"]:
        pass
    found: dict[str, Any] = answer
    assert agent(live, vmid, f"exec-status?pid={pid}").reason == "Agent error: Invalid parameter 'pid'"
    return found


@pytest.fixture
def quick(live: Live) -> Live:
    object.__setattr__(live.lab.settings, "install_seconds", 0.05)
    return live


@pytest.mark.parametrize(("vmid", "path", "text"), [(103, PS1, WINDOWS), (105, SH, LINUX)])
def test_an_installer_brings_back_an_exporter_that_is_gone(
    quick: Live, vmid: int, path: str, text: str
) -> None:
    guest = quick.lab.cluster.guest[vmid]
    port = 9182 if vmid == 103 else 9100
    quick.client.add("exporter_gone", str(vmid))
    assert quick.scrape(guest.address, port).status_code == 502
    write(quick, vmid, path, text)
    command = ("powershell.exe", "-File", path) if vmid == 103 else ("/bin/sh", path)
    answer = run(quick, vmid, *command)
    assert answer["exitcode"] == 0
    assert "answers" in answer["out-data"]
    assert quick.scrape(guest.address, port).status_code == 200


def test_an_installer_that_breaks_off_or_is_gone_does_nothing(quick: Live) -> None:
    with quick.client.fault("exporter_gone", "105"):
        write(quick, 105, SH, LINUX[:3000])
        assert run(quick, 105, "/bin/sh", SH)["exitcode"] == 1
        run(quick, 105, "/bin/rm", "-f", SH)
        assert run(quick, 105, "/bin/sh", SH)["exitcode"] == 1
        assert len(quick.client.faults()) == 1


@pytest.mark.parametrize("vmid", [103, 105])
def test_pieces_are_joined(quick: Live, vmid: int) -> None:
    text, path = (WINDOWS, PS1) if vmid == 103 else (LINUX, SH)
    write(quick, vmid, f"{path}.0", text[:5000])
    write(quick, vmid, f"{path}.1", text[5000:])
    if vmid == 103:
        run(quick, vmid, "cmd.exe", "/c", "copy", "/y", "/b", f"{path}.0+{path}.1", path)
        assert run(quick, vmid, "powershell.exe", "-File", path)["exitcode"] == 0
    else:
        run(quick, vmid, "/bin/sh", "-c", f"cat {path}.0 {path}.1 > {path}")
        assert run(quick, vmid, "/bin/sh", path)["exitcode"] == 0


def test_a_download_can_be_barred(quick: Live) -> None:
    write(quick, 103, PS1, WINDOWS)
    with quick.client.fault("download_blocked", "103"):
        answer = run(quick, 103, "powershell.exe", "-File", PS1)
    assert answer["exitcode"] == 1
    assert "can't be read" in answer["out-data"]


@pytest.mark.parametrize(
    ("what", "form", "text"),
    [
        ("exec", {"command": ["/bin/bash"]}, "Failed to execute child process"),
        ("exec", {}, "Parameter verification failed."),
        ("file-write", {"file": PS1}, "Parameter verification failed."),
        ("file-write", {"file": PS1, "content": "x" * 61_441}, "Parameter verification failed."),
        ("file-write", {"file": PS1, "content": "?", "encode": 0}, "Invalid parameter 'buf-b64'"),
        ("exec", {"command": "cmd.exe", "shell": 1}, "Parameter verification failed."),
    ],
)
def test_what_is_not_right_is_refused(live: Live, what: str, form: dict[str, Any], text: str) -> None:
    assert text in agent(live, 103, what, method="POST", form=form).reason


def test_an_agent_may_bar_it(live: Live) -> None:
    barred = "Agent error: Command {} has been disabled: the command is not allowed"
    with live.client.fault("exec_forbidden", "103"):
        answer = agent(live, 103, "exec", method="POST", form={"command": "cmd.exe"})
        assert answer.reason == barred.format("guest-exec")
        answer = agent(live, 103, "file-write", method="POST", form={"file": PS1, "content": "x"})
        assert answer.reason == barred.format("guest-file-open")


def test_the_token_that_reads_may_not(live: Live, live8: Live) -> None:
    for what, privileges in (
        ("exec", "VM.GuestAgent.Unrestricted"),
        ("file-write", "VM.GuestAgent.FileWrite|VM.GuestAgent.Unrestricted"),
    ):
        answer = agent(live, 103, what, method="POST", token=DISCOVERY, form={})
        assert answer.reason == f"Permission check failed (/vms/103, {privileges})"
    assert agent(live, 103, "exec-status?pid=1", token=DISCOVERY).status_code == 403
    assert post(live8, 103, "exec", command=["cmd.exe", "/c"])["pid"] > 0
