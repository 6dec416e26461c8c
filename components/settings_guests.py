"""Settings of what is installed in guests."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import model_validator

from components.exporters import GITHUB, NODE_EXPORTER, NODE_EXPORTER_ARM64, WINDOWS_EXPORTER, Exporter
from components.settings_model import Model
from components.words import Cidr, Digest, Msi, ProcessFilter, UnixPath, Url, Version, WindowsPath, problem


class GuestRelease(Model):
    """Which release of an exporter is installed in guests."""

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


class WindowsGuests(GuestRelease):
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


class LinuxGuests(GuestRelease):
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
