"""Settings of the gateway: the only part of the platform that listens beyond loopback."""

from __future__ import annotations

from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, PositiveInt, StringConstraints, model_validator

from components import pki
from components.settings_model import Model
from components.words import NonEmpty, problem
from components.words_network import Address, Host, Port, Url

# Let's Encrypt, which is Caddy's default too.
_DIRECTORY = "https://acme-v02.api.letsencrypt.org/directory"

HTTPS_PORT, HTTP_PORT = 443, 80


class TlsMode(StrEnum):
    """Where the gateway's certificate comes from."""

    OWN = "own"
    GIVEN = "given"
    ACME = "acme"
    INTERNAL = "internal"


class AuthMode(StrEnum):
    """Who lets people in to the pages of Prometheus and Alertmanager."""

    BASIC = "basic"
    FORWARD = "forward"
    OIDC = "oidc"


class OwnTls(Model):
    """The certificate pki.gateway, which `ops pki` makes; its key is the secret tlsGatewayKey."""

    mode: Literal["own"] = "own"


class GivenTls(Model):
    """A certificate of the site; its key is the secret tlsGatewayKey."""

    mode: Literal["given"]
    # PEM: the gateway's own certificate first, then those between it and the authority.
    certificate_file: Path
    # The authority, where not everybody trusts it: for the machine that runs Pulumi.
    ca_file: Path | None = None


class AcmeTls(Model):
    """A certificate that Caddy gets and renews by itself."""

    mode: Literal["acme"]
    email: NonEmpty
    directory: Url = _DIRECTORY
    # The authority behind a directory of the site's own.
    ca_file: Path | None = None


class InternalTls(Model):
    """A certificate by an authority inside Caddy that nobody else knows: to try things out."""

    mode: Literal["internal"]


GatewayTls = Annotated[OwnTls | GivenTls | AcmeTls | InternalTls, Field(discriminator="mode")]


def _check_user(value: str) -> str:
    if not value.isprintable() or any(letter in value for letter in " :{}\"'\\#`"):
        raise problem(f"{value!r} is not a user name; write letters, digits, . _ @ and -, e.g. monitoring")
    return value


def _check_header(value: str) -> str:
    if value.lower() in ("authorization", "cookie", "host"):
        raise problem(f"{value} says who asks or what for, not what was found out; name another header")
    return value


User = Annotated[str, StringConstraints(min_length=1), AfterValidator(_check_user)]
Header = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]*$"), AfterValidator(_check_header)
]


class BasicAuth(Model):
    """One name and the password in the secret gatewayPassword."""

    mode: Literal["basic"] = "basic"
    user: User = "monitoring"


class ForwardAuth(Model):
    """A service of the site decides (Authelia, Authentik, oauth2-proxy): its 2xx lets in."""

    mode: Literal["forward"]
    # What is asked before each request, e.g. https://auth.example.com/api/authz/forward-auth.
    url: Url
    # Headers of its answer that are handed on, e.g. Remote-User.
    headers: tuple[Header, ...] = ()
    ca_file: Path | None = None


class OidcAuth(Model):
    """Grafana logs people in by OpenID Connect, and its session opens the other pages too."""

    mode: Literal["oidc"]
    # On the button of Grafana's login page.
    name: NonEmpty = "Single sign-on"
    client_id: NonEmpty
    auth_url: Url
    token_url: Url
    # The userinfo endpoint.
    api_url: Url
    scopes: Annotated[tuple[NonEmpty, ...], Field(min_length=1)] = ("openid", "profile", "email")
    # JMESPath over token and userinfo that gives Viewer, Editor or Admin; whom it gives nothing stays out.
    role_attribute_path: NonEmpty
    # The authority of the provider's certificate, where not everybody trusts it.
    ca_file: Path | None = None


GatewayAuth = Annotated[BasicAuth | ForwardAuth | OidcAuth, Field(discriminator="mode")]


class RateLimits(Model):
    """Requests per minute and client address (of IPv6, its /64); more are answered with 429."""

    # A dashboard asks some hundred times when it is opened, and people behind one address count together.
    requests: PositiveInt = 3000
    # Passwords: logins of Grafana, and wrong ones of the gateway.
    logins: PositiveInt = 10


class Gateway(Model):
    """Caddy before Grafana, Prometheus and Alertmanager: TLS, authentication, limits."""

    enabled: bool = True
    # What people type into the browser; the certificate must be for it.
    host: Host | None = None
    bind_address: Address = "0.0.0.0"  # noqa: S104 - it is what listens for everybody
    port: Port = HTTPS_PORT
    # Sends browsers on to HTTPS, and answers ACME's questions; by default it isn't open.
    http_port: Port | None = None
    tls: GatewayTls = OwnTls()
    auth: GatewayAuth = BasicAuth()
    rate_limits: RateLimits = RateLimits()
    # Docker network of the image's build, where the default has no way to the internet.
    build_network: NonEmpty | None = None

    @model_validator(mode="after")
    def _named(self) -> Self:
        if self.enabled and self.host is None:
            raise problem(
                "the gateway is on and has no name; give gateway.host, as people will type it into browsers, "
                "or set gateway.enabled to false"
            )
        return self

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        if self.port == self.http_port:
            raise problem(f"port and httpPort are both {self.port}; give each its own")
        return self

    @model_validator(mode="after")
    def _can_be_certified(self) -> Self:
        if not isinstance(self.tls, AcmeTls) or self.host is None:
            return self
        if _is_address(self.host) or "." not in self.host:
            raise problem(f"tls is acme, which certifies names of the DNS, and host is {self.host}")
        if self.port != HTTPS_PORT and self.http_port != HTTP_PORT:
            raise problem(
                f"tls is acme, which asks back at port {HTTPS_PORT} or {HTTP_PORT}, and neither is "
                f"published; set port to {HTTPS_PORT} or httpPort to {HTTP_PORT}"
            )
        return self

    @property
    def url(self) -> str:
        """URL that people open, without a slash at its end."""
        host = f"[{self.host}]" if ":" in (self.host or "") else self.host
        return f"https://{host}" if self.port == HTTPS_PORT else f"https://{host}:{self.port}"

    @property
    def ports(self) -> tuple[int, ...]:
        """Published ports; none where it is off."""
        given = (self.port, self.http_port) if self.enabled else ()
        return tuple(port for port in given if port is not None)

    @property
    def keeps_data(self) -> bool:
        """Whether it makes or gets certificates by itself, which must outlive its container."""
        return isinstance(self.tls, AcmeTls | InternalTls)

    def files(self) -> dict[str, tuple[Path | None, str]]:
        """Files of the site by their keys, with what each has to be."""
        tls, auth = self.tls, self.auth
        ca = "a CA certificate (PEM)"
        found: dict[str, tuple[Path | None, str]] = {}
        if isinstance(tls, GivenTls):
            found["gateway.tls.certificateFile"] = (tls.certificate_file, "the gateway's certificate (PEM)")
        if isinstance(tls, GivenTls | AcmeTls):
            found["gateway.tls.caFile"] = (tls.ca_file, ca)
        if isinstance(auth, ForwardAuth | OidcAuth):
            found["gateway.auth.caFile"] = (auth.ca_file, ca)
        return found if self.enabled else {}


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def certifies(certificate: str, host: str) -> bool:
    """Whether a certificate is for a host; a star stands for one label (RFC 9525).

    Raises:
        ValueError: it can't be read.
    """
    host = host.lower()
    names = {name.lower() for name in pki.names(certificate)}
    return host in names or (not _is_address(host) and f"*.{host.partition('.')[2]}" in names)
