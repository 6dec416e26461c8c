"""Words of the stack configuration: types whose error says what to write instead."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from components.images import problem_with_reference


def problem(text: str) -> PydanticCustomError:
    """A validation error whose message is the text, without pydantic's own prefix."""
    return PydanticCustomError("setting", "{text}", {"text": text})


# Prometheus' own spelling: units from large to small, each at most once (model/time.go ParseDuration).
_DURATION = re.compile(r"^(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$")
_SECONDS = (365 * 86400, 7 * 86400, 86400, 3600, 60, 1)


def seconds(duration: str) -> int:
    """Length of a duration in Prometheus' spelling, in seconds.

    Raises:
        ValueError: the text is not such a duration, or is zero.
    """
    match = _DURATION.match(duration)
    total = sum(int(n or 0) * unit for n, unit in zip(match.groups(), _SECONDS, strict=True)) if match else 0
    if total == 0:
        raise ValueError(duration)
    return total


def _check_duration(value: str) -> str:
    try:
        seconds(value)
    except ValueError:
        raise problem(f"{value!r} is not a duration; write for example 15s, 5m, 1h30m or 30d") from None
    return value


def _check_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise problem(f"{value!r} is not a URL; write for example https://host.example.com:8443")
    return value.rstrip("/")


def _check_endpoint(value: str) -> str:
    parts = urlsplit(value if "//" in value else f"//{value}")
    if parts.scheme != "https" or not parts.hostname or parts.path not in ("", "/"):
        host = parts.hostname or "pve1.example.com"
        raise problem(f"{value!r} is not an API address; write https://{host}:8006")
    return f"https://{parts.netloc}" if parts.port else f"https://{parts.netloc}:8006"


def _check_address(value: str) -> str:
    try:
        return str(ip_address(value))
    except ValueError:
        raise problem(
            f"{value!r} is not an IP address; write 127.0.0.1 (this host only), the address of one "
            "interface, or 0.0.0.0 for all"
        ) from None


def _check_token_id(value: str) -> str:
    if not re.fullmatch(r"[^@!\s]+@[^@!\s]+![A-Za-z0-9][A-Za-z0-9._-]+", value):
        raise problem(f"{value!r} is not a token id; write user@realm!name, as Proxmox VE shows it")
    return value


def _check_image(value: str) -> str:
    if (fault := problem_with_reference(value)) is not None:
        raise problem(f"{value!r} {fault}")
    return value


def _check_target(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536 or "/" in value:
        raise problem(f"{value!r} is not host:port; write for example nas.example.com:9100")
    return value


def _check_size(value: str) -> str:
    if not re.fullmatch(r"[1-9]\d*(KB|MB|GB|TB)", value):
        raise problem(f"{value!r} is not a size; write a whole number and KB, MB, GB or TB, e.g. 40GB")
    return value


def some(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Refuse an empty list; runs only when every item is right, so that one mistake is told once."""
    if not values:
        raise problem("is empty; give at least one")
    return values


Duration = Annotated[str, AfterValidator(_check_duration)]
Url = Annotated[str, AfterValidator(_check_url)]
Endpoint = Annotated[str, AfterValidator(_check_endpoint)]
Address = Annotated[str, AfterValidator(_check_address)]
TokenId = Annotated[str, AfterValidator(_check_token_id)]
ImageReference = Annotated[str, AfterValidator(_check_image)]
HostPort = Annotated[str, AfterValidator(_check_target)]
Size = Annotated[str, AfterValidator(_check_size)]
Port = Annotated[int, Field(ge=1, le=65535)]
LabelName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")]
NonEmpty = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
