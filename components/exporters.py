"""The exporters that are installed on hosts and in guests: one table of versions, archives and checksums.

`hostExporters` and `guestExporters` in the stack config replace versions and checksums.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, kw_only=True)
class Exporter:
    """A released program that answers Prometheus.

    Attributes:
        name: of the program, its binary, and the metric `<name>_build_info`.
        repository: where it is released.
        version: what is installed where the settings name none.
        archive: name of the release's archive.
        checksums: SHA-256 of the archive by version, where known.
        checksums_file: name of the release's list of checksums.
    """

    name: str
    repository: str
    version: str
    archive: str
    checksums_file: str
    checksums: Mapping[str, str] = field(default_factory=dict)

    def archive_name(self, version: str) -> str:
        """Name of the archive of a version."""
        return self.archive.format(version=version)

    def url(self, base: str, version: str) -> str:
        """URL of the archive of a version below `base`, which is laid out as GitHub is."""
        return f"{self._release(base, version)}/{self.archive_name(version)}"

    def checksums_url(self, version: str) -> str:
        """URL of the checksums that the project publishes for a version."""
        return f"{self._release(GITHUB, version)}/{self.checksums_file.format(version=version)}"

    def _release(self, base: str, version: str) -> str:
        return f"{base}/{self.repository}/releases/download/v{version}"


GITHUB = "https://github.com"

NODE_EXPORTER = Exporter(
    name="node_exporter",
    repository="prometheus/node_exporter",
    version="1.12.1",
    archive="node_exporter-{version}.linux-amd64.tar.gz",
    checksums_file="sha256sums.txt",
    checksums={"1.12.1": "b51d8a76aa2a9156a55d501aca6276fae09e262259a5e4e831d2c2222f084e63"},
)

# 1.14.0 is the version whose metrics rules/catalogue describes.
NVIDIA_GPU_EXPORTER = Exporter(
    name="nvidia_gpu_exporter",
    repository="utkuozdemir/nvidia_gpu_exporter",
    version="1.14.0",
    archive="nvidia_gpu_exporter_{version}_linux_x86_64.tar.gz",
    checksums_file="checksums.txt",
)

# Guests may have other processors than the hosts that this program runs on.
NODE_EXPORTER_ARM64 = replace(
    NODE_EXPORTER,
    archive="node_exporter-{version}.linux-arm64.tar.gz",
    checksums={"1.12.1": "ad35b605f9954b9f1ffddf5ba054bdc5a98d790b9eae5291e1eeb83f1ecbd0e7"},
)

# 0.31.8 is the version whose metrics rules/catalogue describes.
WINDOWS_EXPORTER = Exporter(
    name="windows_exporter",
    repository="prometheus-community/windows_exporter",
    version="0.31.8",
    archive="windows_exporter-{version}-amd64.msi",
    checksums_file="sha256sums.txt",
    checksums={"0.31.8": "0aadce6afb20182b678bfca9e8f2e8464ef48c469b28b4cf02e99d82158f5d40"},
)
