"""Containers that boot: systemd runs in them as on a machine."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import docker
from docker.models.containers import Container

# Where such a machine finds releases, and the port of its loopback address that serves them.
MIRROR = "/srv/mirror"
MIRROR_PORT = 8000

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
# What systemd takes of `privileged`, which isn't to be had on every machine.
_CAPABILITIES = ("SYS_ADMIN", "SYS_PTRACE", "NET_ADMIN")


def mirror_unit(python: str) -> str:
    """The unit that serves releases, with the machine's own Python."""
    server = f"{python} -m http.server --bind 127.0.0.1 --directory {MIRROR} {MIRROR_PORT}"
    return f"[Service]\nExecStart={server}\n"


def build(client: docker.DockerClient, image: str, dockerfile: str) -> None:
    """Build the image of a machine.

    Raises:
        docker.errors.DockerException: no Debian mirror is reached, say.
    """
    client.images.build(
        fileobj=io.BytesIO(dockerfile.encode()), tag=image, network_mode="host", rm=True, forcerm=True
    )


def create(
    client: docker.DockerClient, image: str, name: str, capabilities: Sequence[str] = (), **options: Any
) -> Container:
    """Create a machine that boots when it is started.

    Args:
        client: the local Docker daemon.
        image: with systemd.
        name: of the container and of the machine.
        capabilities: what its services need besides.
        options: of docker-py's `create`.
    """
    return client.containers.create(
        image,
        ["sh", "-c", _BOOT],
        name=name,
        hostname=name,
        cap_add=[*_CAPABILITIES, *capabilities],
        security_opt=["seccomp=unconfined", "apparmor=unconfined"],
        environment={"container": "docker"},
        tmpfs={"/run": "", "/tmp": ""},
        stop_signal="SIGRTMIN+3",
        **options,
    )
