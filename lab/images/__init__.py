"""Images of the development stack: pulled where a registry answers, built as stand-ins where none does."""

from lab.images.ensure import ImageResult, Origin, build, ensure, ensure_all
from lab.images.errors import ImageBuildFailed, ImageError, ImageUnavailable
from lab.images.recipes import STAND_IN_LABEL

__all__ = [
    "STAND_IN_LABEL",
    "ImageBuildFailed",
    "ImageError",
    "ImageResult",
    "ImageUnavailable",
    "Origin",
    "build",
    "ensure",
    "ensure_all",
]
