"""What the gateway does before each service's pages: who may see them, what stays closed, where they are."""

from __future__ import annotations

from urllib.parse import urlsplit

from components.images import Service
from components.render import tls
from components.render.caddyfile import block, limit, quoted
from components.settings import BasicAuth, ForwardAuth, Group, StackSettings
from components.topology import Topology

CONFIG_DIR = "/etc/caddy"
ACCOUNTS_FILE = "secrets/accounts"
KNOWN_FILE = "secrets/known"
PLATFORM_AUTHORIZATION_FILE = "secrets/platform_authorization"
FORWARD_CA_FILE = "tls/forward_ca.pem"

# Marks a browser that gave the right password once. It opens nothing by itself.
_KNOWN = "__Host-pve-monitoring-known"
# Calls of Grafana's API with name and password, a minute: the program makes its account with them.
_API_LOGINS = 60
# Seconds that a service may take for an answer; Prometheus' own limit of a query is 120.
_ANSWER_TIMEOUT_S = 180
_HEALTH = {
    Service.PROMETHEUS: "/-/healthy",
    Service.ALERTMANAGER: "/-/healthy",
    Service.GRAFANA: "/api/health",
}
# What changes a server, writes past Alertmanager's silences, or shows its inside.
_CLOSED = {
    Service.PROMETHEUS: (
        "/-/*",
        "/debug/*",
        "/metrics",
        "/api/v1/admin/*",
        "/api/v1/write",
        "/api/v1/otlp/*",
        "/api/v1/notifications/*",
    ),
    Service.ALERTMANAGER: ("/-/*", "/debug/*", "/metrics"),
    Service.GRAFANA: ("/metrics", "/debug/*"),
}


def _file(path: str) -> str:
    return f"{{file.{CONFIG_DIR}/{path}}}"


def _transport(settings: StackSettings) -> list[str]:
    lines = ["dial_timeout 5s", f"response_header_timeout {_ANSWER_TIMEOUT_S}s"]
    if Group.PLATFORM in settings.tls.groups:
        lines += [
            f"tls_trust_pool file {CONFIG_DIR}/{tls.CA_FILE}",
            f"tls_server_name {Group.PLATFORM.server_name}",
        ]
    return block("transport http", lines)


def _upstreams(settings: StackSettings, topology: Topology, service: Service) -> str:
    scheme = "https://" if Group.PLATFORM in settings.tls.groups else ""
    return " ".join(f"{scheme}{endpoint}" for endpoint in topology.endpoints(service))


def _authorization(settings: StackSettings, service: Service) -> str | None:
    """What Prometheus and Alertmanager want to see where they want a password."""
    wanted = Group.PLATFORM in settings.tls.groups and service is not Service.GRAFANA
    return f'Authorization "Basic {_file(PLATFORM_AUTHORIZATION_FILE)}"' if wanted else None


def _health(authorization: str | None, service: Service) -> list[str]:
    headers = block("health_headers", authorization) if authorization else []
    return [f"health_uri {_HEALTH[service]}", "health_interval 10s", "health_timeout 5s", *headers]


def _proxy(settings: StackSettings, topology: Topology, service: Service) -> list[str]:
    authorization = _authorization(settings, service)
    several = len(topology.of(service)) > 1
    return block(
        f"reverse_proxy {_upstreams(settings, topology, service)}",
        # The same one for the same people: replicas of Prometheus don't have the very same samples.
        "lb_policy client_ip_hash",
        # Over the replacement of a container.
        "lb_try_duration 5s",
        *(_health(authorization, service) if several else []),
        *([f"header_up {authorization}"] if authorization else []),
        # Live connections of pages stay over a change of the configuration.
        "stream_close_delay 10m",
        _transport(settings),
    )


def _closed(service: Service, prefix: str) -> list[str]:
    paths = " ".join(f"{prefix}{path}" for path in _CLOSED[service])
    name = f"@closed_{service}"
    return [f"{name} path {paths}", f'respond {name} "403 Forbidden: not through the gateway" 403']


def _basic(settings: StackSettings) -> list[str]:
    """Password of the gateway.

    Guesses are counted before they are looked at, or the right one would be told from the wrong ones.
    Browsers that gave it once send a cookie that says so, and aren't counted.
    """
    known = f'"*{_KNOWN}={_file(KNOWN_FILE)}*"'
    guesses = limit(
        "guesses", settings.gateway.rate_limits.logins, "header Authorization *", f"not header Cookie {known}"
    )
    attributes = "Path=/; Secure; HttpOnly; SameSite=Strict"
    return [
        *block("rate_limit", guesses),
        *block("basic_auth bcrypt pve-monitoring", f"import {CONFIG_DIR}/{ACCOUNTS_FILE}"),
        f"@stranger not header Cookie {known}",
        f'header @stranger +Set-Cookie "{_KNOWN}={_file(KNOWN_FILE)}; {attributes}"',
    ]


def _forward(auth: ForwardAuth) -> list[str]:
    parts = urlsplit(auth.url)
    uri = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    trust = [f"tls_trust_pool file {CONFIG_DIR}/{FORWARD_CA_FILE}"] if auth.ca_file is not None else []
    return block(
        f"forward_auth {parts.scheme}://{parts.netloc}",
        f"uri {quoted(uri)}",
        "header_up Host {upstream_hostport}",
        *([f"copy_headers {' '.join(auth.headers)}"] if auth.headers else []),
        block("transport http", "dial_timeout 5s", "response_header_timeout 15s", *trust),
    )


def _session(settings: StackSettings, topology: Topology) -> list[str]:
    """Grafana's session: it answers 200 for a user's own data, else 401.

    A session whose token is due for a new one (rotation) is none to the API: /user/auth-tokens/rotate renews
    it and leads back.
    """
    back = "{http.request.uri_escaped}"
    return block(
        f"forward_auth {_upstreams(settings, topology, Service.GRAFANA)}",
        "uri /api/user",
        "header_up -Authorization",
        _transport(settings),
        "@nobody status 401",
        block(
            "handle_response @nobody",
            block("@page", "method GET", "header Accept *text/html*"),
            block("@session", "method GET", "header Accept *text/html*", "header Cookie *grafana_session=*"),
            f"redir @session /user/auth-tokens/rotate?redirectTo={back} 302",
            f"redir @page /login?redirectTo={back} 302",
            'respond "401 Unauthorized: log in to Grafana" 401',
        ),
    )


def _authentication(settings: StackSettings, topology: Topology) -> list[str]:
    auth = settings.gateway.auth
    if isinstance(auth, BasicAuth):
        return _basic(settings)
    return _forward(auth) if isinstance(auth, ForwardAuth) else _session(settings, topology)


def _pages(
    settings: StackSettings, topology: Topology, service: Service, *more: str | list[str]
) -> list[str]:
    """Pages of a service that knows no users, below its own path, which it doesn't see."""
    prefix = f"/{service}"
    return [
        f"redir {prefix} {prefix}/ 308",
        *block(
            f"handle {prefix}/*",
            block(
                "route",
                _closed(service, prefix),
                *more,
                _authentication(settings, topology),
                # What let people in here is nothing for the service.
                "request_header -Authorization",
                f"uri strip_prefix {prefix}",
                _proxy(settings, topology, service),
            ),
        ),
    ]


def prometheus(settings: StackSettings, topology: Topology) -> list[str]:
    """Prometheus at /prometheus/."""
    return _pages(settings, topology, Service.PROMETHEUS)


def alertmanager(settings: StackSettings, topology: Topology) -> list[str]:
    """Alertmanager at /alertmanager/: silences are made there, alerts come from Prometheus alone."""
    alerts = block("@alerts", "method POST", "path /alertmanager/api/v2/alerts")
    refusal = 'respond @alerts "403 Forbidden: alerts come from Prometheus" 403'
    return _pages(settings, topology, Service.ALERTMANAGER, alerts, refusal)


def grafana(settings: StackSettings, topology: Topology) -> list[str]:
    """Grafana at /, with its own login in every mode.

    Browsers may send the gateway's password to Grafana too, which would take it for a wrong one of its own.
    They are known by Sec-Fetch-Site, which scripts can't leave out; Grafana's pages use cookies.
    """
    logins = settings.gateway.rate_limits.logins
    return block(
        "handle",
        block(
            "route",
            _closed(Service.GRAFANA, ""),
            block("@browser", "header Sec-Fetch-Site *", "header Authorization Basic*"),
            "request_header @browser -Authorization",
            block(
                "rate_limit",
                limit("logins", logins, "method POST", "path /login"),
                limit("api_logins", max(logins, _API_LOGINS), "header Authorization Basic*"),
            ),
            _proxy(settings, topology, Service.GRAFANA),
        ),
    )
