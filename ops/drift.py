"""What a comparison that failed tells about the cluster: tokens that somebody deleted there."""

from __future__ import annotations

import re
from collections.abc import Sequence

_GONE = re.compile(r"no such token '(?P<name>[^']+)' for user '(?P<user>[^']+)'")
# What the engine says after every error.
_CLOSING = ("error: preview failed", "error: update failed")


def lost_tokens(output: str) -> tuple[str, ...]:
    """API tokens that the program made and that are gone, where nothing else kept it from comparing.

    The provider (pulumi-proxmoxve 8.3) takes the answer of Proxmox VE for an error instead of a difference.

    Args:
        output: of `pulumi preview --refresh`.

    Returns:
        user@realm!name of each; none where anything else went wrong.
    """
    _, _, diagnostics = output.partition("\nDiagnostics:\n")
    lines = (line.strip() for line in diagnostics.splitlines())
    errors = [line for line in lines if line.startswith("error:") and line not in _CLOSING]
    found = [_GONE.search(line) for line in errors]
    return (
        tuple(sorted({f"{match['user']}!{match['name']}" for match in found if match})) if all(found) else ()
    )


def how_to_replace(tokens: Sequence[str]) -> str:
    """What to do about tokens that are gone."""
    commands = "".join(f"\n  pveum user token add {t.replace('!', ' ')} --privsep 1" for t in tokens)
    return (
        f"the cluster has no {', '.join(tokens)} any more, and without it nothing else can be compared. Put "
        f"tokens that open nothing in their places, on a member of the cluster:{commands}\n"
        "then raise access.tokenGeneration and run: pulumi up --refresh (it makes new ones and removes these)"
    )
