"""Caddyfile syntax: directives with blocks, and words that stand for themselves."""

from __future__ import annotations

from collections.abc import Iterable


def block(head: str, *lines: str | Iterable[str]) -> list[str]:
    """A directive with what belongs to it, one line each; without anything the directive alone.

    Args:
        head: the directive and its arguments; empty for the global options.
        lines: lines, or lists of them such as another block.
    """
    inner = [line for part in lines for line in ([part] if isinstance(part, str) else part)]
    if not inner:
        return [head]
    return [f"{head} {{".lstrip(), *(f"\t{line}" for line in inner), "}"]


def quoted(text: str) -> str:
    """A word as it is, whatever is in it but placeholders."""
    return '"{}"'.format(text.replace("\\", "\\\\").replace('"', '\\"'))


def limit(name: str, per_minute: int, *matchers: str | list[str]) -> list[str]:
    """A limit by client address; of IPv6 by network, where a machine takes as many addresses as it likes."""
    key = "{http.request.remote.host/32,64}"
    matched = [block("match", *matchers)] if matchers else []
    return block(f"zone {name}", *matched, f"key {key}", "window 1m", f"events {per_minute}")
