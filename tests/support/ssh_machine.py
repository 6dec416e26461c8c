"""A container that stands for a new VM: SSH for one key, sudo, cloud-init, a way to Docker."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import docker
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from docker.models.containers import Container

from components.images import DEFAULT_REFERENCES, PYTHON_BASE

USER = "monitoring"
SOCKET = Path("/var/run/docker.sock")
IMAGE = "pve-monitoring-ssh-machine"

# Docker's client alone: what `docker info` and the provider ask answers this machine's daemon.
_DOCKERFILE = f"""\
FROM {DEFAULT_REFERENCES[PYTHON_BASE]}
RUN apt-get -q update \\
    && DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends \\
        docker-cli openssh-server sudo \\
    && rm -rf /var/lib/apt/lists/* /etc/ssh/ssh_host_* \\
    && mkdir -p /run/sshd \\
    && useradd --create-home --shell /bin/bash {USER} \\
    && echo '{USER} ALL=(ALL) NOPASSWD:ALL' > /etc/sudoers.d/{USER} \\
    && install -d -m 700 -o {USER} -g {USER} /home/{USER}/.ssh \\
    && printf '#!/bin/sh\\nsleep 1\\n' > /usr/local/bin/cloud-init \\
    && printf '#!/bin/sh\\n' > /usr/local/bin/systemctl \\
    && chmod 755 /usr/local/bin/cloud-init /usr/local/bin/systemctl
CMD groupadd -o -g $(stat -c %g {SOCKET}) docker; exec /usr/sbin/sshd -D -e
"""


def build(client: docker.DockerClient) -> None:
    """Build the image.

    Raises:
        docker.errors.DockerException: no Debian mirror is reached, say.
    """
    client.images.build(
        fileobj=io.BytesIO(_DOCKERFILE.encode()), tag=IMAGE, network_mode="host", rm=True, forcerm=True
    )


def key_pair(seed: str) -> tuple[bytes, str]:
    """Private key (OpenSSH format) and public key that follow from a text: good for tests only."""
    private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(seed.encode()).digest())
    text = private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    return text, f"{public} test"


def start(
    client: docker.DockerClient, name: str, port: int, public_key: str, address: str = "127.0.0.1"
) -> Container:
    """Start it with SSH on address:port."""
    container = client.containers.create(
        IMAGE,
        name=name,
        ports={"22/tcp": (address, port)},
        volumes={str(SOCKET): {"bind": str(SOCKET), "mode": "rw"}},
    )
    # The same every time: the ssh command remembers the keys of hosts and refuses one that changes.
    host_key, _ = key_pair("the host key of the machine in the tests")
    files = {
        "etc/ssh/ssh_host_ed25519_key": (host_key, 0o600, 0),
        f"home/{USER}/.ssh/authorized_keys": (public_key.encode(), 0o600, 1000),
    }
    container.put_archive("/", archive(files))
    container.start()
    return container


def archive(files: dict[str, tuple[bytes, int, int]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, (content, mode, owner) in files.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode, member.uid, member.gid = len(content), mode, owner, owner
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
