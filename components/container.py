"""The one place that builds containers: hardening, limits, health and log rotation are the same for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_docker as docker

from components.images import USERS
from components.settings import StackSettings
from components.topology import GOSSIP_PORT, Instance


@dataclass(frozen=True, kw_only=True)
class ContainerArgs:
    """What one service's container needs besides what all have.

    Attributes:
        image: image id or reference.
        networks: names of Docker networks; the first is the stack's own, where the instance's key resolves.
        command: arguments after the image's entrypoint; None keeps the image's own.
        environment: variables, never a secret.
        mounts: path inside the container -> (volume name, read-only).
        healthcheck: command that exits 0 when the service is ready.
        read_only: read-only root file system with a small /tmp.
        labels: extra labels; a changed one recreates the container.
    """

    image: pulumi.Input[str]
    networks: Sequence[pulumi.Input[str]]
    healthcheck: Sequence[str]
    command: Sequence[str] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    mounts: Mapping[str, tuple[pulumi.Input[str], bool]] = field(default_factory=dict)
    labels: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    read_only: bool = True


# Every container and network bears the stack's name prefix under this label: what an interrupted run left
# behind without a place in the state is told from other people's by it.
OWNER_LABEL = "org.pve-monitoring.name-prefix"


def log_options(settings: StackSettings) -> dict[str, str]:
    """Rotation of the json-file log driver: a container that complains for weeks must not fill the disk."""
    return {
        "max-size": f"{settings.containers.log_max_size_mib}m",
        "max-file": str(settings.containers.log_max_files),
    }


def container_labels(
    settings: StackSettings, more: Mapping[str, pulumi.Input[str]] | None = None
) -> list[docker.ContainerLabelArgs]:
    """Labels of a container: the stack that it belongs to, and its own."""
    labels = {OWNER_LABEL: settings.containers.name_prefix, **(more or {})}
    return [docker.ContainerLabelArgs(label=k, value=v) for k, v in sorted(labels.items())]


def _ports(instance: Instance) -> list[docker.ContainerPortArgs] | None:
    ports = {instance.port: instance.published_port, GOSSIP_PORT: instance.gossip_port}
    published = [
        *((entrance.internal, entrance.published, entrance.address) for entrance in instance.entrances),
        *((internal, external, instance.bind_address) for internal, external in ports.items()),
    ]
    return [
        docker.ContainerPortArgs(internal=internal, external=external, ip=address)
        for internal, external, address in published
        if external is not None
    ] or None


def _networks(instance: Instance, args: ContainerArgs) -> list[docker.ContainerNetworksAdvancedArgs]:
    own, *others = args.networks
    return [
        docker.ContainerNetworksAdvancedArgs(name=own, aliases=[instance.key]),
        *(docker.ContainerNetworksAdvancedArgs(name=name) for name in others),
    ]


def service_container(
    instance: Instance, args: ContainerArgs, settings: StackSettings, opts: pulumi.ResourceOptions
) -> docker.Container:
    """Declare the container of an instance, and wait until it is healthy when it is created."""
    uid, gid = USERS[instance.service]
    return docker.Container(
        instance.key,
        name=instance.container_name,
        image=args.image,
        command=list(args.command) if args.command is not None else None,
        envs=[f"{key}={value}" for key, value in sorted(args.environment.items())],
        user=f"{uid}:{gid}",
        # Whom a health check leaves behind (busybox' wget its helper for TLS) somebody has to reap.
        init=True,
        networks_advanced=_networks(instance, args),
        ports=_ports(instance),
        volumes=[
            docker.ContainerVolumeArgs(container_path=path, volume_name=volume, read_only=read_only)
            for path, (volume, read_only) in sorted(args.mounts.items())
        ],
        labels=container_labels(settings, args.labels),
        read_only=args.read_only,
        tmpfs={"/tmp": "rw,noexec,nosuid,size=64m"} if args.read_only else None,  # noqa: S108 - inside
        capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"]),
        security_opts=["no-new-privileges:true"],
        memory=instance.memory_mib,
        # Without it Docker adds the same amount again as swap, and the limit is none.
        memory_swap=instance.memory_mib,
        restart="unless-stopped",
        log_driver="json-file",
        log_opts=log_options(settings),
        healthcheck=docker.ContainerHealthcheckArgs(
            tests=["CMD", *args.healthcheck],
            # Canonical spelling (Go's time.Duration.String), or every refresh shows a difference.
            interval="5s",
            timeout="5s",
            retries=12,
            start_period="20s",
        ),
        wait=True,
        wait_timeout=180,
        destroy_grace_seconds=settings.containers.stop_grace_seconds,
        opts=pulumi.ResourceOptions.merge(
            opts,
            # The provider changes neither of them in place before 5.2; without this an edit is ignored. A
            # replacement that the engine decides on would come first, and find its own name taken.
            pulumi.ResourceOptions(replace_on_changes=["healthcheck", "tmpfs"], delete_before_replace=True),
        ),
    )
