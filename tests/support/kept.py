"""What Docker keeps of a stack: containers, the files in them, volumes, images."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from docker.models.containers import Container

from components.images import CONFIG_WRITER, DEFAULT_REFERENCES
from tests.support.platform import Platform

# A kind of change in what `docker diff` tells.
DELETED = 2


def containers(stack: Platform) -> dict[str, Container]:
    """All of the stack by name, the stopped writers too."""
    found = stack.client.containers.list(all=True, filters={"name": f"^/{stack.prefix}-"})
    return {str(container.name): container for container in found}


def changed_files(container: Container) -> Iterator[str]:
    """Paths that a container's own file system has beside its image's, without what is mounted there."""
    found = {str(change["Path"]) for change in container.diff() or [] if change["Kind"] != DELETED}
    mounted = {mount["Destination"] for mount in container.attrs["Mounts"]}
    # A directory would come with all below it.
    return (path for path in sorted(found - mounted) if not any(o.startswith(f"{path}/") for o in found))


def files_of(stack: Platform, volume: str) -> bytes:
    """The files of a volume as an archive.

    On a busy machine Docker loses the end of what a container has printed: then it is read again.
    """
    for _ in range(5):
        content = _read(stack, volume)
        with suppress(tarfile.ReadError), tarfile.open(fileobj=io.BytesIO(content)) as archive:
            archive.getmembers()
            return content
    pytest.fail(f"Docker gives no whole archive of the volume {volume}")


def _read(stack: Platform, volume: str) -> bytes:
    # Prometheus maps 128 MiB at once for what it has yet to write.
    command = "cd /volume && find . -type f ! -path '*/chunks_head/*' -exec tar -c -f - {} +"
    content: bytes = stack.client.containers.run(
        DEFAULT_REFERENCES[CONFIG_WRITER],
        ["sh", "-c", command],
        # Goes with the stack, should this be interrupted.
        name=f"{stack.prefix}-reader",
        volumes={volume: {"bind": "/volume", "mode": "ro"}},
        network_mode="none",
        remove=True,
    )
    return content


def layers(stack: Platform, image: str, directory: Path) -> Iterator[bytes]:
    """Layers of an image, each an archive.

    Args:
        stack: whose Docker has it.
        image: its id.
        directory: where the image is put meanwhile.
    """
    saved = directory / "image.tar"
    with saved.open("wb") as file:
        for chunk in stack.client.images.get(image).save():
            file.write(chunk)
    with tarfile.open(saved) as archive:
        (manifest,) = json.loads(_member(archive, "manifest.json"))
        yield from (_member(archive, name) for name in manifest["Layers"])
    saved.unlink()


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None, name
    return file.read()
