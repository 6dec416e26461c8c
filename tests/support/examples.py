"""Stack configurations that all renderers and the program are tried with."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

from components.settings import PROJECT, Secret, StackSettings, validate
from tests.support.pki import CERTIFICATES

ROOT = Path(__file__).resolve().parent.parent.parent

MINIMAL: dict[str, Any] = {
    "cluster": {
        "name": "home",
        "endpoints": ["https://192.0.2.11:8006"],
        "discoveryTokenId": "discovery@pve!monitoring",
        "exporterTokenId": "exporter@pve!monitoring",
    },
    "alerting": {"routes": {"default": ["webhook"]}},
    "tls": "off",
    "gateway": {"enabled": False},
}

ALL_CHANNELS: dict[str, Any] = {
    **MINIMAL,
    "alerting": {
        "routes": {
            "default": ["email"],
            "critical": ["email", "webhook", "slack", "teams", "discord", "telegram", "pagerduty"],
            "info": ["webhook"],
        },
        "email": {
            "to": ["a@example.com", "b@example.com"],
            "from": "m@example.com",
            "smarthost": "smtp.example.com:587",
            "username": "m",
        },
        "slack": {"channel": "#ops"},
        "telegram": {"chatId": -100123},
        # Spellings that Prometheus and Grafana answer otherwise: 1m30s, 1d.
        "groupWait": "90s",
        "repeatIntervals": {"critical": "60m", "info": "24h"},
        "muteTimings": [
            {
                "name": "nights",
                "times": [{"start": "22:00", "end": "24:00"}, {"start": "00:00", "end": "06:30"}],
                "timeZone": "Europe/Berlin",
            },
            {"name": "first-sunday", "weekdays": ["Sunday"], "daysOfMonth": ["1:7"], "severities": ["info"]},
        ],
        "runbookBaseUrl": "https://git.example.com/ops",
    },
}

LEAN_WITH_EVERYTHING: dict[str, Any] = {
    **MINIMAL,
    "prometheus": {
        "scrapeInterval": "30s",
        "retentionTime": "90d",
        "retentionSize": "40GB",
        "externalLabels": {"site": "a"},
        "remoteWrite": {"url": "https://mimir.example.com/api/v1/push", "username": "u"},
    },
    "scrape": {
        "labels": "lean",
        "proxyUrl": "http://jump.example.com:3128",
        "staticHosts": [{"name": "nas", "target": "nas.example.com:9100"}],
    },
    "network": {"ports": {"discovery": None, "pveExporter": None}, "extraNetworks": ["vlan20"]},
    "images": {"registryPrefix": "mirror.example.com/hub", "discovery": "registry.example.com/d:1.0"},
}

PROXMOX: dict[str, Any] = {
    **MINIMAL,
    "docker": {
        "target": "proxmox",
        "node": "pve1",
        "vmId": 9100,
        "address": "192.0.2.10/24",
        "gateway": "192.0.2.1",
        "vlan": 20,
        "dnsServers": ["192.0.2.53"],
        "imageUrl": "https://images.example.com/trixie/20260112-2355/debian-13-genericcloud-amd64.qcow2",
        "imageChecksum": "sha512:" + "0123456789abcdef" * 8,
        "sshPublicKeys": [
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGV4YW1wbGUgb2YgYSBwdWJsaWMga2V5IG9mIG9wcw== ops"
        ],
        "tags": ["pulumi", "monitoring"],
        "startOrder": 1,
    },
    "network": {"bindAddress": "192.0.2.10"},
}

TWO_VMS: dict[str, Any] = {
    **PROXMOX,
    "docker": {
        **PROXMOX["docker"],
        "replica": {
            "node": "pve2",
            "vmId": 9101,
            "address": "192.0.2.20/24",
            "imageDatastore": "images",
            "diskDatastore": "fast",
        },
    },
    "firewall": {
        "mode": "proxmox",
        "monitoring": ["192.0.2.10", "192.0.2.20"],
        "admins": ["198.51.100.0/24"],
    },
    "tls": {"hosts": False, "guests": False},
    "pki": CERTIFICATES,
}

TWO_GATEWAYS: dict[str, Any] = {**TWO_VMS, "gateway": {"host": "monitoring.example.com"}}

TWO_HOSTS: dict[str, Any] = {
    **MINIMAL,
    "docker": {
        "target": "ssh",
        "host": "monitoring-1.example.com",
        "user": "deploy",
        "replica": {"host": "monitoring-2.example.com", "address": "192.0.2.20", "gossipPort": 19094},
    },
    "network": {"bindAddress": "192.0.2.10", "ports": {"prometheus": 19090, "discovery": None}},
    "firewall": {
        "mode": "nftables",
        "monitoring": ["192.0.2.0/24"],
        "admins": ["198.51.100.0/24"],
    },
    "tls": {"hosts": False, "guests": False},
    "pki": CERTIFICATES,
}


MANAGED: dict[str, Any] = {
    **MINIMAL,
    "cluster": {
        **MINIMAL["cluster"],
        "discoveryTokenId": "monitoring@pve!discovery",
        "exporterTokenId": "monitoring@pve!exporter",
    },
    "access": {
        "manage": True,
        "release": 8,
        "guestAgent": True,
        "pools": ["windows", "tenants/acme"],
        "tokenGeneration": 2,
        "tokenExpires": "2999-12-31",
    },
}

FILTERED: dict[str, Any] = {
    **PROXMOX,
    "firewall": {
        "mode": "proxmox",
        "monitoring": ["192.0.2.10", "2001:db8::10"],
        "admins": ["198.51.100.0/24", "2001:db8:1::/64", "192.0.2.200"],
        "gateways": ["203.0.113.7"],
        "members": ["10.10.0.0/24", "10.20.0.0/24"],
        "hosts": True,
        "guests": [{"node": "pve1", "vmId": 101}],
        "switch": "on",
    },
}

NFTABLES: dict[str, Any] = {
    **MINIMAL,
    "firewall": {
        "mode": "nftables",
        "monitoring": ["192.0.2.10", "2001:db8::10"],
        "admins": ["198.51.100.0/24"],
        "gateways": ["2001:db8:2::1"],
    },
}

ENCRYPTED: dict[str, Any] = {
    **LEAN_WITH_EVERYTHING,
    "tls": {"plainTag": "plain-metrics"},
    "pki": CERTIFICATES,
}

# Modes of the gateway besides those of `dev` (internal, basic) and `production` (own, basic).
GATED: dict[str, dict[str, Any]] = {
    "gateway-oidc": {
        **MINIMAL,
        "pki": CERTIFICATES,
        "docker": {"target": "ssh", "host": "192.0.2.10"},
        "gateway": {
            "host": "monitoring.example.com",
            "auth": {
                "mode": "oidc",
                "clientId": "pve-monitoring",
                "authUrl": "https://id.example.com/authorize",
                "tokenUrl": "https://id.example.com/token",
                "apiUrl": "https://id.example.com/userinfo",
                "roleAttributePath": "'Viewer'",
            },
        },
    },
    "gateway-acme": {
        **MINIMAL,
        "gateway": {
            "host": "monitoring.example.com",
            "httpPort": 80,
            "tls": {"mode": "acme", "email": "ops@example.com"},
            "auth": {
                "mode": "forward",
                "url": "https://auth.example.com/api/verify?rd=a",
                "headers": ["Remote-User"],
            },
        },
    },
}


def _from_file(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))["config"]
    own = {k.partition(":")[2]: v for k, v in values.items() if k.startswith(f"{PROJECT}:")}
    return {k: v for k, v in own.items() if not (isinstance(v, dict) and "secure" in v)}


def _without_files(values: dict[str, Any]) -> dict[str, Any]:
    """The same without the CA file, which only the machine it was written for has."""
    values = copy.deepcopy(values)
    values["cluster"].pop("caFile", None)
    return values


EXAMPLES: dict[str, dict[str, Any]] = {
    "minimal": MINIMAL,
    "all-channels": ALL_CHANNELS,
    "lean-with-everything": LEAN_WITH_EVERYTHING,
    "proxmox": PROXMOX,
    "two-vms": TWO_VMS,
    "two-hosts": TWO_HOSTS,
    "managed": MANAGED,
    "filtered": FILTERED,
    "nftables": NFTABLES,
    "dev": _without_files(_from_file(ROOT / "Pulumi.dev.yaml")),
    "encrypted": ENCRYPTED,
    **GATED,
    # `ops pki` completes the file.
    "production": {
        **_without_files(_from_file(ROOT / "docs" / "examples" / "Pulumi.production.yaml")),
        "pki": CERTIFICATES,
    },
}

ALL_SECRETS = frozenset(secret.value for secret in Secret)


def settings(values: dict[str, Any], secrets: frozenset[str] = ALL_SECRETS) -> StackSettings:
    """Validated settings of an example."""
    return validate(values, secrets, ROOT)
