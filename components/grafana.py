"""Grafana, the server. What is in it is made by grafana_content and grafana_alerting."""

from __future__ import annotations

import pulumi

from components import platform_tls
from components.render import grafana as render
from components.render import platform_tls as hops
from components.service import Service, ServiceArgs, ServiceSpec
from components.settings import StackSettings


def _healthcheck(settings: StackSettings, port: int) -> tuple[str, ...]:
    # It asks its own container; wget can verify a certificate by the name in the URL only, or not at all.
    options = ("--no-check-certificate",) if hops.encrypted(settings) else ()
    url = f"{hops.scheme(settings)}://127.0.0.1:{port}/api/health"
    return ("wget", "-q", "-O", "/dev/null", *options, url)


class Grafana(Service):
    """One Grafana.

    Attributes:
        url: URL that people open.
        api_url: URL by which this program creates content.
    """

    TYPE = "pve-monitoring:components:Grafana"

    url: pulumi.Output[str]

    def __init__(self, args: ServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        settings = args.settings
        spec = ServiceSpec(
            config_dir=render.CONFIG_DIR,
            data_dir=render.DATA_DIR,
            environment={"GF_PATHS_CONFIG": render.CONFIG_FILE},
            files={**render.files(settings), **hops.certificate_files(settings)},
            secret_files={
                **{path: args.secrets[key] for path, key in render.secret_files(settings).items()},
                **platform_tls.key_files(args),
                **platform_tls.password_files(args),
            },
            restart_on_change=True,
            healthcheck=_healthcheck(settings, args.instance.port),
            # 13.2 runs its data sources as plugins from /usr/share/grafana/data, which fails on a read-only
            # root file system (grafana/grafana#130921 and its duplicates).
            read_only=False,
        )
        super().__init__(args, spec, opts)
        self.url = pulumi.Output.from_input(render.external_url(settings))
        self.api_url = render.api_url(settings)
