"""Pulling an image, with a bound on how long nobody may answer and a judgement of what was answered."""

from __future__ import annotations

import queue
import re
import threading
from collections.abc import Callable
from typing import Any

import docker
from docker.errors import APIError

from lab.images.errors import ImageError
from lab.images.reference import Reference

FIRST_ANSWER_S = 20.0
"""Seconds until the first sign of the registry; the daemon alone would retry for minutes."""
STALL_S = 300.0
"""Seconds without any progress after which a running pull counts as dead."""

# What registries say (OCI distribution specification, "Error Codes", as Docker's daemons pass them on) when
# they were asked and know: everything else that ends a pull is the way to the registry, not the image.
_DEFINITE = re.compile(
    r"manifest unknown|manifest for .+ not found|no matching manifest|name unknown|name not known"
    r"|repository does not exist|requested access to the resource is denied|denied: |denied$"
    r"|unauthorized|authentication required|insufficient_scope|toomanyrequests"
    r"|invalid reference format|: not found$",
    re.IGNORECASE,
)
_END = object()


class RegistryRefusal(ImageError):  # noqa: N818 (what the registry did)
    """A registry was reached and doesn't give this image."""


class RegistryUnreachable(ImageError):  # noqa: N818 (what the registry is)
    """No registry could be asked: no route, no name, TLS, a proxy in between, or no answer in time."""


def pull(
    reference: Reference,
    client: docker.DockerClient,
    report: Callable[[str], None],
    *,
    first_answer_s: float = FIRST_ANSWER_S,
    stall_s: float = STALL_S,
) -> None:
    """Pull an image through the daemon and pass its progress on.

    Raises:
        RegistryRefusal: the registry's definite no, in its words.
        RegistryUnreachable: anything that leaves open whether the image exists.
    """
    events: queue.SimpleQueue[Any] = queue.SimpleQueue()
    # The daemon can't be told to give up: the request stays behind in a thread that ends with the process.
    threading.Thread(target=_pump, args=(reference, client, events), daemon=True).start()
    patience = first_answer_s
    while (event := _next(events, patience)) is not _END:
        if isinstance(event, Exception):
            raise _judged(event) from event
        if "error" in event:
            raise _judge_text(str(event["error"]))
        if not event.get("progressDetail"):
            report(": ".join(str(event[key]) for key in ("id", "status") if event.get(key)))
        patience = stall_s


def _pump(reference: Reference, client: docker.DockerClient, events: queue.SimpleQueue[Any]) -> None:
    try:
        for event in client.api.pull(reference.name, tag=reference.version, stream=True, decode=True):
            events.put(event)
    except Exception as error:  # noqa: BLE001 (it crosses a thread: the caller judges whatever it is)
        events.put(error)
    events.put(_END)


def _next(events: queue.SimpleQueue[Any], patience: float) -> Any:
    try:
        return events.get(timeout=patience)
    except queue.Empty:
        raise RegistryUnreachable(f"no answer within {patience:.0f} s") from None


def _judged(error: Exception) -> ImageError:
    text = str(error.explanation or error) if isinstance(error, APIError) else str(error)
    return _judge_text(text)


def _judge_text(text: str) -> ImageError:
    text = text.strip()
    return RegistryRefusal(text) if _DEFINITE.search(text) else RegistryUnreachable(text)
