"""Alertmanager: groups, silences and delivers what Prometheus raises."""

from __future__ import annotations

import pulumi

from components import platform_tls
from components.render import alertmanager as render
from components.render import gossip
from components.render import platform_tls as hops
from components.service import Service, ServiceArgs, ServiceSpec
from components.settings import Secret, StackSettings
from components.topology import Instance


def external_url(settings: StackSettings, instance: Instance) -> str:
    """URL that stands in notifications."""
    return hops.external_url(settings, instance, settings.alerting.external_url)


def _healthcheck(settings: StackSettings, port: int) -> tuple[str, ...]:
    if not hops.encrypted(settings):
        return ("wget", "-q", "-O", "/dev/null", f"http://127.0.0.1:{port}/-/ready")
    client = f"--http.config.file={render.CONFIG_DIR}/{hops.CLIENT_FILE}"
    # It asks for /api/v2/status: of /-/ready amtool knows nothing.
    return ("amtool", "cluster", "show", client, f"--alertmanager.url=https://127.0.0.1:{port}")


class Alertmanager(Service):
    """One Alertmanager.

    Attributes:
        url: external URL.
    """

    TYPE = "pve-monitoring:components:Alertmanager"

    url: pulumi.Output[str]

    def __init__(self, args: ServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        settings, instance = args.settings, args.instance
        given = frozenset(secret for secret in Secret if secret in args.secrets)
        spec = ServiceSpec(
            config_dir=render.CONFIG_DIR,
            data_dir=render.DATA_DIR,
            command=(
                f"--config.file={render.CONFIG_FILE}",
                f"--storage.path={render.DATA_DIR}",
                f"--web.external-url={external_url(settings, instance)}",
                "--web.route-prefix=/",
                *gossip.options(instance, args.topology, render.CONFIG_DIR),
                *hops.web_config_option(settings, render.CONFIG_DIR),
            ),
            files={
                "alertmanager.yml": render.alertmanager_yml(settings, given),
                render.TEMPLATE_FILE: render.templates(),
                **platform_tls.toolkit_files(args, render.CONFIG_DIR),
                **gossip.files(instance, render.CONFIG_DIR),
            },
            secret_files={
                **{path: args.secrets[key] for path, key in render.secret_files(settings, given).items()},
                **platform_tls.toolkit_secret_files(args, render.CONFIG_DIR),
            },
            reload_url=f"{hops.scheme(settings)}://{instance.endpoint}/-/reload",
            healthcheck=_healthcheck(settings, instance.port),
        )
        super().__init__(args, spec, opts)
        self.url = pulumi.Output.from_input(external_url(settings, instance))
