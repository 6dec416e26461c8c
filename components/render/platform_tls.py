"""The platform's own servers: how they are reached, and the files that TLS takes beside a configuration."""

from __future__ import annotations

from urllib.parse import urlsplit

from components import pki
from components.render import tls, to_yaml
from components.settings import Group, StackSettings
from components.topology import Instance

# Below the configuration directory of a server.
CERTIFICATE_FILE = "tls/server.pem"
KEY_FILE = "secrets/tls_key"
WEB_CONFIG_FILE = "secrets/web.yml"
CLIENT_FILE = "tls/client.yml"


def encrypted(settings: StackSettings) -> bool:
    """Whether the platform's own servers speak TLS."""
    return Group.PLATFORM in settings.tls.groups


def scheme(settings: StackSettings) -> str:
    """Scheme of the URLs of the platform's own servers."""
    return "https" if encrypted(settings) else "http"


def certificate(settings: StackSettings) -> str | None:
    """The certificate that the platform's own servers show, in PEM; None where they speak plain HTTP."""
    return settings.pki.platform if settings.pki is not None and encrypted(settings) else None


def external_url(settings: StackSettings, instance: Instance, given: str | None) -> str:
    """URL under which people reach an instance: as given, below the gateway's, or its published port's."""
    port = instance.published_port or instance.port
    gateway = f"{settings.gateway_url}/{instance.service}" if settings.gateway_url else None
    return given or gateway or f"{scheme(settings)}://{instance.bind_address}:{port}"


def authority_of(settings: StackSettings, url: str) -> str | None:
    """The authority that signed for whom a URL leads to; None if it is none of ours.

    A gateway in front may have a certificate that everybody knows: only who has a name of our certificates is
    asked for one of them.
    """
    given = settings.pki
    if given is None or not url.startswith("https://"):
        return None
    ours = [pem for pem in (given.platform, given.gateway) if pem is not None]
    known = {name for pem in ours for name in pki.names(pem)}
    return given.ca if urlsplit(url).hostname in known else None


def certificate_files(settings: StackSettings) -> dict[str, str]:
    """The certificate that the platform's servers show, by path below the configuration directory."""
    own = certificate(settings)
    return {CERTIFICATE_FILE: own} if own is not None else {}


def web_config_option(settings: StackSettings, directory: str) -> tuple[str, ...]:
    """Argument of Prometheus and Alertmanager that turns TLS and the password on."""
    return (f"--web.config.file={directory}/{WEB_CONFIG_FILE}",) if encrypted(settings) else ()


def web_config(directory: str, password: str) -> str:
    """Web configuration of Prometheus and Alertmanager; it holds a hash of the password.

    Args:
        directory: where the configuration is mounted.
        password: that clients have to give.
    """
    return tls.web_config(f"{directory}/{CERTIFICATE_FILE}", f"{directory}/{KEY_FILE}", password)


def client_config(settings: StackSettings, directory: str) -> str:
    """`--http.config.file` of promtool and amtool, with which a container asks itself whether it is well.

    The password stays in its file: neither a list of processes nor `docker inspect` shows it.
    """
    known = tls.client(settings, Group.PLATFORM, directory)
    return to_yaml({key: value for key, value in known.items() if key != "scheme"})
