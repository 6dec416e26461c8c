"""Asking about one guest: its configuration, its addresses, its operating system."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from . import wire
from .addresses import Network, choose, choose_static
from .inventory import needs_osinfo
from .model import Facts, Guest, GuestConfig, Interface, Reason
from .pve import (
    ApiError,
    Endpoint,
    ForbiddenError,
    Gate,
    NodeUnreachableError,
    PveClient,
    PveError,
    TimedOutError,
)
from .schedule import Ask, Outcome

# pvedaemon has three workers for each node, and a hung agent blocks one of them for up to 8 s.
PROTECTED_CALLS_PER_NODE = 2
_CONFIG_CALLS_PER_NODE = 2

# In this order: the first that fits decides. Texts of qemu-server, pve-container and pve-guest-common.
_REASONS: tuple[tuple[re.Pattern[str], Reason], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), reason)
    for pattern, reason in (
        (r"no qemu guest agent configured", Reason.NO_AGENT),
        (r"guest agent is not running", Reason.AGENT_DEAD),
        (r"does not exist|(?:VM|CT) \d+ (?:is )?not running|no such (?:cluster )?node", Reason.MOVED),
        (r"got timeout|qga command|qmp command|not implemented for", Reason.AGENT_DEAD),
        (r"method .* not implemented", Reason.AGENT_UNSUPPORTED),
    )
)


def reason_of(error: PveError, *, config: bool = False) -> Reason:
    """Return why a call about a guest failed.

    Args:
        error: What the call raised.
        config: Whether it asked for the configuration rather than the agent.
    """
    if isinstance(error, ForbiddenError):
        return Reason.CONFIG_DENIED if config else Reason.AGENT_DENIED
    if isinstance(error, NodeUnreachableError):
        return Reason.NODE_OFFLINE
    if isinstance(error, TimedOutError) and not config:
        return Reason.AGENT_DEAD
    if isinstance(error, ApiError):
        return next(
            (reason for pattern, reason in _REASONS if pattern.search(error.reason)), Reason.API_ERROR
        )
    return Reason.API_ERROR


class Asker:
    """Asks guests, never more than two protected calls at a time on one node."""

    def __init__(self, client: PveClient, prefer: Sequence[Network]) -> None:
        self._client = client
        self._prefer = prefer
        self._protected: defaultdict[str, Gate] = defaultdict(lambda: Gate(PROTECTED_CALLS_PER_NODE))
        self._configs: defaultdict[str, Gate] = defaultdict(lambda: Gate(_CONFIG_CALLS_PER_NODE))

    async def ask(self, guest: Guest, facts: Facts, ask: Ask, *, agent_allowed: bool) -> Outcome:
        """Ask what is due.

        Args:
            guest: Whom to ask.
            facts: What is known of it.
            ask: What to ask.
            agent_allowed: False where the token is known to lack the privilege for agents.
        """
        config = facts.config
        changed = False
        if ask.config or config is None:
            try:
                config = await self._config(guest, suspect=ask.suspect)
            except PveError as error:
                return Outcome(asked_agent=True, reason=self._reason(error, config=True))
            changed = facts.config is None or config.digest != facts.config.digest
        outcome = Outcome()
        if ask.agent or changed:
            known = replace(facts, config=config)
            outcome = await self._addresses(guest, known, suspect=ask.suspect, allowed=agent_allowed)
        return replace(outcome, config=config if ask.config or facts.config is None else None)

    async def pci(self, node: str) -> frozenset[str]:
        """Return the NVIDIA GPUs of a node.

        Raises:
            PveError: Most often ForbiddenError: it takes Sys.Audit on the whole cluster.
        """
        path = f"nodes/{node}/hardware/pci"
        data = await self._guarded(self._protected[node], path, "nodes/{node}/hardware/pci", suspect=True)
        return wire.nvidia_gpus(data)

    async def _config(self, guest: Guest, *, suspect: bool) -> GuestConfig:
        path = f"nodes/{guest.node}/{guest.kind}/{guest.vmid}/config"
        template = f"nodes/{{node}}/{guest.kind}/{{vmid}}/config"
        data = await self._guarded(self._configs[guest.node], path, template, suspect=suspect)
        return wire.config(guest.kind, data)

    async def _addresses(self, guest: Guest, facts: Facts, *, suspect: bool, allowed: bool) -> Outcome:
        config = facts.config or GuestConfig()
        static = choose_static(config.nics, self._prefer, facts.address)
        if guest.kind == "lxc" and static and not self._prefer:
            return Outcome(asked_agent=True, address=static, source="static")
        if guest.kind == "qemu" and not (config.agent and allowed):
            reason = Reason.AGENT_DENIED if config.agent else Reason.NO_AGENT
            return Outcome(asked_agent=True, address=static, source="static", reason=reason)
        try:
            interfaces = await self._interfaces(guest, suspect=suspect)
        except wire.AgentRefused:
            return Outcome(asked_agent=True, address=static, source="static", reason=Reason.AGENT_UNSUPPORTED)
        except PveError as error:
            return Outcome(asked_agent=True, address=static, source="static", reason=self._reason(error))
        chosen = choose(config.nics, interfaces, self._prefer, facts.address)
        if not chosen:
            return Outcome(asked_agent=True, address=static, source="static", reason=Reason.NO_ADDRESS)
        found = Outcome(asked_agent=True, address=chosen, source="agent")
        return await self._with_os(guest, facts, found, suspect=suspect)

    async def _interfaces(self, guest: Guest, *, suspect: bool) -> tuple[Interface, ...]:
        if guest.kind == "lxc":
            return wire.container_interfaces(await self._container(guest, suspect=suspect))
        command = "agent/network-get-interfaces"
        return wire.agent_interfaces(await self._agent(guest, command, suspect=suspect))

    async def _agent(self, guest: Guest, command: str, *, suspect: bool) -> Any:
        path = f"nodes/{guest.node}/qemu/{guest.vmid}/{command}"
        template = f"nodes/{{node}}/qemu/{{vmid}}/{command}"
        return await self._guarded(self._protected[guest.node], path, template, suspect=suspect)

    async def _container(self, guest: Guest, *, suspect: bool) -> Any:
        """Ask for a container's interfaces; before pve-container 5.2 only its own node could answer."""
        path = f"nodes/{guest.node}/lxc/{guest.vmid}/interfaces"
        template = "nodes/{node}/lxc/{vmid}/interfaces"
        gate = self._protected[guest.node]
        try:
            return await self._guarded(gate, path, template, suspect=suspect)
        except ApiError as error:
            own = next((e for e in self._client.endpoints if e.node == guest.node and e.up), None)
            if reason_of(error) is not Reason.MOVED or own is None or own is self._client.active:
                raise
            return await self._guarded(gate, path, template, suspect=suspect, endpoint=own)

    async def _with_os(self, guest: Guest, facts: Facts, found: Outcome, *, suspect: bool) -> Outcome:
        if not needs_osinfo(guest, facts):
            return found
        try:
            system = wire.agent_os(await self._agent(guest, "agent/get-osinfo", suspect=suspect))
        except wire.AgentRefused:
            return replace(found, os_asked=True)
        except PveError as error:
            self._reason(error)
            return found
        return replace(found, os=system, os_asked=True)

    async def _guarded(
        self, gate: Gate, path: str, template: str, *, suspect: bool, endpoint: Endpoint | None = None
    ) -> Any:
        await gate.acquire(suspect=suspect)
        try:
            return await self._client.get(path, template, endpoint=endpoint)
        finally:
            gate.release(suspect=suspect)

    def _reason(self, error: PveError, *, config: bool = False) -> Reason:
        if isinstance(error, ForbiddenError):
            self._client.observer.denied(error.privilege)
        return reason_of(error, config=config)
