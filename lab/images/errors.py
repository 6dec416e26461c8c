"""What can go wrong on the way to an image, in words for people."""

from __future__ import annotations

from collections.abc import Iterable


class ImageError(Exception):
    """An image can't be had; the message says which one, why, and what to do."""


class ImageUnavailable(ImageError):  # noqa: N818 (the public name says what is the matter with the image)
    """No registry gives the image and it can't be built either."""


class ImageBuildFailed(ImageError):  # noqa: N818 (as above)
    """Building an image stopped; the message ends with the last lines of output."""

    def __init__(self, what: str, advice: str, last_lines: Iterable[str] = ()) -> None:
        output = "\n".join(f"    {line}" for line in last_lines)
        super().__init__(f"{what}\n{output}\n{advice}" if output else f"{what}\n{advice}")
