"""When the certificates of this node end."""

from __future__ import annotations

import ssl
import sys
from pathlib import Path

from host_collectors.textfile import CollectorError, Page, output, run

# pveproxy answers with the first of the two that is there (pveproxy(8)); the third signed pve-ssl.pem.
CERTIFICATES = (
    Path("/etc/pve/local/pveproxy-ssl.pem"),
    Path("/etc/pve/local/pve-ssl.pem"),
    Path("/etc/pve/pve-root-ca.pem"),
)
# What the exporters here answer Prometheus with, where they speak TLS: a host that was away when it was
# renewed has the former one.
EXPORTERS = Path("/etc/pve-monitoring/tls.crt")


def not_after(path: Path) -> int:
    """End of the first certificate in a PEM file, in seconds since 1970.

    Raises:
        CollectorError: openssl can't read it.
    """
    command = ["openssl", "x509", "-noout", "-enddate", "-in", str(path)]
    said = output(command, f"{path} can't be read")
    return int(ssl.cert_time_to_seconds(said.strip().removeprefix("notAfter=")))


def collect(paths: tuple[Path, ...] = CERTIFICATES, exporters: Path = EXPORTERS) -> Page:
    """The certificates that are there.

    Raises:
        CollectorError: there is none, or one can't be read.
    """
    page = Page()
    found = [path for path in paths if path.exists()]
    if not found:
        raise CollectorError(f"none of {', '.join(map(str, paths))} is there; is this a Proxmox VE host?")
    for path in (*found, *((exporters,) if exporters.exists() else ())):
        text = "End of a certificate of this node."
        page.add("host_certificate_not_after_timestamp_seconds", text, not_after(path), certificate=path.name)
    return page


if __name__ == "__main__":
    sys.exit(run("certificates", collect))
