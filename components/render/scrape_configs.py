"""What Prometheus scrapes: the jobs of prometheus.yml, from settings and topology."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from components.durations import seconds
from components.images import Service
from components.render import exporter_jobs, tls
from components.render.platform_tls import scheme
from components.render.pve_exporter import EXPORTER_MODULE
from components.render.windows import metric_relabelings
from components.settings import Group, LabelsMode, StackSettings, StaticHost
from components.topology import Topology

Json = dict[str, Any]

# Where Prometheus' configuration is mounted.
CONFIG_DIR = "/etc/prometheus"

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
_LABEL_VALUE_LENGTH_LIMIT = 2048
# Seconds. What only a node itself tells (start at boot, replication, subscription) changes slowly and costs
# one call per guest; it stays within Prometheus' five minutes of staleness.
_PVE_NODE_INTERVAL = 120
_PVE_TIMEOUT = 30

# Each Prometheus watches those of its own host alone: they tell the same of the same guests, which rules
# would count twice, and whether the API is read is a matter of the own ones.
_OF_ONE_HOST = (Service.PVE_EXPORTER, Service.DISCOVERY, Service.GATEWAY)

# Labels of a guest target that don't say who it is: pve_discovery_guest_info tells them, too.
_DESCRIPTIVE_LABELS = ("node", "vcpus", "memory_gb", "disk_type", "tags", "os")


def _limits(kind: str) -> Json:
    return {
        "sample_limit": _SAMPLE_LIMITS[kind],
        "label_limit": _LABEL_LIMIT,
        "label_value_length_limit": _LABEL_VALUE_LENGTH_LIMIT,
    }


def platform_client(settings: StackSettings, service: Service) -> Json:
    """How Prometheus asks one of the platform's own servers; empty where they speak plain HTTP."""
    known = tls.client(settings, Group.PLATFORM, CONFIG_DIR)
    # pve-exporter has no login: it is told no password.
    return {k: v for k, v in known.items() if k != "basic_auth" or service is not Service.PVE_EXPORTER}


def _http_sd(topology: Topology, path: str, settings: StackSettings) -> list[Json]:
    # The client's timeout equals the interval: shorter than the refresh of discovery gains nothing.
    interval = max(settings.discovery.refresh_seconds, 5)
    # Its URL names the scheme; it has no key for that.
    known = {k: v for k, v in platform_client(settings, Service.DISCOVERY).items() if k != "scheme"}
    return [
        {
            "url": f"{scheme(settings)}://{topology.endpoint(discovery)}{path}",
            "refresh_interval": f"{interval}s",
            **known,
        }
        # That of its own host: two would give every target twice.
        for discovery in topology.near(Service.DISCOVERY)
    ]


def _guest_relabelings(settings: StackSettings) -> list[Json]:
    if settings.scrape.labels is LabelsMode.FULL:
        return []
    return [{"action": "labeldrop", "regex": "|".join(_DESCRIPTIVE_LABELS)}]


def _discovered(job: str, path: str, settings: StackSettings, topology: Topology) -> Json:
    """A job for exporters on hosts or in guests, found by HTTP SD."""
    result: Json = {
        "job_name": job,
        "http_sd_configs": _http_sd(topology, path, settings),
        "target_limit": _TARGET_LIMIT,
        **_limits(job),
    }
    if settings.scrape.proxy_url is not None:
        result["proxy_url"] = settings.scrape.proxy_url
    return result


def _guest_job(job: str, path: str, settings: StackSettings, topology: Topology) -> Json:
    result = _discovered(job, path, settings, topology)
    if relabelings := _guest_relabelings(settings):
        result["relabel_configs"] = relabelings
    return result


def _windows_job(settings: StackSettings, topology: Topology) -> Json:
    job = _guest_job("windows", "/targets/windows", settings, topology)
    return {**job, "metric_relabel_configs": metric_relabelings(settings.scrape)}


def _static_job(name: str, hosts: Sequence[StaticHost], settings: StackSettings) -> Json:
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


def _static_jobs(settings: StackSettings) -> list[Json]:
    encrypted = [host for host in settings.scrape.static_hosts if host.tls]
    plain = [host for host in settings.scrape.static_hosts if not host.tls]
    jobs = []
    if encrypted:
        job = _static_job("node-static", encrypted, settings)
        jobs.append(exporter_jobs.of_hosts(job, settings, CONFIG_DIR))
    if plain:
        jobs.append(_static_job("node-static-plain", plain, settings))
    return jobs


def _exporter_jobs(settings: StackSettings, topology: Topology) -> list[Json]:
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
    job: str, params: Json, relabelings: list[Json], settings: StackSettings, topology: Topology
) -> Json:
    """A job that asks pve-exporter about the members of the cluster (the multi-target pattern)."""
    (exporter,) = topology.near(Service.PVE_EXPORTER)
    return {
        "job_name": job,
        "metrics_path": "/pve",
        **platform_client(settings, Service.PVE_EXPORTER),
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


def _pve_jobs(settings: StackSettings, topology: Topology) -> list[Json]:
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


def _platform_jobs(settings: StackSettings, topology: Topology) -> list[Json]:
    """Every part of the platform itself, each with its own /metrics."""
    labels = {"cluster": settings.cluster.name}
    return [
        {
            "job_name": str(service),
            **platform_client(settings, service),
            "static_configs": _platform_targets(service, labels, topology),
            **_limits("platform"),
        }
        for service in Service
        if topology.of(service)
    ]


def _platform_targets(service: Service, labels: Json, topology: Topology) -> list[Json]:
    near = [instance.endpoint for instance in topology.near(service)]
    # From either host one instance has one name: an alert about it is the same from both Prometheus.
    far = [
        {"targets": [topology.endpoint(instance)], "labels": {**labels, "instance": instance.endpoint}}
        for instance in topology.of(service)
        if instance.host != topology.viewer and service not in _OF_ONE_HOST
    ]
    return [*([{"targets": near, "labels": labels}] if near else []), *far]


def scrape_configs(settings: StackSettings, topology: Topology) -> list[Json]:
    """Jobs of the Prometheus on the host that the topology is seen from."""
    return [
        *_pve_jobs(settings, topology),
        *_exporter_jobs(settings, topology),
        *_platform_jobs(settings, topology),
    ]
