"""Which guests are to be watched: DISCOVERY_INCLUDE, DISCOVERY_EXCLUDE and tags on the guest itself. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from .model import Guest

TAG_OFF = "mon-off"
TAG_GPU = "mon-gpu"
TAG_OS = {"mon-windows": "windows", "mon-linux": "linux"}
_TAG_PORT = re.compile(r"mon-port-([0-9]{1,5})")
_VMIDS = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?")


@dataclass(frozen=True, slots=True)
class Rule:
    """One item of an include or exclude list; `first` and `last` bound a range of VMIDs."""

    kind: Literal["tag", "vmid", "node", "pool"]
    value: str
    first: int = 0
    last: int = 0

    def matches(self, guest: Guest) -> bool:
        """Whether the guest is meant."""
        if self.kind == "vmid":
            return self.first <= guest.vmid <= self.last
        if self.kind == "tag":
            return self.value.lower() in guest.tags
        return self.value == (guest.node if self.kind == "node" else guest.pool)


def parse_rules(items: Iterable[str]) -> tuple[Rule, ...]:
    """Read items such as `tag:web`, `vmid:100-199`, `node:pve1`, `pool:prod`; bare: VMIDs or a tag.

    Raises:
        ValueError: An item has an unknown prefix, no value, or a range that is none.
    """
    return tuple(_rule(item) for item in items)


def _rule(item: str) -> Rule:
    prefix, colon, value = item.partition(":")
    if not colon:
        prefix, value = ("vmid" if _VMIDS.fullmatch(item) else "tag"), item
    value = value.strip()
    if prefix not in {"tag", "vmid", "node", "pool"} or not value:
        raise ValueError(f"{item!r} is not understood; write tag:web, vmid:100-199, node:pve1 or pool:prod")
    if prefix != "vmid":
        return Rule(prefix, value)  # type: ignore[arg-type]  # checked above
    match = _VMIDS.fullmatch(value)
    if match is None:
        raise ValueError(f"{item!r} is not a VMID or a range of VMIDs such as 100-199")
    first = int(match.group(1))
    last = int(match.group(2) or first)
    if last < first:
        raise ValueError(f"{item!r} ends before it begins")
    return Rule("vmid", value, first, last)


def watched(guest: Guest, include: Sequence[Rule], exclude: Sequence[Rule]) -> bool:
    """Whether the guest is to be watched; `mon-off` and an exclusion win over an inclusion."""
    if TAG_OFF in guest.tags or any(rule.matches(guest) for rule in exclude):
        return False
    return not include or any(rule.matches(guest) for rule in include)


def os_override(tags: Iterable[str]) -> str:
    """Return the operating system that a tag names, empty where none does."""
    return next((TAG_OS[tag] for tag in tags if tag in TAG_OS), "")


def port_override(tags: Iterable[str]) -> int | None:
    """Return the port of a `mon-port-N` tag; numbers that are no port are ignored."""
    for tag in tags:
        match = _TAG_PORT.fullmatch(tag)
        if match and 1 <= int(match.group(1)) <= 65535:
            return int(match.group(1))
    return None
