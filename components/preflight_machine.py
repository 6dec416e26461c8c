"""What keeps a VM from being made: its number, its node, its storages, its address."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address
from typing import Any

from components.pve_api import Api
from components.settings import ProxmoxDocker

GIB = 2**30
# What machines answer on when they answer at all: SSH, web servers, Windows, Proxmox VE.
PROBED_PORTS = (22, 80, 443, 445, 3389, 8006)
PROBE_SECONDS = 0.5

# Types of storage by the content that they can't be given (plugindata of PVE::Storage::…Plugin).
_UNABLE = {
    "import": frozenset({"lvm", "lvmthin", "zfspool", "zfs", "rbd", "iscsi", "iscsidirect", "pbs"}),
    "images": frozenset({"cephfs", "esxi", "pbs"}),
}
# What to do where no other storage would do.
_NONE = "; make one, or give the token Datastore.Audit on it"
_FULL = "; make room there, or the disk smaller"


@dataclass(frozen=True)
class Room:
    """A storage that something of the VM lies on.

    Attributes:
        key: of the setting that names it.
        content: type of content that it has to hold.
        gib: space that may be used.
    """

    key: str
    storage: str
    content: str
    gib: int = 0


class MachineCheck:
    """Asks about one VM.

    Args:
        api: connected.
        client: what it connected to.
        machine: the VM.
        name: that it has, or is to have.
        setting: where the stack configuration describes it.
    """

    def __init__(
        self, api: Api, client: Any, machine: ProxmoxDocker, name: str, setting: str = "docker"
    ) -> None:
        self._api, self._client, self._machine, self._name = api, client, machine, name
        self._setting = setting

    @cached_property
    def _taken_by(self) -> dict[str, Any] | None:
        found = self._api.call(lambda: self._client.cluster.resources.get(type="vm"))
        return next((entry for entry in found if int(entry["vmid"]) == self._machine.vm_id), None)

    @property
    def made(self) -> bool:
        """Whether it is there already.

        Raises:
            Refused: the API doesn't answer.
        """
        return self._taken_by is not None and self._taken_by.get("name") == self._name

    def problems(self) -> list[str]:
        """What is wrong, each with the setting that it is about.

        Raises:
            Refused: the API doesn't answer.
        """
        return [*self._number(), *self._place(), *self._address()]

    def _number(self) -> list[str]:
        if self._taken_by is None:
            return []
        other = f"{self._taken_by.get('name', 'another guest')} on {self._taken_by.get('node')}"
        text = f"{self._setting}.vmId: {self._machine.vm_id} is {other}; give a free one"
        return [f"{text} (pvesh get /cluster/nextid)"]

    def _place(self) -> list[str]:
        node = self._machine.node
        members = {str(entry["node"]): entry for entry in self._api.call(self._client.nodes.get)}
        if node not in members:
            known = ", ".join(sorted(members)) or "none that the token sees"
            return [f"{self._setting}.node: the cluster has no {node}; its members are {known}"]
        if members[node].get("status") != "online":
            return [f"{self._setting}.node: {node} is offline; start it, or name another member"]
        found = self._api.call(self._client.nodes(node).storage.get)
        storages = {str(entry["storage"]): entry for entry in found}
        machine = self._machine
        rooms = (
            Room(f"{self._setting}.imageDatastore", machine.image_datastore, "import"),
            Room(f"{self._setting}.diskDatastore", machine.disk_datastore, "images", machine.disk_gib),
        )
        return [text for room in rooms if (text := _storage_problem(room, node, storages)) is not None]

    def _address(self) -> list[str]:
        host = self._machine.host
        if ip_address(host).is_loopback:
            return []
        taken = any(_answers(host, port) for port in PROBED_PORTS)
        return (
            [f"{self._setting}.address: something answers at {host} already; give a free one"]
            if taken
            else []
        )


def _storage_problem(room: Room, node: str, storages: dict[str, dict[str, Any]]) -> str | None:
    entry = storages.get(room.storage)
    fitting = [name for name, other in sorted(storages.items()) if _fits(room, other)]
    instead = f"; {', '.join(fitting)} would do" if fitting else ""
    where = f"{room.key}: {room.storage}"
    if entry is None:
        return f"{where} is no storage of {node} that the token sees{instead or _NONE}"
    if not (entry.get("active", 1) and entry.get("enabled", 1)):
        return f"{where} isn't active on {node} (pvesm status){instead}"
    if entry.get("type") in _UNABLE[room.content]:
        return f"{where} is of type {entry['type']}, which can't hold {room.content}{instead or _NONE}"
    if room.content not in _contents(entry):
        both = ",".join([*_contents(entry), room.content])
        return f"{where} doesn't hold {room.content}; run pvesm set {room.storage} --content {both}{instead}"
    if not _fits(room, entry):
        free = int(entry["avail"]) // GIB
        return f"{where} on {node} has {free} GiB left, and docker.diskGib is {room.gib}{instead or _FULL}"
    return None


def _fits(room: Room, entry: dict[str, Any]) -> bool:
    free = int(entry.get("avail", room.gib * GIB))
    return room.content in _contents(entry) and free >= room.gib * GIB


def _contents(entry: dict[str, Any]) -> list[str]:
    return str(entry.get("content", "")).split(",")


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), PROBE_SECONDS).close()
    except OSError:
        return False
    return True
