"""Settings of what is watched and kept: discovery, scraping, Prometheus."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, PositiveInt

from components.settings_model import Model
from components.words import Duration, LabelName, NonEmpty, Pattern, Size
from components.words_network import HostPort, Port, Url


class RemoteWrite(Model):
    """A long-term store that takes Prometheus remote write (Mimir, VictoriaMetrics, Thanos receive)."""

    url: Url
    username: NonEmpty | None = None


class Prometheus(Model):
    """Prometheus: how often it scrapes, how much it keeps, where it also writes."""

    scrape_interval: Duration = "15s"
    retention_time: Duration = "30d"
    retention_size: Size | None = None
    external_labels: dict[LabelName, NonEmpty] = Field(default_factory=dict)
    external_url: Url | None = None
    remote_write: RemoteWrite | None = None


class ExporterPorts(Model):
    """Ports on which exporters answer on hosts and in guests."""

    node: Port = 9100
    windows: Port = 9182
    linux: Port = 9100
    gpu: Port = 9835


class StaticHost(Model):
    """A machine outside the cluster (the monitoring host, a NAS, a backup server) with node_exporter."""

    target: HostPort
    name: NonEmpty
    # One that speaks plain HTTP although the hosts (tls.hosts) don't.
    tls: bool = True


class LabelsMode(StrEnum):
    """Which labels guest targets carry: all that the cluster knows, or identity only."""

    FULL = "full"
    LEAN = "lean"


class Scrape(Model):
    """What is scraped besides the platform itself."""

    labels: LabelsMode = LabelsMode.FULL
    exporter_ports: ExporterPorts = ExporterPorts()
    static_hosts: tuple[StaticHost, ...] = ()
    # HTTP proxy for exporters on hosts and guests that Prometheus can't reach by itself (a jump host).
    proxy_url: Url | None = None
    # Names of Windows processes of which more is kept than CPU time and memory, and of services that are kept
    # at all (the exporter's collector `service` gives a dozen series for each of some 200).
    windows_processes: tuple[Pattern, ...] = ("sqlservr", "w3wp", "java", "python")
    windows_services: tuple[Pattern, ...] = ()


class Discovery(Model):
    """The discovery service."""

    refresh_seconds: PositiveInt = 15
    cache_seconds: PositiveInt = 60
    include: tuple[NonEmpty, ...] = ()
    exclude: tuple[NonEmpty, ...] = ()
    prefer_cidrs: tuple[NonEmpty, ...] = ()
    # node name -> address to scrape, where the cluster reports a corosync-only one.
    node_addresses: dict[NonEmpty, NonEmpty] = Field(default_factory=dict)
    gpu_nodes: tuple[NonEmpty, ...] = ()
    # Network of the image build ("host" where the build needs the host's name resolution).
    build_network: NonEmpty | None = None
