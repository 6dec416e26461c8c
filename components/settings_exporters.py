"""Settings of the exporters that are installed on hosts."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from components.exporters import GITHUB, NODE_EXPORTER, NVIDIA_GPU_EXPORTER, Exporter
from components.settings_model import Model
from components.words import Digest, Version, problem, some
from components.words_machine import NodeName, UnixUser
from components.words_network import Address, Host, HostKey, Port, Url


class Collector(StrEnum):
    """What hosts tell by node_exporter's textfile collector (host_collectors)."""

    UPDATES = "updates"
    SMART = "smart"
    BACKUPS = "backups"
    CERTIFICATES = "certificates"


class ExporterRelease(Model):
    """Which release of an exporter is installed."""

    exporter: ClassVar[Exporter]

    version: Version
    sha256: Digest | None = None

    @property
    def checksum(self) -> str:
        """SHA-256 of what is downloaded."""
        return self.sha256 or self.exporter.checksums[self.version]

    @model_validator(mode="after")
    def _checksum_is_known(self) -> Self:
        if self.sha256 is None and self.version not in self.exporter.checksums:
            raise problem(
                f"the checksum of {self.exporter.archive_name(self.version)} isn't known here; set sha256 to "
                f"the one that {self.exporter.checksums_url(self.version)} gives for it"
            )
        return self


class HostRelease(ExporterRelease):
    """Which release of an exporter is installed on hosts, and from where."""

    # The archive on the machine that runs Pulumi: it is uploaded instead of downloaded by the host.
    file: Path | None = None


class NodeRelease(HostRelease):
    """node_exporter, on every host."""

    exporter = NODE_EXPORTER

    version: Version = NODE_EXPORTER.version


class GpuRelease(HostRelease):
    """nvidia_gpu_exporter, on hosts whose own driver runs their GPUs."""

    exporter = NVIDIA_GPU_EXPORTER

    version: Version = NVIDIA_GPU_EXPORTER.version
    # auto: wherever nvidia-smi answers when the host is set up.
    hosts: Literal["auto"] | Annotated[tuple[NodeName, ...], AfterValidator(some)] = "auto"


class ExporterHost(Model):
    """A host that exporters are installed on over SSH."""

    address: Host
    # It is known beforehand: whoever answers with another key gets no login and no script.
    host_key: HostKey
    user: UnixUser = "root"
    port: Port = 22
    # Without one here or for all hosts, the SSH agent is asked.
    identity_file: Path | None = None
    # Address of the host on which the exporters listen; all of them if none is given.
    listen_address: Address | None = None


class HostExporters(Model):
    """Exporters on the hosts of the cluster; they listen on scrape.exporterPorts."""

    # By the name of the node; none: the hosts are left alone.
    hosts: dict[NodeName, ExporterHost] = Field(default_factory=dict)
    identity_file: Path | None = None
    node_exporter: NodeRelease = NodeRelease()
    # Not installed where it isn't given.
    gpu_exporter: GpuRelease | None = None
    # A mirror that is laid out as GitHub is, for hosts that don't reach it.
    download_base_url: Url = GITHUB
    textfile_collectors: tuple[Collector, ...] = tuple(Collector)

    @model_validator(mode="after")
    def _gpu_hosts_are_hosts(self) -> Self:
        named = (
            () if self.gpu_exporter is None or self.gpu_exporter.hosts == "auto" else self.gpu_exporter.hosts
        )
        if unknown := sorted(set(named) - self.hosts.keys()):
            raise problem(
                f"gpuExporter.hosts names {', '.join(unknown)}, which hosts doesn't; correct one of them"
            )
        return self

    def identity(self, host: ExporterHost) -> Path | None:
        """The private key for a host; None asks the SSH agent."""
        return host.identity_file or self.identity_file
