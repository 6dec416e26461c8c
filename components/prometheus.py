"""Prometheus: scrapes, evaluates the rules, keeps history."""

from __future__ import annotations

from pathlib import Path

import pulumi

from components import platform_tls
from components.render import certificates, tls
from components.render import platform_tls as hops
from components.render import prometheus as render
from components.render.links import link_bases
from components.render.rule_files import rule_files
from components.render.scrape_configs import CONFIG_DIR
from components.service import Service, ServiceArgs, ServiceSpec
from components.settings import Secret, StackSettings
from components.tls import client_secrets
from components.topology import Instance

DATA_DIR = "/prometheus"
RULES_DIR = Path("rules")


def external_url(settings: StackSettings, instance: Instance) -> str:
    """URL under which people and alerts reach a Prometheus."""
    return hops.external_url(settings, instance, settings.prometheus.external_url)


def _command(settings: StackSettings, instance: Instance) -> tuple[str, ...]:
    return (
        f"--config.file={render.CONFIG_FILE}",
        # Configuration and rules come by the volume; Prometheus looks at them by itself and never restarts.
        "--config.auto-reload",
        "--config.auto-reload-interval=10s",
        f"--storage.tsdb.path={DATA_DIR}",
        f"--web.external-url={external_url(settings, instance)}",
        "--web.route-prefix=/",
        *hops.web_config_option(settings, CONFIG_DIR),
    )


def _healthcheck(settings: StackSettings, port: int) -> tuple[str, ...]:
    if not hops.encrypted(settings):
        return ("wget", "-q", "-O", "/dev/null", f"http://127.0.0.1:{port}/-/ready")
    client = f"--http.config.file={CONFIG_DIR}/{hops.CLIENT_FILE}"
    return ("promtool", "check", "ready", client, f"--url=https://127.0.0.1:{port}")


class Prometheus(Service):
    """One Prometheus replica.

    Attributes:
        url: external URL.
    """

    TYPE = "pve-monitoring:components:Prometheus"

    url: pulumi.Output[str]

    def __init__(self, args: ServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        settings = args.settings
        rules = rule_files(RULES_DIR, link_bases(settings)) | certificates.rule_file(settings)
        remote = settings.prometheus.remote_write
        passwords = (
            {render.REMOTE_WRITE_PASSWORD_FILE: args.secrets[Secret.REMOTE_WRITE_PASSWORD]}
            if remote is not None and remote.username is not None
            else {}
        )
        spec = ServiceSpec(
            config_dir=CONFIG_DIR,
            data_dir=DATA_DIR,
            command=_command(settings, args.instance),
            files={
                "prometheus.yml": render.prometheus_yml(settings, args.topology),
                **{f"rules/{name}": text for name, text in rules.items()},
                **tls.client_files(settings),
                **platform_tls.toolkit_files(args, CONFIG_DIR),
            },
            secret_files={
                **client_secrets(settings, args.secrets),
                **platform_tls.toolkit_secret_files(args, CONFIG_DIR),
                **passwords,
            },
            healthcheck=_healthcheck(settings, args.instance.port),
        )
        super().__init__(args, spec, opts)
        self.url = pulumi.Output.from_input(external_url(settings, args.instance))
