"""Target groups as Prometheus reads them: sorted, equal bytes for equal inventories. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from .model import EndpointView, GuestView, Inventory, NodeView

Group = dict[str, list[str] | dict[str, str]]
Name = Literal["all", "windows", "linux", "nodes", "gpu", "pve"]


@dataclass(frozen=True, slots=True)
class Body:
    """A body of JSON with its entity tag."""

    content: bytes
    etag: str


def group(target: str, labels: dict[str, str]) -> Group:
    """Return one target group of one target."""
    return {"targets": [target], "labels": labels}


def guest_labels(guest: GuestView, cluster: str, mode: str) -> dict[str, str]:
    """Return a guest's labels; `lean` leaves out everything that can change during its life.

    The tags are there besides for relabelling, in both modes: no series ever has `__meta_` labels.
    """
    identity = {
        "cluster": cluster,
        "vm_id": str(guest.vmid),
        "vm_name": guest.name,
        "__meta_pve_tags": guest.tags,
    }
    if mode == "lean":
        return identity
    return identity | {
        "node": guest.node,
        "vcpus": guest.vcpus,
        "memory_gb": guest.memory_gb,
        "disk_type": guest.disk_type,
        "tags": guest.tags,
        "os": guest.os,
    }


def node_labels(node: NodeView, cluster: str) -> dict[str, str]:
    """Return a node's labels."""
    return {"cluster": cluster, "node": node.name}


def endpoint_group(endpoint: EndpointView, cluster: str) -> Group:
    """Return the group of one member of the API; `__meta_` labels are for relabelling only."""
    labels = {
        "cluster": cluster,
        "__meta_pve_node": endpoint.node,
        "__meta_pve_endpoint_active": "true" if endpoint.active else "false",
    }
    return group(endpoint.address, labels)


def encode(value: Group) -> bytes:
    """Write one group; keys sorted, no blanks."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def body(fragments: Iterable[bytes]) -> Body:
    """Join encoded groups to a list."""
    content = b"[" + b",".join(fragments) + b"]"
    return Body(content, f'"{hashlib.blake2b(content, digest_size=16).hexdigest()}"')


class Renderer:
    """Writes all bodies of an inventory, encoding only the guests that changed since last time."""

    def __init__(self, mode: str) -> None:
        self._mode = mode
        self._cluster: str | None = None
        self._cache: dict[int, tuple[GuestView, bytes, bytes]] = {}

    def render(self, inventory: Inventory) -> dict[Name, Body]:
        """Return the bodies by name."""
        if inventory.cluster != self._cluster:
            self._cluster = inventory.cluster
            self._cache.clear()
        guests = [self._encoded(guest) for guest in sorted(inventory.guests, key=lambda item: item.vmid)]
        self._cache = {entry[0].vmid: entry for entry in guests}
        nodes = sorted(inventory.nodes, key=lambda item: item.name)
        return {
            "all": body(fragment for _, fragment, _ in guests if fragment),
            "windows": body(fragment for view, fragment, _ in guests if fragment and view.os == "windows"),
            "linux": body(fragment for view, fragment, _ in guests if fragment and view.os == "linux"),
            "nodes": body(self._node(node, node.target) for node in nodes if node.target),
            "gpu": body(
                [
                    *(self._node(node, node.gpu_target) for node in nodes if node.gpu_target),
                    *(fragment for _, _, fragment in guests if fragment),
                ]
            ),
            "pve": body(
                encode(endpoint_group(endpoint, inventory.cluster))
                for endpoint in sorted(inventory.endpoints, key=lambda item: item.address)
            ),
        }

    def _encoded(self, guest: GuestView) -> tuple[GuestView, bytes, bytes]:
        known = self._cache.get(guest.vmid)
        if known is not None and (known[0] is guest or known[0] == guest):
            return known
        labels = guest_labels(guest, self._cluster or "", self._mode)
        target = encode(group(guest.target, labels)) if guest.target else b""
        gpu = encode(group(guest.gpu_target, labels)) if guest.gpu_target else b""
        return guest, target, gpu

    def _node(self, node: NodeView, target: str) -> bytes:
        return encode(group(target, node_labels(node, self._cluster or "")))
