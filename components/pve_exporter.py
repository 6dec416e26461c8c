"""prometheus-pve-exporter: the Proxmox VE API as metrics."""

from __future__ import annotations

import pulumi

from components import platform_tls
from components.files import ca_certificate
from components.render import platform_tls as hops
from components.render import pve_exporter as render
from components.service import Service, ServiceArgs, ServiceSpec
from components.settings import Secret, StackSettings


def _tls_options(settings: StackSettings) -> tuple[str, ...]:
    if not hops.encrypted(settings):
        return ()
    return (
        f"--server.certfile={render.CONFIG_DIR}/{hops.CERTIFICATE_FILE}",
        f"--server.keyfile={render.CONFIG_DIR}/{hops.KEY_FILE}",
    )


def _healthcheck(settings: StackSettings, port: int) -> tuple[str, ...]:
    # Its own metrics: whether the API answers is what /pve tells, and no reason to restart it. It
    # asks its own container; wget can verify a certificate by the name in the URL only, or not at all.
    options = ("--no-check-certificate",) if hops.encrypted(settings) else ()
    return ("wget", "-q", "-O", "/dev/null", *options, f"{hops.scheme(settings)}://127.0.0.1:{port}/metrics")


class PveExporter(Service):
    """One pve-exporter; Prometheus tells it in each scrape which member to ask."""

    TYPE = "pve-monitoring:components:PveExporter"

    def __init__(self, args: ServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        settings: StackSettings = args.settings
        pve_yml = args.secrets[Secret.PVE_EXPORTER_TOKEN].apply(lambda token: render.pve_yml(settings, token))
        spec = ServiceSpec(
            config_dir=render.CONFIG_DIR,
            command=(f"--config.file={render.CONFIG_FILE}", *_tls_options(settings)),
            files={**ca_certificate(settings), **hops.certificate_files(settings)},
            secret_files={"secrets/pve.yml": pulumi.Output.secret(pve_yml), **platform_tls.key_files(args)},
            # It reads its configuration once.
            restart_on_change=True,
            healthcheck=_healthcheck(settings, args.instance.port),
        )
        super().__init__(args, spec, opts)
