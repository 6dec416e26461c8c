"""Creates the Docker resources of the program through Docker's API."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import docker
from docker.errors import ImageNotFound, NotFound
from docker.models.containers import Container
from docker.types import LogConfig

from components.durations import seconds
from lab import images

# What was created without the CLI: stack and, on containers, the fingerprint of its inputs.
STACK_LABEL = "org.pve-monitoring.applied-stack"
FINGERPRINT_LABEL = "org.pve-monitoring.applied-inputs"

_SECOND = 1_000_000_000
_HEALTH_POLL_S = 0.5


class Note(Protocol):
    """Takes what happened to a resource."""

    def __call__(self, name: str, *, changed: bool) -> None:
        """Take one resource's logical name, and whether anything was done."""


class DockerApplier:
    """Handlers for the types of pulumi-docker that the program uses."""

    def __init__(
        self,
        client: docker.DockerClient,
        stack: str,
        note: Note,
        report: Callable[[str], None],
        fingerprint: Callable[[Mapping[str, Any]], str],
    ) -> None:
        self._client = client
        self._stack = stack
        self._note = note
        self._report = report
        self._fingerprint = fingerprint
        self.handlers = {
            "docker:index/network:Network": self._network,
            "docker:index/volume:Volume": self._volume,
            "docker:index/remoteImage:RemoteImage": self._remote_image,
            "docker:index/image:Image": self._image,
            "docker:index/container:Container": self._container,
        }

    def destroy(self, keep: Callable[[str], bool] = lambda _: False) -> int:
        """Remove containers, networks and volumes of the stack; returns how many.

        Args:
            keep: whether a volume of this name stays.
        """
        filters: dict[str, Any] = {"label": f"{STACK_LABEL}={self._stack}"}
        found: list[Any] = [
            *self._client.containers.list(all=True, filters=filters),
            *self._client.networks.list(filters=filters),
            *(volume for volume in self._client.volumes.list(filters=filters) if not keep(volume.name)),
        ]
        for item in found:
            self._report(f"removing {item.name}")
            item.remove(**({"force": True, "v": True} if isinstance(item, Container) else {}))
        return len(found)

    def _labels(self, inputs: Mapping[str, Any], **more: str) -> dict[str, str]:
        """Our own labels, and those that the program gives."""
        given = {label["label"]: label["value"] for label in inputs.get("labels") or []}
        return {STACK_LABEL: self._stack, **more, **given}

    def _network(self, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
        existing = self._client.networks.list(names=[f"^{inputs['name']}$"])
        network = existing[0] if existing else None
        if network is None:
            network = self._client.networks.create(
                inputs["name"], driver=inputs["driver"], labels=self._labels(inputs)
            )
        self._note(name, changed=not existing)
        return {"id": network.id}

    def _volume(self, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
        try:
            self._client.volumes.get(inputs["name"])
            changed = False
        except NotFound:
            self._client.volumes.create(inputs["name"], labels=self._labels(inputs))
            changed = True
        self._note(name, changed=changed)
        return {"id": inputs["name"]}

    def _remote_image(self, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
        result = images.ensure(inputs["name"], self._client, self._report)
        self._note(name, changed=result.origin is not images.Origin.PRESENT)
        return {"imageId": self._client.images.get(inputs["name"]).id}

    def _image(self, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
        tag, build = inputs["imageName"], inputs["build"]
        try:
            self._client.images.get(tag)
            changed = False
        except ImageNotFound:
            images.build(Path(build["context"]), tag, self._client, self._report, buildargs=build["args"])
            changed = True
        self._note(name, changed=changed)
        return {"id": tag}

    def _container(self, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
        wanted = self._fingerprint(inputs)
        container = self._current(inputs["name"], wanted)
        changed = container is None
        if container is None:
            container = self._create(inputs, wanted)
        container.reload()
        self._note(name, changed=changed)
        outputs: dict[str, Any] = {"id": container.id}
        if inputs.get("attach"):
            outputs["exitCode"] = container.attrs["State"]["ExitCode"]
            outputs["containerLogs"] = container.logs().decode(errors="replace")
        return outputs

    def _current(self, name: str, wanted: str) -> Container | None:
        """The container of that name if nothing has changed; one that has is removed."""
        try:
            container = self._client.containers.get(name)
        except NotFound:
            return None
        if container.labels.get(STACK_LABEL) != self._stack:
            raise RuntimeError(
                f"a container named {name} exists and was made by somebody else (by the Pulumi CLI?); "
                "destroy that stack, or change containers.namePrefix"
            )
        one_shot = container.attrs["HostConfig"]["RestartPolicy"]["Name"] in ("", "no")
        sound = container.attrs["State"]["ExitCode"] == 0 if one_shot else container.status == "running"
        if container.labels.get(FINGERPRINT_LABEL) == wanted and sound:
            return container
        container.remove(force=True, v=True)
        return None

    def _create(self, inputs: dict[str, Any], wanted: str) -> Container:
        networks = inputs.get("networksAdvanced") or []
        container = self._client.containers.create(**self._options(inputs, wanted, isolated=not networks))
        if networks:
            self._client.networks.get("bridge").disconnect(container)
        for network in networks:
            self._client.networks.get(network["name"]).connect(container, aliases=network.get("aliases"))
        if uploads := inputs.get("uploads"):
            container.put_archive("/", _archive(uploads))
        container.start()
        if inputs.get("attach"):
            container.wait(timeout=120)
        elif inputs.get("wait"):
            self._await_health(container, inputs["waitTimeout"])
        return container

    def _options(self, inputs: dict[str, Any], wanted: str, *, isolated: bool) -> dict[str, Any]:
        memory = f"{inputs['memory']}m"
        capabilities = inputs["capabilities"]
        return {
            "image": inputs["image"],
            "name": inputs["name"],
            "entrypoint": inputs.get("entrypoints"),
            "command": inputs.get("command"),
            "environment": inputs.get("envs"),
            "user": inputs.get("user"),
            "network_mode": "none" if isolated else None,
            "ports": {
                f"{port['internal']}/tcp": (port["ip"], int(port["external"]))
                for port in inputs.get("ports") or []
            },
            "volumes": {
                volume["volumeName"]: {
                    "bind": volume["containerPath"],
                    "mode": "ro" if volume.get("readOnly") else "rw",
                }
                for volume in inputs.get("volumes") or []
            },
            "tmpfs": inputs.get("tmpfs"),
            "init": bool(inputs.get("init")),
            "read_only": bool(inputs.get("readOnly")),
            "cap_drop": capabilities.get("drops"),
            "cap_add": capabilities.get("adds"),
            "security_opt": inputs.get("securityOpts"),
            "mem_limit": memory,
            "memswap_limit": memory,
            "restart_policy": {"Name": inputs["restart"]} if inputs["restart"] != "no" else None,
            "log_config": LogConfig(type=inputs["logDriver"], config=inputs["logOpts"]),
            "healthcheck": _healthcheck(inputs.get("healthcheck")),
            "labels": self._labels(inputs, **{FINGERPRINT_LABEL: wanted}),
        }

    def _await_health(self, container: Container, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            container.reload()
            if container.attrs["State"]["Health"]["Status"] == "healthy":
                return
            time.sleep(_HEALTH_POLL_S)
        log = container.logs(tail=15).decode(errors="replace")
        raise RuntimeError(
            f"container {container.name} is not healthy after {timeout:.0f} s; its log:\n{log}"
        )


def _archive(uploads: list[dict[str, Any]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for upload in uploads:
            content = upload["content"].encode()
            member = tarfile.TarInfo(upload["file"].lstrip("/"))
            member.size, member.mode = len(content), int(upload["permissions"], 8)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _healthcheck(check: dict[str, Any] | None) -> dict[str, Any] | None:
    if check is None:
        return None
    return {
        "test": check["tests"],
        "interval": seconds(check["interval"]) * _SECOND,
        "timeout": seconds(check["timeout"]) * _SECOND,
        "retries": int(check["retries"]),
        "start_period": seconds(check["startPeriod"]) * _SECOND,
    }
