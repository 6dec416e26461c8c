"""The container images of the platform: one table of repositories and exact tags.

A tag is what every site can read; `images` in the stack config replaces single references, by digest
for production.
"""

from __future__ import annotations

import re
from enum import StrEnum


class Service(StrEnum):
    """A part of the platform that runs as a container."""

    PROMETHEUS = "prometheus"
    ALERTMANAGER = "alertmanager"
    GRAFANA = "grafana"
    PVE_EXPORTER = "pve-exporter"
    DISCOVERY = "discovery"
    GATEWAY = "gateway"


# Short-lived container that writes configuration into a volume: it needs a shell and coreutils, nothing else.
CONFIG_WRITER = "config-writer"
# What the discovery service's image is built from when no finished image is given.
PYTHON_BASE = "python-base"
# The same for the gateway's: the bare program, and what compiles it with its modules.
CADDY_BASE = "caddy-base"
CADDY_BUILDER = "caddy-builder"

DEFAULT_REFERENCES: dict[str, str] = {
    # 3.13 is Prometheus' long-term support line (to July 2027).
    Service.PROMETHEUS: "prom/prometheus:v3.13.5",
    Service.ALERTMANAGER: "prom/alertmanager:v0.34.2",
    # 13.2.0 to 13.2.2 lose the bundled data sources after an upgrade (grafana/grafana#130921).
    Service.GRAFANA: "grafana/grafana:13.2.3",
    Service.PVE_EXPORTER: "prompve/prometheus-pve-exporter:3.10.0",
    CONFIG_WRITER: "busybox:1.37.0",
    PYTHON_BASE: "python:3.13-slim",
    CADDY_BASE: "caddy:2.11.9",
    CADDY_BUILDER: "caddy:2.11.9-builder",
}

# The user that each image runs its process as (uid, gid): files on its volumes belong to it.
USERS: dict[str, tuple[int, int]] = {
    Service.PROMETHEUS: (65534, 65534),
    Service.ALERTMANAGER: (65534, 65534),
    Service.GRAFANA: (472, 0),
    Service.PVE_EXPORTER: (101, 101),
    Service.DISCOVERY: (10001, 10001),
    Service.GATEWAY: (10002, 10002),
}

# Reference grammar of the OCI distribution specification, reduced to what a person writes:
# [registry[:port]/]path[:tag][@sha256:digest]
_REFERENCE = re.compile(
    r"^(?P<name>[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?::[0-9]+)?(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?:@(?P<digest>sha256:[a-f0-9]{64}))?$"
)


def problem_with_reference(reference: str) -> str | None:
    """Return what is wrong with an image reference, None if it is pinned by a tag or a digest."""
    match = _REFERENCE.match(reference)
    if match is None:
        return "is not an image reference; write repository:tag or repository:tag@sha256:<64 hex digits>"
    if match["digest"] is None and match["tag"] in (None, "latest"):
        return "is not pinned; add an exact tag (not latest) or a digest"
    return None


def resolve(key: str, registry_prefix: str | None, overrides: dict[str, str]) -> str:
    """Return the reference to use for an entry of the table.

    Args:
        key: a Service, CONFIG_WRITER, or the base of an image that is built.
        registry_prefix: mirror that stands before the default references, e.g. `mirror.example.com/hub`.
        overrides: whole references from the stack config, taken as they are.
    """
    if key in overrides:
        return overrides[key]
    default = DEFAULT_REFERENCES[key]
    if registry_prefix is None:
        return default
    # Docker Hub's own images have an implied `library/` that a mirror needs spelled out.
    path = default if "/" in default else f"library/{default}"
    return f"{registry_prefix.rstrip('/')}/{path}"
