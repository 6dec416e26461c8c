"""Alertmanager: groups, silences and delivers what Prometheus raises."""

from __future__ import annotations

import pulumi

from components.render import alertmanager as render
from components.service import Service, ServiceArgs, ServiceSpec
from components.settings import Secret, StackSettings


def external_url(settings: StackSettings) -> str:
    """URL that stands in notifications."""
    port = settings.network.ports.alertmanager or 9093
    return settings.alerting.external_url or f"http://{settings.network.bind_address}:{port}"


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
                f"--web.external-url={external_url(settings)}",
                "--web.route-prefix=/",
                # One instance: no gossip, no open port for it.
                "--cluster.listen-address=",
            ),
            files={
                "alertmanager.yml": render.alertmanager_yml(settings, given),
                render.TEMPLATE_FILE: render.templates(),
            },
            secret_files={
                path: args.secrets[secret] for path, secret in render.secret_files(settings, given).items()
            },
            reload_url=f"http://{instance.endpoint}/-/reload",
            healthcheck=("wget", "-q", "-O", "/dev/null", f"http://127.0.0.1:{instance.port}/-/ready"),
        )
        super().__init__(args, spec, opts)
        self.url = pulumi.Output.from_input(external_url(settings))
