"""What the stand-ins that lie in this machine's daemon do when they run as the stack runs them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import docker
import pytest
from docker.errors import DockerException, ImageNotFound

from lab.images import STAND_IN_LABEL
from lab.images.recipes import RECIPES

pytestmark = pytest.mark.docker

TAGS = {recipe.repository: recipe.tag for recipe in RECIPES}


@pytest.fixture
def engine() -> Iterator[docker.DockerClient]:
    try:
        client = docker.from_env()
        client.ping()
    except DockerException as error:
        pytest.skip(f"no Docker daemon: {error}")
    yield client
    client.close()


def stand_in(engine: docker.DockerClient, repository: str) -> str:
    reference = f"{repository}:{TAGS[repository]}"
    try:
        labels = engine.images.get(reference).labels
    except ImageNotFound:
        pytest.skip(f"{reference} isn't on this machine")
    if labels.get(STAND_IN_LABEL) != "true":
        pytest.skip(f"{reference} is the upstream image")
    return reference


@pytest.mark.parametrize(
    ("repository", "command", "said"),
    [
        ("prom/prometheus", ["/bin/prometheus", "--version"], "prometheus, version 3.13.5"),
        (
            "prom/prometheus",
            ["/bin/promtool", "check", "config", "/etc/prometheus/prometheus.yml"],
            "SUCCESS",
        ),
        ("prom/alertmanager", ["/bin/alertmanager", "--version"], "alertmanager, version 0.34.2"),
        (
            "prom/alertmanager",
            ["/bin/amtool", "check-config", "/etc/alertmanager/alertmanager.yml"],
            "SUCCESS",
        ),
        ("prompve/prometheus-pve-exporter", ["pve_exporter", "--help"], "--config.file"),
        ("prompve/prometheus-pve-exporter", ["wget", "--help"], "BusyBox v1.37.0"),
        ("python", ["python", "-c", "import sys; print(sys.prefix, sys.version)"], "/usr/local 3.13"),
        ("python", ["pip", "--version"], "/usr/local/lib/python3.13/site-packages"),
    ],
)
def test_programs_are_there(
    engine: docker.DockerClient, repository: str, command: list[str], said: str
) -> None:
    output = engine.containers.run(
        stand_in(engine, repository),
        command[1:],
        entrypoint=command[0],
        remove=True,
        read_only=True,
        cap_drop=["ALL"],
        network_mode="none",
        stderr=True,
    )

    assert said in output.decode()


def test_busybox_has_what_writing_a_volume_needs(engine: docker.DockerClient) -> None:
    applets = "sh cp mv rm find chown chmod mkdir ln test sync sha256sum cmp stat tar wget sleep kill"
    script = f"for applet in {applets}; do command -v $applet > /dev/null || echo missing $applet; done"

    output = engine.containers.run(
        stand_in(engine, "busybox"), ["sh", "-c", script], remove=True, network_mode="none"
    )

    assert output == b""


@pytest.mark.parametrize(
    ("repository", "data", "port"),
    [("prom/prometheus", "/prometheus", 9090), ("prom/alertmanager", "/alertmanager", 9093)],
)
def test_server_becomes_ready_without_rights(
    engine: docker.DockerClient, repository: str, data: str, port: int
) -> None:
    volume = engine.volumes.create(labels={"org.pve-monitoring.trial": "true"})
    container = engine.containers.run(
        stand_in(engine, repository),
        detach=True,
        user="65534:65534",
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        volumes={volume.name: {"bind": data, "mode": "rw"}},
    )
    try:
        deadline = time.monotonic() + 60
        ready: int | None = None
        while ready != 0 and time.monotonic() < deadline:
            ready, _ = container.exec_run(["wget", "-q", "-O", "-", f"http://127.0.0.1:{port}/-/ready"])
            time.sleep(0.5)
        assert ready == 0, container.logs().decode()
    finally:
        container.remove(force=True)
        volume.remove()
