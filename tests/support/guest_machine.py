"""A container that stands for a Linux guest: systemd, a mirror of releases, a stand-in of the exporter."""

from __future__ import annotations

import hashlib
import io
import tarfile

import docker
from docker.models.containers import Container

from components.images import DEFAULT_REFERENCES, PYTHON_BASE
from tests.support import booted
from tests.support.booted import MIRROR, mirror_unit

IMAGE = "pve-monitoring-guest-machine"

_DOCKERFILE = f"""\
FROM {DEFAULT_REFERENCES[PYTHON_BASE]}
RUN apt-get -q update \\
    && DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends \\
        dbus nftables systemd systemd-sysv wget \\
    && rm -rf /var/lib/apt/lists/* && mkdir -p {MIRROR}
"""

_EXPORTER = """\
#!/usr/local/bin/python3
import os, pwd, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

if "--version" in sys.argv:
    sys.exit(print("node_exporter, version {version} (branch: HEAD)"))

PAGE = b'node_exporter_build_info{{version="{version}"}} 1\\nas{{user="%s"}} 1\\n' % (
    pwd.getpwuid(os.getuid()).pw_name.encode()
)


class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(PAGE)


port = next(word for word in sys.argv if word.startswith("--web.listen-address=:")).rpartition(":")[2]
HTTPServer(("", int(port)), Page).serve_forever()
"""


def build(client: docker.DockerClient) -> None:
    """Build the image.

    Raises:
        docker.errors.DockerException: no Debian mirror is reached, say.
    """
    booted.build(client, IMAGE, _DOCKERFILE)


def start(client: docker.DockerClient, name: str, network: str = "none") -> Container:
    """Start it; without a network it has its own loopback."""
    container = booted.create(client, IMAGE, name, network_mode=network)
    unit = {"etc/systemd/system/mirror.service": mirror_unit("/usr/local/bin/python3").encode()}
    put(container, unit)
    container.start()
    return container


def release(container: Container, version: str) -> str:
    """Put a release of node_exporter on the mirror; the SHA-256 of its archive."""
    folder = f"node_exporter-{version}.linux-amd64"
    archive = _archive({f"{folder}/node_exporter": _EXPORTER.format(version=version).encode()}, "w:gz")
    path = f"{MIRROR}/prometheus/node_exporter/releases/download/v{version}/{folder}.tar.gz"
    put(container, {path.lstrip("/"): archive})
    return hashlib.sha256(archive).hexdigest()


def put(container: Container, files: dict[str, bytes]) -> None:
    """Write files, by path without the first slash."""
    container.put_archive("/", _archive(files, "w"))


def _archive(files: dict[str, bytes], mode: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(content), 0o755
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
