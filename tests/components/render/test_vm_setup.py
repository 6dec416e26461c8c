"""The script that makes a VM a Docker host: its text, and what it does where commands are stand-ins."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from components.render import vm_setup

BASH = shutil.which("bash")
SH = shutil.which("sh")

# Commands that a machine has anyway.
PLAIN = ("env", "id", "sh", "sleep", "timeout", "touch", "cat", "chmod")
LOG = 'echo "$(basename "$0") $*" >> "$LOG"\n'
DOCKER = LOG + 'case "$*" in *Version*) echo 28.5.1 ;; esac\n'
STAND_INS = {
    "cloud-init": LOG,
    "systemctl": LOG,
    "usermod": LOG,
    # What sudo runs as another user isn't of interest here, that it is asked is.
    "sudo": LOG + '[ "$1" = -n ] && shift\n[ "$1" = -u ] && shift 2\nexec "$@"\n',
    "apt-get": LOG + f"case \"$*\" in *install*) printf '#!/bin/sh\\n%s' '{DOCKER}' > \"$BIN/docker\"\n"
    'chmod +x "$BIN/docker" ;; esac\n',
}


class Vm:
    """A directory of commands that is all the script finds."""

    def __init__(self, root: Path) -> None:
        self.bin, self.log = root / "bin", root / "log"
        self.bin.mkdir()
        self.log.touch()
        for name in (*PLAIN, "basename"):
            found = shutil.which(name)
            assert found is not None
            (self.bin / name).symlink_to(found)
        for name, body in STAND_INS.items():
            self.has(name, body)

    def has(self, name: str, body: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{body}", "utf-8")
        path.chmod(0o755)

    def lacks(self, name: str) -> None:
        (self.bin / name).unlink()

    def run(self, script: str | None = None) -> subprocess.CompletedProcess[str]:
        assert SH is not None
        return subprocess.run(
            [SH, "-c", script or vm_setup.setup_script()],
            env={"PATH": str(self.bin), "LOG": str(self.log), "BIN": str(self.bin)},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    @property
    def calls(self) -> list[str]:
        return [line for line in self.log.read_text("utf-8").splitlines() if not line.startswith("sudo")]


@pytest.fixture
def vm(tmp_path: Path) -> Vm:
    return Vm(tmp_path)


def test_the_text_begins_with_its_times_and_stops_at_the_first_error() -> None:
    assert vm_setup.setup_script().startswith("set -eu\ncloud_init=900\napt_lock=300\ndaemon=120\nfail() {\n")


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_shells_can_read_it(shell: str) -> None:
    path = shutil.which(shell)
    assert path is not None
    result = subprocess.run(
        [path, "-n"], input=vm_setup.setup_script(), capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_docker_is_installed_after_cloud_init_and_waited_for(vm: Vm) -> None:
    result = vm.run()
    assert (result.returncode, result.stdout) == (0, "Docker 28.5.1 is ready\n"), result.stderr
    user = os.environ.get("USER") or subprocess.check_output(["id", "-un"], text=True).strip()
    assert vm.calls == [
        "cloud-init status --wait",
        "apt-get -q -o DPkg::Lock::Timeout=300 update",
        "apt-get -q -o DPkg::Lock::Timeout=300 install -y docker.io",
        "systemctl enable --now docker",
        f"usermod -aG docker {user}",
        "docker info",
        "docker info --format {{.ServerVersion}}",
    ]


def test_docker_that_is_there_is_left_alone(vm: Vm) -> None:
    vm.has("docker", DOCKER)
    vm.lacks("cloud-init")
    assert vm.run().returncode == 0
    assert [call for call in vm.calls if call.startswith(("apt-get", "cloud-init"))] == []


def test_recoverable_errors_of_cloud_init_are_no_reason_to_stop(vm: Vm) -> None:
    vm.has("cloud-init", "exit 2")
    assert vm.run().returncode == 0


@pytest.mark.parametrize(
    ("name", "body", "words"),
    [
        ("cloud-init", "exit 1", "run there: cloud-init status --long"),
        ("cloud-init", "exec sleep 60", "cloud-init isn't done after 1 s"),
        ("apt-get", 'case "$*" in *update*) exit 100 ;; esac', "no package index; does it reach its mirror"),
        ("apt-get", 'case "$*" in *install*) exit 100 ;; esac', "docker.io can't be installed"),
        ("systemctl", "exit 1", "the service doesn't start"),
    ],
)
def test_what_fails_is_told_with_where_to_look(vm: Vm, name: str, body: str, words: str) -> None:
    vm.has(name, f"{body}\n")
    result = vm.run(vm_setup.setup_script().replace("cloud_init=900", "cloud_init=1"))
    assert result.returncode == 1
    assert words in result.stderr
    assert "run pulumi up again" in result.stderr
    assert result.stdout == ""


def test_another_distribution_is_told(vm: Vm) -> None:
    vm.lacks("apt-get")
    result = vm.run()
    assert result.returncode == 1
    assert "take an image of Debian or Ubuntu" in result.stderr


def test_a_daemon_that_never_answers_is_told(vm: Vm) -> None:
    vm.has("docker", "exit 1\n")
    result = vm.run(vm_setup.setup_script().replace("daemon=120", "daemon=1"))
    assert result.returncode == 1
    assert "docker info doesn't answer" in result.stderr
