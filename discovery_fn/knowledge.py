"""All that is known about a cluster: what it listed, what its guests said, and how both are shown."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

from . import inventory as views
from . import schedule
from .logs import event
from .model import EndpointView, Facts, Guest, GuestConfig, GuestView, Inventory, Node, Resources
from .settings import Settings


class Knowledge:
    """What is known now. Its parts are read by all, and changed by its methods only."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._views: dict[int, GuestView] = {}
        self.cluster = settings.discovery_cluster
        self.guests: dict[int, Guest] = {}
        self.facts: dict[int, Facts] = {}
        self.nodes: dict[str, Node] = {}
        self.storages: dict[str, str] = {}
        self.gpus: dict[str, frozenset[str]] = {}
        self.mappings: dict[str, tuple[tuple[str, str], ...]] = {}
        self.held: set[int] = set()

    def restore(
        self,
        cluster: str,
        guests: tuple[Guest, ...],
        facts: Mapping[int, Facts],
        nodes: tuple[Node, ...],
        storages: Mapping[str, str],
    ) -> None:
        """Take over what was saved."""
        self.cluster = cluster
        self.guests = {guest.vmid: guest for guest in guests}
        self.facts = {vmid: entry for vmid, entry in facts.items() if vmid in self.guests}
        self.nodes = {node.name: node for node in nodes}
        self.storages = dict(storages)
        self.show_all()

    def name(self, found: str) -> None:
        """Note the cluster's name; what is known of another cluster's guests is dropped."""
        name = self._settings.discovery_cluster or found
        if self.cluster and name and name != self.cluster:
            event(
                logging.WARNING, "another cluster than before; starting anew", before=self.cluster, now=name
            )
            self.guests.clear()
            self.facts.clear()
            self._views.clear()
        self.cluster = name or self.cluster

    def locate(self, addresses: Mapping[str, str]) -> None:
        """Note the nodes' addresses."""
        for name, ip in addresses.items():
            known = self.nodes.get(name, Node(name, online=True))
            self.nodes[name] = replace(known, ip=ip or known.ip)

    def list_nodes(self, found: Resources) -> None:
        """Take over nodes and storages of a list."""
        self.storages = found.storages or self.storages
        if found.nodes:
            ips = {name: node.ip for name, node in self.nodes.items()}
            self.nodes = {n.name: replace(n, ip=ips.get(n.name, "")) for n in found.nodes.values()}

    def drop_all_but(self, listed: Mapping[int, Guest], held: set[int]) -> None:
        """Forget the guests that are neither listed nor held."""
        self.held = held
        for vmid in self.guests.keys() - listed.keys() - held:
            event(logging.INFO, "guest is gone", vmid=vmid, name=self.guests[vmid].name)
            self.guests.pop(vmid)
            self.facts.pop(vmid, None)
            self._views.pop(vmid, None)

    def see(self, row: Guest, now: float) -> None:
        """Take over one guest of a list."""
        guest = views.merge(self.guests.get(row.vmid), row)
        self.guests[row.vmid] = guest
        self.learn(row.vmid, schedule.observe(self.facts.get(row.vmid, Facts()), guest, now))

    def learn(self, vmid: int, facts: Facts) -> None:
        """Note what is known of a guest."""
        self.facts[vmid] = facts
        self.show(vmid)

    def around(self) -> views.Surroundings:
        """Return what a guest is seen against."""
        return views.Surroundings(self.nodes, self.storages, self.gpus, self.mappings)

    def config_of(self, vmid: int) -> GuestConfig:
        """Return a guest's configuration, an empty one where it is not known."""
        facts = self.facts.get(vmid)
        return facts.config if facts and facts.config else GuestConfig()

    def show(self, vmid: int) -> None:
        """Bring the view of one guest up to date; an equal one stays the same object."""
        guest, facts = self.guests[vmid], self.facts.get(vmid, Facts())
        view = views.view(guest, facts, self.around(), self._settings)
        if self._views.get(vmid) != view:
            self._views[vmid] = view

    def show_all(self) -> None:
        """Bring the views of all guests up to date."""
        for vmid in self.guests:
            self.show(vmid)

    def show_all_of(self, node: str) -> None:
        """Bring the views of a node's guests up to date."""
        for vmid, guest in self.guests.items():
            if guest.node == node:
                self.show(vmid)

    def inventory(self, endpoints: tuple[EndpointView, ...], *, complete: bool) -> Inventory:
        """Return one consistent picture."""
        guests = tuple(self._views[vmid] for vmid in sorted(self._views))
        configs = {vmid: self.config_of(vmid) for vmid in self.guests}
        gpus = views.free_gpus(self.around(), self.guests.values(), configs)
        return Inventory(
            cluster=self.cluster,
            guests=guests,
            nodes=views.node_views(self.around(), gpus, self._settings),
            endpoints=endpoints,
            conflicts=views.conflicts(guests),
            complete=complete,
        )
