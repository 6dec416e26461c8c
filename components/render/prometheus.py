"""prometheus.yml, from settings and topology."""

from __future__ import annotations

from components.durations import seconds
from components.images import Service
from components.render import to_yaml
from components.render.scrape_configs import CONFIG_DIR, Json, platform_client, scrape_configs
from components.settings import REPLICA_LABEL, StackSettings
from components.topology import Topology

CONFIG_FILE = f"{CONFIG_DIR}/prometheus.yml"
REMOTE_WRITE_PASSWORD_FILE = "secrets/remote_write_password"  # noqa: S105 - a path


def _remote_write(settings: StackSettings) -> Json:
    remote = settings.prometheus.remote_write
    if remote is None:
        return {}
    entry: Json = {"url": remote.url}
    if remote.username is not None:
        entry["basic_auth"] = {"username": remote.username, "password_file": REMOTE_WRITE_PASSWORD_FILE}
    return {"remote_write": [entry]}


def _retention(settings: StackSettings) -> Json:
    retention: Json = {"time": settings.prometheus.retention_time}
    if settings.prometheus.retention_size is not None:
        retention["size"] = settings.prometheus.retention_size
    return {"storage": {"tsdb": {"retention": retention}}}


def _timeout(settings: StackSettings) -> str:
    # windows_exporter keeps half a second of the timeout for itself; 10 s is Prometheus' own default.
    return f"{min(10, seconds(settings.prometheus.scrape_interval))}s"


def _one_alert_from_two(settings: StackSettings) -> Json:
    """What both replicas raise is one alert to Alertmanager, which knows alerts by their labels."""
    if settings.replica is None:
        return {}
    return {"alert_relabel_configs": [{"action": "labeldrop", "regex": REPLICA_LABEL}]}


def prometheus_yml(settings: StackSettings, topology: Topology) -> str:
    """Render prometheus.yml of the Prometheus on the host that the topology is seen from.

    It holds no secret: what is secret lies in files beside it.
    """
    external = dict(settings.prometheus.external_labels)
    if settings.replica is not None:
        external[REPLICA_LABEL] = topology.viewer
    document: Json = {
        "global": {
            "scrape_interval": settings.prometheus.scrape_interval,
            "scrape_timeout": _timeout(settings),
            "evaluation_interval": settings.prometheus.scrape_interval,
            # scrape_sample_limit and its like: the alert on limits looks at how near a target is.
            "extra_scrape_metrics": True,
            **({"external_labels": external} if external else {}),
        },
        "rule_files": ["rules/*.yml"],
        "alerting": {
            **_one_alert_from_two(settings),
            "alertmanagers": [
                {
                    **platform_client(settings, Service.ALERTMANAGER),
                    "static_configs": [{"targets": list(topology.endpoints(Service.ALERTMANAGER))}],
                },
            ],
        },
        "scrape_configs": scrape_configs(settings, topology),
        **_retention(settings),
        **_remote_write(settings),
    }
    return to_yaml(document)
