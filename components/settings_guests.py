"""Settings of what is installed in guests."""

from __future__ import annotations

from components.exporters import GITHUB, NODE_EXPORTER, NODE_EXPORTER_ARM64, WINDOWS_EXPORTER
from components.settings_exporters import ExporterRelease
from components.settings_model import Model
from components.words import Digest, ProcessFilter, Version
from components.words_machine import Msi, UnixPath, WindowsPath
from components.words_network import Cidr, Url


class WindowsGuests(ExporterRelease):
    """windows_exporter, and how it is set up."""

    exporter = WINDOWS_EXPORTER

    version: Version = WINDOWS_EXPORTER.version
    # Where guests find the MSI: a URL, a share, a path. None: the project's own release.
    msi: Msi | None = None
    # Names of processes without .exe, whole and in this very case (the exporter's own rule).
    process_include: ProcessFilter = ".+"
    process_exclude: ProcessFilter | None = None
    # A file of exporter-toolkit in the guest (TLS, basic authentication); who installs it is up to the site.
    web_config_file: WindowsPath | None = None

    @property
    def source(self) -> str:
        """Where guests find the MSI."""
        return self.msi or self.exporter.url(GITHUB, self.version)


class LinuxGuests(ExporterRelease):
    """node_exporter, and how it is set up."""

    exporter = NODE_EXPORTER

    version: Version = NODE_EXPORTER.version
    sha256_arm64: Digest | None = None
    # A mirror that is laid out as GitHub is.
    download_base_url: Url = GITHUB
    web_config_file: UnixPath | None = None

    @property
    def checksum_arm64(self) -> str | None:
        """SHA-256 of the archive for ARM; where it isn't known, the installer refuses such guests."""
        return self.sha256_arm64 or NODE_EXPORTER_ARM64.checksums.get(self.version)


class GuestExporters(Model):
    """What the installers for guests contain (`ops guests`, `ops enroll`); ports are scrape.exporterPorts."""

    # From where Prometheus comes, as guests see it: their firewalls let in nobody else.
    monitoring_addresses: tuple[Cidr, ...] = ()
    windows: WindowsGuests = WindowsGuests()
    linux: LinuxGuests = LinuxGuests()
