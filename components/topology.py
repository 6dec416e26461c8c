"""Topology: which instance of which service runs on which Docker host (pure, from the settings).

One host carries one instance of everything; a second one another of everything but Grafana. Components and
renderers only ever see instances and their endpoints, as one of the hosts sees them, so more hosts, replicas
and shards are a change of this file.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from components.images import Service
from components.settings import LocalDocker, ProxmoxDocker, SshDocker, StackSettings

# The port that each service listens on inside its container.
CONTAINER_PORTS: dict[Service, int] = {
    Service.PROMETHEUS: 9090,
    Service.ALERTMANAGER: 9093,
    Service.GRAFANA: 3000,
    Service.DISCOVERY: 8000,
    Service.PVE_EXPORTER: 9221,
    # Its metrics; what people open is published besides.
    Service.GATEWAY: 9180,
}
# Above 1023: no process in a container has the right to listen below.
GATEWAY_HTTPS, GATEWAY_HTTP = 8443, 8080

# The port inside the container by which the Alertmanagers of two hosts talk.
GOSSIP_PORT = 9094

# Keys of the hosts.
HOST_KEYS = ("a", "b")

# Where two hosts have an instance each, this one is on the first alone: its state is a file (SQLite).
SINGLE = (Service.GRAFANA,)

# Services that keep data of their own: history, silences, dashboards' versions, last good inventory.
STATEFUL = (Service.PROMETHEUS, Service.ALERTMANAGER, Service.GRAFANA, Service.DISCOVERY)


@dataclass(frozen=True, kw_only=True)
class DockerHost:
    """A machine with a Docker daemon.

    Attributes:
        key: stable name in Pulumi's resource names; never an index.
        uri: what the Docker provider connects to; None means the local daemon.
        ssh_options: options for the ssh command, where the uri is ssh://.
        network_name: of the stack's Docker network on it.
        bind_address: where ports are published.
        address: by which the other host reaches it; None where there is no other.
    """

    key: str
    network_name: str
    bind_address: str
    uri: str | None = None
    ssh_options: tuple[str, ...] = ()
    address: str | None = None


@dataclass(frozen=True, kw_only=True)
class Entrance:
    """A port that is open to others than the machine itself.

    Attributes:
        internal: port inside the container.
        published: port on the host.
        address: of the host, that it listens on.
    """

    internal: int
    published: int
    address: str


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One container of a service.

    Attributes:
        key: stable name, e.g. `prometheus-a`: logical name in Pulumi and DNS name on the stack's network.
        port: port inside the container.
        published_port: port on the host's bind address, None where none is published.
        bind_address: address of the host where its ports are published.
        gossip_port: Alertmanager's port for the other one, published too; None where there is no other.
        data_volume: name of the Docker volume with its data, None where it keeps none.
        memory_mib: memory limit in MiB.
        entrances: ports on addresses of their own.
    """

    service: Service
    key: str
    host: str
    container_name: str
    config_volume: str
    port: int
    published_port: int | None
    bind_address: str
    data_volume: str | None
    memory_mib: int
    gossip_port: int | None = None
    entrances: tuple[Entrance, ...] = ()

    @property
    def endpoint(self) -> str:
        """host:port by which containers on the same network reach it."""
        return f"{self.key}:{self.port}"


@dataclass(frozen=True, kw_only=True)
class Topology:
    """All hosts and instances of a stack, as the containers of one host see them.

    Attributes:
        viewer: key of the host whose containers ask for endpoints.
    """

    hosts: tuple[DockerHost, ...]
    instances: tuple[Instance, ...] = field(default=())
    viewer: str = HOST_KEYS[0]

    def seen_from(self, host: str) -> Topology:
        """The same, as the containers of another host see it."""
        return replace(self, viewer=host)

    def host(self, key: str) -> DockerHost:
        """The host with a key."""
        (found,) = (host for host in self.hosts if host.key == key)
        return found

    def of(self, service: Service) -> tuple[Instance, ...]:
        """Instances of a service, in the order of their keys."""
        return tuple(i for i in self.instances if i.service is service)

    def near(self, service: Service) -> tuple[Instance, ...]:
        """Those of them on the host that looks."""
        return tuple(i for i in self.of(service) if i.host == self.viewer)

    def peers(self, instance: Instance) -> tuple[Instance, ...]:
        """The others of its service."""
        return tuple(i for i in self.of(instance.service) if i.key != instance.key)

    def endpoint(self, instance: Instance) -> str:
        """host:port of an instance: its name on the same network, else its host's address."""
        if instance.host == self.viewer:
            return instance.endpoint
        return f"{self.host(instance.host).address}:{instance.published_port}"

    def endpoints(self, service: Service) -> tuple[str, ...]:
        """host:port of every instance of a service."""
        return tuple(self.endpoint(i) for i in self.of(service))


def machines(settings: StackSettings) -> dict[str, ProxmoxDocker]:
    """The VMs with the platform by key of their Docker host; none where it isn't on the cluster."""
    first = settings.docker
    if not isinstance(first, ProxmoxDocker):
        return {}
    found = zip(HOST_KEYS, (first, first.second()), strict=True)
    return {key: machine for key, machine in found if machine is not None}


def suffix(host: str) -> str:
    """What tells names of the second host from the first's, which has none where it once was alone."""
    return "" if host == HOST_KEYS[0] else f"-{host}"


def _ssh_host(docker: SshDocker | ProxmoxDocker) -> tuple[str, tuple[str, ...]]:
    """What the Docker provider connects to, and its options of ssh."""
    options: tuple[str, ...] = ("-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=accept-new")
    if docker.identity_file is not None:
        options = ("-i", str(docker.identity_file), *options)
    return f"ssh://{docker.user}@{docker.host}:{docker.port}", options


def _hosts(settings: StackSettings) -> tuple[DockerHost, ...]:
    docker, bind = settings.docker, settings.network.bind_address
    network = f"{settings.containers.name_prefix}-net"
    first = DockerHost(key=HOST_KEYS[0], network_name=network, bind_address=bind)
    if isinstance(docker, LocalDocker):
        return (first,)
    uri, options = _ssh_host(docker)
    first = replace(first, uri=uri, ssh_options=options)
    second = docker.second()
    if second is None:
        return (first,)
    # 0.0.0.0 holds on both; any other address is the first one's own.
    everywhere = bind == "0.0.0.0"  # noqa: S104 - a comparison
    address, other = settings.host_addresses
    uri, options = _ssh_host(second)
    return (
        replace(first, address=address),
        DockerHost(
            key=HOST_KEYS[1],
            network_name=f"{network}{suffix(HOST_KEYS[1])}",
            bind_address=bind if everywhere else other,
            uri=uri,
            ssh_options=options,
            address=other,
        ),
    )


def _instance(service: Service, host: DockerHost, settings: StackSettings) -> Instance:
    prefix = settings.containers.name_prefix
    key, option = f"{service}-{host.key}", service.replace("-", "_")
    stateful = {*STATEFUL, *([Service.GATEWAY] if settings.gateway.keeps_data else [])}
    replica = settings.replica if service is Service.ALERTMANAGER else None
    return Instance(
        service=service,
        key=key,
        host=host.key,
        container_name=f"{prefix}-{key}",
        config_volume=f"{prefix}-{key}-config",
        port=CONTAINER_PORTS[service],
        published_port=getattr(settings.network.ports, option, None),
        bind_address=host.bind_address,
        data_volume=f"{prefix}-{key}-data" if service in stateful else None,
        memory_mib=getattr(settings.containers.memory_mib, option),
        gossip_port=replica.gossip_port if replica else None,
        entrances=_entrances(settings, host) if service is Service.GATEWAY else (),
    )


def _entrances(settings: StackSettings, host: DockerHost) -> tuple[Entrance, ...]:
    gateway, address = settings.gateway, settings.gateway.bind_address
    # Of two hosts the second doesn't have the first one's address.
    if host.key != HOST_KEYS[0] and address in (settings.network.bind_address, *settings.host_addresses):
        address = host.bind_address
    published = {GATEWAY_HTTPS: gateway.port, GATEWAY_HTTP: gateway.http_port}
    return tuple(
        Entrance(internal=internal, published=port, address=address)
        for internal, port in published.items()
        if port is not None
    )


def plan(settings: StackSettings) -> Topology:
    """Lay the services out over the hosts."""
    hosts = _hosts(settings)
    services = [s for s in Service if s is not Service.GATEWAY or settings.gateway.enabled]
    instances = tuple(
        _instance(service, host, settings)
        for host in hosts
        for service in services
        if host.key == HOST_KEYS[0] or service not in SINGLE
    )
    return Topology(hosts=hosts, instances=instances)
