"""Views and target groups."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import pytest

from discovery_fn import inventory, targets
from discovery_fn.inventory import Surroundings
from discovery_fn.model import (
    EndpointView,
    Facts,
    Guest,
    GuestConfig,
    GuestView,
    Inventory,
    Nic,
    Node,
    NodeView,
    PciPass,
    Reason,
)

GUEST = Guest(101, "qemu", "pve1", "running", "web", tags=("b", "a"), vcpus=4, memory=3 * 2**29)
CONFIG = GuestConfig(ostype="l26", agent=True, nics=(Nic(0, "aa"),), bus="scsi", storage="ceph-vm")
FACTS = Facts(config=CONFIG, address="192.0.2.1", source="agent", reason=None)
AROUND = Surroundings({"pve1": Node("pve1", True, ip="192.0.2.11")}, {"ceph-vm": "rbd"})


def show(
    kit: Any, guest: Guest = GUEST, facts: Facts = FACTS, around: Surroundings = AROUND, **env: Any
) -> GuestView:
    return inventory.view(guest, facts, around, kit.settings(**env))


def test_labels_are_text_and_tags_can_be_matched_one_by_one(kit: Any) -> None:
    view = show(kit)
    assert targets.guest_labels(view, "lab", "full") == {
        "cluster": "lab",
        "vm_id": "101",
        "vm_name": "web",
        "node": "pve1",
        "vcpus": "4",
        "memory_gb": "1.5",
        "disk_type": "scsi/rbd",
        "tags": ",a,b,",
        "__meta_pve_tags": ",a,b,",
        "os": "linux",
    }
    assert targets.guest_labels(view, "lab", "lean") == {
        "cluster": "lab",
        "vm_id": "101",
        "vm_name": "web",
        "__meta_pve_tags": ",a,b,",
    }


def test_a_migration_changes_nothing_in_lean_mode(kit: Any) -> None:
    there = replace(GUEST, node="pve2")
    assert targets.guest_labels(show(kit), "lab", "lean") == targets.guest_labels(
        show(kit, there), "lab", "lean"
    )


@pytest.mark.parametrize(
    ("ostype", "facts_os", "tags", "expected", "port"),
    [
        ("win11", "", (), "windows", 9182),
        ("w2k8", "", (), "windows", 9182),
        ("wxp", "", (), "windows", 9182),
        ("l26", "windows", (), "linux", 9100),
        ("other", "windows", (), "windows", 9182),
        ("", "linux", (), "linux", 9100),
        ("win10", "", ("mon-linux",), "linux", 9100),
        ("l26", "", ("mon-windows",), "windows", 9182),
        ("l26", "", ("mon-port-9999",), "linux", 9999),
    ],
)
def test_system_and_port(
    kit: Any, *, ostype: str, facts_os: str, tags: tuple[str, ...], expected: str, port: int
) -> None:
    facts = replace(FACTS, config=replace(CONFIG, ostype=ostype), os=facts_os)
    view = show(kit, replace(GUEST, tags=tags), facts)
    assert (view.os, view.target) == (expected, f"192.0.2.1:{port}")


@pytest.mark.parametrize(
    ("guest", "facts", "reason"),
    [
        (replace(GUEST, tags=("mon-off",)), FACTS, Reason.EXCLUDED),
        (GUEST, Facts(config=CONFIG, reason=Reason.AGENT_DEAD), Reason.AGENT_DEAD),
        (GUEST, Facts(config=CONFIG, reason=Reason.NO_AGENT), Reason.NO_AGENT),
        (GUEST, Facts(), Reason.PENDING),
        (GUEST, replace(FACTS, config=replace(CONFIG, ostype="solaris")), Reason.UNKNOWN_OS),
        (replace(GUEST, status="unknown"), Facts(), Reason.NODE_OFFLINE),
        (replace(GUEST, node="pve9"), Facts(), Reason.NODE_OFFLINE),
        (replace(GUEST, status="stopped"), replace(FACTS, source=""), ""),
        (replace(GUEST, template=True), FACTS, ""),
    ],
)
def test_reasons(kit: Any, guest: Guest, facts: Facts, reason: str) -> None:
    around = replace(AROUND, nodes={"pve1": Node("pve1", True), "pve9": Node("pve9", False)})
    view = show(kit, guest, facts, around)
    assert view.reason == reason
    assert view.target == ""


def test_a_kept_address_stays_a_target_and_says_why_it_is_not_confirmed(kit: Any) -> None:
    view = show(kit, facts=replace(FACTS, reason=Reason.AGENT_DEAD))
    assert (view.target, view.reason, view.agent) == ("192.0.2.1:9100", "", "agent_dead")


def test_a_guest_of_a_silent_node_keeps_what_was_known_of_it() -> None:
    row = Guest(101, "qemu", "pve1", "unknown", "101", tags=("a",))
    merged = inventory.merge(GUEST, row)
    assert (merged.name, merged.vcpus, merged.status) == ("web", 4, "running")
    assert inventory.merge(None, row) is row


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (PciPass(device="0000:41:00"), True),
        (PciPass(device="41:00.0"), True),
        (PciPass(device="0000:41:00.0;0000:42:00.0"), True),
        (PciPass(device="0000:03:00"), False),
        (PciPass(mapping="acc"), True),
        (PciPass(mapping="nic"), False),
        (PciPass(device="0000:03:00", gpu_hint=True), True),
        (PciPass(), False),
    ],
)
def test_gpu_passed_through(kit: Any, entry: PciPass, expected: bool) -> None:
    around = replace(
        AROUND,
        gpus={"pve1": frozenset({"0000:41:00.0"})},
        mappings={
            "acc": (("pve1", "0000:41:00.0"),),
            "nic": (("pve1", "0000:03:00.0"), ("pve2", "0000:41:00.0")),
        },
    )
    view = show(kit, facts=replace(FACTS, config=replace(CONFIG, pci=(entry,))), around=around)
    assert view.gpu_target == ("192.0.2.1:9835" if expected else "")


def test_gpu_by_tag(kit: Any) -> None:
    assert show(kit, replace(GUEST, tags=("mon-gpu",))).gpu_target == "192.0.2.1:9835"


def test_a_node_whose_gpus_are_all_passed_through_has_none_left(kit: Any) -> None:
    around = replace(AROUND, gpus={"pve1": frozenset({"0000:41:00.0", "0000:81:00.0"})})
    one = {101: replace(CONFIG, pci=(PciPass(device="0000:41:00"),))}
    assert inventory.free_gpus(around, [GUEST], one) == {"pve1": 1}
    both = {101: replace(CONFIG, pci=(PciPass(device="0000:41:00"), PciPass(device="0000:81:00")))}
    assert inventory.free_gpus(around, [GUEST], both) == {"pve1": 0}
    # A card stays with vfio-pci while its guest is switched off; a template never had it.
    assert inventory.free_gpus(around, [replace(GUEST, status="stopped")], both) == {"pve1": 0}
    assert inventory.free_gpus(around, [replace(GUEST, template=True)], both) == {"pve1": 2}


def test_nodes_online_or_not_and_their_addresses(kit: Any) -> None:
    around = replace(
        AROUND,
        nodes={
            "pve2": Node("pve2", False, ip="10.255.0.2"),
            "pve1": Node("pve1", True, ip="10.255.0.1"),
            "pve3": Node("pve3", True),
        },
    )
    settings = kit.settings(discovery_node_addresses="pve2=2001:db8::2", discovery_gpu_nodes="pve1,pve3")
    views = inventory.node_views(around, {}, settings)
    assert [(view.name, view.target, view.gpu_target) for view in views] == [
        ("pve1", "10.255.0.1:9100", "10.255.0.1:9835"),
        ("pve2", "[2001:db8::2]:9100", ""),
        ("pve3", "", ""),
    ]
    everyone = inventory.node_views(around, {}, kit.settings(discovery_gpu_nodes="*"))
    assert [bool(view.gpu_target) for view in everyone] == [True, True, False]


def make_inventory(kit: Any, chance: random.Random) -> Inventory:
    guests = [
        show(kit, replace(GUEST, vmid=vmid, tags=tuple(chance.sample(("c", "a", "b"), 3))))
        for vmid in chance.sample(range(100, 130), 30)
    ]
    nodes = [
        NodeView(name, True, "192.0.2.1", "192.0.2.1:9100", "") for name in chance.sample(("a", "b", "c"), 3)
    ]
    ends = [EndpointView(n, n, n, n == "a") for n in chance.sample(("a", "b"), 2)]
    return Inventory("lab", tuple(guests), tuple(nodes), tuple(ends))


def test_equal_inventories_give_equal_bytes(kit: Any) -> None:
    first = targets.Renderer("full").render(make_inventory(kit, random.Random(1)))  # noqa: S311
    for seed in range(2, 12):
        assert targets.Renderer("full").render(make_inventory(kit, random.Random(seed))) == first  # noqa: S311
    ids = [int(group["labels"]["vm_id"]) for group in json.loads(first["all"].content)]
    assert ids == sorted(ids)


def test_a_renderer_that_remembers_gives_the_same_as_a_new_one(kit: Any) -> None:
    renderer = targets.Renderer("full")
    before = renderer.render(Inventory("lab", (show(kit),)))
    other = Inventory("lab", (replace(show(kit), node="pve2"),))
    after = renderer.render(other)
    assert after == targets.Renderer("full").render(other)
    assert before["all"].etag != after["all"].etag
    renamed = renderer.render(replace(other, cluster="x"))
    assert json.loads(renamed["all"].content)[0]["labels"]["cluster"] == "x"


def test_exactly_one_member_is_active() -> None:
    ends = (
        EndpointView("pve2:8006", "pve2", "pve2", True),
        EndpointView("pve1:443", "pve1:443", "pve1", False),
    )
    groups = json.loads(targets.Renderer("full").render(Inventory("lab", endpoints=ends))["pve"].content)
    assert groups == [
        {
            "targets": ["pve1:443"],
            "labels": {"cluster": "lab", "__meta_pve_node": "pve1", "__meta_pve_endpoint_active": "false"},
        },
        {
            "targets": ["pve2"],
            "labels": {"cluster": "lab", "__meta_pve_node": "pve2", "__meta_pve_endpoint_active": "true"},
        },
    ]


def test_an_empty_inventory_is_an_empty_list() -> None:
    assert targets.Renderer("full").render(Inventory("lab"))["all"].content == b"[]"


def test_conflicts_are_counted_among_targets_only(kit: Any) -> None:
    twins = [
        show(kit),
        show(kit, replace(GUEST, vmid=102)),
        show(kit, replace(GUEST, vmid=103, status="stopped")),
    ]
    assert inventory.conflicts(twins) == ("192.0.2.1",)
    assert inventory.conflicts(twins[1:]) == ()
