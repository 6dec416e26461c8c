"""The lab's place on this machine: its network, the certificates of the simulated API, its container."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import requests
from docker.errors import NotFound
from docker.models.containers import Container
from docker.types import LogConfig
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from components.render.build import content_tag
from lab import images
from lab.cluster import tls

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "lab"
CERTIFICATES = CACHE / "tls"
CONTEXT = ROOT / "lab" / "cluster"

# Everything that the lab makes bears this label; `down` removes what bears it, and nothing else.
LABEL = "org.pve-monitoring.lab"
IMAGE = "pve-monitoring-lab"
CONTROL_PORT = 8080
API_PORT = 8006
# The name by which containers reach the lab, whatever its container is called.
ALIAS = "pve-lab"
# The user of the simulated cluster's image: it alone may read the key of its certificate.
_UID = 10001

Report = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Lab:
    """One simulated cluster.

    Attributes:
        name: of the container and its network.
        control_port: port on 127.0.0.1 where faults are set and notifications are read.
        api_port: port on 127.0.0.1 where the simulated API is reached from this machine.
        hosts: number of simulated hosts, 3 to 50.
        guests: number of simulated guests, 12 to 5,000.
        pve_release: 8 or 9.
        environment: further LAB_ variables.
    """

    name: str = "pve-lab"
    control_port: int = 18080
    api_port: int = 18006
    hosts: int = 3
    guests: int = 12
    pve_release: int = 9
    environment: tuple[tuple[str, str], ...] = ()

    @property
    def control_url(self) -> str:
        """Where tests and people reach the lab."""
        return f"http://127.0.0.1:{self.control_port}"

    @property
    def api_url(self) -> str:
        """Where this machine reaches the simulated API."""
        return f"https://127.0.0.1:{self.api_port}"

    @property
    def members(self) -> list[str]:
        """Names of the simulated hosts; their DNS names end in .lab."""
        return [f"pve{n}" for n in range(1, self.hosts + 1)]


class LabError(Exception):
    """The lab can't be brought up; the message says why and what to do."""


def up(lab: Lab, client: docker.DockerClient, report: Report) -> None:
    """Bring the simulated cluster up; one that runs the same code with the same sizes is left alone.

    Raises:
        LabError: it doesn't answer within a minute.
        lab.images.errors.ImageError: its image can't be had.
    """
    ensure_certificates(lab)
    python = images.ensure("python:3.13-slim", client, report).reference
    tag = f"{IMAGE}:{content_tag(CONTEXT, python)}"
    if not client.images.list(tag):
        images.build(CONTEXT, tag, client, report)
    wanted = content_tag(CONTEXT, repr(lab), (CERTIFICATES / tls.AUTHORITY).read_text("utf-8"))
    container = _existing(lab, client)
    if container is None or container.status != "running" or container.labels.get(LABEL) != wanted:
        if container is not None:
            container.remove(force=True, v=True)
        report(f"starting {lab.name}: {lab.hosts} hosts, {lab.guests} guests")
        _start(lab, client, tag, wanted)
    _await(lab, client)


def ensure_certificates(lab: Lab) -> None:
    """Make the certificates of the simulated API, unless what is there will do."""
    tls.ensure(CERTIFICATES, lab.members)


def down(lab: Lab, client: docker.DockerClient, report: Report) -> None:
    """Remove the simulated cluster and its network."""
    container = _existing(lab, client)
    if container is not None:
        report(f"removing {lab.name}")
        container.remove(force=True, v=True)
    for network in client.networks.list(names=[f"^{lab.name}$"], filters={"label": LABEL}):
        network.remove()


def runs(lab: Lab, client: docker.DockerClient) -> bool:
    """Whether the simulated cluster's container runs."""
    container = _existing(lab, client)
    return container is not None and container.status == "running"


def _existing(lab: Lab, client: docker.DockerClient) -> Container | None:
    try:
        container = client.containers.get(lab.name)
    except NotFound:
        return None
    if LABEL not in container.labels:
        raise LabError(
            f"a container named {lab.name} exists and isn't the lab's; remove it: docker rm {lab.name}"
        )
    return container


def ensure_network(lab: Lab, client: docker.DockerClient) -> None:
    """Make the lab's network if it isn't there."""
    if not client.networks.list(names=[f"^{lab.name}$"]):
        client.networks.create(lab.name, driver="bridge", labels={LABEL: lab.name})


def _start(lab: Lab, client: docker.DockerClient, image: str, wanted: str) -> None:
    ensure_network(lab, client)
    environment = {
        "LAB_HOSTS": str(lab.hosts),
        "LAB_GUESTS": str(lab.guests),
        "LAB_PVE_RELEASE": str(lab.pve_release),
        "LAB_TLS_CERT": f"/tls/{tls.CERTIFICATE}",
        "LAB_TLS_KEY": f"/tls/{tls.KEY}",
        **dict(lab.environment),
    }
    # Every member's name leads to the one container, which tells by the name who was asked.
    endpoint = client.api.create_endpoint_config(
        aliases=[ALIAS, *(f"{member}.lab" for member in lab.members)]
    )
    networking: Any = {lab.name: endpoint}
    created = client.api.create_container(
        image,
        name=lab.name,
        environment=environment,
        labels={LABEL: wanted},
        ports=[CONTROL_PORT, API_PORT],
        host_config=client.api.create_host_config(
            port_bindings={
                CONTROL_PORT: ("127.0.0.1", lab.control_port),
                API_PORT: ("127.0.0.1", lab.api_port),
            },
            restart_policy={"Name": "unless-stopped"},
            cap_drop=["ALL"],
            security_opt=["no-new-privileges:true"],
            log_config=LogConfig(type="json-file", config={"max-size": "10m", "max-file": "3"}),
        ),
        networking_config=client.api.create_networking_config(networking),
    )
    client.api.put_archive(created["Id"], "/", _archive())
    client.api.start(created["Id"])


def _archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, mode in ((tls.CERTIFICATE, 0o444), (tls.KEY, 0o400)):
            content = (CERTIFICATES / name).read_bytes()
            member = tarfile.TarInfo(f"tls/{name}")
            member.size, member.mode, member.uid, member.gid = len(content), mode, _UID, _UID
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _await(lab: Lab, client: docker.DockerClient) -> None:
    retrying = Retrying(
        stop=stop_after_delay(60),
        wait=wait_fixed(0.5),
        retry=retry_if_exception_type(requests.RequestException),
        reraise=True,
    )
    try:
        retrying(lambda: requests.get(f"{lab.control_url}/healthz", timeout=5).raise_for_status())
    except requests.RequestException as error:
        log = client.containers.get(lab.name).logs(tail=10).decode(errors="replace")
        raise LabError(
            f"the simulated cluster doesn't answer at {lab.control_url}: {error}\n{log}"
        ) from error
