"""The cluster's firewall without an engine: the rules, their order, and that nobody is locked out."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from components.settings import PROJECT
from tests.support.examples import EXAMPLES, FILTERED, MINIMAL
from tests.support.pulumi_harness import Recording, Registration, deploy

from .test_program import SECRETS, program, run

# A class beside the one that is used says at its import that it is deprecated.
pytestmark = pytest.mark.filterwarnings(
    "ignore:This resource is deprecated:DeprecationWarning:pulumi_command.remote.copy_file"
)

GROUP = "proxmoxve:cluster/firewall/security/groupLegacy:GroupLegacy"
SET = "proxmoxve:firewall/ipsetLegacy:IpsetLegacy"
RULES = "proxmoxve:firewall/rulesLegacy:RulesLegacy"
OPTIONS = "proxmoxve:firewall/optionsLegacy:OptionsLegacy"
SWITCH = "proxmoxve:cluster/firewallLegacy:FirewallLegacy"
OWN = {GROUP, SET, RULES, OPTIONS, SWITCH}


def deployed(base: dict[str, Any] = FILTERED, **firewall: Any) -> Recording:
    values = copy.deepcopy(base)
    values["firewall"] = {**copy.deepcopy(FILTERED["firewall"]), **firewall}
    return deploy(program, config={f"{PROJECT}:{k}": v for k, v in values.items()}, secrets=SECRETS)


def rules(registration: Registration) -> list[tuple[str, str, str]]:
    """Action, source and ports."""
    return [
        (rule["action"], rule.get("source", ""), rule.get("dport", ""))
        for rule in registration.inputs["rules"]
    ]


def before(recording: Recording, registration: Registration) -> set[str]:
    """Everything that comes before it, by name."""
    found: set[str] = set()
    waiting = list(registration.request.dependencies)
    by_urn = {r.urn: r for r in recording.registrations}
    while waiting:
        urn = waiting.pop()
        name = urn.rpartition("::")[2]
        if name not in found:
            found.add(name)
            waiting += by_urn[urn].request.dependencies
    return found


def test_nothing_is_filtered_unless_somebody_asks_for_it() -> None:
    for name in EXAMPLES:
        if name not in ("filtered", "two-vms"):
            assert [r.name for r in run(name).custom if r.type in OWN] == []


def test_only_the_monitoring_host_reaches_exporters() -> None:
    recording = run("filtered")
    (addresses,) = recording.of(SET)
    assert addresses.inputs["cidrs"] == [{"name": "192.0.2.10"}, {"name": "2001:db8::10"}]
    group = recording.named("firewall-group-exporters")
    assert rules(group) == [("ACCEPT", "+monitoring", "9100,9182,9835"), ("DROP", "", "9100,9182,9835")]
    assert {rule["proto"] for rule in group.inputs["rules"]} == {"tcp"}
    assert len(group.inputs["name"]) <= 18


def test_hosts_let_admins_members_and_monitoring_in() -> None:
    assert rules(run("filtered").named("firewall-group-hosts")) == [
        ("ACCEPT", "192.0.2.200,198.51.100.0/24", "22,3128,5900:5999,8006"),
        ("ACCEPT", "2001:db8:1::/64", "22,3128,5900:5999,8006"),
        ("ACCEPT", "10.10.0.0/24,10.20.0.0/24", ""),
        ("ACCEPT", "+monitoring", "8006"),
    ]


def test_the_platforms_ports_are_for_admins_and_gateways() -> None:
    recording = run("filtered")
    ports = "3000,8000,9090,9093,9221"
    assert rules(recording.named("firewall-group-platform")) == [
        ("ACCEPT", "192.0.2.200,198.51.100.0/24", "22"),
        ("ACCEPT", "2001:db8:1::/64", "22"),
        ("ACCEPT", "192.0.2.200,198.51.100.0/24,203.0.113.7", ports),
        ("ACCEPT", "2001:db8:1::/64", ports),
        ("DROP", "", ports),
    ]
    options = recording.named("firewall-options-platform")
    assert (options.inputs["vmId"], options.inputs["enabled"]) == (9100, True)
    assert (options.inputs["inputPolicy"], options.inputs["outputPolicy"]) == ("DROP", "ACCEPT")
    assert (options.inputs["ndp"], options.inputs["radv"]) == (True, False)
    # Its card has the firewall's mark, without which nothing of this holds.
    (card,) = recording.named("monitoring-vm-machine").inputs["networkDevices"]
    assert card["firewall"] is True
    (card,) = run("proxmox").named("monitoring-vm-machine").inputs["networkDevices"]
    assert "firewall" not in card


def test_rules_come_before_what_switches_them_on() -> None:
    recording = run("filtered")
    (switch,) = recording.of(SWITCH)
    assert switch.inputs["enabled"] is True
    groups = {"firewall-group-hosts", "firewall-group-exporters", "firewall-group-platform"}
    assert groups <= before(recording, switch)
    assert {"firewall-rules-datacenter", "firewall-options-platform", "firewall-monitoring"} <= before(
        recording, switch
    )
    platform = recording.named("firewall-options-platform")
    assert {"firewall-rules-platform", "firewall-group-platform"} <= before(recording, platform)
    for name in ("firewall-group-hosts", "firewall-group-exporters"):
        assert "firewall-monitoring" in before(recording, recording.named(name))
    assert "monitoring-vm-machine" in before(recording, recording.named("firewall-rules-platform"))


def test_where_each_group_holds() -> None:
    attached = {
        r.name: [rule["securityGroup"] for rule in r.inputs["rules"]] for r in run("filtered").of(RULES)
    }
    assert attached == {
        "firewall-rules-guest-101": ["mon-exporters"],
        "firewall-rules-datacenter": ["mon-hosts", "mon-exporters"],
        "firewall-rules-platform": ["mon-platform", "mon-exporters"],
    }


def test_two_vms_reach_each_other_under_one_groups_rules() -> None:
    recording = run("two-vms")
    ports = "3000,8000,9090,9093,9094,9221"
    assert rules(recording.named("firewall-group-platform")) == [
        ("ACCEPT", "198.51.100.0/24", "22"),
        ("ACCEPT", "198.51.100.0/24", ports),
        ("ACCEPT", "192.0.2.10,192.0.2.20", ports),
        ("DROP", "", ports),
    ]
    # Whatever was there for one VM keeps its name.
    one, other = (recording.named(f"firewall-options-platform{end}") for end in ("", "-b"))
    assert (one.inputs["nodeName"], one.inputs["vmId"]) == ("pve1", 9100)
    assert (other.inputs["nodeName"], other.inputs["vmId"]) == ("pve2", 9101)
    assert {"firewall-rules-platform-b", "firewall-group-platform"} <= before(recording, other)
    assert "monitoring-vm-b-machine" in before(recording, recording.named("firewall-rules-platform-b"))
    (provider,) = [r for r in recording.of("pulumi:providers:proxmoxve") if r.name.startswith("firewall-")]
    assert [node["name"] for node in json.loads(provider.inputs["ssh"])["nodes"]] == ["pve1", "pve2"]


@pytest.mark.parametrize(("switch", "count"), [("leave", 0), ("on", 1), ("off", 1)])
def test_the_switch_is_left_alone_unless_somebody_says_on_or_off(switch: str, count: int) -> None:
    found = deployed(switch=switch).of(SWITCH)
    assert len(found) == count
    assert all(r.inputs["enabled"] is (switch == "on") for r in found)


@pytest.mark.parametrize("switch", ["leave", "on", "off"])
def test_the_way_in_is_protected_while_the_program_keeps_the_firewall_on(switch: str) -> None:
    recording = deployed(switch=switch)
    protected = {r.name for r in recording.custom if r.type in OWN and r.request.protect}
    way_in = {"firewall-group-hosts", "firewall-rules-datacenter", "firewall-switch"}
    assert protected == (way_in if switch == "on" else set())


def test_without_hosts_only_names_are_made_for_the_operators_own_rules() -> None:
    recording = deployed(MINIMAL, hosts=False, guests=[], switch="leave")
    assert {r.name for r in recording.custom if r.type in OWN} == {
        "firewall-monitoring",
        "firewall-group-exporters",
    }


def test_a_set_never_stands_beside_its_successor_of_the_same_name() -> None:
    (addresses,) = run("filtered").of(SET)
    assert addresses.request.deleteBeforeReplace
    # By name only: what is replaced first would replace what names it by its output.
    for group in (run("filtered").named(f"firewall-group-{key}") for key in ("hosts", "exporters")):
        assert addresses.urn in group.request.dependencies
        assert all(
            not urns.urns for key, urns in group.request.propertyDependencies.items() if key == "rules"
        )
