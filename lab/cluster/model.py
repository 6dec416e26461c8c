"""What the cluster consists of: hosts, guests, their disks, network cards and GPUs, storages, pools."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

GIB = 1024**3

Agent = Literal["ok", "none", "dead"]
Os = Literal["windows", "linux"]


@dataclass(frozen=True, slots=True)
class Gpu:
    """An NVIDIA GPU, seen by the driver of whatever holds it."""

    index: int
    uuid: str
    name: str
    bus_id: str
    memory: int
    power_limit: float
    seed: int

    @property
    def address(self) -> str:
        """Its PCI address as Proxmox VE writes it, such as 0000:41:00.0; ``bus_id`` is nvidia-smi's."""
        return self.bus_id[4:].lower()


@dataclass(frozen=True, slots=True)
class PciMapping:
    """A PCI resource mapping of the datacenter: by host, the address of the device behind the name."""

    name: str
    description: str
    devices: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Volume:
    """A disk of a guest (or a file system of a host): where it lies, how it is attached, what fills it.

    ``slot`` is its key in the guest's configuration (scsi0); ``mount`` its name in the guest (C:, /).
    """

    slot: str
    storage: str
    size: int
    mount: str
    label: str
    filesystem: str
    used_low: float
    used_high: float
    fill_days: float
    seed: int
    ssd: bool = True


@dataclass(frozen=True, slots=True)
class Nic:
    """A network card of a guest: ``mac`` in capitals as in netN, ``address`` empty where it got none."""

    slot: str
    mac: str
    address: str
    prefix: int = 16


@dataclass(frozen=True, slots=True)
class Guest:
    """A virtual machine or container.

    ``home`` is the host it runs on; a guest with ``away`` moves to that one and back. ``idle_share`` etc.
    live in the load of ``role``. ``quirk`` names what is odd about its addresses: docker, apipa, zone.
    Its ``gpus`` sit in ``home`` and are passed through: by the name of ``mapping``, or else by address.
    """

    vmid: int
    name: str
    kind: Literal["qemu", "lxc"]
    os: Os
    role: str
    home: str
    vcpus: int
    memory: int
    volumes: tuple[Volume, ...]
    nics: tuple[Nic, ...]
    seed: int
    away: str = ""
    tags: tuple[str, ...] = ()
    pool: str = ""
    agent: Agent = "ok"
    exporter: bool = True
    onboot: bool = True
    managed: bool = False
    running: bool = True
    template: bool = False
    quirk: str = ""
    gpus: tuple[Gpu, ...] = ()
    mapping: str = ""

    @property
    def id(self) -> str:
        """Its id in /cluster/resources, such as qemu/101."""
        return f"{self.kind}/{self.vmid}"

    @property
    def address(self) -> str:
        """Where it is reached: the first address of its network cards that isn't self-assigned, or ``""``."""
        for nic in self.nics:
            if nic.address and not nic.address.startswith("169.254."):
                return nic.address
        return ""


@dataclass(frozen=True, slots=True)
class Host:
    """A member of the cluster; ``gpus`` are those that its own driver holds."""

    name: str
    number: int
    address: str
    cpus: int
    memory: int
    seed: int
    model: str = "AMD EPYC 7313 16-Core Processor"
    gpus: tuple[Gpu, ...] = ()


@dataclass(frozen=True, slots=True)
class Storage:
    """A storage of the datacenter, as in storage.cfg; ``size`` is per host unless it is shared."""

    name: str
    type: str
    content: str
    size: int
    used_low: float
    used_high: float
    seed: int
    shared: bool = False
    options: tuple[tuple[str, str | int], ...] = ()


@dataclass(frozen=True)
class Cluster:
    """The whole, as it was built from the settings; nothing in it changes while the lab runs."""

    name: str
    hosts: tuple[Host, ...]
    guests: tuple[Guest, ...]
    storages: tuple[Storage, ...]
    pools: tuple[str, ...] = field(default=())
    mappings: tuple[PciMapping, ...] = field(default=())

    @cached_property
    def host(self) -> dict[str, Host]:
        """Hosts by name."""
        return {host.name: host for host in self.hosts}

    @cached_property
    def guest(self) -> dict[int, Guest]:
        """Guests by vmid."""
        return {guest.vmid: guest for guest in self.guests}

    @cached_property
    def residents(self) -> dict[str, tuple[Guest, ...]]:
        """By host, the guests that can be on it: those at home there and those that move there."""
        found: dict[str, list[Guest]] = {host.name: [] for host in self.hosts}
        for guest in self.guests:
            for name in {guest.home, guest.away} - {""}:
                found[name].append(guest)
        return {name: tuple(guests) for name, guests in found.items()}

    @cached_property
    def by_address(self) -> dict[str, Host | Guest]:
        """Who answers at an address."""
        found: dict[str, Host | Guest] = {host.address: host for host in self.hosts}
        found.update({nic.address: guest for guest in self.guests for nic in guest.nics if nic.address})
        return found
