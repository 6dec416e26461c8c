"""The installer for Linux guests, run for real in a machine with systemd; the exporter is a stand-in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import docker
import pytest
from docker.errors import DockerException, NotFound
from docker.models.containers import Container

from components.render.linux_installer import FILE_NAME, script
from tests.support import guest_machine
from tests.support.booted import MIRROR_PORT
from tests.support.containers import run
from tests.support.examples import MINIMAL, settings
from tests.support.guest_machine import put, release
from tests.support.platform import wait_for

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("docker_ready"), pytest.mark.xdist_group("guest")]

NAME = "pve-monitoring-test-guest"
PROMETHEUS = "192.0.2.10"
PATH = f"/root/{FILE_NAME}"


class Guest:
    """A guest, and the installer for it."""

    def __init__(self, container: Container) -> None:
        self.container = container
        self.checksums = {version: release(container, version) for version in ("1.12.1", "1.13.0")}

    def install(self, *words: str, version: str = "1.12.1", **changes: Any) -> tuple[int, str]:
        """Run the installer; its exit code and what it printed."""
        port = changes.pop("port", 9100)
        linux = {
            "version": version,
            "sha256": self.checksums[version],
            "downloadBaseUrl": f"http://127.0.0.1:{MIRROR_PORT}",
            **changes,
        }
        values = {
            **MINIMAL,
            "guestExporters": {"linux": linux},
            "scrape": {"exporterPorts": {"linux": port, "node": 9101}},
        }
        put(self.container, {PATH.lstrip("/"): script(settings(values), (PROMETHEUS,)).encode()})
        return run(self.container, "sh", PATH, *words)

    def show(self, *properties: str) -> str:
        """Properties of the unit, one to a line."""
        return self.sh(f"systemctl show -p {','.join(properties)} pve-monitoring-node-exporter")

    @property
    def traces(self) -> str:
        """What an installation leaves."""
        return self.sh(
            "ls -d /usr/local/lib/pve-monitoring /etc/systemd/system/pve-monitoring* /tmp/* 2>/dev/null"
            " | grep -v systemd-private"
        )

    def page(self, port: int = 9100) -> str:
        return self.sh(f"wget -q -O - http://127.0.0.1:{port}/metrics")

    def sh(self, line: str) -> str:
        return run(self.container, "sh", "-c", line)[1]


@pytest.fixture(scope="module")
def guest() -> Iterator[Guest]:
    client = docker.from_env()
    try:
        guest_machine.build(client)
    except DockerException as error:
        pytest.skip(f"the machine can't be built: {error}")
    with contextlib.suppress(NotFound):
        client.containers.get(NAME).remove(force=True, v=True)
    try:
        container = guest_machine.start(client, NAME)
        wait_for("systemd", lambda: run(container, "systemctl", "is-system-running")[1].strip() in READY, 60)
        run(container, "systemctl", "start", "mirror")
        made = Guest(container)
        wait_for("the mirror", lambda: made.sh(f"wget -q -O - http://127.0.0.1:{MIRROR_PORT}/"), 20)
        yield made
    finally:
        with contextlib.suppress(NotFound):
            client.containers.get(NAME).remove(force=True, v=True)


READY = ("running", "degraded")


def test_it_installs_upgrades_mends_and_removes(guest: Guest) -> None:
    code, said = guest.install()
    assert (code, "1.12.1 is installed and answers on port 9100" in said) == (0, True), said
    assert 'version="1.12.1"' in guest.page()
    assert 'as{user="pve-monitoring"}' in guest.page()
    unit = guest.show("NoNewPrivileges", "ProtectSystem", "UnitFileState")
    assert set(unit.split()) == {"NoNewPrivileges=yes", "ProtectSystem=strict", "UnitFileState=enabled"}

    started = guest.show("ExecMainPID")
    assert guest.install() == (0, f"node_exporter on {NAME}: 1.12.1: nothing to change\n")
    assert guest.show("ExecMainPID") == started

    # Somebody stops it, somebody changes the program.
    guest.sh("systemctl disable --now pve-monitoring-node-exporter")
    assert guest.install()[0] == 0
    guest.sh("echo >> /usr/local/lib/pve-monitoring/bin/node_exporter-1.12.1")
    code, said = guest.install()
    assert (code, "is installed and answers" in said) == (0, True), said

    code, said = guest.install(version="1.13.0", port=9200)
    assert (code, 'version="1.13.0"' in guest.page(9200)) == (0, True), said
    assert "1.12.1" not in guest.sh("ls /usr/local/lib/pve-monitoring/bin")

    assert guest.install("--uninstall", version="1.13.0")[0] == 0
    assert guest.page(9200) == ""
    assert guest.traces == ""
    assert "pve-monitoring" not in guest.sh("cat /etc/passwd")
    assert "nothing to remove" in guest.install("--uninstall")[1]


def test_what_is_wrong_is_told_and_nothing_is_changed(guest: Guest) -> None:
    code, said = guest.install(sha256="ab" * 32)
    assert (code, "take the checksum from https://github.com" in said) == (1, True), said
    code, said = guest.install(downloadBaseUrl="http://127.0.0.1:1")
    assert (code, "can't be read" in said, "downloadBaseUrl" in said) == (1, True, True), said
    code, said = guest.install(port=MIRROR_PORT)
    assert (code, f"port {MIRROR_PORT} is taken" in said) == (1, True)
    code, said = guest.install(webConfigFile="/etc/nothing.yml")
    assert (code, "/etc/nothing.yml doesn't exist" in said) == (1, True)
    code, said = guest.install("--archive", "/root/nothing.tar.gz")
    assert (code, "/root/nothing.tar.gz doesn't exist" in said) == (1, True)
    assert guest.traces == ""


def test_an_archive_that_is_there_needs_no_download(guest: Guest) -> None:
    folder = "/srv/mirror/prometheus/node_exporter/releases/download/v1.12.1"
    path = f"{folder}/node_exporter-1.12.1.linux-amd64.tar.gz"
    code, said = guest.install("--archive", path, downloadBaseUrl="http://127.0.0.1:1")
    assert code == 0, said
    assert guest.install("--uninstall")[0] == 0


def test_a_firewall_that_keeps_prometheus_out_is_told(guest: Guest) -> None:
    guest.sh(
        "nft add table inet filter; nft 'add chain inet filter input { type filter hook input priority 0; "
        "policy drop; }'; nft add rule inet filter input iif lo accept"
    )
    rule = f"nft insert rule inet filter input ip saddr {PROMETHEUS} tcp dport 9100 accept"
    try:
        assert rule in guest.install()[1]
        guest.sh(rule)
        assert "let Prometheus in" not in guest.install()[1]
    finally:
        guest.sh("nft flush ruleset")
        guest.install("--uninstall")
