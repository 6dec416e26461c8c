"""A Docker host: its provider, the stack's network on it, and the images that its containers run."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_docker as docker

from components.container import OWNER_LABEL
from components.images import CADDY_BASE, CADDY_BUILDER, CONFIG_WRITER, PYTHON_BASE, Service, resolve
from components.render.build import content_tag
from components.render.platform_tls import encrypted
from components.settings import StackSettings
from components.topology import DockerHost as HostPlan

PULLED = (Service.PROMETHEUS, Service.ALERTMANAGER, Service.GRAFANA, Service.PVE_EXPORTER, CONFIG_WRITER)
# What is built where no finished image is given: its directory, and its bases by build argument.
BUILT: dict[Service, tuple[str, dict[str, str]]] = {
    Service.DISCOVERY: ("discovery_fn", {"PYTHON_IMAGE": PYTHON_BASE}),
    Service.GATEWAY: (
        "components/gateway_image",
        {"CADDY_BASE": CADDY_BASE, "CADDY_BUILDER": CADDY_BUILDER},
    ),
}


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
        wanted = [service for service in BUILT if service is not Service.GATEWAY or settings.gateway.enabled]
        keys = [*PULLED, *(service for service in wanted if service in overrides)]
        # It tells Alertmanager over TLS that its files have changed; else it is the base of a build only.
        keys += [PYTHON_BASE] if encrypted(settings) else []
        images = {str(key): self._pull(name, str(key), resolve(key, prefix, overrides)) for key in keys}
        built = {
            str(service): self._build(name, service, settings)
            for service in wanted
            if service not in overrides
        }
        return {**images, **built}

    def _pull(self, name: str, key: str, reference: str) -> pulumi.Output[str]:
        # By image id: a name or digest reads back differently and recreates containers (pulumi-docker#1431).
        # Kept when the stack goes: another stack on the host may run it, and it costs a download.
        return docker.RemoteImage(
            f"{name}-image-{key}", name=reference, keep_locally=True, opts=self._child
        ).image_id

    def _build(self, name: str, service: Service, settings: StackSettings) -> pulumi.Output[str]:
        prefix, overrides = settings.images.registry_prefix, settings.images.overrides()
        context, bases = BUILT[service]
        arguments = {argument: resolve(key, prefix, overrides) for argument, key in bases.items()}
        networks = {
            Service.DISCOVERY: settings.discovery.build_network,
            Service.GATEWAY: settings.gateway.build_network,
        }
        tag = content_tag(context, *arguments.values())
        image = docker.Image(
            f"{name}-image-{service}",
            # The tag follows the content: a changed file makes a new name, and so a new container.
            image_name=f"{settings.containers.name_prefix}-{service}:{tag}",
            build=docker.DockerBuildArgs(
                context=context,
                dockerfile=f"{context}/Dockerfile",
                args=arguments,
                network=networks[service],
                # The provider speaks to the daemon's BuildKit itself, without buildx. The classic builder
                # leaves a container behind for each line of the Dockerfile.
                builder_version=docker.BuilderVersion.BUILDER_BUILD_KIT,
            ),
            skip_push=True,
            opts=self._child,
        )
        return image.image_name
