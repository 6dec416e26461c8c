"""prometheus-pve-exporter: the Proxmox VE API as metrics."""

from __future__ import annotations

import pulumi

from components.files import ca_certificate
from components.render import pve_exporter as render
from components.service import Service, ServiceArgs, ServiceSpec
from components.settings import Secret, StackSettings


class PveExporter(Service):
    """One pve-exporter; Prometheus tells it in each scrape which member to ask."""

    TYPE = "pve-monitoring:components:PveExporter"

    def __init__(self, args: ServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        settings: StackSettings = args.settings
        pve_yml = args.secrets[Secret.PVE_EXPORTER_TOKEN].apply(lambda token: render.pve_yml(settings, token))
        spec = ServiceSpec(
            config_dir=render.CONFIG_DIR,
            command=(f"--config.file={render.CONFIG_FILE}",),
            files=ca_certificate(settings),
            secret_files={"secrets/pve.yml": pulumi.Output.secret(pve_yml)},
            # It reads its configuration once.
            restart_on_change=True,
            # Its own metrics: whether the API answers is what /pve tells, and no reason to restart it.
            healthcheck=("wget", "-q", "-O", "/dev/null", f"http://127.0.0.1:{args.instance.port}/metrics"),
        )
        super().__init__(args, spec, opts)
