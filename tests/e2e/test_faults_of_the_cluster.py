"""A VM that can't be made, by the real engine and provider: what is told, and that the next `up` goes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from components.monitoring_vm import MonitoringVm, MonitoringVmArgs
from components.settings import ProxmoxDocker, Secret, Secrets, StackSettings
from tests.support.examples import PROXMOX
from tests.support.inline_stack import FAILED, NO_CHANGES, PROVISIONING_TOKEN, InlineStack
from tests.support.live_lab import Live, live_lab

pytestmark = [
    pytest.mark.pulumi_cli,
    pytest.mark.usefixtures("cli"),
    pytest.mark.xdist_group("cluster-faults"),
]

VM_ID = 9100
CHECKSUM = "0123456789abcdef" * 4


def register(settings: StackSettings, secrets: Secrets) -> None:
    """Image and VM alone: nothing boots in a simulated cluster."""
    assert isinstance(settings.docker, ProxmoxDocker)
    args = MonitoringVmArgs(
        machine=settings.docker,
        machine_name="monitoring",
        setting="docker",
        settings=settings,
        token=secrets[Secret.PVE_PROVISIONING_TOKEN],
        wait=False,
    )
    MonitoringVm("monitoring-vm", args)


@dataclass(frozen=True)
class Site:
    """A stack of one VM, and the cluster that it is made on."""

    stack: InlineStack
    live: Live

    def configure(self, **docker: Any) -> None:
        """Write the stack file, with other keys below `docker` than usually."""
        cluster = {
            **PROXMOX["cluster"],
            "endpoints": [f"https://127.0.0.1:{self.live.running.api_port}"],
            "caFile": str(self.live.ca),
        }
        machine = {
            **PROXMOX["docker"],
            "vmId": VM_ID,
            "address": "127.0.0.1/8",
            "gateway": "127.0.0.2",
            "imageChecksum": f"sha256:{CHECKSUM}",
        }
        values = {"cluster": cluster, "gateway": {"enabled": False}, "docker": {**machine, **docker}}
        self.stack.configure({**values, "pveProvisioningToken": PROVISIONING_TOKEN})

    @property
    def made(self) -> list[int]:
        return sorted(self.live.lab.provisioned.machines)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("cluster-faults")
    with live_lab(directory / "tls") as live:
        environment = {"SSL_CERT_FILE": str(live.ca)}
        stack = InlineStack("faults", directory, f"{__name__}:register", environment)
        made = Site(stack, live)
        made.configure()
        yield made


def test_an_api_that_is_away_is_told_with_what_to_look_at(site: Site) -> None:
    with site.live.client.fault("api_down", "all"):
        result = site.stack.up()
    assert result.code == FAILED
    assert "pveProvisioningToken: no member of the cluster answers:" in result.output
    assert "systemctl status pveproxy" in result.output


def test_an_image_with_another_checksum_makes_no_machine(site: Site) -> None:
    with site.live.client.fault("download_damaged", "pve1"):
        result = site.stack.up()
    assert result.code == FAILED
    assert "monitoring-vm-image" in result.output
    assert f"checksum mismatch: got '{'0' * 64}' != expect '{CHECKSUM}'" in result.output
    assert (site.made, site.live.lab.provisioned.images) == ([], {})


def test_a_number_that_is_taken_is_told_with_another(site: Site) -> None:
    site.configure(vmId=101)
    result = site.stack.up()
    site.configure()
    assert result.code == FAILED
    assert (
        "docker.vmId: 101 is win-dc01 on pve1; give a free one (pvesh get /cluster/nextid)" in result.output
    )


def test_the_next_up_makes_what_failed(site: Site) -> None:
    result = site.stack.up()
    assert result.code == NO_CHANGES, result.output
    assert site.made == [VM_ID]
    assert site.stack.drift().code == NO_CHANGES


def test_nothing_is_left_behind(site: Site) -> None:
    result = site.stack.destroy()
    assert result.code == NO_CHANGES, result.output
    assert (site.made, site.live.lab.provisioned.images) == ([], {})
