"""A Docker daemon to work with: found, started, or installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import docker
from docker.errors import DockerException
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from ops.console import OpsError, step

_LOG = Path("/var/log/docker-daemon.log")


def connect() -> docker.DockerClient:
    """Connect to the local daemon; install and start it where this is root's machine.

    Raises:
        OpsError: there is none, and what to do about it.
    """
    if (client := _ping()) is not None:
        return client
    if "DOCKER_HOST" in os.environ:
        raise OpsError(
            f"no Docker daemon answers at DOCKER_HOST={os.environ['DOCKER_HOST']}; start it or unset it"
        )
    if _exists_but_forbidden():
        raise OpsError(
            "Docker runs, but this user may not use it; run: sudo usermod -aG docker $USER, and log in again"
        )
    if os.geteuid() != 0:
        what = "start it: sudo systemctl start docker" if shutil.which("dockerd") else _INSTALL_HINT
        raise OpsError(f"no Docker daemon answers; {what}")
    if shutil.which("dockerd") is None:
        _install()
    _start()
    client = _wait()
    if client is None:
        raise OpsError(
            f"the Docker daemon was started and doesn't answer; see {_LOG} or: journalctl -u docker"
        )
    return client


_INSTALL_HINT = "install it: sudo apt-get install docker.io (or Docker's own packages)"


def _ping() -> docker.DockerClient | None:
    try:
        client = docker.from_env(timeout=600)
        client.ping()
    except DockerException:
        return None
    return client


def _exists_but_forbidden() -> bool:
    socket = Path("/var/run/docker.sock")
    return socket.exists() and not os.access(socket, os.W_OK)


def _install() -> None:
    if shutil.which("apt-get") is None:
        raise OpsError(
            "Docker is missing, and this isn't a Debian or Ubuntu; install Docker Engine and go on"
        )
    step("Docker is missing: installing the package docker.io")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update", "-qq"], ["install", "-y", "-qq", "docker.io"]):
        result = subprocess.run(
            ["apt-get", *words], env=environment, capture_output=True, text=True, check=False
        )
        if result.returncode != 0:
            raise OpsError(f"apt-get {words[0]} failed; install docker.io by hand:\n{result.stderr[-2000:]}")


def _start() -> None:
    step("starting the Docker daemon")
    if Path("/run/systemd/system").is_dir():
        subprocess.run(["systemctl", "start", "docker"], check=False)
        return
    # No init system (a container, a build machine): the daemon by itself, in a session of its own.
    with _LOG.open("ab") as log:
        subprocess.Popen(
            ["dockerd"], stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
        )


def _wait() -> docker.DockerClient | None:
    def failed(client: docker.DockerClient | None) -> bool:
        return client is None

    ping: Callable[[], docker.DockerClient | None] = _ping
    try:
        return Retrying(stop=stop_after_delay(60), wait=wait_fixed(1), retry=retry_if_result(failed))(ping)
    except RetryError:
        return None
