"""The discovery service: tells Prometheus by HTTP SD which hosts and guests there are."""

from __future__ import annotations

import pulumi

from components import platform_tls
from components.files import ca_certificate
from components.render import discovery as render
from components.render import platform_tls as hops
from components.service import Service, ServiceArgs, ServiceSpec
from components.settings import Secret, StackSettings

# Python is all that its image has; wget isn't.
_PROBE = "import urllib.request as r; r.urlopen('http://127.0.0.1:{port}/healthz', timeout=4)"


def _healthcheck(settings: StackSettings, port: int) -> tuple[str, ...]:
    if hops.encrypted(settings):
        return ("python", "-m", "discovery_fn.probe")
    return ("python", "-c", _PROBE.format(port=port))


class Discovery(Service):
    """One discovery service."""

    TYPE = "pve-monitoring:components:Discovery"

    def __init__(self, args: ServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        spec = ServiceSpec(
            config_dir=render.CONFIG_DIR,
            data_dir=render.STATE_DIR,
            environment=render.environment(args.settings),
            files={**ca_certificate(args.settings), **hops.certificate_files(args.settings)},
            secret_files={
                "secrets/token": args.secrets[Secret.PVE_DISCOVERY_TOKEN],
                **platform_tls.key_files(args),
                **platform_tls.password_files(args),
            },
            restart_on_change=True,
            # Alive is enough: a cluster that can't be reached is told by metrics and log, not by a restart.
            healthcheck=_healthcheck(args.settings, args.instance.port),
        )
        super().__init__(args, spec, opts)
