"""Environment of the discovery service (its contract: discovery_fn/README.md)."""

from __future__ import annotations

from components.render import tls
from components.render.platform_tls import CERTIFICATE_FILE, KEY_FILE, encrypted
from components.settings import Group, StackSettings

CONFIG_DIR = "/etc/discovery"
CA_FILE = f"{CONFIG_DIR}/ca.pem"
TOKEN_FILE = f"{CONFIG_DIR}/secrets/token"
STATE_DIR = "/var/lib/discovery"


def _tls(settings: StackSettings) -> dict[str, str]:
    if not encrypted(settings):
        return {}
    return {
        "DISCOVERY_TLS_CERT_FILE": f"{CONFIG_DIR}/{CERTIFICATE_FILE}",
        "DISCOVERY_TLS_KEY_FILE": f"{CONFIG_DIR}/{KEY_FILE}",
        "DISCOVERY_USER": tls.USER,
        "DISCOVERY_PASSWORD_FILE": f"{CONFIG_DIR}/{tls.password_file(Group.PLATFORM)}",
    }


def environment(settings: StackSettings) -> dict[str, str]:
    """Environment variables of the service; what is secret is given by file."""
    cluster, discovery, ports = settings.cluster, settings.discovery, settings.scrape.exporter_ports
    values: dict[str, str | None] = {
        "PVE_ENDPOINTS": ",".join(cluster.endpoints),
        "PVE_TOKEN_ID": settings.discovery_token_id,
        "PVE_TOKEN_SECRET_FILE": TOKEN_FILE,
        "PVE_CA_FILE": CA_FILE if cluster.ca_file is not None else None,
        "PVE_TLS_FINGERPRINT": ",".join(cluster.fingerprints) or None,
        "PVE_VERIFY_TLS": str(cluster.verify_tls).lower(),
        "DISCOVERY_CLUSTER": cluster.name,
        "DISCOVERY_REFRESH_SECONDS": str(discovery.refresh_seconds),
        "DISCOVERY_CACHE_SECONDS": str(discovery.cache_seconds),
        "DISCOVERY_STATE_DIR": STATE_DIR,
        "DISCOVERY_LABELS": settings.scrape.labels,
        "DISCOVERY_INCLUDE": ",".join(discovery.include) or None,
        "DISCOVERY_EXCLUDE": ",".join(discovery.exclude) or None,
        "DISCOVERY_PREFER_CIDRS": ",".join(discovery.prefer_cidrs) or None,
        "DISCOVERY_NODE_ADDRESSES": ",".join(f"{n}={a}" for n, a in sorted(discovery.node_addresses.items()))
        or None,
        "DISCOVERY_GPU_NODES": ",".join(discovery.gpu_nodes) or None,
        "DISCOVERY_WINDOWS_PORT": str(ports.windows),
        "DISCOVERY_LINUX_PORT": str(ports.linux),
        "DISCOVERY_NODE_PORT": str(ports.node),
        "DISCOVERY_GPU_PORT": str(ports.gpu),
        **_tls(settings),
    }
    return {key: value for key, value in values.items() if value is not None}
