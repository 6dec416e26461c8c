"""Machines that are made through the API: what a provider sends, what Proxmox VE makes of it, who may."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from lab.cluster.api.agent import Agent
from lab.cluster.api.machine_config import options, required
from lab.cluster.api.routes import routes
from lab.cluster.api.stats import Stats
from lab.cluster.identities import DISCOVERY, EXPORTER, NO_AUDIT, PROVISIONER, PROVISIONING, Token
from lab.cluster.provisioned import TASK_SECONDS
from lab.cluster.state import Lab

from .conftest import Live

VM = "/nodes/pve1/qemu/900"
IMPORT = "local:import/debian.qcow2"
DOWNLOAD = {
    "content": "import",
    "filename": "debian.qcow2",
    "node": "pve1",
    "storage": "local",
    "url": "https://images.example.com/debian.qcow2",
    "checksum": "ab" * 32,
    "checksum-algorithm": "sha256",
}
# As bpg/proxmox 0.111 sends it.
CREATE = {
    "vmid": "900",
    "name": "monitoring",
    "agent": "enabled=0,fstrim_cloned_disks=0,type=virtio",
    "boot": "order=scsi0",
    "ciuser": "monitoring",
    "cores": "2",
    "cpu": "x86-64-v2-AES",
    "ide2": "file=local-lvm:cloudinit,",
    "ide3": "file=none,media=cdrom,",
    "ipconfig0": "gw=192.0.2.1,ip=192.0.2.10/24",
    "memory": "4096",
    "net0": "model=virtio,bridge=vmbr0,firewall=0",
    "onboot": "1",
    "ostype": "l26",
    "protection": "0",
    "scsi0": f"file=local-lvm:0,import-from={IMPORT},size=68719476736,aio=io_uring,discard=on,iothread=1",
    "scsihw": "virtio-scsi-single",
    "serial0": "socket",
    "sockets": "1",
    "sshkeys": "ssh-ed25519%20AAAA%20ops",
    "tags": "pulumi;Monitoring",
}


def send(live: Live, method: str, path: str, form: dict[str, Any] | None = None, **kwargs: Any) -> Any:
    answer = live.api(path, method=method, form=form, **{"token": PROVISIONER, **kwargs})
    assert answer.status_code == 200, (path, answer.status_code, answer.reason, answer.text)
    return answer.json()["data"]


def refused(live: Live, method: str, path: str, form: dict[str, Any] | None = None, **kwargs: Any) -> str:
    answer = live.api(path, method=method, form=form, **{"token": PROVISIONER, **kwargs})
    assert answer.status_code != 200, path
    errors = answer.json().get("errors") or {}
    return f"{answer.status_code} {answer.reason} {errors or ''}".strip()


def make(live: Live, **changes: str) -> str:
    """Fetch an image, create a machine from it, and start it; the task of the last step."""
    send(live, "POST", "/nodes/pve1/storage/local/download-url", DOWNLOAD)
    send(live, "POST", "/nodes/pve1/qemu", CREATE | changes)
    send(live, "PUT", f"{VM}/resize", {"disk": "scsi0", "size": "68719476736"})
    return str(send(live, "POST", f"{VM}/status/start", {"timeout": "1800"}))


@pytest.fixture
def fresh(start_lab: Callable[..., Live]) -> Live:
    """A lab of one test: what is made stays."""
    return start_lab()


def test_a_machine_is_stored_as_proxmox_ve_writes_it(fresh: Live) -> None:
    make(fresh)
    config = fresh.data(f"{VM}/config")
    assert config["scsi0"] == "local-lvm:vm-900-disk-0,aio=io_uring,discard=on,iothread=1,size=64G"
    assert config["ide2"] == "local-lvm:vm-900-cloudinit,media=cdrom,size=4M"
    assert config["ide3"] == "none,media=cdrom"
    assert re.fullmatch(r"virtio=BC:24:11(:[0-9A-F]{2}){3},bridge=vmbr0,firewall=0", config["net0"])
    assert config["tags"] == "monitoring;pulumi"
    assert (config["memory"], config["cores"], config["onboot"]) == ("4096", 2, 1)
    assert config["sshkeys"] == "ssh-ed25519%20AAAA%20ops"
    assert {"vmid", "node", "status"} & set(config) == set()


def test_a_machine_is_seen_wherever_guests_are(fresh: Live) -> None:
    make(fresh)
    (entry,) = [e for e in fresh.data("/cluster/resources?type=vm") if e["vmid"] == 900]
    assert (entry["node"], entry["status"], entry["name"]) == ("pve1", "running", "monitoring")
    assert (entry["maxmem"], entry["maxdisk"]) == (4096 * 1024**2, 64 * 1024**3)
    assert 900 in {e["vmid"] for e in fresh.data("/nodes/pve1/qemu")}
    assert fresh.data(f"{VM}/status/current")["qmpstatus"] == "running"
    answer = fresh.api(f"{VM}/agent/network-get-interfaces")
    assert (answer.status_code, answer.reason) == (500, "No QEMU guest agent configured")


def test_a_machine_that_is_made_in_a_pool_is_its_member(fresh: Live) -> None:
    make(fresh, pool="windows")
    (entry,) = [e for e in fresh.data("/cluster/resources?type=vm") if e["vmid"] == 900]
    assert entry["pool"] == "windows"
    (pool,) = fresh.data("/pools?poolid=windows")
    assert 900 in {member["vmid"] for member in pool["members"]}
    assert "pool" not in fresh.data(f"{VM}/config")
    answer = refused(fresh, "POST", "/nodes/pve1/qemu", CREATE | {"vmid": "901", "pool": "none"})
    assert answer == "500 pool 'none' does not exist"


def test_a_change_waits_for_the_next_boot_and_shows_in_the_configuration(fresh: Live) -> None:
    make(fresh)
    before = fresh.data(f"{VM}/config")["digest"]
    assert send(fresh, "PUT", f"{VM}/config", {"memory": "8192", "delete": "sshkeys"}) is None
    config = fresh.data(f"{VM}/config")
    assert config["memory"] == "8192"
    assert "sshkeys" not in config
    assert config["digest"] != before
    assert fresh.data(f"{VM}/status/current")["maxmem"] == 4096 * 1024**2
    assert send(fresh, "PUT", f"{VM}/cloudinit") is None
    send(fresh, "POST", f"{VM}/status/reboot")
    assert fresh.data(f"{VM}/status/current")["maxmem"] == 8192 * 1024**2


def test_a_task_runs_and_then_ends_well(fresh: Live) -> None:
    upid = make(fresh)
    assert re.fullmatch(
        r"UPID:pve1:[0-9A-F]{8}:[0-9A-F]{8}:[0-9A-F]{8}:qmstart:900:provisioning@pve!pulumi:", upid
    )
    assert fresh.data(f"/nodes/pve1/tasks/{upid}/status", token=PROVISIONER)["status"] == "running"
    time.sleep(TASK_SECONDS)
    done = fresh.data(f"/nodes/pve1/tasks/{upid}/status", token=PROVISIONER)
    assert (done["status"], done["exitstatus"]) == ("stopped", "OK")
    assert refused(fresh, "GET", f"/nodes/pve1/tasks/{upid}/status", token=NO_AUDIT).startswith("403")
    assert "no such task" in refused(fresh, "GET", "/nodes/pve1/tasks/UPID:x/status")


def test_an_image_with_another_checksum_fails_its_task_and_does_not_stay(fresh: Live) -> None:
    path = "/nodes/pve1/storage/local"
    with fresh.client.fault("download_damaged", "pve1"):
        upid = send(fresh, "POST", f"{path}/download-url", DOWNLOAD)
    time.sleep(TASK_SECONDS)
    done = fresh.data(f"/nodes/pve1/tasks/{upid}/status", token=PROVISIONER)
    assert done["exitstatus"] == f"checksum mismatch: got '{'0' * 64}' != expect '{'ab' * 32}'"
    assert fresh.data(f"/nodes/pve1/tasks/{upid}/log", token=PROVISIONER)[0]["t"].startswith("TASK ERROR")
    # As bpg/proxmox does after a task that failed.
    assert send(fresh, "DELETE", f"/nodes/pve1/tasks/{upid}") is None
    assert fresh.data(f"{path}/content", token=PROVISIONER) == []


def test_a_machine_goes_when_it_is_stopped_and_not_protected(fresh: Live) -> None:
    make(fresh, protection="1")
    gone = f"{VM}/?destroy-unreferenced-disks=1&purge=1"
    assert refused(fresh, "DELETE", gone) == "500 can't remove VM 900 - protection mode enabled"
    send(fresh, "PUT", f"{VM}/config", {"protection": "0"})
    assert refused(fresh, "DELETE", gone) == "500 VM 900 is running - destroy failed"
    send(fresh, "POST", f"{VM}/status/stop")
    send(fresh, "DELETE", gone)
    text = "500 Configuration file 'nodes/pve1/qemu-server/900.conf' does not exist"
    assert refused(fresh, "GET", f"{VM}/config") == text
    send(fresh, "DELETE", "/nodes/pve1/storage/local/content/local:import%2Fdebian.qcow2")
    assert fresh.data("/nodes/pve1/storage/local/content") == []


def test_what_cannot_be_is_refused_in_proxmox_ves_words(fresh: Live) -> None:
    store = "/nodes/pve1/storage/local/download-url"
    missing = {**CREATE, "scsi0": "file=local-lvm:0,import-from=local:import/none.qcow2"}
    assert refused(fresh, "POST", "/nodes/pve1/qemu", missing).endswith(
        "'local:import/none.qcow2' does not exist"
    )
    make(fresh)
    for method, path, form, text in (
        ("POST", "/nodes/pve1/qemu", CREATE, "VM 900 already exists"),
        ("POST", "/nodes/pve1/qemu", CREATE | {"vmid": "101"}, "VM 101 already exists"),
        ("POST", "/nodes/pve1/qemu", {"nonsense": "1", **CREATE}, "not defined in schema"),
        ("POST", "/nodes/pve1/qemu", {"name": "x"}, "property is missing"),
        ("POST", store, DOWNLOAD, "refusing to override existing file"),
        ("POST", store, DOWNLOAD | {"filename": "debian.txt"}, "wrong file extension"),
        ("POST", store.replace("local", "ceph-vm"), DOWNLOAD, "content-type 'import'"),
        ("PUT", f"{VM}/resize", {"disk": "scsi0", "size": "1G"}, "shrinking disks is not supported"),
        ("PUT", f"{VM}/resize", {"disk": "scsi7", "size": "1G"}, "disk 'scsi7' does not exist"),
        ("POST", f"{VM}/status/start", None, "VM 900 already running"),
        # The guests that the lab was built with stay as they are.
        ("PUT", "/nodes/pve1/qemu/101/config", {"memory": "512"}, "does not exist"),
    ):
        assert text in refused(fresh, method, path, form), path


STORAGE = "/nodes/pve1/storage/local"
# Method, path, form, and what the 403 names.
WRITES: list[tuple[str, str, dict[str, str] | None, str]] = [
    ("POST", f"{STORAGE}/download-url", DOWNLOAD, "/storage/local, Datastore.AllocateTemplate"),
    ("DELETE", f"{STORAGE}/content/local:import%2Fa.img", None, "/storage/local, Datastore.Allocate"),
    ("DELETE", "/nodes/pve1/tasks/UPID:pve1:1:1:1:qmstart:900:root@pam:", None, "/nodes/pve1, Sys.Modify"),
    ("POST", "/nodes/pve1/qemu", CREATE, "/vms/900, VM.Allocate"),
    ("PUT", f"{VM}/config", {"memory": "512"}, "/vms/900, VM.Config.Memory"),
    ("POST", f"{VM}/config", {"memory": "512"}, "/vms/900, VM.Config.Memory"),
    ("PUT", f"{VM}/resize", {"disk": "scsi0", "size": "1G"}, "/vms/900, VM.Config.Disk"),
    ("PUT", f"{VM}/cloudinit", None, "/vms/900, VM.Config.Cloudinit"),
    ("POST", f"{VM}/status/start", None, "/vms/900, VM.PowerMgmt"),
    ("POST", f"{VM}/status/stop", None, "/vms/900, VM.PowerMgmt"),
    ("POST", f"{VM}/status/shutdown", None, "/vms/900, VM.PowerMgmt"),
    ("POST", f"{VM}/status/reboot", None, "/vms/900, VM.PowerMgmt"),
    ("DELETE", VM, None, "/vms/900, VM.Allocate"),
    ("POST", "/access/users", {"userid": "x@pve"}, "/access/realm/pve, Realm.AllocateUser"),
    ("PUT", "/access/users/x@pve", {"enable": "0"}, "/access/groups, User.Modify"),
    ("DELETE", "/access/users/x@pve", None, "/access/realm/pve, Realm.AllocateUser"),
    ("POST", "/access/users/x@pve/token/t1", {"privsep": "0"}, "/access/groups, User.Modify"),
    ("PUT", "/access/users/x@pve/token/t1", {"privsep": "0"}, "/access/groups, User.Modify"),
    ("DELETE", "/access/users/x@pve/token/t1", None, "/access/groups, User.Modify"),
    ("POST", "/access/roles", {"roleid": "all", "privs": "Sys.Modify"}, "/access, Sys.Modify"),
    ("PUT", "/access/roles/all", {"privs": "Sys.Modify"}, "/access, Sys.Modify"),
    ("DELETE", "/access/roles/all", None, "/access, Sys.Modify"),
    *[
        (method, f"{scope}{path}", form, lacking)
        for scope, lacking in (
            ("/cluster/firewall", "/, Sys.Modify"),
            ("/nodes/pve1/firewall", "/nodes/pve1, Sys.Modify"),
            (f"{VM}/firewall", "/vms/900, VM.Config.Network"),
        )
        for method, path, form in (
            ("PUT", "/options", {"enable": "0"}),
            ("POST", "/rules", {"type": "in", "action": "ACCEPT"}),
            ("PUT", "/rules/0", {"enable": "0"}),
            ("DELETE", "/rules/0", None),
        )
    ],
    *[
        (method, f"/cluster/firewall{path}", form, "/, Sys.Modify")
        for method, path, form in (
            ("POST", "/groups", {"group": "grp"}),
            ("DELETE", "/groups/grp", None),
            ("POST", "/groups/grp", {"type": "in", "action": "ACCEPT"}),
            ("PUT", "/groups/grp/0", {"enable": "0"}),
            ("DELETE", "/groups/grp/0", None),
            ("POST", "/ipset", {"name": "set"}),
            ("DELETE", "/ipset/set", None),
            ("POST", "/ipset/set", {"cidr": "192.0.2.1"}),
            ("DELETE", "/ipset/set/192.0.2.1", None),
        )
    ],
    (
        "PUT",
        "/access/acl",
        {"path": "/", "roles": "Administrator", "users": "discovery@pve"},
        "/, Permissions.Modify",
    ),
]


@pytest.mark.parametrize("token", [DISCOVERY, EXPORTER, NO_AUDIT], ids=lambda token: token.user)
@pytest.mark.parametrize("write", WRITES, ids=lambda write: f"{write[0]} {write[1]}")
def test_who_audits_changes_nothing(live: Live, live8: Live, write: Any, token: Token) -> None:
    method, path, form, lacking = write
    for lab in (live, live8):
        text = refused(lab, method, path, form, token=token)
        assert text == f"403 Permission check failed ({lacking})"


def test_every_write_is_among_those_that_were_tried(lab: Lab) -> None:
    tried = {(method, template(path)) for method, path, *_ in WRITES}
    agent = "/nodes/{node}/qemu/{vmid}/agent/"
    writing = {(r.method, r.template) for r in routes(Stats(lab), Agent()) if r.method != "GET"}
    assert {(method, path) for method, path in writing if not path.startswith(agent)} == tried


def template(path: str) -> str:
    path = path.replace("/pve1/", "/{node}/").replace("/qemu/900", "/qemu/{vmid}")
    path = path.replace("/storage/local/", "/storage/{storage}/")
    path = path.replace("/x@pve", "/{userid}").replace("/t1", "/{tokenid}").replace("/all", "/{roleid}")
    path = path.replace("/groups/grp", "/groups/{group}").replace("/ipset/set", "/ipset/{name}")
    path = re.sub(r"/tasks/.+", "/tasks/{upid}", path.replace("/192.0.2.1", "/{cidr}"))
    path = re.sub(r"/(rules|\{group\})/0$", r"/\1/{pos}", path)
    return re.sub(r"/content/.+", "/content/{volume}", path)


@pytest.mark.parametrize("privilege", sorted(PROVISIONING - {"Sys.Audit", "VM.Audit", "Datastore.Audit"}))
def test_every_privilege_of_the_role_is_needed(start_lab: Callable[..., Live], privilege: str) -> None:
    lab = start_lab()
    lost = lab.client.fault("permission_lost", PROVISIONER.id, privilege=privilege)
    # Which would do instead of Sys.AccessNetwork, and isn't in the role of those who make no users.
    modify = lab.client.fault("permission_lost", PROVISIONER.id, privilege="Sys.Modify")
    with lost, modify, pytest.raises(AssertionError, match=privilege.replace(".", r"\.")):
        _make_and_remove_the_image(lab)


def _make_and_remove_the_image(lab: Live) -> None:
    make(lab)
    send(lab, "DELETE", "/nodes/pve1/storage/local/content/local:import%2Fdebian.qcow2")


def test_the_hosts_own_drive_takes_a_privilege_on_the_cluster() -> None:
    assert ("/", "Sys.Console") in set(required(900, {"ide3": "file=cdrom,media=cdrom,"}))
    given = {key: value for key, value in CREATE.items() if key != "vmid"}
    assert ("/", "Sys.Console") not in set(required(900, given))
    assert ("/sdn/zones/localnetwork/vmbr0", "SDN.Use") in set(required(900, given))


def test_a_property_string_has_one_part_without_a_name() -> None:
    assert options("file=local-lvm:0,size=1,aio=native") == ("local-lvm:0", {"size": "1", "aio": "native"})
    assert options("local-lvm:vm-1-disk-0,size=1G") == ("local-lvm:vm-1-disk-0", {"size": "1G"})
