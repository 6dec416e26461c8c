"""The gateway: Caddy, the only part of the platform that listens beyond loopback."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path

import pulumi

from components.render import gateway as render
from components.render import gateway_pages as pages
from components.render import platform_tls as hops
from components.render import tls
from components.service import Service, ServiceArgs, ServiceSpec
from components.settings import (
    SCRAPE_PASSWORDS,
    AcmeTls,
    BasicAuth,
    ForwardAuth,
    GivenTls,
    Group,
    OwnTls,
    Secret,
    StackSettings,
)
from components.settings_tls import GATEWAY
from components.tls import checked_key

_Files = dict[str, pulumi.Input[str]]


def certificate(settings: StackSettings) -> str | None:
    """The gateway's certificate in PEM; None where Caddy gets one by itself."""
    mode = settings.gateway.tls
    if isinstance(mode, OwnTls) and settings.pki is not None:
        return settings.pki.gateway
    return mode.certificate_file.read_text("utf-8") if isinstance(mode, GivenTls) else None


def authority(settings: StackSettings) -> str | None:
    """The authority in PEM that signed the gateway's certificate; None: one that everybody knows."""
    mode = settings.gateway.tls
    if isinstance(mode, OwnTls) and settings.pki is not None:
        return settings.pki.ca
    given: Path | None = getattr(mode, "ca_file", None)
    return given.read_text("utf-8") if given is not None else None


def _files(args: ServiceArgs) -> _Files:
    settings, own = args.settings, certificate(args.settings)
    files: _Files = {
        "Caddyfile": render.caddyfile(settings, args.topology, own),
        **tls.client_files(settings),
    }
    if own is not None:
        files[render.certificate_files(own, "gateway")[0]] = own
    platform = hops.certificate(settings)
    if platform is not None:
        files[render.certificate_files(platform, "platform")[0]] = platform
    auth, mode = settings.gateway.auth, settings.gateway.tls
    if isinstance(mode, AcmeTls) and mode.ca_file is not None:
        files[render.ACME_CA_FILE] = mode.ca_file.read_text("utf-8")
    if isinstance(auth, ForwardAuth) and auth.ca_file is not None:
        files[pages.FORWARD_CA_FILE] = auth.ca_file.read_text("utf-8")
    return files


def _derived(secret: pulumi.Output[str], change: Callable[[str], str]) -> pulumi.Output[str]:
    return pulumi.Output.secret(secret.apply(change))


def _account(user: str) -> Callable[[str], str]:
    return lambda password: f"{user} {tls.password_hash(password)}\n"


def _known(password: str) -> str:
    """What a browser that knew the password shows; it doesn't tell the password."""
    return hashlib.sha256(f"pve-monitoring gateway {tls.password_hash(password)}".encode()).hexdigest()


def _basic(password: str) -> str:
    return base64.b64encode(f"{tls.USER}:{password}".encode()).decode()


def _gateway_key(args: ServiceArgs) -> pulumi.Output[str]:
    own = isinstance(args.settings.gateway.tls, OwnTls)
    return checked_key(args.settings, args.secrets, GATEWAY) if own else args.secrets[Secret.TLS_GATEWAY_KEY]


def _secret_files(args: ServiceArgs) -> _Files:
    settings, own = args.settings, certificate(args.settings)
    files: _Files = {}
    if own is not None:
        files[render.certificate_files(own, "gateway")[1]] = _gateway_key(args)
    if isinstance(settings.gateway.auth, BasicAuth):
        password = args.secrets[Secret.GATEWAY_PASSWORD]
        files[pages.ACCOUNTS_FILE] = _derived(password, _account(settings.gateway.auth.user))
        files[pages.KNOWN_FILE] = _derived(password, _known)
    platform = hops.certificate(settings)
    if platform is not None:
        password = args.secrets[SCRAPE_PASSWORDS[Group.PLATFORM]]
        key = render.certificate_files(platform, "platform")[1]
        files[key] = checked_key(settings, args.secrets, Group.PLATFORM)
        files[render.METRICS_ACCOUNTS_FILE] = _derived(password, _account(tls.USER))
        files[pages.PLATFORM_AUTHORIZATION_FILE] = _derived(password, _basic)
    return files


class Gateway(Service):
    """Caddy before Grafana, Prometheus and Alertmanager.

    Attributes:
        url: URL that people open.
    """

    TYPE = "pve-monitoring:components:Gateway"

    url: pulumi.Output[str]

    def __init__(self, args: ServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        spec = ServiceSpec(
            config_dir=pages.CONFIG_DIR,
            data_dir=render.DATA_DIR if args.instance.data_volume is not None else None,
            # It watches its files, and takes a change up without dropping a connection.
            command=("caddy", "run", "--config", render.CONFIG_FILE, "--watch"),
            files=_files(args),
            secret_files=_secret_files(args),
            healthcheck=("wget", "-q", "-O", "/dev/null", render.HEALTH_URL),
        )
        super().__init__(args, spec, opts)
        self.url = pulumi.Output.from_input(args.settings.gateway.url)
