"""Reading of the API's loose JSON."""

from __future__ import annotations

from typing import Any

import pytest

from discovery_fn import wire
from discovery_fn.model import Node

GUEST = {"type": "qemu", "vmid": 101, "node": "pve1", "status": "running", "name": "web"}


def one(**changes: Any) -> Any:
    return wire.resources([GUEST | changes]).guests.get(101)


@pytest.mark.parametrize("vmid", [101, "101", 101.0])
def test_vmid_arrives_as_number_or_text(vmid: Any) -> None:
    assert one(vmid=vmid).vmid == 101


@pytest.mark.parametrize(
    "vmid", [None, "", "abc", -1, 0, 1.5, True, [], {}, 10**400, "9" * 5000, float("nan")]
)
def test_a_row_without_a_vmid_is_counted_not_guessed(vmid: Any) -> None:
    found = wire.resources([GUEST | {"vmid": vmid}])
    assert found.malformed == (0 if vmid is True else 1)


@pytest.mark.parametrize(
    ("value", "expected"), [("", False), (0, False), ("0", False), (1, True), ("1", True)]
)
def test_template_has_many_forms(value: Any, expected: bool) -> None:
    assert one(template=value).template is expected


def test_sizes_arrive_as_text_for_containers() -> None:
    guest = one(type="lxc", maxdisk="8589934592", maxmem="1073741824", maxcpu="2")
    assert (guest.disk, guest.memory, guest.vcpus) == (8589934592, 1073741824, 2)


def test_a_guest_of_an_offline_node_has_no_name() -> None:
    found = wire.resources(
        [{"id": "qemu/106", "type": "qemu", "vmid": 106, "node": "pve3", "status": "unknown"}]
    )
    assert found.guests[106].name == "106"
    assert not found.guests[106].alive


def test_other_kinds_of_rows_are_told_apart() -> None:
    found = wire.resources(
        [
            {"type": "node", "node": "pve1", "status": "online", "uptime": 5},
            {"type": "node", "node": "pve3", "status": "offline"},
            {"type": "storage", "storage": "ceph-vm", "plugintype": "rbd"},
            {"type": "network", "network": "localnetwork", "node": "pve1"},
            {"type": "pool", "pool": "windows"},
        ]
    )
    assert found.nodes == {"pve1": Node("pve1", True, 5), "pve3": Node("pve3", False)}
    assert found.storages == {"ceph-vm": "rbd"}
    assert (found.guests, found.malformed) == ({}, 0)


@pytest.mark.parametrize("text", ["b;a", "a,b", "B a", "a; b", ";a;;b;a"])
def test_tags_split_at_any_separator_and_are_sorted(text: str) -> None:
    assert wire.tags(text) == ("a", "b")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1", True),
        (1, True),
        ("enabled=1", True),
        ("1,fstrim_cloned_disks=1", True),
        ("1,type=virtio", True),
        ("enabled=1,type=isa", True),
        ("0", False),
        ("enabled=0", False),
        ("0,type=virtio", False),
        (None, False),
        ("", False),
    ],
)
def test_agent_option_forms(value: Any, expected: bool) -> None:
    assert wire.config("qemu", {"agent": value}).agent is expected


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"ide2": "none,media=cdrom", "scsi0": "lvm:vm-1,size=1G"}, ("scsi", "lvm")),
        ({"ide0": "local:iso/x.iso,media=cdrom", "virtio0": "ceph:vm-1"}, ("virtio", "ceph")),
        ({"scsi0": "local:iso/x.iso,media=cdrom", "sata0": "ceph:vm-1"}, ("sata", "ceph")),
        ({"ide2": "lvm:vm-1-cloudinit,media=cdrom", "sata0": "lvm:vm-1"}, ("sata", "lvm")),
        ({"scsi1": "a:1", "scsi0": "b:1", "boot": "order=scsi1;net0"}, ("scsi", "a")),
        ({"scsi1": "a:1", "virtio0": "b:1", "bootdisk": "virtio0"}, ("virtio", "b")),
        ({"scsi10": "a:1", "scsi2": "b:1"}, ("scsi", "b")),
        ({"efidisk0": "a:1", "tpmstate0": "a:2", "unused0": "a:3"}, ("", "")),
        ({"scsi0": "/dev/disk/by-id/x,size=1G"}, ("scsi", "")),
    ],
)
def test_disk_type_is_that_of_the_boot_disk(config: dict[str, str], expected: tuple[str, str]) -> None:
    found = wire.config("qemu", config)
    assert (found.bus, found.storage) == expected


def test_container_disk() -> None:
    found = wire.config("lxc", {"rootfs": "zfs:subvol-200-disk-0,size=8G", "ostype": "debian"})
    assert (found.bus, found.storage) == ("rootfs", "zfs")


def test_network_cards_with_their_static_addresses() -> None:
    found = wire.config(
        "qemu",
        {
            "net1": "e1000=BC:24:11:00:00:02,bridge=vmbr1",
            "net0": "virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1",
            "ipconfig0": "ip=192.0.2.5/24,gw=192.0.2.1,ip6=2001:db8::5/64",
            "ipconfig1": "ip=dhcp,ip6=auto",
            "ipconfig2": "ip=192.0.2.77/24",
        },
    )
    assert [(nic.index, nic.mac, nic.static) for nic in found.nics] == [
        (0, "bc:24:11:00:00:01", ("192.0.2.5", "2001:db8::5")),
        (1, "bc:24:11:00:00:02", ()),
    ]


def test_container_network_card() -> None:
    entry = "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:89:67:07,ip=192.0.2.200/24,type=veth"
    nic = wire.config("lxc", {"net0": entry}).nics[0]
    assert (nic.mac, nic.static) == ("bc:24:11:89:67:07", ("192.0.2.200",))


def test_interfaces_without_mac_or_addresses() -> None:
    faces = wire.agent_interfaces({"result": [{"name": "veth0"}, {"name": "x", "ip-addresses": [{}, None]}]})
    assert [(face.name, face.mac, face.addresses) for face in faces] == [("veth0", "", ()), ("x", "", ())]


@pytest.mark.parametrize("kind", ["Unsupported", "CommandNotFound", "CommandDisabled"])
def test_an_error_inside_status_200_is_an_error(kind: str) -> None:
    with pytest.raises(wire.AgentRefused, match="nope"):
        wire.agent_interfaces({"result": {"error": {"class": kind, "desc": "nope"}}})


def test_container_interfaces_old_and_new() -> None:
    old = {"name": "eth0", "hwaddr": "BC:24:11:00:00:01", "inet": "192.0.2.2/24", "inet6": "fe80::1/64"}
    new = {
        "name": "eth0",
        "hardware-address": "bc:24:11:00:00:01",
        "ip-addresses": [{"ip-address": "192.0.2.2", "ip-address-type": "inet", "prefix": 24}],
    }
    assert wire.container_interfaces([old])[0].addresses == ("192.0.2.2/24", "fe80::1/64")
    assert wire.container_interfaces([new])[0].addresses == ("192.0.2.2",)
    assert wire.container_interfaces(None) == ()


@pytest.mark.parametrize(
    ("osinfo", "expected"),
    [
        ({"id": "mswindows", "name": "Microsoft Windows"}, "windows"),
        ({"id": "debian"}, "linux"),
        ({"id": "freebsd", "name": "FreeBSD"}, "other"),
        ({}, "other"),
    ],
)
def test_operating_system_of_the_agent(osinfo: dict[str, str], expected: str) -> None:
    assert wire.agent_os({"result": osinfo}) == expected


def test_cluster_status_of_cluster_and_of_single_node() -> None:
    status = wire.cluster_status(
        [
            {"type": "cluster", "name": "lab", "quorate": 1},
            {"type": "node", "name": "pve1", "ip": "192.0.2.11", "local": 0},
            {"type": "node", "name": "pve2", "ip": "192.0.2.12", "local": 1},
        ]
    )
    assert (status.name, status.local, status.ips["pve1"]) == ("lab", "pve2", "192.0.2.11")
    alone = wire.cluster_status(
        [{"type": "node", "name": "pve1", "nodeid": 0, "local": 1, "ip": "192.0.2.1"}]
    )
    assert (alone.name, alone.local) == ("pve1", "pve1")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"release": "9.2", "version": "9.2.11"}, ("9.2.11", 9)),
        ({"release": "8.4"}, ("8.4", 8)),
        (None, ("", 0)),
    ],
)
def test_release(value: Any, expected: tuple[str, int]) -> None:
    assert wire.release(value) == expected


def test_only_nvidia_display_controllers_are_gpus() -> None:
    devices = [
        {"id": "0000:41:00.0", "vendor": "0x10de", "class": "0x030200"},
        {"id": "0000:41:00.1", "vendor": "0x10de", "class": "0x040300"},
        {"id": "0000:02:00.0", "vendor": "0x1a03", "class": "0x030000"},
    ]
    assert wire.nvidia_gpus(devices) == {"0000:41:00.0"}
