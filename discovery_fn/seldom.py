"""What is asked of the cluster every ten minutes or more seldom: names, addresses, privileges, GPUs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from . import privileges, wire
from .asking import Asker
from .errors import ForbiddenError, PveError
from .knowledge import Knowledge
from .logs import Conditions
from .model import Reason
from .pve import Endpoint, Observer, PveClient
from .tasks import Tasks

PERIOD_SECONDS = 600.0
_RETRY_SECONDS = 60.0
_PCI_SECONDS = 6 * 3600.0
_OLDEST_RELEASE = 8
# Before Proxmox VE 8 there are no mappings; the lists of some products have no PCI devices.
_NO_SUCH_CALL = "501"
FORBIDDEN_ADVICE = "the token lacks a privilege: give user and token the role PVEAuditor on /"
_STATUS = "status"


class Seldom:
    """Keeps the times; what it learns goes into the knowledge, or is read here."""

    def __init__(
        self,
        client: PveClient,
        asker: Asker,
        knowledge: Knowledge,
        conditions: Conditions,
        observer: Observer,
        *,
        clock: Callable[[], float],
        changed: Callable[[], None],
    ) -> None:
        self._client = client
        self._asker = asker
        self._known = knowledge
        self._conditions = conditions
        self._observer = observer
        self._clock = clock
        self._changed = changed
        self._due: dict[str, float] = {}
        self.permissions: dict[str, dict[str, bool]] | None = None
        self.version = ""
        self.major = 0

    async def read(self) -> None:
        """Ask what is due of the cluster as a whole; failures are told, and tried again soon."""
        for name, call in (
            (_STATUS, self._read_status),
            ("permissions", self._read_permissions),
            ("version", self._read_version),
        ):
            await self._call(name, call)

    def start(self, tasks: Tasks, *, gpus: bool) -> None:
        """Start what is due and may take long: members not in use, and the nodes' PCI devices."""
        for endpoint in self._client.endpoints:
            if endpoint is not self._client.active and self._is_due(f"probe {endpoint.url}"):
                tasks.start(self._probe(endpoint))
        if gpus:
            self._start_gpu_calls(tasks)

    def failed_over(self) -> None:
        """Let the new member say its name now."""
        self._due.pop(_STATUS, None)

    def missing(self) -> dict[str, bool]:
        """Return for each privilege that discovery uses whether the token lacks it; empty while unknown."""
        return {} if self.permissions is None else privileges.missing(self.permissions, self.major)

    def agents_allowed(self) -> bool:
        """Whether asking an agent may succeed; unknown counts as yes, the API has the last word."""
        if self.permissions is None or not self.major:
            return True
        return privileges.anywhere(self.permissions, privileges.agent_privileges(self.major))

    def task_log_visible(self) -> bool:
        """Whether the token sees the tasks of others: the API leaves them out without a word."""
        return self.permissions is not None and privileges.holds(self.permissions, "/", ("Sys.Audit",))

    async def permissions_now(self) -> Mapping[str, Mapping[str, bool]] | None:
        """Return what the token may do at this moment; None where that can't be learned."""
        try:
            await self._read_permissions()
        except PveError:
            return None
        return self.permissions

    def _is_due(self, name: str, seconds: float = PERIOD_SECONDS) -> bool:
        due = self._clock() >= self._due.get(name, 0.0)
        if due:
            self._due[name] = self._clock() + seconds
        return due

    async def _call(self, name: str, call: Callable[[], Awaitable[None]]) -> None:
        if not self._is_due(name):
            return
        try:
            await call()
        except ForbiddenError as error:
            self._observer.denied(error.privilege)
            self._conditions.bad(name, f"the API refuses {name}", error=error, advice=FORBIDDEN_ADVICE)
        except PveError as error:
            self._due[name] = self._clock() + _RETRY_SECONDS
            self._conditions.bad(name, f"the API doesn't answer {name}", error=error)
        else:
            self._conditions.good(name, f"the API answers {name} again")

    async def _read_status(self) -> None:
        status = wire.cluster_status(await self._client.cluster("cluster/status"))
        self._client.active.node = status.local or self._client.active.node
        self._known.locate(status.ips)
        self._known.name(status.name)

    async def _read_version(self) -> None:
        self.version, self.major = wire.release(await self._client.cluster("version"))
        if 0 < self.major < _OLDEST_RELEASE:
            self._conditions.bad(
                "release",
                f"the cluster runs Proxmox VE {self.version}, which has had no update since July 2024",
                advice=f"upgrade it to {_OLDEST_RELEASE} or later; this service was never tried with it",
            )
        else:
            self._conditions.good("release", f"the cluster runs Proxmox VE {self.version}")

    async def _read_permissions(self) -> None:
        found = wire.permissions(await self._client.cluster("access/permissions"))
        if found != self.permissions and self.permissions is not None:
            self._ask_the_denied_again()
        self.permissions = found
        lacking = sorted(name for name, missing in self.missing().items() if missing)
        if lacking:
            self._conditions.bad(
                "privileges",
                f"the token lacks {', '.join(lacking)}",
                advice="give user and token the role PVEAuditor on / (README: privileges by release)",
            )
        else:
            self._conditions.good("privileges", "the token has all privileges")

    def _ask_the_denied_again(self) -> None:
        denied = {Reason.AGENT_DENIED, Reason.CONFIG_DENIED}
        for vmid, facts in list(self._known.facts.items()):
            if facts.reason in denied:
                self._known.learn(vmid, replace(facts, agent_due=0.0, config_due=0.0, failures=0))

    async def _probe(self, endpoint: Endpoint) -> None:
        try:
            data = await self._client.get("cluster/status", "cluster/status", endpoint=endpoint)
        except PveError as error:
            self._conditions.bad(
                endpoint.url,
                "a member that is not in use can't be used",
                endpoint=endpoint.label,
                error=error,
            )
            return
        self._conditions.good(endpoint.url, "a member can be used again", endpoint=endpoint.label)
        endpoint.node = wire.cluster_status(data).local or endpoint.node
        self._changed()

    def _start_gpu_calls(self, tasks: Tasks) -> None:
        for name, node in self._known.nodes.items():
            if node.online and self._is_due(f"pci {name}", _PCI_SECONDS):
                tasks.start(self._read_gpus(name))
        mapped = any(
            entry.mapping for vmid in self._known.guests for entry in self._known.config_of(vmid).pci
        )
        if mapped and self._is_due("mapping", _PCI_SECONDS):
            tasks.start(self._call("PCI mappings", self._read_mappings))

    async def _read_gpus(self, node: str) -> None:
        try:
            self._known.gpus[node] = await self._asker.pci(node)
        except ForbiddenError as error:
            self._observer.denied(error.privilege)
        except PveError as error:
            if error.status != _NO_SUCH_CALL:
                self._due[f"pci {node}"] = self._clock() + PERIOD_SECONDS
        else:
            self._known.show_all_of(node)
            self._changed()

    async def _read_mappings(self) -> None:
        self._known.mappings = wire.pci_mappings(await self._client.cluster("cluster/mapping/pci"))
        self._known.show_all()
        self._changed()
