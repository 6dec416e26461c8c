"""Settings of what carries the platform: Docker's host, networks, images, containers."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, NonNegativeInt, PositiveInt, model_validator

from components.images import CADDY_BASE, CADDY_BUILDER, CONFIG_WRITER, PYTHON_BASE, Service
from components.settings_model import PROJECT, Model
from components.words import ImageReference, Name, NonEmpty, problem, some
from components.words_machine import Checksum, DiskImage, PublicKey, Tag, UnixUser, VmId
from components.words_network import Address, Interface, IPv4, Port


class LocalDocker(Model):
    """Docker on the machine that runs Pulumi."""

    target: Literal["local"] = "local"


class Replica(Model):
    """The second of two hosts; in what it doesn't name it is as the first."""

    # By which the two Alertmanagers tell each other what was sent and silenced, TCP, on both hosts.
    gossip_port: Port = 9094


class SshReplica(Replica):
    """A second host that exists already."""

    host: NonEmpty
    # On this host and no other: its services are published there, for the first host too.
    address: IPv4
    port: Port | None = None


class SshDocker(Model):
    """Docker on an existing host, reached over SSH by the `ssh` command of the machine that runs Pulumi."""

    target: Literal["ssh"]
    host: NonEmpty
    user: NonEmpty = "root"
    port: Port = 22
    identity_file: Path | None = None
    replica: SshReplica | None = None

    @model_validator(mode="after")
    def _replica_is_another(self) -> Self:
        replica = self.replica
        if replica is not None and replica.host == self.host and replica.port in (None, self.port):
            raise problem(
                f"replica is host {replica.host} itself; give another machine, or remove docker.replica"
            )
        return self

    def second(self) -> SshDocker | None:
        """The second host, None where there is one."""
        if self.replica is None:
            return None
        more = {"host": self.replica.host, "port": self.replica.port or self.port, "replica": None}
        return self.model_copy(update=more)


class ProxmoxReplica(Replica):
    """A second VM, on another node."""

    node: NonEmpty
    vm_id: VmId
    address: Interface
    image_datastore: NonEmpty | None = None
    disk_datastore: NonEmpty | None = None


class ProxmoxDocker(Model):
    """Docker in a VM that the program creates on the cluster itself.

    Its address is given, never learnt: the Docker provider needs it before the VM exists.
    """

    target: Literal["proxmox"]
    # Where it is created; a later migration is left alone.
    node: NonEmpty
    vm_id: VmId
    address: Interface
    gateway: IPv4
    bridge: NonEmpty = "vmbr0"
    vlan: Annotated[int, Field(ge=1, le=4094)] | None = None
    # Proxmox VE would give it the node's, but the provider can't take back what was once given.
    dns_servers: Annotated[tuple[IPv4, ...], AfterValidator(some)]
    # A cloud image with cloud-init (Debian, Ubuntu), at a URL whose content never changes.
    image_url: DiskImage
    image_checksum: Checksum
    # It must hold the content type `import`.
    image_datastore: NonEmpty = "local"
    disk_datastore: NonEmpty = "local-lvm"
    # Prometheus' history, the images and the system share one disk; it can grow, never shrink.
    disk_gib: Annotated[int, Field(ge=16)] = 64
    cores: PositiveInt = 2
    memory_mib: Annotated[int, Field(ge=2048)] = 8192
    user: UnixUser = "monitoring"
    ssh_public_keys: Annotated[tuple[PublicKey, ...], AfterValidator(some)]
    # The private key of one of them; without it the SSH agent is asked.
    identity_file: Path | None = None
    port: Port = 22
    tags: tuple[Tag, ...] = ("monitoring",)
    start_order: NonNegativeInt | None = None
    # A second one: either watches alone when the other's node is gone.
    replica: ProxmoxReplica | None = None

    @property
    def host(self) -> str:
        """The address without its prefix length."""
        return str(IPv4Interface(self.address).ip)

    @model_validator(mode="after")
    def _gateway_is_reached(self) -> Self:
        interface = IPv4Interface(self.address)
        if IPv4Address(self.gateway) not in interface.network or self.gateway == self.host:
            raise problem(
                f"gateway {self.gateway} is not another address in {interface.network}; correct it, or the "
                "prefix length of address"
            )
        return self

    @model_validator(mode="after")
    def _replica_is_another(self) -> Self:
        second = self.second()
        if second is None:
            return self
        mine = {"node": self.node, "vmId": self.vm_id, "address": self.host}
        other = {"node": second.node, "vmId": second.vm_id, "address": second.host}
        if same := [key for key, value in mine.items() if other[key] == value]:
            raise problem(
                f"replica has the {' and the '.join(same)} of the first VM "
                f"({', '.join(str(mine[key]) for key in same)}); the second VM needs its own, on another node"
            )
        interface = IPv4Interface(second.address)
        if IPv4Address(self.gateway) not in interface.network or self.gateway == second.host:
            raise problem(
                f"gateway {self.gateway} is not another address in {interface.network}, the network of "
                "replica.address; both VMs have the same gateway"
            )
        return self

    def second(self) -> ProxmoxDocker | None:
        """The second VM, None where there is one."""
        if self.replica is None:
            return None
        given = self.replica.model_dump(exclude={"gossip_port"}, exclude_none=True)
        return self.model_copy(update={**given, "replica": None})


Docker = Annotated[LocalDocker | SshDocker | ProxmoxDocker, Field(discriminator="target")]


class Ports(Model):
    """Published ports on the bind address; null publishes none."""

    prometheus: Port | None = 9090
    alertmanager: Port | None = 9093
    # Grafana's content is created through this port: it is always published.
    grafana: Port = 3000
    discovery: Port | None = 8000
    pve_exporter: Port | None = 9221

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        used = [port for port in self.model_dump().values() if port is not None]
        if len(set(used)) != len(used):
            raise problem("two services have the same port; give each its own")
        return self


class Network(Model):
    """Where the platform listens, and which other networks it joins."""

    bind_address: Address = "127.0.0.1"
    ports: Ports = Ports()
    # Existing Docker networks (a macvlan into the guests' VLAN, say) that the containers join too.
    extra_networks: tuple[NonEmpty, ...] = ()


class Images(Model):
    """Container images: a mirror for all, or single references (by digest for production)."""

    registry_prefix: NonEmpty | None = None
    prometheus: ImageReference | None = None
    alertmanager: ImageReference | None = None
    grafana: ImageReference | None = None
    pve_exporter: ImageReference | None = None
    # A finished image of the discovery service; without it, the image is built from discovery_fn/.
    discovery: ImageReference | None = None
    # A finished image of the gateway; without it, it is built from components/gateway_image/.
    gateway: ImageReference | None = None
    config_writer: ImageReference | None = None
    python_base: ImageReference | None = None
    caddy_base: ImageReference | None = None
    caddy_builder: ImageReference | None = None

    def overrides(self) -> dict[str, str]:
        """References given by the site, by key of the image table."""
        given: dict[str, str | None] = {
            Service.PROMETHEUS: self.prometheus,
            Service.ALERTMANAGER: self.alertmanager,
            Service.GRAFANA: self.grafana,
            Service.PVE_EXPORTER: self.pve_exporter,
            Service.DISCOVERY: self.discovery,
            Service.GATEWAY: self.gateway,
            CONFIG_WRITER: self.config_writer,
            PYTHON_BASE: self.python_base,
            CADDY_BASE: self.caddy_base,
            CADDY_BUILDER: self.caddy_builder,
        }
        return {key: value for key, value in given.items() if value is not None}


class MemoryLimits(Model):
    """Memory limits in MiB. Prometheus: about 3 KiB per series plus queries (docs/sizing in the README)."""

    prometheus: PositiveInt = 2048
    alertmanager: PositiveInt = 128
    grafana: PositiveInt = 512
    discovery: PositiveInt = 256
    pve_exporter: PositiveInt = 256
    gateway: PositiveInt = 128


class Containers(Model):
    """What all containers have in common."""

    # Stands before the names of containers, volumes and the network: two stacks on one host differ in it.
    name_prefix: Name = PROJECT
    # Volumes with history refuse to be deleted or replaced, and stay when the stack is destroyed.
    protect_data: bool = True
    memory_mib: MemoryLimits = MemoryLimits()
    log_max_size_mib: PositiveInt = 10
    log_max_files: PositiveInt = 3
    stop_grace_seconds: NonNegativeInt = 30
