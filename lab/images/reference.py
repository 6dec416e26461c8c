"""Names of images, taken apart the way Docker does it."""

from __future__ import annotations

from dataclasses import dataclass

from docker.auth import resolve_repository_name
from docker.errors import InvalidRepository
from docker.utils import parse_repository_tag

from lab.images.errors import ImageUnavailable


@dataclass(frozen=True)
class Reference:
    """A parsed image reference.

    Attributes:
        text: the reference as it was written.
        name: everything before tag and digest, e.g. `mirror.example.com/prom/prometheus`.
        registry: host (and port) that is asked for it; `docker.io` where none is written.
        path: the name without the registry, e.g. `prom/prometheus`.
        tag: `latest` where neither tag nor digest is written, None where only a digest is.
        digest: `sha256:…` or None.
    """

    text: str
    name: str
    registry: str
    path: str
    tag: str | None
    digest: str | None

    @property
    def version(self) -> str:
        """What the registry is asked for: the digest if there is one, else the tag."""
        return self.digest or self.tag or "latest"

    def is_repository(self, repository: str) -> bool:
        """Tell whether this names `repository` of Docker Hub, directly or behind a mirror's prefix.

        A repository without a slash (`python`) is one of Docker Hub's own, which `library/` stands before
        wherever a mirror spells the path out.
        """
        if "/" in repository:
            return self.path == repository or self.path.endswith(f"/{repository}")
        official = f"library/{repository}"
        return self.path in (repository, official) or self.path.endswith(f"/{official}")


def parse(text: str) -> Reference:
    """Take an image reference apart: `[registry[:port]/]path[:tag][@digest]`.

    Raises:
        ImageUnavailable: if it isn't an image reference.
    """
    rest, at, digest = text.partition("@")
    name, tag = parse_repository_tag(rest)
    try:
        registry, path = resolve_repository_name(name)
    except InvalidRepository as error:
        raise ImageUnavailable(f"{text!r} is not an image reference ({error}); {_FORM}") from error
    if not path or text != text.strip() or (at and not digest.startswith("sha256:")):
        raise ImageUnavailable(f"{text!r} is not an image reference; {_FORM}")
    return Reference(text, name, registry, path, tag or (None if digest else "latest"), digest or None)


_FORM = "write repository:tag or repository:tag@sha256:<64 hex digits>."
