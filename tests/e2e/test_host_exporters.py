"""Exporters on a host, with the real engine and provider; a container with systemd stands for the host."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker
import pytest
import requests
import yaml
from docker.errors import DockerException, NotFound
from docker.models.containers import Container

from components.exporters import NODE_EXPORTER, NVIDIA_GPU_EXPORTER, Exporter
from components.host_exporters import installations
from components.render.host_exporters import script
from components.settings import StackSettings
from lab.images.errors import ImageBuildFailed
from tests.support import systemd_machine
from tests.support.booted import MIRROR, MIRROR_PORT
from tests.support.examples import MINIMAL, ROOT, settings
from tests.support.platform import Platform, wait_for
from tests.support.ssh_machine import key_pair

pytestmark = [
    pytest.mark.docker,
    pytest.mark.pulumi_cli,
    pytest.mark.usefixtures("cli", "docker_ready"),
    pytest.mark.xdist_group("host-exporters"),
]

SSH, NODE, GPU, NOBODY = 22_922, 22_910, 22_983, 22_999
NAME = "pve-monitoring-systemd-machine-hosts"
NO_CHANGES = 0
NODE_UNIT = "pve-monitoring-node-exporter"
LISTENS = "until ss -ltn | grep :9100; do sleep 0.1; done"

# The part of the program that is tried here: the rest would bring up a whole stack each time.
PROGRAM = f"""\
import os, sys
os.chdir({str(ROOT)!r})
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from components import settings as configuration
from components.host_exporters import host_exporters
host_exporters(*configuration.load(Path()), [])
"""

# What stands for programs that can't be built here, or that must not work.
GPU_EXPORTER = """\
#!/usr/bin/python3
import http.server, sys
if "--version" in sys.argv:
    sys.exit(print("nvidia_gpu_exporter, version 1.14.0 (branch: main)"))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'nvidia_gpu_exporter_build_info{version="1.14.0"} 1\\n')
port = int(next(word for word in sys.argv if "listen-address" in word).rpartition(":")[2])
http.server.HTTPServer(("", port), Handler).serve_forever()
"""
MUTE = '#!/bin/sh\n[ "$1" = --version ] && echo "node_exporter, version {} (branch: x)" && exit\nexit 3\n'


class Site:
    """A stack's configuration, and the host that it is about."""

    def __init__(self, directory: Path) -> None:
        private, self.public_key = key_pair(str(directory))
        identity = directory / "id_ed25519"
        identity.write_bytes(private)
        identity.chmod(0o600)
        self.directory = directory
        self.platform = Platform("hosts", directory)
        self.machine: Container
        self.checksums: dict[str, str] = {}
        self.hosts = {"pve1": self.host()}
        self.values: dict[str, Any] = {
            "identityFile": str(identity),
            "downloadBaseUrl": f"http://127.0.0.1:{MIRROR_PORT}",
        }
        (directory / "__main__.py").write_text(PROGRAM, "utf-8")
        # The CLI looks up the program's packages by them.
        for name in ("pyproject.toml", "uv.lock"):
            if (ROOT / name).is_file():
                shutil.copy(ROOT / name, directory)
        project = {
            "name": "pve-monitoring",
            "runtime": {"name": "python", "options": {"toolchain": "uv", "virtualenv": str(ROOT / ".venv")}},
        }
        (directory / "Pulumi.yaml").write_text(yaml.safe_dump(project), "utf-8")

    def host(self, *, port: int = SSH, key: str | None = None) -> dict[str, Any]:
        return {"address": "127.0.0.1", "port": port, "hostKey": key or systemd_machine.host_key()[1]}

    def publish(self, exporter: Exporter, version: str, content: bytes) -> str:
        """Put a release where the host downloads it; returns its checksum."""
        archive, digest = systemd_machine.release("release", exporter.name, content)
        path = exporter.url(MIRROR.lstrip("/"), version)
        systemd_machine.put(self.machine, {path: (archive, 0o644)})
        return digest

    def wanted(self, version: str, **changes: Any) -> dict[str, Any]:
        node = {"version": version, "sha256": self.checksums[version]}
        return {**self.values, "hosts": self.hosts, "nodeExporter": node, **changes}

    def settings(self, version: str, **changes: Any) -> StackSettings:
        return settings({**MINIMAL, "hostExporters": self.wanted(version, **changes)})

    def script(
        self, version: str, kind: str = "node", order: str = "install", **changes: Any
    ) -> tuple[int, str]:
        """Run the script on the host as the provider does, without the engine."""
        made = self.settings(version, **changes)
        text = script(installations("pve1", made)[kind])
        systemd_machine.put(self.machine, {"root/script": (text.encode(), 0o600)})
        return systemd_machine.run(self.machine, f"bash -s {order} </root/script")

    def pulumi(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.platform._run([*words, "--stack", "hosts"], self.directory, {})

    def up(self, version: str, *words: str, **changes: Any) -> subprocess.CompletedProcess[str]:
        # The development stack's CA is the lab's, which isn't up here.
        wanted = {"cluster.caFile": None, "hostExporters": self.wanted(version, **changes)}
        self.platform.write_config(**wanted)
        return self.pulumi("up", "--yes", "--skip-preview", *words)

    def run(self, command: str) -> str:
        code, output = systemd_machine.run(self.machine, command)
        assert code == 0, (command, output)
        return output

    @property
    def page(self) -> str:
        return requests.get(f"http://127.0.0.1:{NODE}/metrics", timeout=10).text

    @property
    def version(self) -> str:
        line = next(line for line in self.page.splitlines() if line.startswith("node_exporter_build_info"))
        return line.partition(',version="')[2].partition('"')[0]

    @property
    def pid(self) -> str:
        return self.run("systemctl show --property MainPID --value pve-monitoring-node-exporter")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("hosts"))
    client: docker.DockerClient = made.platform.client
    try:
        programs = {version: systemd_machine.node_exporter(version) for version in ("1.12.1", "1.12.2")}
        systemd_machine.build(client)
    except (ImageBuildFailed, DockerException) as error:
        pytest.skip(f"the host of this test can't be made (is there Go, and a Debian mirror?): {error}")
    with suppress(NotFound):
        client.containers.get(NAME).remove(force=True, v=True)
    made.machine = systemd_machine.start(client, NAME, {22: SSH, 9100: NODE, 9835: GPU}, made.public_key)
    try:
        ready = systemd_machine.READY
        wait_for("systemd", lambda: systemd_machine.run(made.machine, ready)[0] == 0, 30, 0.3)
        for version, content in programs.items():
            made.checksums[version] = made.publish(NODE_EXPORTER, version, content)
        made.platform._run(["stack", "select", "--create", "hosts"], made.directory, {})
        yield made
    finally:
        made.machine.remove(force=True, v=True)


@pytest.fixture(scope="module")
def installed(site: Site) -> Site:
    """The host after its first up."""
    result = site.up("1.12.1")
    assert result.returncode == 0, result.stdout + result.stderr
    return site


def samples(page: str, name: str) -> dict[str, float]:
    """Values by label set."""
    lines = [line.rpartition(" ") for line in page.splitlines() if line.startswith((f"{name}{{", f"{name} "))]
    return {series.removeprefix(name): float(value) for series, _, value in lines}


def test_one_up_installs_everything(installed: Site) -> None:
    assert installed.version == "1.12.1"
    page = installed.page
    assert samples(page, "node_textfile_scrape_error") == {"": 0}
    healthy = samples(page, "smartmon_device_smart_healthy")
    assert healthy == {'{disk="/dev/sda",type="sat"}': 0, '{disk="/dev/nvme0",type="nvme"}': 1}
    assert samples(page, "nvme_percentage_used_ratio") == {'{device="nvme0"}': 0.12}
    assert set(samples(page, "vzdump_guest_last_success_timestamp_seconds")) == {'{vm_id="101"}'}
    assert set(samples(page, "vzdump_guest_last_failure_timestamp_seconds")) == {'{vm_id="105"}'}
    assert samples(page, "vzdump_job_last_failure_timestamp_seconds") == {'{backup_job="none"}': 0x692109A0}
    assert set(samples(page, "host_certificate_not_after_timestamp_seconds")) == {
        '{certificate="pve-ssl.pem"}'
    }
    assert samples(page, "apt_upgrades_pending")
    timers = installed.run("systemctl list-timers --no-legend 'pve-monitoring-*' | wc -l")
    assert timers.strip() == "4"


def test_hardening_takes_nothing_from_the_collectors(installed: Site) -> None:
    """The same program as root and without any limits tells the same, also of the host's file systems."""
    command = installed.run(
        "sed -n 's/^ExecStart=//p' /etc/systemd/system/pve-monitoring-node-exporter.service"
    )
    words = command.strip().replace("$$", "$").replace("\\\\", "\\").replace(":9100", ":9199")
    installed.run(f"systemd-run --quiet --unit=free sh -c '{words}'")
    read = "wget -qO- --tries=9 --retry-connrefused --waitretry=1 http://127.0.0.1:9199/metrics"
    free = installed.run(read)
    installed.run("systemctl stop free")

    def families(page: str) -> set[str]:
        return {line.split()[2] for line in page.splitlines() if line.startswith("# TYPE node_")}

    assert families(free) - families(installed.page) == set()
    assert "node_timex_offset_seconds" in families(installed.page)
    failed = {
        key for key, value in samples(installed.page, "node_scrape_collector_success").items() if not value
    }
    assert failed == {
        key for key, value in samples(free, "node_scrape_collector_success").items() if not value
    }
    for name in ("node_filesystem_readonly", "node_filesystem_size_bytes"):
        assert samples(installed.page, name) == samples(free, name)


def test_services_are_confined(installed: Site) -> None:
    for unit, limit in (("node-exporter", 25), ("collector-smart", 60), ("collector-backups", 50)):
        said = installed.run(f"systemd-analyze security --no-pager pve-monitoring-{unit} | tail -n 1")
        assert float(said.partition("for pve-monitoring-")[2].split()[1]) * 10 <= limit, said


def test_a_second_run_changes_nothing_and_says_so(installed: Site) -> None:
    before = installed.pid
    result = installed.pulumi("preview", "--expect-no-changes")
    assert result.returncode == NO_CHANGES, result.stdout + result.stderr
    code, output = installed.script("1.12.1")
    assert (code, output.strip()) == (0, f"node_exporter on {NAME}: 1.12.1: nothing to change")
    assert installed.pid == before


def test_a_killed_exporter_comes_back_and_a_stopped_one_is_started(installed: Site) -> None:
    before = installed.pid
    installed.run(f"kill -9 {before}")
    wait_for("the restart", lambda: installed.pid not in ("0\n", before) and installed.version, 20)
    installed.run("systemctl stop pve-monitoring-node-exporter")
    assert installed.script("1.12.1")[0] == 0
    assert installed.version == "1.12.1"


def test_a_wrong_checksum_changes_nothing(installed: Site) -> None:
    before = installed.pid
    wrong = {"version": "1.12.2", "sha256": "0" * 64}
    result = installed.up("1.12.2", nodeExporter=wrong)
    assert result.returncode != 0
    said = result.stdout + result.stderr
    assert f"the archive's SHA-256 is {installed.checksums['1.12.2']}" in said
    assert "but nodeExporter.sha256 is 0000" in said
    assert (installed.pid, installed.version) == (before, "1.12.1")


def test_an_upgrade_replaces_the_program_in_place(installed: Site) -> None:
    result = installed.up("1.12.2", textfileCollectors=["smart"])
    assert result.returncode == 0, result.stdout + result.stderr
    assert "~ 1 updated" in result.stdout
    assert installed.version == "1.12.2"
    programs = installed.run("ls /usr/local/lib/pve-monitoring/bin").split()
    assert [name.split("-")[1] for name in programs] == ["1.12.2", "1.12.2"]
    # Nothing is left of the collectors that are off now.
    assert "vzdump" not in installed.page
    assert installed.run("ls /var/lib/pve-monitoring/textfile").split() == ["smart.prom"]


def test_a_version_that_does_not_answer_is_taken_back(installed: Site) -> None:
    mute = MUTE.format("1.12.3").encode()
    installed.checksums["1.12.3"] = installed.publish(NODE_EXPORTER, "1.12.3", mute)
    code, output = installed.script("1.12.3", textfileCollectors=["smart"])
    assert code == 1
    assert "version 1.12.3 doesn't answer at http://127.0.0.1:9100/metrics" in output
    assert "The former one runs again." in output
    assert installed.version == "1.12.2"
    assert "1.12.3" not in installed.run("ls /usr/local/lib/pve-monitoring/bin")


@pytest.mark.parametrize(
    ("break_", "mend", "words"),
    [
        (
            "mount -t tmpfs -o size=1M none /usr/local/lib/pve-monitoring",
            "umount /usr/local/lib/pve-monitoring",
            "MiB are free where /usr/local/lib/pve-monitoring lies",
        ),
        ("mv /run/systemd/system /run/s", "mv /run/s /run/systemd/system", "isn't run by systemd"),
        ("mv /usr/bin/wget /root", "mv /root/wget /usr/bin", "run: apt-get install wget"),
        (
            f"systemctl stop {NODE_UNIT}; systemd-run -q --unit other python3 -m http.server 9100; {LISTENS}",
            "systemctl stop other",
            "port 9100 is taken by",
        ),
    ],
    ids=["disk full", "no systemd", "no wget", "port taken"],
)
def test_what_is_wrong_on_the_host_is_told(installed: Site, break_: str, mend: str, words: str) -> None:
    installed.run(break_)
    try:
        code, output = installed.script("1.12.1", textfileCollectors=["smart"])
        assert code == 1
        assert words in output
    finally:
        installed.run(mend)
        installed.run("systemctl start pve-monitoring-node-exporter")
    assert wait_for("the former one", lambda: installed.version, 10) == "1.12.2"


def test_a_missing_archive_is_told_with_its_url(installed: Site) -> None:
    installed.checksums["9.9.9"] = "0" * 64
    code, output = installed.script("9.9.9")
    assert code == 1
    assert "node_exporter-9.9.9.linux-amd64.tar.gz can't be downloaded" in output
    assert "hostExporters.downloadBaseUrl" in output


def test_another_host_key_is_refused_and_a_host_that_is_down_fails_alone(installed: Site) -> None:
    hosts = {
        "pve1": installed.host(),
        "pve2": installed.host(port=NOBODY),
        "pve3": installed.host(key=systemd_machine.host_key("somebody else")[1]),
    }
    result = installed.up("1.12.1", "--continue-on-error", hosts=hosts)
    said = result.stdout + result.stderr
    assert result.returncode != 0
    assert "connection refused" in said
    assert "host key" in said
    assert "host-exporters-pve3-node-exporter" in said
    # The one that is well has got what was wanted, all collectors included.
    assert installed.version == "1.12.1"
    assert "vzdump" in installed.page


def test_gpu_exporter_goes_where_a_driver_is(installed: Site) -> None:
    digest = installed.publish(NVIDIA_GPU_EXPORTER, "1.14.0", GPU_EXPORTER.encode())
    auto = {"version": "1.14.0", "sha256": digest}
    code, output = installed.script("1.12.1", "gpu", gpuExporter=auto)
    assert (code, output.strip().splitlines()[-1]) == (
        0,
        f"nvidia_gpu_exporter on {NAME}: no GPU whose driver runs here; nothing to install",
    )
    named = {**auto, "hosts": ["pve1"]}
    code, output = installed.script("1.12.1", "gpu", gpuExporter=named)
    assert code == 1
    assert "gpuExporter.hosts names this host" in output
    systemd_machine.put(installed.machine, {"usr/bin/nvidia-smi": (b"#!/bin/sh\necho GPU 0\n", 0o755)})
    result = installed.up("1.12.1", gpuExporter=named)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "nvidia_gpu_exporter_build_info" in requests.get(f"http://127.0.0.1:{GPU}/metrics", timeout=9).text
    assert installed.version == "1.12.1"


def test_an_archive_can_be_uploaded_instead(installed: Site, tmp_path: Path) -> None:
    archive = tmp_path / "node_exporter.tar.gz"
    content, digest = systemd_machine.release(
        "other", "node_exporter", systemd_machine.node_exporter("1.12.2")
    )
    archive.write_bytes(content)
    node = {"version": "1.12.2", "sha256": digest, "file": str(archive)}
    result = installed.up("1.12.2", nodeExporter=node, downloadBaseUrl="http://127.0.0.1:9")
    assert result.returncode == 0, result.stdout + result.stderr
    assert installed.version == "1.12.2"


def test_destroy_leaves_nothing_on_the_host(installed: Site) -> None:
    result = installed.pulumi("destroy", "--yes", "--skip-preview")
    assert result.returncode == 0, result.stdout + result.stderr
    left = installed.run(
        "find / -xdev \\( -path /proc -o -path /sys -o -path /srv -o -path /root/script \\) -prune "
        "-o -name '*pve-monitoring*' -print; systemctl list-units --all --no-legend 'pve-monitoring*'; "
        "getent passwd pve-monitoring || true; ss -H -ltn 'sport = :9100'"
    )
    assert [line for line in left.splitlines() if not line.startswith("/run/lock")] == []
    shutil.rmtree(installed.directory / "state")
