"""Building an image from a folder with the daemon's own builder, its output passed on line by line."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from string import Template

import docker
from docker.errors import APIError, BuildError

from lab.images.errors import ImageBuildFailed

LAST_LINES = 20
# Docker knows these build arguments without an ARG line and keeps them out of the image's history.
_PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_ARG = re.compile(r"^ARG\s+(?P<name>\w+)=(?P<default>\S+)", re.IGNORECASE | re.MULTILINE)
_FROM = re.compile(
    r"^FROM\s+(?:--\S+\s+)*(?P<image>\S+)(?:\s+AS\s+(?P<stage>\S+))?", re.IGNORECASE | re.MULTILINE
)


def base_images(dockerfile: str, buildargs: Mapping[str, str] | None = None) -> list[str]:
    """Return the images that a Dockerfile starts from, in order, without its own stages and `scratch`."""
    arguments = {match["name"]: match["default"].strip("'\"") for match in _ARG.finditer(dockerfile)} | dict(
        buildargs or {}
    )
    own = {"scratch"}
    images: list[str] = []
    for match in _FROM.finditer(dockerfile):
        image = Template(match["image"]).safe_substitute(arguments)
        if image not in own and image not in images:
            images.append(image)
        if match["stage"]:
            own.add(match["stage"])
    return images


def build_context(
    context: Path,
    tag: str,
    client: docker.DockerClient,
    report: Callable[[str], None],
    *,
    buildargs: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    recipe: Path | None = None,
) -> str:
    """Build the Dockerfile in `context` and return the image's id.

    Steps run in the host's network: on machines where the registry is out of reach, a bridge often has no way
    out either, or no name server.

    Args:
        context: folder that is sent to the daemon.
        tag: name of the image.
        client: of the daemon that builds.
        report: takes the output, line by line.
        buildargs: values of the Dockerfile's ARGs.
        labels: added to the image, over those of the Dockerfile.
        recipe: folder to name in errors, if `context` is a copy of it.

    Raises:
        ImageBuildFailed: with the last lines of the build.
    """
    last: deque[str] = deque(maxlen=LAST_LINES)
    try:
        for line in _build_output(context, tag, client, buildargs or {}, labels or {}):
            last.append(line)
            report(line)
    except (APIError, BuildError) as error:
        reason = error.explanation if isinstance(error, APIError) else error.msg
        raise ImageBuildFailed(
            f"Building {tag} failed: {reason}",
            f"Look at the last lines above and at {(recipe or context) / 'Dockerfile'}.",
            last,
        ) from error
    return str(client.images.get(tag).id)


def _build_output(
    context: Path,
    tag: str,
    client: docker.DockerClient,
    buildargs: Mapping[str, str],
    labels: Mapping[str, str],
) -> Iterator[str]:
    proxies = {name: os.environ[name] for name in _PROXY_VARIABLES if name in os.environ}
    for event in client.api.build(
        path=str(context),
        tag=tag,
        rm=True,
        forcerm=True,
        decode=True,
        network_mode="host",
        buildargs={**proxies, **buildargs},
        labels=dict(labels),
    ):
        if "error" in event:
            raise BuildError(str(event["error"]).strip(), iter(()))
        text = _COLOUR.sub("", str(event.get("stream", "")))
        yield from (line.rstrip() for line in text.splitlines() if line.strip())
