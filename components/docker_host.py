"""A Docker host: its provider, the stack's network on it, and the images that its containers run."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_docker as docker

from components.container import OWNER_LABEL
from components.images import CONFIG_WRITER, PYTHON_BASE, Service, resolve
from components.render.build import content_tag
from components.render.platform_tls import encrypted
from components.settings import StackSettings
from components.topology import DockerHost as HostPlan

PULLED = (Service.PROMETHEUS, Service.ALERTMANAGER, Service.GRAFANA, Service.PVE_EXPORTER, CONFIG_WRITER)
BUILD_CONTEXT = "discovery_fn"


@dataclass(frozen=True, kw_only=True)
class DockerHostArgs:
    """Arguments of DockerHost.

    Attributes:
        ready: what must be there before its daemon answers; None where the host exists already.
    """

    plan: HostPlan
    settings: StackSettings
    ready: pulumi.Resource | None = None


class DockerHost(pulumi.ComponentResource):
    """A machine with a Docker daemon, ready to run containers of this stack.

    Attributes:
        network_name: name of the stack's network; containers find each other there by their keys.
        images: image id by key of the image table.
    """

    TYPE = "pve-monitoring:components:DockerHost"

    network_name: pulumi.Output[str]
    images: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, args: DockerHostArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, None, opts)
        self.provider = docker.Provider(
            f"{name}-docker",
            host=args.plan.uri,
            ssh_opts=list(args.plan.ssh_options) or None,
            # A host that this program makes isn't there in its first preview.
            disable_docker_daemon_check=True if args.ready else None,
            opts=pulumi.ResourceOptions(parent=self, depends_on=args.ready),
        )
        self._child = pulumi.ResourceOptions(parent=self, provider=self.provider)
        network = docker.Network(
            f"{name}-network",
            name=args.plan.network_name,
            driver="bridge",
            labels=[docker.NetworkLabelArgs(label=OWNER_LABEL, value=args.settings.containers.name_prefix)],
            opts=pulumi.ResourceOptions.merge(
                # The name is fixed: a second network beside the first can't be made.
                self._child,
                pulumi.ResourceOptions(delete_before_replace=True),
            ),
        )
        self.network_name = network.name
        self.images = self._images(name, args.settings)
        self.register_outputs({"network_name": self.network_name})

    def _images(self, name: str, settings: StackSettings) -> dict[str, pulumi.Output[str]]:
        prefix, overrides = settings.images.registry_prefix, settings.images.overrides()
        keys = [*PULLED, *([Service.DISCOVERY] if Service.DISCOVERY in overrides else [])]
        # It tells Alertmanager over TLS that its files have changed; else it is the base of a build only.
        keys += [PYTHON_BASE] if encrypted(settings) else []
        images = {str(key): self._pull(name, str(key), resolve(key, prefix, overrides)) for key in keys}
        if Service.DISCOVERY not in overrides:
            images[Service.DISCOVERY] = self._build_discovery(name, settings)
        return images

    def _pull(self, name: str, key: str, reference: str) -> pulumi.Output[str]:
        # By image id: a name or digest reads back differently and recreates containers (pulumi-docker#1431).
        # Kept when the stack goes: another stack on the host may run it, and it costs a download.
        return docker.RemoteImage(
            f"{name}-image-{key}", name=reference, keep_locally=True, opts=self._child
        ).image_id

    def _build_discovery(self, name: str, settings: StackSettings) -> pulumi.Output[str]:
        base = resolve(PYTHON_BASE, settings.images.registry_prefix, settings.images.overrides())
        image = docker.Image(
            f"{name}-image-discovery",
            # The tag follows the content: a changed file makes a new name, and so a new container.
            image_name=f"{settings.containers.name_prefix}-discovery:{content_tag(BUILD_CONTEXT, base)}",
            build=docker.DockerBuildArgs(
                context=BUILD_CONTEXT,
                dockerfile=f"{BUILD_CONTEXT}/Dockerfile",
                args={"PYTHON_IMAGE": base},
                network=settings.discovery.build_network,
                # The provider speaks to the daemon's BuildKit itself, without buildx. The classic builder
                # leaves a container behind for each line of the Dockerfile.
                builder_version=docker.BuilderVersion.BUILDER_BUILD_KIT,
            ),
            skip_push=True,
            opts=self._child,
        )
        return image.image_name
