"""Asking about one guest: its configuration, its addresses, its operating system."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from . import wire
from .addresses import Network, choose, choose_static
from .errors import ApiError, ForbiddenError, NodeUnreachableError, PveError, TimedOutError
from .gate import Gate
from .inventory import needs_osinfo
from .model import Facts, Guest, GuestConfig, Interface, Reason
from .pve import Endpoint, PveClient
from .schedule import Ask, Outcome

# pvedaemon has three workers for each node, and a hung agent blocks one of them for up to 8 s.
PROTECTED_CALLS_PER_NODE = 2
_CONFIG_CALLS_PER_NODE = 2
# Two whose agents are asked next, and two whose configurations are being read.
_GUESTS_AHEAD_PER_NODE = 4

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


@dataclass(frozen=True, slots=True)
class _Turn:
    """One guest that is being asked; `leave` is called when it is its agent's turn."""

    guest: Guest
    suspect: bool
    leave: Callable[[], None]


class Asker:
    """Asks guests, never more than two protected calls at a time on one node."""

    def __init__(self, client: PveClient, prefer: Sequence[Network]) -> None:
        self._client = client
        self._prefer = prefer
        self._protected: defaultdict[str, Gate] = defaultdict(
            lambda: Gate(PROTECTED_CALLS_PER_NODE, _GUESTS_AHEAD_PER_NODE)
        )
        self._configs: defaultdict[str, Gate] = defaultdict(lambda: Gate(_CONFIG_CALLS_PER_NODE))

    async def ask(self, guest: Guest, facts: Facts, ask: Ask, *, agent_allowed: bool) -> Outcome:
        """Ask what is due.

        Args:
            guest: Whom to ask.
            facts: What is known of it.
            ask: What to ask.
            agent_allowed: False where the token is known to lack the privilege for agents.
        """
        # A suspect waits long for its agent's turn, and must not keep others from being prepared.
        leave = _nothing if ask.suspect else await self._protected[guest.node].prepare()
        try:
            return await self._ask(_Turn(guest, ask.suspect, leave), facts, ask, agent_allowed=agent_allowed)
        finally:
            leave()

    async def _ask(self, turn: _Turn, facts: Facts, ask: Ask, *, agent_allowed: bool) -> Outcome:
        config = facts.config
        changed = False
        if ask.config or config is None:
            try:
                config = await self._config(turn)
            except PveError as error:
                return Outcome(asked_agent=True, reason=self._reason(error, config=True))
            changed = facts.config is None or config.digest != facts.config.digest
        outcome = Outcome()
        if ask.agent or changed:
            outcome = await self._addresses(turn, replace(facts, config=config), allowed=agent_allowed)
        return replace(outcome, config=config if ask.config or facts.config is None else None)

    async def pci(self, node: str) -> frozenset[str]:
        """Return the NVIDIA GPUs of a node.

        Raises:
            PveError: Most often ForbiddenError: it takes Sys.Audit on the whole cluster.
        """
        path = f"nodes/{node}/hardware/pci"
        async with self._protected[node].slot(suspect=True):
            return wire.nvidia_gpus(await self._client.get(path, "nodes/{node}/hardware/pci"))

    async def _config(self, turn: _Turn) -> GuestConfig:
        guest = turn.guest
        path = f"nodes/{guest.node}/{guest.kind}/{guest.vmid}/config"
        template = f"nodes/{{node}}/{guest.kind}/{{vmid}}/config"
        async with self._configs[guest.node].slot(suspect=turn.suspect):
            data = await self._client.get(path, template)
        return wire.config(guest.kind, data)

    async def _addresses(self, turn: _Turn, facts: Facts, *, allowed: bool) -> Outcome:
        guest = turn.guest
        config = facts.config or GuestConfig()
        static = choose_static(config.nics, self._prefer, facts.address)
        if guest.kind == "lxc" and static and not self._prefer:
            return Outcome(asked_agent=True, address=static, source="static")
        if guest.kind == "qemu" and not (config.agent and allowed):
            reason = Reason.AGENT_DENIED if config.agent else Reason.NO_AGENT
            return Outcome(asked_agent=True, address=static, source="static", reason=reason)
        try:
            interfaces = await self._interfaces(turn)
        except wire.AgentRefused:
            return Outcome(asked_agent=True, address=static, source="static", reason=Reason.AGENT_UNSUPPORTED)
        except PveError as error:
            return Outcome(asked_agent=True, address=static, source="static", reason=self._reason(error))
        chosen = choose(config.nics, interfaces, self._prefer, facts.address)
        if not chosen:
            return Outcome(asked_agent=True, address=static, source="static", reason=Reason.NO_ADDRESS)
        found = Outcome(asked_agent=True, address=chosen, source="agent")
        return await self._with_os(turn, facts, found)

    async def _interfaces(self, turn: _Turn) -> tuple[Interface, ...]:
        if turn.guest.kind == "lxc":
            return wire.container_interfaces(await self._container(turn))
        return wire.agent_interfaces(await self._agent(turn, "agent/network-get-interfaces"))

    async def _agent(self, turn: _Turn, command: str) -> Any:
        path = f"nodes/{turn.guest.node}/qemu/{turn.guest.vmid}/{command}"
        return await self._protectedly(turn, path, f"nodes/{{node}}/qemu/{{vmid}}/{command}")

    async def _container(self, turn: _Turn) -> Any:
        """Ask for a container's interfaces; before pve-container 5.2 only its own node could answer."""
        node = turn.guest.node
        path = f"nodes/{node}/lxc/{turn.guest.vmid}/interfaces"
        template = "nodes/{node}/lxc/{vmid}/interfaces"
        try:
            return await self._protectedly(turn, path, template)
        except ApiError as error:
            own = next((e for e in self._client.endpoints if e.node == node and e.up), None)
            if reason_of(error) is not Reason.MOVED or own is None or own is self._client.active:
                raise
            return await self._protectedly(turn, path, template, endpoint=own)

    async def _with_os(self, turn: _Turn, facts: Facts, found: Outcome) -> Outcome:
        if not needs_osinfo(turn.guest, facts):
            return found
        try:
            system = wire.agent_os(await self._agent(turn, "agent/get-osinfo"))
        except wire.AgentRefused:
            return replace(found, os_asked=True)
        except PveError as error:
            self._reason(error)
            return found
        return replace(found, os=system, os_asked=True)

    async def _protectedly(
        self, turn: _Turn, path: str, template: str, endpoint: Endpoint | None = None
    ) -> Any:
        async with self._protected[turn.guest.node].slot(suspect=turn.suspect):
            turn.leave()
            return await self._client.get(path, template, endpoint=endpoint)

    def _reason(self, error: PveError, *, config: bool = False) -> Reason:
        if isinstance(error, ForbiddenError):
            self._client.observer.denied(error.privilege)
        return reason_of(error, config=config)


def _nothing() -> None:
    pass
