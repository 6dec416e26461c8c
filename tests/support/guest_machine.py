"""A container that stands for a Linux guest: systemd, a mirror of releases, a stand-in of the exporter."""

from __future__ import annotations

import hashlib
import io
import tarfile

import docker
from docker.models.containers import Container

from components.images import DEFAULT_REFERENCES, PYTHON_BASE

IMAGE = "pve-monitoring-guest-machine"
MIRROR = "/srv/mirror"
MIRROR_PORT = 8000

_DOCKERFILE = f"""\
FROM {DEFAULT_REFERENCES[PYTHON_BASE]}
RUN apt-get -q update \\
    && DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends \\
        dbus nftables systemd systemd-sysv wget \\
    && rm -rf /var/lib/apt/lists/* && mkdir -p {MIRROR}
"""

# systemd wants cgroup v2 since 256. Where the machine has v1, v2 is there beside it without controllers; the
# container gets a part of it for itself.
_BOOT = """\
if [ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ]; then exec /usr/lib/systemd/systemd; fi
mkdir -p /run/cgroup2 && mount -t cgroup2 cgroup2 /run/cgroup2
mkdir -p "/run/cgroup2/$(hostname)" && echo $$ > "/run/cgroup2/$(hostname)/cgroup.procs"
umount /run/cgroup2
exec unshare --cgroup sh -c 'umount -R /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup; \
exec /usr/lib/systemd/systemd'
"""

_MIRROR_UNIT = f"""\
[Service]
ExecStart=/usr/local/bin/python3 -m http.server --bind 127.0.0.1 --directory {MIRROR} {MIRROR_PORT}
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
    client.images.build(
        fileobj=io.BytesIO(_DOCKERFILE.encode()), tag=IMAGE, network_mode="host", rm=True, forcerm=True
    )


def start(client: docker.DockerClient, name: str) -> Container:
    """Start it; it has no network but its own loopback."""
    container = client.containers.create(
        IMAGE,
        ["sh", "-c", _BOOT],
        name=name,
        hostname=name,
        # What systemd takes of `privileged`, which isn't to be had on every machine.
        cap_add=["SYS_ADMIN", "SYS_PTRACE", "NET_ADMIN"],
        security_opt=["seccomp=unconfined", "apparmor=unconfined"],
        network_mode="none",
        environment={"container": "docker"},
        tmpfs={"/run": "", "/tmp": ""},
        stop_signal="SIGRTMIN+3",
    )
    unit = {"etc/systemd/system/mirror.service": _MIRROR_UNIT.encode()}
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


def run(container: Container, *words: str) -> tuple[int, str]:
    """Run a command in it; exit code and what it printed."""
    # Docker can lose what a program prints last if it ends right after, on a machine that is busy.
    done = container.exec_run(["sh", "-c", '"$@"; code=$?; sleep 0.3; exit $code', "sh", *words])
    output = done.output if isinstance(done.output, bytes) else b"".join(done.output)
    return int(done.exit_code or 0), output.decode(errors="replace")


def _archive(files: dict[str, bytes], mode: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(content), 0o755
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
