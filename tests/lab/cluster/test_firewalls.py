"""Firewalls that are changed through the API: stored as pve-firewall stores them, refused as it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lab.cluster.identities import PROVISIONER

from .conftest import Live
from .test_provisioning import make, refused, send

FIREWALL = "/cluster/firewall"
GROUP, SET = f"{FIREWALL}/groups/grp", f"{FIREWALL}/ipset/set"
RULES = [f"{FIREWALL}/rules", "/nodes/pve1/firewall/rules", "/nodes/pve1/qemu/900/firewall/rules", GROUP]
RULE = {
    "action": "ACCEPT",
    "type": "in",
    "proto": "tcp",
    "dport": "9100",
    "source": "+set",
    "dest": "",
    "enable": "1",
}


def fill(live: Live) -> None:
    """A set, a group, and a rule everywhere; machine 900 must be there."""
    send(live, "POST", f"{FIREWALL}/ipset", {"name": "set", "comment": "by a test"})
    send(live, "POST", SET, {"cidr": "192.0.2.0/24", "comment": "one"})
    send(live, "POST", SET, {"cidr": "2001:db8::1", "nomatch": "1"})
    send(live, "POST", f"{FIREWALL}/groups", {"group": "grp"})
    for path in RULES:
        send(live, "POST", path, RULE)
    for path in ("/cluster", "/nodes/pve1", "/nodes/pve1/qemu/900"):
        send(live, "PUT", f"{path}/firewall/options", {"enable": "1"})


@pytest.fixture
def filled(start_lab: Callable[..., Live]) -> Live:
    """A lab of one test: what is made stays."""
    live = start_lab()
    make(live)
    fill(live)
    return live


def data(live: Live, path: str) -> Any:
    return live.data(path, token=PROVISIONER)


@pytest.mark.parametrize("path", RULES)
def test_a_rule_is_kept_without_what_was_empty(filled: Live, path: str) -> None:
    kept = {
        "action": "ACCEPT",
        "type": "in",
        "proto": "tcp",
        "dport": "9100",
        "source": "+set",
        "enable": 1,
    }
    assert data(filled, path) == [{"pos": 0, **kept}]
    # The single one says its position as text, whatever the schema says.
    assert data(filled, f"{path}/0") == {**kept, "pos": "0"}


@pytest.mark.parametrize("path", RULES)
def test_rules_come_to_the_top_and_move(filled: Live, path: str) -> None:
    for port in ("1", "2", "3"):
        send(filled, "POST", path, RULE | {"dport": port})

    def ports() -> list[str]:
        return [rule["dport"] for rule in data(filled, path)]

    assert ports() == ["3", "2", "1", "9100"]
    send(filled, "PUT", f"{path}/3", {"moveto": "0"})
    assert ports() == ["9100", "3", "2", "1"]
    send(filled, "PUT", f"{path}/0", {"moveto": "3"})
    assert ports() == ["3", "2", "9100", "1"]
    send(filled, "PUT", f"{path}/1", {"dport": "4", "delete": "source"})
    changed = data(filled, f"{path}/1")
    assert (changed["dport"], changed.get("source")) == ("4", None)
    send(filled, "DELETE", f"{path}/2")
    assert ports() == ["3", "4", "1"]
    assert "no rule at position 3" in refused(filled, "GET", f"{path}/3")


def test_a_group_and_a_set_go_when_they_are_empty(filled: Live) -> None:
    assert refused(filled, "DELETE", GROUP) == "500 Security group 'grp' is not empty"
    assert refused(filled, "DELETE", SET) == "500 IPSet 'set' is not empty"
    send(filled, "DELETE", f"{GROUP}/0")
    send(filled, "DELETE", GROUP)
    for cidr in ("192.0.2.0%2F24", "2001:db8::1"):
        send(filled, "DELETE", f"{SET}/{cidr}")
    send(filled, "DELETE", SET)
    assert refused(filled, "GET", GROUP) == "500 no such security group 'grp'"
    assert refused(filled, "GET", SET) == "500 no such IPSet 'set'"
    assert (data(filled, f"{FIREWALL}/groups"), data(filled, f"{FIREWALL}/ipset")) == ([], [])


def test_another_name_and_comment(filled: Live) -> None:
    send(filled, "POST", f"{FIREWALL}/groups", {"group": "new", "rename": "grp", "comment": "c"})
    (group,) = data(filled, f"{FIREWALL}/groups")
    assert (group["group"], group["comment"]) == ("new", "c")
    send(filled, "POST", f"{FIREWALL}/ipset", {"name": "set", "rename": "set", "comment": "other"})
    (ipset,) = data(filled, f"{FIREWALL}/ipset")
    assert (ipset["name"], ipset["comment"]) == ("set", "other")
    assert len(data(filled, SET)) == 2


def test_options_are_what_was_set_and_nothing_else(filled: Live) -> None:
    path = f"{FIREWALL}/options"
    send(filled, "PUT", path, {"policy_in": "DROP", "enable": "0"})
    found = data(filled, path)
    assert {key: found[key] for key in found if key != "digest"} == {"enable": 0, "policy_in": "DROP"}
    send(filled, "PUT", path, {"delete": "policy_in,enable"})
    assert set(data(filled, path)) == {"digest"}


def test_what_cannot_be_is_refused_in_proxmox_ves_words(filled: Live) -> None:
    rules = f"{FIREWALL}/rules"
    for method, path, form, text in (
        ("POST", f"{FIREWALL}/groups", {"group": "grp"}, "Security group 'grp' already exists"),
        ("POST", f"{FIREWALL}/groups", {"group": "a" * 19}, "may only be 18 characters long"),
        ("POST", f"{FIREWALL}/groups", {"group": "x y"}, "regex pattern"),
        ("POST", f"{FIREWALL}/groups", {"group": "new", "rename": "no"}, "no such security group 'no'"),
        ("POST", f"{FIREWALL}/ipset", {"name": "set"}, "IPSet 'set' already exists"),
        ("POST", SET, {"cidr": "192.0.2.0/24"}, "already exists"),
        ("POST", SET, {"cidr": "192.0.2"}, "does not look like a valid CIDR"),
        ("DELETE", f"{SET}/192.0.2.9", None, "no such IP"),
        ("POST", rules, RULE | {"action": "ALLOW"}, "unknown action 'ALLOW'"),
        ("POST", rules, RULE | {"source": "+none"}, "no such ipset 'none'"),
        ("POST", rules, RULE | {"source": "192.0.2.1,2001:db8::1"}, "mixed ipv4/ipv6"),
        ("POST", rules, RULE | {"source": "everybody"}, "valid address"),
        ("POST", rules, RULE | {"proto": ""}, "required by 'dport'"),
        ("POST", rules, {"type": "in"}, "property is missing"),
        ("POST", rules, RULE | {"nonsense": "1"}, "not defined in schema"),
        ("POST", GROUP, {"type": "group", "action": "grp"}, "security groups not allowed"),
        ("PUT", f"{FIREWALL}/options", {"dhcp": "1"}, "not defined in schema"),
        ("GET", "/nodes/pve1/qemu/999/firewall/rules", None, "does not exist"),
    ):
        assert text in refused(filled, method, path, form), path
