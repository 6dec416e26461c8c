"""The VM on the cluster without an engine: what is registered for it, and what waits for it."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from components.monitoring_vm import image_file
from components.render.vm_setup import setup_script
from components.settings import PROJECT
from tests.support.examples import PROXMOX, TWO_VMS
from tests.support.pulumi_harness import Recording, deploy, plain_texts, secret_texts

from .test_program import SECRETS, program, run

PROXMOXVE = "pulumi:providers:proxmoxve"


def deployed(base: dict[str, Any] = PROXMOX, /, **changes: Any) -> Recording:
    values = copy.deepcopy(base)
    for path, value in changes.items():
        *parents, last = path.split("__")
        target = values
        for parent in parents:
            target = target.setdefault(parent, {})
        target[last] = value
    return deploy(program, config={f"{PROJECT}:{k}": v for k, v in values.items()}, secrets=SECRETS)


def test_the_machine_is_what_the_settings_say() -> None:
    machine = run("proxmox").named("monitoring-vm-machine").inputs
    assert (machine["name"], machine["nodeName"], machine["vmId"]) == ("pve-monitoring", "pve1", 9100)
    assert machine["memory"] == {"dedicated": 8192}
    assert machine["tags"] == ["monitoring", "pulumi"]
    assert machine["networkDevices"] == [{"bridge": "vmbr0", "model": "virtio", "vlanId": 20}]
    assert machine["startup"] == {"order": 1}
    assert machine["onBoot"]
    cloud_init = machine["initialization"]
    assert cloud_init["ipConfigs"] == [{"ipv4": {"address": "192.0.2.10/24", "gateway": "192.0.2.1"}}]
    assert cloud_init["dns"] == {"servers": ["192.0.2.53"]}
    assert cloud_init["userAccount"]["username"] == "monitoring"
    assert cloud_init["userAccount"]["keys"] == PROXMOX["docker"]["sshPublicKeys"]


def test_the_image_is_pinned_by_its_checksum_and_imported_without_ssh() -> None:
    recording = run("proxmox")
    image = recording.named("monitoring-vm-image")
    assert image.inputs["checksumAlgorithm"] == "sha512"
    assert image.inputs["checksum"] == PROXMOX["docker"]["imageChecksum"].partition(":")[2]
    assert image.inputs["overwrite"] is False
    assert image.inputs["contentType"] == "import"
    assert re.fullmatch(r"pve-monitoring-[0-9a-f]{12}\.qcow2", image.inputs["fileName"])
    (disk,) = recording.named("monitoring-vm-machine").inputs["disks"]
    assert disk["importFrom"] == "monitoring-vm-image-id"
    assert "fileId" not in disk


@pytest.mark.parametrize(
    ("url", "ending"),
    [("https://x/a.img", "qcow2"), ("https://x/a.qcow2?x=1", "qcow2"), ("https://x/a.raw", "raw")],
)
def test_an_image_has_an_ending_that_proxmox_ve_imports(url: str, ending: str) -> None:
    assert image_file("p", url, "00").endswith(ending)


def test_another_image_never_has_the_name_of_the_old_one() -> None:
    names = {
        image_file("p", url, digest) for url in ("https://x/a.img", "https://y/a.img") for digest in "ab"
    }
    assert len(names) == 4


def test_what_makes_the_provider_wait_open_ssh_or_reboot_is_off() -> None:
    machine = run("proxmox").named("monitoring-vm-machine").inputs
    assert machine["agent"] == {"enabled": False}
    assert machine["rebootAfterUpdate"] is False
    assert machine["stopOnDestroy"] is True
    # The host's own CD-ROM drive, the provider's default, takes Sys.Console on /.
    assert machine["cdrom"]["fileId"] == "none"
    assert machine["serialDevices"] == [{"device": "socket"}]
    assert [key for key in machine["initialization"] if key.endswith("FileId")] == []


def test_only_classes_are_used_that_the_provider_survives() -> None:
    used = {r.type for r in run("proxmox").custom if r.type.startswith("proxmoxve:")}
    assert used == {"proxmoxve:download/file:File", "proxmoxve:index/vmLegacy:VmLegacy"}


def test_the_provider_never_opens_ssh_to_an_address_that_the_api_reports() -> None:
    (provider,) = run("proxmox").of(PROXMOXVE)
    ssh = json.loads(provider.inputs["ssh"])
    assert ssh["nodes"] == [{"name": "pve1", "address": "127.0.0.1", "port": 9}]
    assert ssh["agent"] is False


@pytest.mark.parametrize("verify", [True, False])
def test_the_certificate_is_verified_unless_the_settings_say_otherwise(*, verify: bool) -> None:
    (provider,) = deployed(cluster__verifyTls=verify).of(PROXMOXVE)
    assert provider.inputs["insecure"] == ("false" if verify else "true")
    assert provider.inputs["endpoint"] == "https://192.0.2.11:8006"


def test_the_token_is_a_secret() -> None:
    (provider,) = run("proxmox").of(PROXMOXVE)
    token = "secret-value-of-pveProvisioningToken"
    assert token in secret_texts(provider.raw_inputs)
    assert token not in plain_texts(provider.raw_inputs)


@pytest.mark.parametrize("protect", [True, False])
def test_the_machine_is_protected_as_the_data_is(*, protect: bool) -> None:
    machine = deployed(containers__protectData=protect).named("monitoring-vm-machine")
    assert machine.request.protect is protect
    assert machine.inputs["protection"] is protect
    assert machine.request.deleteBeforeReplace
    assert set(machine.request.ignoreChanges) == {"disks[0].speed", "disks[0].importFrom", "nodeName"}


def test_docker_is_there_before_anything_is_asked_of_it() -> None:
    recording = run("proxmox")
    machine, gate = recording.named("monitoring-vm-machine"), recording.named("monitoring-vm-docker")
    assert gate.inputs["create"] == setup_script()
    assert machine.urn in gate.request.dependencies
    assert list(gate.request.replace_with) == [machine.urn]
    assert gate.request.deletedWith == machine.urn
    (provider,) = recording.of("pulumi:providers:docker")
    assert gate.urn in provider.request.dependencies
    assert provider.inputs["host"] == "ssh://monitoring@192.0.2.10:22"
    assert provider.inputs["disableDockerDaemonCheck"] == "true"


def test_a_docker_host_that_exists_is_checked_at_once() -> None:
    (provider,) = run("minimal").of("pulumi:providers:docker")
    assert "disableDockerDaemonCheck" not in provider.inputs
    assert run("minimal").of(PROXMOXVE) == []


def test_the_private_key_is_a_secret_and_without_one_the_agent_is_asked(tmp_path: Path) -> None:
    key = tmp_path / "id"
    key.write_text("the-private-key", "utf-8")
    gate = deployed(docker__identityFile=str(key)).named("monitoring-vm-docker")
    assert gate.inputs["connection"]["privateKey"] == "the-private-key"
    assert "the-private-key" not in plain_texts(gate.raw_inputs)
    assert "privateKey" not in run("proxmox").named("monitoring-vm-docker").inputs["connection"]


def test_the_second_vm_is_one_of_its_own_on_another_node() -> None:
    recording = run("two-vms")
    one, other = (recording.named(f"monitoring-vm{end}-machine").inputs for end in ("", "-b"))
    own = {"name": "pve-monitoring-b", "nodeName": "pve2", "vmId": 9101}
    assert {key: other[key] for key in own} == own
    assert other["initialization"]["ipConfigs"] == [
        {"ipv4": {"address": "192.0.2.20/24", "gateway": "192.0.2.1"}}
    ]
    assert [disk["datastoreId"] for disk in other["disks"]] == ["fast"]
    assert [disk["importFrom"] for disk in other["disks"]] == ["monitoring-vm-b-image-id"]
    differs = {key for key in one if one[key] != other[key]}
    assert differs == {*own, "initialization", "disks"}
    images = [recording.named(f"monitoring-vm{end}-image").inputs for end in ("", "-b")]
    assert [(i["nodeName"], i["datastoreId"]) for i in images] == [("pve1", "local"), ("pve2", "images")]
    # On a datastore that both nodes have, too.
    assert images[0]["fileName"] != images[1]["fileName"]
    # They are registered when each has looked at the cluster, in any order.
    providers = sorted(
        (r for r in recording.of(PROXMOXVE) if r.name.startswith("monitoring-vm")),
        key=lambda r: len(r.name),
    )
    assert [[n["name"] for n in json.loads(r.inputs["ssh"])["nodes"]] for r in providers] == [
        ["pve1"],
        ["pve2"],
    ]


@pytest.mark.parametrize("protect", [True, False])
def test_each_vm_is_guarded_by_itself(*, protect: bool) -> None:
    recording = deployed(TWO_VMS, containers__protectData=protect)
    for end in ("", "-b"):
        machine = recording.named(f"monitoring-vm{end}-machine")
        gate = recording.named(f"monitoring-vm{end}-docker")
        assert machine.request.protect is protect
        assert list(gate.request.replace_with) == [machine.urn]
        assert gate.request.deletedWith == machine.urn


def test_each_docker_host_waits_for_its_own_vm_alone() -> None:
    recording = run("two-vms")
    for host, end, address in (("a", "", "192.0.2.10"), ("b", "-b", "192.0.2.20")):
        provider = recording.named(f"host-{host}-docker")
        waits = {urn.rpartition("::")[2] for urn in provider.request.dependencies}
        assert {name for name in waits if name.startswith("monitoring-vm")} == {f"monitoring-vm{end}-docker"}
        assert provider.inputs["host"] == f"ssh://monitoring@{address}:22"


def test_a_second_vm_leaves_all_names_as_they_were() -> None:
    one = {key: value for key, value in TWO_VMS["docker"].items() if key != "replica"}
    alone = {r.urn for r in deployed(TWO_VMS, docker=one).custom}
    both = {r.urn for r in run("two-vms").custom}
    assert alone < both
    second = {urn.rpartition("::")[2] for urn in both - alone}
    assert {name for name in second if "-b" not in name} == set()
