"""Identity of an image that is built from a directory."""

from __future__ import annotations

import hashlib
from pathlib import Path

# What a build context holds but an image doesn't; the same list stands in discovery_fn/.dockerignore.
_IGNORED = {"__pycache__", ".venv", ".pytest_cache", ".mypy_cache", ".ruff_cache", "tests"}


def context_files(context: Path) -> list[Path]:
    """Files of a build context that end up in the image, sorted."""
    files = (path for path in context.rglob("*") if path.is_file())
    return sorted(p for p in files if not _IGNORED.intersection(p.relative_to(context).parts))


def content_tag(context: str | Path, *inputs: str) -> str:
    """Tag for an image: the first 12 hex digits of SHA-256 over file names, contents and further inputs."""
    root = Path(context)
    digest = hashlib.sha256()
    for path in context_files(root):
        digest.update(f"{path.relative_to(root).as_posix()}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    for text in inputs:
        digest.update(f"\0{text}".encode())
    return digest.hexdigest()[:12]
