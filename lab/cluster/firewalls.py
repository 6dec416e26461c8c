"""The firewalls of the cluster, its nodes and its guests (*.fw), as they were changed through the API.

Kept in memory. They are only stored: nothing in the lab is filtered.
"""

from dataclasses import dataclass, field
from typing import Any

Rule = dict[str, Any]


@dataclass
class Scope:
    """What the cluster, a node or a guest has: options by key, rules in their order."""

    options: dict[str, Any] = field(default_factory=dict)
    rules: list[Rule] = field(default_factory=list)


@dataclass
class Group:
    """A security group."""

    comment: str = ""
    rules: list[Rule] = field(default_factory=list)


@dataclass
class IpSet:
    """An IP set: its entries by network or address."""

    comment: str = ""
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass
class Firewalls:
    """All firewalls; those of nodes and guests by name and vmid."""

    cluster: Scope = field(default_factory=Scope)
    nodes: dict[str, Scope] = field(default_factory=dict)
    guests: dict[str, Scope] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    ipsets: dict[str, IpSet] = field(default_factory=dict)
