"""A container that stands for a Proxmox VE host: systemd, SSH for one key, and what such hosts have."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import docker
from docker.models.containers import Container

from components.images import DEFAULT_REFERENCES, PYTHON_BASE
from lab.images.gomodule import GoModule, binaries
from tests.support import booted, containers
from tests.support.booted import MIRROR, MIRROR_PORT, mirror_unit
from tests.support.examples import ROOT
from tests.support.ssh_machine import archive, key_pair

IMAGE = "pve-monitoring-systemd-machine"

_DOCKERFILE = f"""\
FROM {DEFAULT_REFERENCES[PYTHON_BASE]}
RUN apt-get -q update \\
    && DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends \\
        dbus iproute2 openssh-server openssl systemd systemd-sysv wget \\
    && rm -rf /var/lib/apt/lists/* /etc/ssh/ssh_host_* \\
    && install -d -m 700 /root/.ssh \\
    && mkdir -p {MIRROR} /etc/pve/local /var/log/vzdump /var/log/pve/tasks \\
    && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj /CN=pve1 \\
        -keyout /dev/null -out /etc/pve/local/pve-ssl.pem
"""

# What says that it is ready for tests; the mirror answers a moment after it is started.
READY = (
    f"systemctl is-active ssh && systemctl start mirror && "
    f"wget -qO /dev/null --tries=9 --retry-connrefused --waitretry=1 http://127.0.0.1:{MIRROR_PORT}"
)

DISKS = {"devices": [{"name": "/dev/sda", "type": "sat"}, {"name": "/dev/nvme0", "type": "nvme"}]}
_SMART = {
    "/dev/sda": {
        "smart_status": {"passed": False},
        "model_name": "WDC WD4003",
        "smartctl": {"exit_status": 8},
    },
    "/dev/nvme0": {
        "smart_status": {"passed": True},
        "model_name": "SAMSUNG MZQL2",
        "nvme_smart_health_information_log": {"percentage_used": 12},
    },
}
_SMARTCTL = (
    "#!/bin/sh\nfor last; do :; done\ncase \"$*\" in\n*--scan*) echo '{scan}' ;;\n{disks}esac\n".format(
        scan=json.dumps(DISKS),
        disks="".join(f"*{name}) echo '{json.dumps(answer)}' ;;\n" for name, answer in _SMART.items()),
    )
)
_BACKUP = "2026-11-22 01:00:00 INFO: Starting Backup of VM 101 (qemu)\n2026-11-22 01:02:05 "
_LOGS = {
    "qemu-101.log": f"{_BACKUP}INFO: Finished Backup of VM 101 (00:02:05)\n",
    "lxc-105.log": f"{_BACKUP}ERROR: Backup of VM 105 failed - no space\n",
}
_TASKS = (
    "UPID:pve1:000017AB:00ABCDEF:6921000F:vzdump::root@pam: 692109A0 storage 'nfs' is not online\n"
    "UPID:pve1:000017AC:00ABCDF0:6921001F:vzdump:101:root@pam: 692109B0 OK\n"
)


def build(client: docker.DockerClient) -> None:
    """Build the image.

    Raises:
        docker.errors.DockerException: no Debian mirror is reached, say.
    """
    booted.build(client, IMAGE, _DOCKERFILE)


def host_key(seed: str = "the host key of the machine in the tests") -> tuple[bytes, str]:
    """Private and public key of the machine."""
    return key_pair(seed)


def start(
    client: docker.DockerClient,
    name: str,
    ports: dict[int, int],
    public_key: str,
    network: str | None = None,
) -> Container:
    """Start it with its ports on those of 127.0.0.1; in a network, if one is given."""
    container = booted.create(
        client,
        IMAGE,
        name,
        # The collectors of disks and backups.
        capabilities=["DAC_READ_SEARCH", "SYS_RAWIO"],
        ports={f"{inside}/tcp": ("127.0.0.1", outside) for inside, outside in ports.items()},
        network=network,
    )
    texts = {
        "usr/sbin/smartctl": (_SMARTCTL, 0o755),
        "etc/systemd/system/mirror.service": (mirror_unit("/usr/bin/python3"), 0o644),
        "etc/ssh/ssh_host_ed25519_key": (host_key()[0].decode(), 0o600),
        "root/.ssh/authorized_keys": (public_key, 0o600),
        **{f"var/log/vzdump/{log}": (text, 0o640) for log, text in _LOGS.items()},
    }
    put(container, {path: (text.encode(), mode) for path, (text, mode) in texts.items()})
    # As Proxmox VE leaves it: for www-data, and not for others.
    container.put_archive("/", archive({"var/log/pve/tasks/index": (_TASKS.encode(), 0o640, 33)}))
    container.start()
    return container


def put(container: Container, files: dict[str, tuple[bytes, int]]) -> None:
    """Write files of root's, by path without the first slash."""
    container.put_archive("/", archive({path: (*file, 0) for path, file in files.items()}))


def run(container: Container, command: str) -> tuple[int, str]:
    """Run a line of shell in it; exit code and what it printed."""
    return containers.run(container, "bash", "-c", command)


# --- release archives ------------------------------------------------------------------------------

_NODE_EXPORTER = GoModule(
    path="github.com/prometheus/node_exporter",
    commands=("node_exporter",),
    tags=("netgo", "osusergo"),
    packages=(".",),
)


def node_exporter(version: str) -> bytes:
    """node_exporter of the pinned release that says it is of the given version.

    Raises:
        lab.images.errors.ImageBuildFailed: no Go toolchain.
    """
    recipe = ROOT / "lab" / "images" / "node_exporter"
    (binary,) = binaries(_NODE_EXPORTER, recipe, version, "amd64", lambda _: None)
    return binary.read_bytes()


def release(folder: str, binary: str, content: bytes) -> tuple[bytes, str]:
    """A release's archive, and its SHA-256."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as file:
        member = tarfile.TarInfo(str(Path(folder) / binary))
        member.size, member.mode = len(content), 0o755
        file.addfile(member, io.BytesIO(content))
    return buffer.getvalue(), hashlib.sha256(buffer.getvalue()).hexdigest()
