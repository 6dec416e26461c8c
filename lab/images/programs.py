"""Programs of an image, taken out of it to run on this machine."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path, PurePosixPath

import docker

from lab.images.errors import ImageError


def take_out(
    client: docker.DockerClient, reference: str, programs: Sequence[str], cache: Path
) -> tuple[Path, ...]:
    """Copy programs out of an image, once for each image.

    Args:
        client: of the daemon that has the image.
        reference: the image.
        programs: absolute paths inside.
        cache: folder that keeps them; one below it for each image.

    Raises:
        docker.errors.DockerException: no daemon answers, or it doesn't have the image (ImageNotFound).
        ImageError: a program isn't in the image.
    """
    folder = cache / str(client.images.get(reference).id).replace(":", "-")
    wanted = {program: folder / PurePosixPath(program).name for program in programs}
    if all(path.is_file() for path in wanted.values()):
        return tuple(wanted.values())
    folder.mkdir(parents=True, exist_ok=True)
    container = client.containers.create(reference)
    try:
        for program, path in wanted.items():
            chunks, _ = container.get_archive(program)
            _unpack(b"".join(chunks), path, f"{reference} has no program {program}")
    finally:
        container.remove(force=True, v=True)
    return tuple(wanted.values())


def _unpack(archive: bytes, path: Path, missing: str) -> None:
    with tarfile.open(fileobj=BytesIO(archive)) as opened:
        program = opened.extractfile(path.name)
        if program is None:
            raise ImageError(missing)
        # Somebody else may be at the same: whole, or not there.
        draft = path.with_name(f".{path.name}-{os.getpid()}")
        draft.write_bytes(program.read())
    draft.chmod(0o755)
    draft.replace(path)
