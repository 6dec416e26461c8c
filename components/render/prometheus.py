"""prometheus.yml and the rule files, from settings and topology."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from components.images import Service
from components.render import exporter_jobs, tls, to_yaml
from components.render.links import Bases, complete_links
from components.render.platform_tls import scheme
from components.render.pve_exporter import EXPORTER_MODULE
from components.render.windows import metric_relabelings
from components.settings import REPLICA_LABEL, Group, LabelsMode, StackSettings, StaticHost
from components.topology import Topology
from components.words import seconds

CONFIG_DIR = "/etc/prometheus"
CONFIG_FILE = f"{CONFIG_DIR}/prometheus.yml"
REMOTE_WRITE_PASSWORD_FILE = "secrets/remote_write_password"  # noqa: S105 - a path

# Samples per scrape and target; a target above its limit fails its scrape, so each is several times what
# the exporter gives at the largest size: windows_exporter about 900 with 150 processes (counted after
# relabelling; a terminal server with 1,500 has 5,000), node_exporter about 1,500 on a host with 64 CPUs, GPU
# exporter 140 a GPU, pve-exporter 38 a guest (5,000 guests: 190,000).
_SAMPLE_LIMITS = {
    "windows": 10_000,
    "linux": 10_000,
    "node": 20_000,
    "gpu": 10_000,
    "pve-cluster": 1_000_000,
    "pve-node": 100_000,
    "platform": 50_000,
}
# Targets per job: a broken discovery answer must not make Prometheus scrape the whole network.
_TARGET_LIMIT = 10_000
_LABEL_LIMIT = 64
# Seconds. What only a node itself tells (start at boot, replication, subscription) changes slowly and costs
# one call per guest; it stays within Prometheus' five minutes of staleness.
_PVE_NODE_INTERVAL = 120
_PVE_TIMEOUT = 30
_LABEL_VALUE_LENGTH_LIMIT = 2048

# Each Prometheus watches those of its own host alone: they tell the same of the same guests, which rules
# would count twice, and whether the API is read is a matter of the own ones.
_OF_ONE_HOST = (Service.PVE_EXPORTER, Service.DISCOVERY, Service.GATEWAY)

# Labels of a guest target that say who it is; the rest is told by pve_discovery_guest_info.
_IDENTITY_LABELS = ("vm_id", "vm_name", "cluster")
_DESCRIPTIVE_LABELS = ("node", "vcpus", "memory_gb", "disk_type", "tags", "os")

_JSON = dict[str, Any]


def _limits(kind: str) -> _JSON:
    return {
        "sample_limit": _SAMPLE_LIMITS[kind],
        "label_limit": _LABEL_LIMIT,
        "label_value_length_limit": _LABEL_VALUE_LENGTH_LIMIT,
    }


def _platform(settings: StackSettings, service: Service) -> _JSON:
    """How one of the platform's own servers is asked."""
    known = tls.client(settings, Group.PLATFORM, CONFIG_DIR)
    # pve-exporter has no login: it is told no password.
    return {k: v for k, v in known.items() if k != "basic_auth" or service is not Service.PVE_EXPORTER}


def _http_sd(topology: Topology, path: str, settings: StackSettings) -> list[_JSON]:
    # The client's timeout equals the interval: shorter than the refresh of discovery gains nothing.
    interval = max(settings.discovery.refresh_seconds, 5)
    # Its URL names the scheme; it has no key for that.
    known = {k: v for k, v in _platform(settings, Service.DISCOVERY).items() if k != "scheme"}
    return [
        {
            "url": f"{scheme(settings)}://{topology.endpoint(discovery)}{path}",
            "refresh_interval": f"{interval}s",
            **known,
        }
        # That of its own host: two would give every target twice.
        for discovery in topology.near(Service.DISCOVERY)
    ]


def _guest_relabelings(settings: StackSettings) -> list[_JSON]:
    if settings.scrape.labels is LabelsMode.FULL:
        return []
    return [{"action": "labeldrop", "regex": "|".join(_DESCRIPTIVE_LABELS)}]


def _discovered(job: str, path: str, settings: StackSettings, topology: Topology) -> _JSON:
    """A job for exporters on hosts or in guests, found by HTTP SD."""
    result: _JSON = {
        "job_name": job,
        "http_sd_configs": _http_sd(topology, path, settings),
        "target_limit": _TARGET_LIMIT,
        **_limits(job),
    }
    if settings.scrape.proxy_url is not None:
        result["proxy_url"] = settings.scrape.proxy_url
    return result


def _guest_job(job: str, path: str, settings: StackSettings, topology: Topology) -> _JSON:
    result = _discovered(job, path, settings, topology)
    if relabelings := _guest_relabelings(settings):
        result["relabel_configs"] = relabelings
    return result


def _windows_job(settings: StackSettings, topology: Topology) -> _JSON:
    job = _guest_job("windows", "/targets/windows", settings, topology)
    return {**job, "metric_relabel_configs": metric_relabelings(settings.scrape)}


def _static_job(name: str, hosts: Sequence[StaticHost], settings: StackSettings) -> _JSON:
    return {
        "job_name": name,
        "static_configs": [
            {
                "targets": [host.target],
                # Under the job of the other hosts, so that the same rules and alerts speak of it.
                "labels": {"job": "node", "cluster": settings.cluster.name, "node": host.name},
            }
            for host in hosts
        ],
        **_limits("node"),
    }


def _static_jobs(settings: StackSettings) -> list[_JSON]:
    encrypted = [host for host in settings.scrape.static_hosts if host.tls]
    plain = [host for host in settings.scrape.static_hosts if not host.tls]
    jobs = []
    if encrypted:
        job = _static_job("node-static", encrypted, settings)
        jobs.append(exporter_jobs.of_hosts(job, settings, CONFIG_DIR))
    if plain:
        jobs.append(_static_job("node-static-plain", plain, settings))
    return jobs


def _exporter_jobs(settings: StackSettings, topology: Topology) -> list[_JSON]:
    node = _discovered("node", "/targets/nodes", settings, topology)
    # Hosts are among them, whose label `node` stays with `lean`; discovery leaves it away for guests.
    gpu = _discovered("gpu", "/targets/gpu", settings, topology)
    linux = _guest_job("linux", "/targets/linux", settings, topology)
    return [
        exporter_jobs.of_hosts(node, settings, CONFIG_DIR),
        *_static_jobs(settings),
        *exporter_jobs.of_both(gpu, settings, CONFIG_DIR),
        *exporter_jobs.of_guests(_windows_job(settings, topology), settings, CONFIG_DIR),
        *exporter_jobs.of_guests(linux, settings, CONFIG_DIR),
    ]


def _pve_job(
    job: str, params: _JSON, relabelings: list[_JSON], settings: StackSettings, topology: Topology
) -> _JSON:
    """A job that asks pve-exporter about the members of the cluster (the multi-target pattern)."""
    (exporter,) = topology.near(Service.PVE_EXPORTER)
    return {
        "job_name": job,
        "metrics_path": "/pve",
        **_platform(settings, Service.PVE_EXPORTER),
        "params": {"module": [EXPORTER_MODULE], **params},
        # A member that is down makes the API wait up to 30 s; the exporter must not be cut off before.
        "scrape_timeout": f"{_PVE_TIMEOUT}s",
        "http_sd_configs": _http_sd(topology, "/targets/pve", settings),
        "relabel_configs": [
            *relabelings,
            {"source_labels": ["__address__"], "target_label": "__param_target"},
            {"target_label": "__address__", "replacement": topology.endpoint(exporter)},
        ],
        "target_limit": _TARGET_LIMIT,
        **_limits(job),
    }


def _pve_jobs(settings: StackSettings, topology: Topology) -> list[_JSON]:
    # Every member answers for the whole cluster: one of them is asked, the one that discovery uses now, so
    # that a failover there moves this job too. `instance` stays, or each failover would begin new series.
    cluster_wide = [
        {"source_labels": ["__meta_pve_endpoint_active"], "regex": "true", "action": "keep"},
        {"source_labels": ["cluster"], "target_label": "instance"},
    ]
    each_node = [{"source_labels": ["__meta_pve_node"], "target_label": "instance"}]
    interval = max(seconds(settings.prometheus.scrape_interval), _PVE_TIMEOUT)
    cluster, node = {"cluster": ["1"], "node": ["0"]}, {"cluster": ["0"], "node": ["1"]}
    return [
        {
            **_pve_job("pve-cluster", cluster, cluster_wide, settings, topology),
            "scrape_interval": f"{interval}s",
        },
        {
            **_pve_job("pve-node", node, each_node, settings, topology),
            "scrape_interval": f"{_PVE_NODE_INTERVAL}s",
        },
    ]


def _platform_jobs(settings: StackSettings, topology: Topology) -> list[_JSON]:
    """Every part of the platform itself, each with its own /metrics."""
    labels = {"cluster": settings.cluster.name}
    return [
        {
            "job_name": str(service),
            **_platform(settings, service),
            "static_configs": _platform_targets(service, labels, topology),
            **_limits("platform"),
        }
        for service in Service
        if topology.of(service)
    ]


def _platform_targets(service: Service, labels: _JSON, topology: Topology) -> list[_JSON]:
    near = [instance.endpoint for instance in topology.near(service)]
    # From either host one instance has one name: an alert about it is the same from both Prometheus.
    far = [
        {"targets": [topology.endpoint(instance)], "labels": {**labels, "instance": instance.endpoint}}
        for instance in topology.of(service)
        if instance.host != topology.viewer and service not in _OF_ONE_HOST
    ]
    return [*([{"targets": near, "labels": labels}] if near else []), *far]


def _scrape_configs(settings: StackSettings, topology: Topology) -> list[_JSON]:
    return [
        *_pve_jobs(settings, topology),
        *_exporter_jobs(settings, topology),
        *_platform_jobs(settings, topology),
    ]


def _remote_write(settings: StackSettings) -> _JSON:
    remote = settings.prometheus.remote_write
    if remote is None:
        return {}
    entry: _JSON = {"url": remote.url}
    if remote.username is not None:
        entry["basic_auth"] = {"username": remote.username, "password_file": REMOTE_WRITE_PASSWORD_FILE}
    return {"remote_write": [entry]}


def _retention(settings: StackSettings) -> _JSON:
    retention: _JSON = {"time": settings.prometheus.retention_time}
    if settings.prometheus.retention_size is not None:
        retention["size"] = settings.prometheus.retention_size
    return {"storage": {"tsdb": {"retention": retention}}}


def _timeout(settings: StackSettings) -> str:
    # windows_exporter keeps half a second of the timeout for itself; 10 s is Prometheus' own default.
    return f"{min(10, seconds(settings.prometheus.scrape_interval))}s"


def _one_alert_from_two(settings: StackSettings) -> _JSON:
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
    document: _JSON = {
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
                    **_platform(settings, Service.ALERTMANAGER),
                    "static_configs": [{"targets": list(topology.endpoints(Service.ALERTMANAGER))}],
                },
            ],
        },
        "scrape_configs": _scrape_configs(settings, topology),
        **_retention(settings),
        **_remote_write(settings),
    }
    return to_yaml(document)


def rule_files(rules: Path, bases: Bases) -> dict[str, str]:
    """Read the rule files below `rules` and complete the links in their annotations.

    Args:
        rules: directory with recording/*.yml and alerts/*.yml; files ending in _test.yml are left out.
        bases: where links start (components.render.links).

    Returns:
        Content by file name (`recording_node.yml`): Prometheus reads one flat directory.
    """
    paths = sorted(path for path in rules.glob("*/*.yml") if not path.stem.endswith("_test"))
    wanted = [path for path in paths if path.parent.name in ("recording", "alerts")]
    return {f"{p.parent.name}_{p.name}": _with_links(p.read_text("utf-8"), bases) for p in wanted}


def _with_links(text: str, bases: Bases) -> str:
    document = yaml.safe_load(text)
    for rule in (rule for group in document["groups"] for rule in group["rules"]):
        if "annotations" in rule:
            # A new mapping: two rules may share one by a YAML anchor.
            rule["annotations"] = complete_links(rule["annotations"], bases)
    return to_yaml(document)
