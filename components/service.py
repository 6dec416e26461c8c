"""What the components of all services have in common: their arguments, their volumes, their container."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import pulumi
import pulumi_docker as docker

from components.config_volume import ConfigVolume, ConfigVolumeArgs
from components.container import ContainerArgs, service_container
from components.docker_host import DockerHost
from components.images import CONFIG_WRITER, PYTHON_BASE, USERS
from components.render.platform_tls import encrypted
from components.settings import Secrets, StackSettings
from components.topology import Instance, Topology


@dataclass(frozen=True, kw_only=True)
class ServiceArgs:
    """Arguments of every service's component.

    Attributes:
        topology: as the instance's host sees it.
        after: its container comes when they are well.
    """

    instance: Instance
    topology: Topology
    host: DockerHost
    settings: StackSettings
    secrets: Secrets
    after: Sequence[pulumi.Resource] = ()

    @property
    def networks(self) -> list[pulumi.Input[str]]:
        """Networks that the container joins: the stack's own first."""
        return [self.host.network_name, *self.settings.network.extra_networks]


@dataclass(frozen=True, kw_only=True)
class ServiceSpec:
    """How one service runs.

    Attributes:
        config_dir: where the configuration volume is mounted, read-only.
        healthcheck: command that exits 0 when the service is ready.
        data_dir: where the data volume is mounted.
        files: configuration by path below config_dir.
        secret_files: the same for secret files (mode 0400), below `secrets/`.
        reload_url: URL that makes the service read its configuration again.
        restart_on_change: the service reads its configuration at start only.
    """

    config_dir: str
    healthcheck: tuple[str, ...]
    files: Mapping[str, pulumi.Input[str]]
    secret_files: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    data_dir: str | None = None
    command: tuple[str, ...] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    reload_url: str | None = None
    restart_on_change: bool = False
    read_only: bool = True


class Service(pulumi.ComponentResource):
    """A service: its configuration volume, its data volume, its container.

    Attributes:
        container: depend on it to come after the service is healthy.
        data: the volume with its data, None where it keeps none.
        container_name: name of the container on its host.
    """

    TYPE = "pve-monitoring:components:Service"

    container: docker.Container
    data: docker.Volume | None
    container_name: pulumi.Output[str]

    def __init__(
        self, args: ServiceArgs, spec: ServiceSpec, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        instance = args.instance
        super().__init__(self.TYPE, instance.key, None, opts)
        child = pulumi.ResourceOptions(parent=self, provider=args.host.provider)
        writer = PYTHON_BASE if spec.reload_url and encrypted(args.settings) else CONFIG_WRITER
        config = ConfigVolume(
            f"{instance.key}-config",
            ConfigVolumeArgs(
                volume_name=instance.config_volume,
                image=args.host.images[writer],
                owner=USERS[instance.service],
                files=spec.files,
                secret_files=spec.secret_files,
                settings=args.settings,
                reload_url=spec.reload_url,
                networks=[args.host.network_name] if spec.reload_url else [],
            ),
            pulumi.ResourceOptions(parent=self, providers=[args.host.provider]),
        )
        mounts: dict[str, tuple[pulumi.Input[str], bool]] = {spec.config_dir: (config.volume_name, True)}
        self.data = self._data_volume(args, child) if spec.data_dir is not None else None
        if spec.data_dir is not None and self.data is not None:
            mounts[spec.data_dir] = (self.data.name, False)
        self.container = service_container(
            instance,
            ContainerArgs(
                image=args.host.images[instance.service],
                networks=args.networks,
                healthcheck=spec.healthcheck,
                command=spec.command,
                environment=spec.environment,
                mounts=mounts,
                labels={"org.pve-monitoring.configuration": config.writer_id}
                if spec.restart_on_change
                else {},
                read_only=spec.read_only,
            ),
            args.settings,
            pulumi.ResourceOptions.merge(
                child, pulumi.ResourceOptions(depends_on=[config.written, *args.after])
            ),
        )
        self.container_name = self.container.name
        self.register_outputs({"container_name": self.container_name})

    def _data_volume(self, args: ServiceArgs, child: pulumi.ResourceOptions) -> docker.Volume:
        protect = args.settings.containers.protect_data
        return docker.Volume(
            f"{args.instance.key}-data",
            name=args.instance.data_volume,
            opts=pulumi.ResourceOptions.merge(
                child,
                pulumi.ResourceOptions(
                    protect=protect,
                    retain_on_delete=protect,
                    # A replaced volume is the same volume, deleted: Docker gives back what has the name.
                    ignore_changes=["labels", "driver", "driverOpts"],
                ),
            ),
        )


_Made = TypeVar("_Made", bound=Service)


def one_by_one(component: Callable[[ServiceArgs], _Made], args: Iterable[ServiceArgs]) -> list[_Made]:
    """Instances of a service, each when the one before is well: no `up` takes all of them away at once."""
    made: list[_Made] = []
    for each in args:
        made.append(component(replace(each, after=[service.container for service in made])))
    return made
