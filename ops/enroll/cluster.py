"""The cluster's API as `enroll` needs it: the guests, what the token may do, and what agents run in guests.

Sources: the API schemas of Proxmox VE 8.4 and 9.1, PVE/QemuServer/Agent.pm (`check_agent_error`).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from components.pve_api import Api, Refused, Token
from components.settings import Cluster as ClusterSettings
from ops.pulumi_cli import ROOT

# As base64 40,000 characters: file-write takes 61,440 of them, older pveproxies 64 KiB of a form in all.
CHUNK_BYTES = 30_000
# What it takes to write files and to run programs in guests.
PRIVILEGES: Mapping[int, str] = {8: "VM.Monitor", 9: "VM.GuestAgent.Unrestricted"}

_T = TypeVar("_T")

# What the API and agents say, and what to do about it.
_ADVICE: Mapping[str, str] = {
    "No QEMU guest agent configured": "the agent is switched off: qm set {vmid} --agent 1, install "
    "qemu-guest-agent in the guest, stop and start it",
    "QEMU guest agent is not running": "the agent doesn't answer: install or start qemu-guest-agent in the "
    "guest (one that hangs or is frozen by a backup doesn't answer either)",
    "got timeout": "the agent hangs: restart the service qemu-guest-agent in the guest",
    "has been disabled": "the agent bars it (RHEL and its kin do by default): allow guest-exec, "
    "guest-exec-status, guest-file-open, guest-file-write and guest-file-close in /etc/sysconfig/qemu-ga and "
    "restart it, or install without the agent (docs/guests.md)",
    "Failed to execute": "the agent can't start the program",
    "Permission check failed": "the token may not do that",
    "is not running": "the guest is off: start it",
}


@dataclass(frozen=True)
class Guest:
    """A guest as the cluster lists it; `kind` is qemu or lxc."""

    vmid: int
    name: str
    node: str
    kind: str
    running: bool
    template: bool
    tags: frozenset[str]


@dataclass(frozen=True)
class Ended:
    """How a program in a guest ended: its exit code, and what it printed."""

    code: int
    output: str


class Cluster:
    """The API of one cluster. A thread needs one of its own."""

    def __init__(self, settings: ClusterSettings, token: Token, endpoints: Sequence[str]) -> None:
        self._asked = Api(settings, token, endpoints, ROOT)
        self._api: Any = None
        self._nodes: dict[int, str] = {}

    def connect(self) -> None:
        """Find a member that answers.

        Raises:
            Refused: none does, its certificate isn't trusted, the token isn't accepted, or it is too old.
        """
        self._api = self._asked.connect()

    @property
    def release(self) -> int:
        """Of Proxmox VE, known when it is connected."""
        return self._asked.release

    @property
    def privilege(self) -> str:
        """What the token needs on a guest."""
        return PRIVILEGES[8 if self.release < 9 else 9]

    def guests(self) -> dict[int, Guest]:
        """Every guest that the token sees.

        Raises:
            Refused: the API doesn't answer.
        """
        found = self._call(lambda: self._api.cluster.resources.get(type="vm"))
        return {int(entry["vmid"]): _guest(entry) for entry in found}

    def may_run(self, guest: Guest) -> bool:
        """Whether the token may run programs in a guest: by ACLs on its path and on its pool.

        Raises:
            Refused: the API doesn't answer.
        """
        return self.privilege in self._asked.privileges(f"/vms/{guest.vmid}")

    def system(self, guest: Guest) -> Mapping[str, str]:
        """What the guest's agent says of its operating system.

        Raises:
            Refused: the agent doesn't answer.
        """
        answer = self._agent(guest, lambda agent: agent("get-osinfo").get())["result"]
        if isinstance(answer, dict) and "error" in answer:
            raise Refused(f"the agent can't tell its system: {answer['error'].get('desc', '?')}")
        return dict(answer)

    def write(self, guest: Guest, path: str, content: bytes) -> None:
        """Write a file of at most CHUNK_BYTES in a guest.

        Raises:
            Refused: the agent doesn't do it.
        """
        # Encoded here: the server would encode it too, but only characters that Perl takes for bytes.
        text = base64.b64encode(content).decode()
        self._agent(guest, lambda agent: agent("file-write").post(file=path, content=text, encode=0))

    def start(self, guest: Guest, command: Sequence[str]) -> int:
        """Start a program in a guest; the number of its process.

        Raises:
            Refused: the agent doesn't do it.
        """
        return int(self._agent(guest, lambda agent: agent("exec").post(command=list(command)))["pid"])

    def ended(self, guest: Guest, pid: int) -> Ended | None:
        """How a program in a guest ended; None while it runs. The agent tells it once.

        Raises:
            Refused: the agent doesn't answer.
        """
        answer = self._agent(guest, lambda agent: agent("exec-status").get(pid=pid))
        if not answer.get("exited"):
            return None
        code = answer.get("exitcode")
        output = f"{answer.get('out-data', '')}{answer.get('err-data', '')}"
        # Without a code it was ended by a signal or an exception.
        return Ended(-1 if code is None else int(code), output)

    def _agent(self, guest: Guest, ask: Callable[[Any], _T]) -> _T:
        def of(node: str) -> Any:
            return self._api.nodes(node).qemu(guest.vmid).agent

        node = self._nodes.get(guest.vmid, guest.node)
        try:
            return self._call(lambda: ask(of(node)), guest.vmid)
        except Refused as error:
            if "does not exist" not in str(error):
                raise
        # It was moved meanwhile.
        moved = self.guests().get(guest.vmid)
        if moved is None:
            raise Refused("the guest is gone")
        self._nodes[guest.vmid] = moved.node
        return self._call(lambda: ask(of(moved.node)), guest.vmid)

    def _call(self, ask: Callable[[], _T], vmid: int = 0) -> _T:
        return self._asked.call(ask, lambda said: _advice(said).format(vmid=vmid))


def _advice(said: str) -> str:
    return next((text for words, text in _ADVICE.items() if words in said), "")


def _guest(entry: Mapping[str, Any]) -> Guest:
    return Guest(
        vmid=int(entry["vmid"]),
        name=str(entry.get("name", entry["vmid"])),
        node=str(entry["node"]),
        kind=str(entry["type"]),
        running=entry.get("status") == "running",
        template=bool(entry.get("template")),
        tags=frozenset(re.split(r"[;,\s]+", str(entry.get("tags", "")))) - {""},
    )
