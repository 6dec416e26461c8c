"""Topology: which instance of which service runs on which Docker host (pure, from the settings).

Today one host carries one instance of everything. Components and renderers only ever see instances and
their endpoints, so more hosts, replicas and shards are a change of this file.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from components.images import Service
from components.settings import LocalDocker, StackSettings

# The port that each service listens on inside its container.
CONTAINER_PORTS: dict[Service, int] = {
    Service.PROMETHEUS: 9090,
    Service.ALERTMANAGER: 9093,
    Service.GRAFANA: 3000,
    Service.DISCOVERY: 8000,
    Service.PVE_EXPORTER: 9221,
}

# Services that keep data of their own: history, silences, dashboards' versions, last good inventory.
STATEFUL = (Service.PROMETHEUS, Service.ALERTMANAGER, Service.GRAFANA, Service.DISCOVERY)


@dataclass(frozen=True, kw_only=True)
class DockerHost:
    """A machine with a Docker daemon.

    Attributes:
        key: stable name in Pulumi's resource names; never an index.
        uri: what the Docker provider connects to; None means the local daemon.
        ssh_options: options for the ssh command, where the uri is ssh://.
    """

    key: str
    uri: str | None = None
    ssh_options: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One container of a service.

    Attributes:
        key: stable name, e.g. `prometheus-a`: logical name in Pulumi and DNS name on the stack's network.
        port: port inside the container.
        published_port: port on the host's bind address, None where none is published.
        data_volume: name of the Docker volume with its data, None where it keeps none.
        memory_mib: memory limit in MiB.
    """

    service: Service
    key: str
    host: str
    container_name: str
    config_volume: str
    port: int
    published_port: int | None
    data_volume: str | None
    memory_mib: int

    @property
    def endpoint(self) -> str:
        """host:port by which containers on the same network reach it."""
        return f"{self.key}:{self.port}"


@dataclass(frozen=True, kw_only=True)
class Topology:
    """All hosts and instances of a stack."""

    network_name: str
    hosts: tuple[DockerHost, ...]
    instances: tuple[Instance, ...] = field(default=())

    def of(self, service: Service) -> tuple[Instance, ...]:
        """Instances of a service, in the order of their keys."""
        return tuple(i for i in self.instances if i.service is service)

    def endpoints(self, service: Service) -> tuple[str, ...]:
        """host:port of every instance of a service."""
        return tuple(i.endpoint for i in self.of(service))


def _docker_host(settings: StackSettings) -> DockerHost:
    docker = settings.docker
    if isinstance(docker, LocalDocker):
        return DockerHost(key="a")
    options: tuple[str, ...] = ("-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=accept-new")
    if docker.identity_file is not None:
        options = ("-i", str(docker.identity_file), *options)
    return DockerHost(key="a", uri=f"ssh://{docker.user}@{docker.host}:{docker.port}", ssh_options=options)


def plan(settings: StackSettings) -> Topology:
    """Lay the services out over the hosts."""
    prefix = settings.containers.name_prefix
    host = _docker_host(settings)
    published = settings.network.ports.model_dump()
    memory = settings.containers.memory_mib.model_dump()

    def instance(service: Service) -> Instance:
        key = f"{service}-{host.key}"
        option = service.replace("-", "_")
        return Instance(
            service=service,
            key=key,
            host=host.key,
            container_name=f"{prefix}-{key}",
            config_volume=f"{prefix}-{key}-config",
            port=CONTAINER_PORTS[service],
            published_port=published[option],
            data_volume=f"{prefix}-{key}-data" if service in STATEFUL else None,
            memory_mib=memory[option],
        )

    instances = tuple(instance(service) for service in Service)
    return Topology(network_name=f"{prefix}-net", hosts=(host,), instances=instances)
