"""The gateway's Caddyfile: TLS, authentication and limits before Grafana, Prometheus and Alertmanager.

It holds no secret: what is secret lies in files beside it. `caddy run --watch` compares the whole of it, with
what it imports, each second and takes a change up without dropping a connection.
"""

from __future__ import annotations

import hashlib

from components.images import Service
from components.render import platform_tls
from components.render.caddyfile import block, limit, quoted
from components.render.gateway_pages import CONFIG_DIR, alertmanager, grafana, prometheus
from components.settings import (
    AcmeTls,
    InternalTls,
    StackSettings,
)
from components.topology import CONTAINER_PORTS, GATEWAY_HTTP, GATEWAY_HTTPS, Topology

CONFIG_FILE = f"{CONFIG_DIR}/Caddyfile"
DATA_DIR = "/var/lib/caddy"
HEALTH_URL = "http://127.0.0.1:9181/health"
ACME_CA_FILE = "tls/acme_ca.pem"
METRICS_ACCOUNTS_FILE = "secrets/metrics_accounts"

# Two years, as browsers' lists ask for at least one.
_HSTS_SECONDS = 63_072_000
# Query parameters that let somebody in: Grafana's auth_token, those of OpenID Connect, and the usual ones.
_SECRET_PARAMETERS = (
    "token",
    "auth_token",
    "access_token",
    "id_token",
    "api_key",
    "apikey",
    "key",
    "code",
    "state",
    "session_state",
    "password",
)


def certificate_files(certificate: str, name: str) -> tuple[str, str]:
    """Where a certificate and its key lie, below the configuration directory.

    Caddy reads them only when its configuration changes: a renewed certificate has another name, and so the
    Caddyfile another text.
    """
    digest = hashlib.sha256(certificate.encode()).hexdigest()[:12]
    return f"tls/{name}-{digest}.pem", f"secrets/{name}-{digest}.key"


def _log() -> list[str]:
    """Access and error log as JSON on standard output, without what lets somebody in.

    Caddy itself leaves out Cookie, Set-Cookie, Authorization and Proxy-Authorization; other headers bear
    tokens too, and addresses with tokens in them.
    """
    hidden = [f"replace {name} REDACTED" for name in _SECRET_PARAMETERS]
    fields = block(
        "fields",
        block("request>uri query", hidden),
        "request>headers>Referer delete",
        "request>headers>X-Grafana-Id delete",
        "request>headers>X-Api-Key delete",
        "request>headers>X-Auth-Token delete",
        "request>headers>X-Csrf-Token delete",
        "resp_headers>Location delete",
    )
    return block("log", "output stdout", block("format filter", "wrap json", fields))


def _options(settings: StackSettings) -> list[str]:
    gateway = settings.gateway
    own = not isinstance(gateway.tls, AcmeTls | InternalTls)
    timeouts = block("timeouts", "read_header 10s", "read_body 1m", "write 10m", "idle 2m")
    return block(
        "",
        # The files are all that there is to change: no API, no copy of the configuration.
        "admin off",
        "persist_config off",
        f"storage file_system {DATA_DIR if gateway.keeps_data else '/tmp/caddy'}",  # noqa: S108 - inside
        f"http_port {GATEWAY_HTTP}",
        f"https_port {GATEWAY_HTTPS}",
        f"auto_https {'off' if own else 'disable_redirects'}",
        *(["skip_install_trust"] if isinstance(gateway.tls, InternalTls) else []),
        # Clients that name no host, as those who come to an address.
        f"default_sni {gateway.host}",
        # For answers under way when the configuration changes; Docker doesn't wait so long for an end.
        "grace_period 2m",
        "metrics",
        # No HTTP/3: its UDP port isn't published.
        block(f"servers :{GATEWAY_HTTPS}", "protocols h1 h2", "max_header_size 64KB", timeouts),
        _log(),
    )


def _tls(settings: StackSettings, certificate: str | None) -> list[str]:
    mode = settings.gateway.tls
    if certificate is not None:
        pem, key = certificate_files(certificate, "gateway")
        return [f"tls {CONFIG_DIR}/{pem} {CONFIG_DIR}/{key}"]
    if isinstance(mode, AcmeTls):
        return block(
            "tls",
            block(
                "issuer acme",
                f"email {quoted(mode.email)}",
                f"dir {mode.directory}",
                *([f"trusted_roots {CONFIG_DIR}/{ACME_CA_FILE}"] if mode.ca_file is not None else []),
                *(["disable_http_challenge"] if settings.gateway.http_port is None else []),
            ),
        )
    return block("tls", "issuer internal")


def _headers(settings: StackSettings) -> list[str]:
    """Headers of every answer. A name as localhost must not bind all other ports of a machine to HTTPS."""
    lasting = not isinstance(settings.gateway.tls, InternalTls)
    # Those that aren't deferred stand on the gateway's own errors too.
    given = block(
        "header",
        *([f'Strict-Transport-Security "max-age={_HSTS_SECONDS}"'] if lasting else []),
        "X-Content-Type-Options nosniff",
        "Referrer-Policy same-origin",
        "X-Frame-Options DENY",
        'Permissions-Policy "camera=(), geolocation=(), microphone=()"',
    )
    # Grafana may have a policy of its own.
    policy = "?Content-Security-Policy \"frame-ancestors 'none'\""
    # Services send theirs a second time where Caddy adds to what it has set already.
    once = [">X-Frame-Options DENY", ">X-Content-Type-Options nosniff", ">Referrer-Policy same-origin"]
    return [*given, *block("header", policy, once, "-Server", "-Via", "-X-Powered-By")]


def _site(settings: StackSettings, topology: Topology, certificate: str | None) -> list[str]:
    return block(
        f"{settings.gateway.url.removesuffix(f':{settings.gateway.port}')}:{GATEWAY_HTTPS}",
        _tls(settings, certificate),
        "log",
        block(
            "route",
            _headers(settings),
            block("rate_limit", limit("requests", settings.gateway.rate_limits.requests)),
            block("request_body", "max_size 10MB"),
            # A page elsewhere must not use the password that a browser remembers.
            block("@foreign", "not method GET HEAD OPTIONS", "header Sec-Fetch-Site cross-site"),
            'respond @foreign "403 Forbidden: a page of another site asked" 403',
            prometheus(settings, topology),
            alertmanager(settings, topology),
            grafana(settings, topology),
        ),
        block("handle_errors", "header -Server", 'respond "{err.status_code} {err.status_text}"'),
    )


def _redirect(settings: StackSettings) -> list[str]:
    if settings.gateway.http_port is None:
        return []
    return block(
        f"http://:{GATEWAY_HTTP}",
        block("route", "header -Server", f"redir {settings.gateway.url}{{uri}} 308"),
    )


def _internal(settings: StackSettings) -> list[str]:
    """Metrics for Prometheus, on the stack's network only, and health for Docker, in the container only."""
    port = CONTAINER_PORTS[Service.GATEWAY]
    metrics = ["metrics /metrics", "respond 404"]
    health = block("http://127.0.0.1:9181", "bind 127.0.0.1", "respond /health 200", "respond 404")
    platform = platform_tls.certificate(settings)
    if platform is None:
        return [*block(f"http://:{port}", block("route", metrics)), *health]
    pem, key = certificate_files(platform, "platform")
    accounts = block("basic_auth", f"import {CONFIG_DIR}/{METRICS_ACCOUNTS_FILE}")
    served = block(
        f"https://:{port}", f"tls {CONFIG_DIR}/{pem} {CONFIG_DIR}/{key}", block("route", accounts, *metrics)
    )
    return [*served, *health]


def caddyfile(settings: StackSettings, topology: Topology, certificate: str | None) -> str:
    """Render the Caddyfile.

    Args:
        settings: of the stack.
        topology: where the services are.
        certificate: the gateway's, in PEM; None where Caddy gets one by itself.
    """
    parts = (
        _options(settings),
        _site(settings, topology, certificate),
        _redirect(settings),
        _internal(settings),
    )
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"
