"""Which guests are watched."""

from __future__ import annotations

import pytest

from discovery_fn.filters import os_override, parse_rules, port_override, watched
from discovery_fn.model import Guest

GUEST = Guest(150, "qemu", "pve1", "running", "web", tags=("prod", "web"), pool="shop")


@pytest.mark.parametrize(
    "item", ["tag:web", "WEB", "vmid:150", "150", "100-199", "vmid:100-150", "node:pve1", "pool:shop"]
)
def test_rules_that_match(item: str) -> None:
    assert watched(GUEST, parse_rules([item]), ())
    assert not watched(GUEST, (), parse_rules([item]))


@pytest.mark.parametrize("item", ["tag:db", "151", "vmid:151-160", "node:pve2", "pool:other"])
def test_rules_that_do_not_match(item: str) -> None:
    assert not watched(GUEST, parse_rules([item]), ())
    assert watched(GUEST, (), parse_rules([item]))


@pytest.mark.parametrize("item", ["name:web", "tag:", "vmid:x", "vmid:9-5"])
def test_rules_that_are_none(item: str) -> None:
    with pytest.raises(ValueError, match=item.partition(":")[0]):
        parse_rules([item])


def test_exclusion_and_the_tag_win_over_inclusion() -> None:
    assert not watched(GUEST, parse_rules(["150"]), parse_rules(["web"]))
    off = Guest(150, "qemu", "pve1", "running", "web", tags=("mon-off",))
    assert not watched(off, parse_rules(["150"]), ())


def test_overrides_by_tag() -> None:
    assert os_override(("a", "mon-windows")) == "windows"
    assert os_override(("mon-linux",)) == "linux"
    assert os_override(("linux",)) == ""
    assert port_override(("mon-port-9500",)) == 9500
    assert port_override(("mon-port-0", "mon-port-70000", "mon-port-x")) is None
