"""What is said before anything is made on a cluster, by a simulated one that runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from components import preflight_machine, rights
from components.preflight import Findings, Wanted, findings
from components.settings import ProxmoxDocker, StackSettings
from components.topology import machines
from lab.cluster.identities import PROVISIONER, TOKENS
from lab.cluster.settings import Settings
from tests.support.examples import MANAGED, PROXMOX, TWO_VMS, settings
from tests.support.live_lab import Live, live_lab

TOKEN = f"{PROVISIONER.id}={PROVISIONER.secret}"
NAME = "pve-monitoring"


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with live_lab(tmp_path_factory.mktemp("preflight") / "tls") as running:
        yield running


@pytest.fixture(autouse=True)
def nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples' addresses are nobody's."""
    monkeypatch.setattr(preflight_machine, "_answers", lambda *_: False)


def site(live: Live, base: dict[str, Any], **docker: Any) -> StackSettings:
    values = {
        **base,
        "cluster": {
            **base["cluster"],
            "endpoints": [f"https://127.0.0.1:{live.running.api_port}"],
            "caFile": str(live.ca),
        },
    }
    if docker:
        values["docker"] = {**base["docker"], **docker}
    return settings(values)


def of_vm(live: Live, token: str = TOKEN, name: str = NAME, **docker: Any) -> Findings:
    """What is found where a VM is to be made."""
    made = site(live, PROXMOX, **docker)
    machine = made.docker
    assert isinstance(machine, ProxmoxDocker)
    return findings(token, made, Wanted(rights.of_machine(machine), (machine.node,), machine, name))


def test_a_cluster_that_is_ready_is_told_nothing_of(live: Live) -> None:
    assert of_vm(live) == Findings()


@pytest.mark.parametrize(
    ("docker", "text"),
    [
        (
            {"vmId": 101},
            "docker.vmId: 101 is win-dc01 on pve1; give a free one (pvesh get /cluster/nextid)",
        ),
        ({"node": "pve9"}, "docker.node: the cluster has no pve9; its members are pve1, pve2, pve3"),
        (
            {"imageDatastore": "local-lvm"},
            "docker.imageDatastore: local-lvm is of type lvmthin, which can't hold import; local would do",
        ),
        (
            {"imageDatastore": "nfs-backup"},
            (
                "docker.imageDatastore: nfs-backup doesn't hold import; run pvesm set nfs-backup --content "
                "backup,import; local would do"
            ),
        ),
        (
            {"diskDatastore": "local"},
            (
                "docker.diskDatastore: local doesn't hold images; run pvesm set local --content "
                "iso,vztmpl,backup,import,images; ceph-vm, local-lvm would do"
            ),
        ),
        (
            {"diskDatastore": "nope"},
            (
                "docker.diskDatastore: nope is no storage of pve1 that the token sees; "
                "ceph-vm, local-lvm would do"
            ),
        ),
    ],
)
def test_what_can_not_be_is_told_with_its_setting(live: Live, docker: dict[str, Any], text: str) -> None:
    found = of_vm(live, **docker)
    assert text in found.refused, found


@pytest.mark.parametrize(
    ("replica", "text"),
    [
        ({"vmId": 101}, "docker.replica.vmId: 101 is win-dc01 on pve1; give a free one"),
        ({"node": "pve9"}, "docker.replica.node: the cluster has no pve9; its members are"),
        ({"imageDatastore": "local-lvm"}, "docker.replica.imageDatastore: local-lvm is of type lvmthin"),
        ({"diskDatastore": "nope"}, "docker.replica.diskDatastore: nope is no storage of pve2"),
    ],
)
def test_what_the_second_vm_can_not_be_is_told_with_its_own_setting(
    live: Live, replica: dict[str, Any], text: str
) -> None:
    given = {"node": "pve2", "vmId": 9101, "address": "192.0.2.20/24", **replica}
    made = site(live, TWO_VMS, replica=given)
    second = machines(made)["b"]
    wanted = Wanted(rights.of_machine(second), (second.node,), second, f"{NAME}-b", "docker.replica")
    assert [found for found in findings(TOKEN, made, wanted).refused if found.startswith(text)]


def test_a_disk_that_does_not_fit_is_told(live: Live) -> None:
    (text,) = of_vm(live, diskGib=900_000).refused
    assert text.startswith("docker.diskDatastore: local-lvm on pve1 has ")
    assert text.endswith(" GiB left, and docker.diskGib is 900000; make room there, or the disk smaller")


def test_where_no_other_storage_would_do_it_says_what_to_do() -> None:
    room = preflight_machine.Room("docker.diskDatastore", "nope", "images")
    text = preflight_machine._storage_problem(room, "pve1", {})
    assert text == (
        "docker.diskDatastore: nope is no storage of pve1 that the token sees; make one, or give the token "
        "Datastore.Audit on it"
    )


def test_a_member_that_is_down_is_told(live: Live) -> None:
    with live.client.fault("host_down", "pve2"):
        found = of_vm(live, node="pve2")
    assert found.refused == ("docker.node: pve2 is offline; start it, or name another member",)


def test_an_address_that_somebody_has_is_told(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight_machine, "_answers", lambda _, port: port == 443)
    assert of_vm(live).refused == (
        "docker.address: something answers at 192.0.2.10 already; give a free one",
    )


def test_all_of_it_is_told_at_once(live: Live) -> None:
    assert len(of_vm(live, vmId=101, imageDatastore="nope", diskDatastore="nope").refused) == 3


@pytest.mark.parametrize(
    ("privilege", "line"),
    [
        ("VM.Allocate", "VM.Allocate on /vms/9100, for POST /nodes/pve1/qemu"),
        ("VM.PowerMgmt", "VM.PowerMgmt on /vms/9100, for POST /nodes/pve1/qemu/9100/status/start"),
        (
            "Datastore.AllocateTemplate",
            "Datastore.AllocateTemplate on /storage/local, for POST /nodes/pve1/storage/local/download-url",
        ),
        ("SDN.Use", "SDN.Use on /sdn/zones/localnetwork/vmbr0/20, for POST /nodes/pve1/qemu"),
    ],
)
def test_a_missing_right_is_told_with_path_and_call(live: Live, privilege: str, line: str) -> None:
    with live.client.fault("permission_lost", PROVISIONER.id, privilege=privilege):
        (text,) = of_vm(live).refused
    assert f"\n      {line}\n" in text
    assert f"pveum acl modify PATH --users provisioning@pve --tokens '{PROVISIONER.id}' --roles ROLE" in text


def test_what_is_there_already_goes_on_with_a_warning(live: Live) -> None:
    with live.client.fault("permission_lost", PROVISIONER.id, privilege="VM.Allocate"):
        found = of_vm(live, name="win-dc01", vmId=101, diskDatastore="nope")
    assert found.refused == ()
    (text,) = found.warned
    assert "VM.Allocate on /vms/101, for POST /nodes/pve1/qemu" in text


@pytest.mark.parametrize(
    ("kind", "target", "said", "advice"),
    [
        ("token_revoked", PROVISIONER.id, "isn't accepted", "config set --secret pveProvisioningToken"),
        ("api_down", "pve1", "no member of the cluster answers:", "systemctl status pveproxy"),
    ],
)
def test_who_can_not_ask_says_so_and_holds_nothing_up(
    live: Live, kind: str, target: str, said: str, advice: str
) -> None:
    with live.client.fault(kind, target):
        found = of_vm(live)
    (text,) = found.warned
    assert text.startswith("pveProvisioningToken: ")
    assert said in text
    assert advice in text
    assert found.refused == ()


def test_a_text_that_is_no_token_is_not_repeated(live: Live) -> None:
    (text,) = of_vm(live, token="hunter2").warned
    assert "user@realm!name=secret" in text
    assert "hunter2" not in text


def test_7_is_refused_with_the_reason(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Settings, "version", property(lambda _: ("7.4", "7.4-17", "513c62be")))
    (text,) = of_vm(live).refused
    assert text.startswith("the cluster runs Proxmox VE 7, which has had no update since July 2024")


def test_a_release_that_differs_from_the_settings_is_told(live: Live) -> None:
    made = site(live, MANAGED)
    found = findings(TOKEN, made, Wanted(rights.of_access(made.access)))
    assert found.warned == ("access.release is 8, but the cluster runs Proxmox VE 9; write 9",)


def test_a_reader_has_none_of_the_rights(live: Live) -> None:
    reader = next(token for token in TOKENS.values() if token.id.startswith("discovery@"))
    made = site(live, MANAGED)
    (text, *_) = findings(f"{reader.id}={reader.secret}", made, Wanted(rights.of_access(made.access))).warned[
        1:
    ]
    for need in rights.of_access(made.access):
        if need.privileges != ("Pool.Audit",):
            assert f"{need.privileges[0]} on {need.path}, for {need.call}" in text
