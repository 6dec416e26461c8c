"""Words of the stack configuration: types whose error says what to write instead."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Interface, ip_address, ip_network
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

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


# Letters of Prometheus' spelling, in the order of _SECONDS.
_UNITS = "ywdhms"


def canonical(duration: str) -> str:
    """The one spelling of a duration that Prometheus and Grafana answer with: 90m is 1h30m, 24h is 1d.

    Years and weeks are written only where nothing is left over: 90d, not 12w6d (model.Duration.String of
    prometheus/common).

    Raises:
        ValueError: the text is not such a duration, or is zero.
    """
    left = seconds(duration)
    parts = []
    for unit, length in zip(_UNITS, _SECONDS, strict=True):
        if unit in "yw" and left % length:
            continue
        count, left = divmod(left, length)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


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


def _check_ipv4(value: str) -> str:
    try:
        return str(IPv4Address(value))
    except ValueError:
        raise problem(f"{value!r} is not an IPv4 address; write for example 192.0.2.1") from None


def _check_interface(value: str) -> str:
    text = f"{value!r} is not an address with its prefix length; write for example 192.0.2.10/24"
    try:
        interface = IPv4Interface(value)
    except ValueError:
        raise problem(text) from None
    network = interface.network
    ends = (network.network_address, network.broadcast_address) if network.prefixlen < 31 else ()
    if "/" not in value or interface.ip in ends:
        raise problem(text)
    return str(interface)


# Path segments under which distributions publish whatever is newest.
_MOVING = frozenset({"latest", "current", "daily", "release", "stable", "testing", "sid"})


def _check_disk_image(value: str) -> str:
    path = urlsplit(_check_url(value)).path
    if moving := _MOVING.intersection(path.split("/")[:-1]):
        raise problem(
            f"{value!r} changes its content ({min(moving)}); write the URL of one dated release, for example "
            "https://cloud-images.ubuntu.com/releases/noble/release-20260108/"
            "ubuntu-24.04-server-cloudimg-amd64.img"
        )
    if not path.endswith((".qcow2", ".img", ".raw")):
        raise problem(
            f"{value!r} is not a disk image that Proxmox VE imports; write the URL of an uncompressed "
            ".qcow2, .img or .raw file"
        )
    return value


def _check_checksum(value: str) -> str:
    if not re.fullmatch(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}", value):
        raise problem(
            f"{value!r} is not a checksum; write sha256: and 64 hex digits, or sha512: and 128, from the "
            "SHA256SUMS or SHA512SUMS beside the image"
        )
    return value


def _check_public_key(value: str) -> str:
    if "PRIVATE KEY" in value:
        # The value is not repeated: whoever reads the message must not get the key.
        raise PydanticCustomError(
            "secret", "is a private key; remove it, make a new pair, and write the line of the .pub file"
        )
    if not re.fullmatch(r"(ssh|ecdsa|sk-ssh|sk-ecdsa)-\S+ [A-Za-z0-9+/]+=*( \S.*)?", value.strip()):
        raise problem(
            f"{value!r} is not an SSH public key; write the line of the .pub file: ssh-ed25519 AAAA… name"
        )
    return value.strip()


def _check_host(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9a-fA-F:]*:[0-9a-fA-F:.]+", value):
        raise problem(
            f"{value!r} is not a host; write its name or address alone: pve1.example.com, 192.0.2.11"
        )
    return value


# No RSA keys: the provider offers only their SHA-1 signatures, which OpenSSH refuses since 8.8.
_HOST_KEY = re.compile(
    r"(?:^|\s)((?:ssh-ed25519|ecdsa-sha2-nistp(?:256|384|521)) [A-Za-z0-9+/]{60,}={0,2})(?:\s|$)"
)


def _check_host_key(value: str) -> str:
    """The algorithm and the key, without the host's name that known_hosts puts before it."""
    if (match := _HOST_KEY.search(value)) is None:
        raise problem(
            f"{value!r} is not an SSH host key; run there: cat /etc/ssh/ssh_host_ed25519_key.pub, and write "
            "the line: ssh-ed25519 AAAA… (ssh-keyscan -t ed25519 prints it from afar, for whoever answers)"
        )
    return match[1]


def _check_fingerprint(value: str) -> str:
    digits = value.replace(":", "").lower()
    if not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise problem(
            f"{value!r} is not a SHA-256 fingerprint; on a host: openssl x509 -in /etc/pve/local/pve-ssl.pem "
            "-noout -fingerprint -sha256 (with a certificate of your own: pveproxy-ssl.pem)"
        )
    return digits


def _check_digest(value: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", value):
        raise problem(f"{value!r} is not a SHA-256 checksum; write its 64 hex digits")
    return value


def _check_version(value: str) -> str:
    if not re.fullmatch(r"\d+\.\d+\.\d+", value):
        raise problem(f"{value!r} is not a version; write three numbers without a v, e.g. 1.12.1")
    return value


def _check_script_text(value: str) -> str:
    # Windows PowerShell reads scripts in the code page of the machine, and control characters end lines.
    if not re.fullmatch(r"[ -~]+", value):
        raise problem(f"{value!r} can't stand in an installer: write printable ASCII without line breaks")
    return value


def _check_msi(value: str) -> str:
    if not re.fullmatch(r"(https?://|[A-Za-z]:\\|\\\\)[^\"]+\.msi", value):
        raise problem(
            f"{value!r} is not where a guest finds an MSI; write a URL, \\\\server\\share\\name.msi or "
            "C:\\folder\\name.msi"
        )
    return value


def _check_windows_path(value: str) -> str:
    if not re.fullmatch(r'[A-Za-z]:\\[^"<>|?*]+', value):
        raise problem(f"{value!r} is not a path of a Windows guest; write for example C:\\folder\\web.yml")
    return value


def _check_unix_path(value: str) -> str:
    if not re.fullmatch(r"/[A-Za-z0-9._/-]+", value):
        raise problem(
            f"{value!r} is not a path of a Linux guest; write letters, digits, . _ - and /, e.g. /etc/web.yml"
        )
    return value


def _check_tag(value: str) -> str:
    # PVE_TAG_RE in pve-common's JSONSchema.pm; Proxmox VE stores them in lower case.
    if not re.fullmatch(r"[a-z0-9_][a-z0-9_.+-]*", value):
        raise problem(f"{value!r} is not a tag; write small letters, digits, - . + and _, e.g. monitoring")
    return value


def _check_pattern(value: str) -> str:
    # Prometheus' expressions (RE2) know neither looking around nor references back.
    try:
        re.compile(value)
    except re.error as error:
        raise problem(f"{value!r} is not a regular expression: {error}") from None
    if re.search(r"\(\?[=!<P]|\\[1-9]", value) or not value.strip():
        raise problem(
            f"{value!r} is not a regular expression of Prometheus; write for example sqlservr or java.*"
        )
    return value


def _check_cidr(value: str) -> str:
    try:
        network = ip_network(value)
    except ValueError:
        raise problem(
            f"{value!r} is not an address or a network; write for example 192.0.2.10, 192.0.2.0/24 (with no "
            "bits set beyond the prefix) or 2001:db8::/64"
        ) from None
    if network.prefixlen == 0:
        raise problem(f"{value!r} is everybody; write the networks that are meant")
    # As Proxmox VE stores it: an address without the length of a single one.
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def _check_release(value: int) -> int:
    if value < 8:
        raise problem(
            f"Proxmox VE {value} is not supported: it gets no security updates any more, and its API can't "
            "say what the dashboards show; upgrade the cluster, then write 8 or 9"
        )
    if value > 9:
        raise problem(f"Proxmox VE {value} is not known here; write 8 or 9")
    return value


def _check_pool(value: str) -> str:
    # pve-access-control: a name, or up to three of them by slashes since 8.1 (nested pools).
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*){0,2}", value):
        raise problem(f"{value!r} is not a pool; write its name as Datacenter > Permissions > Pools shows it")
    return value


def _check_unix_user(value: str) -> str:
    if not re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}", value):
        raise problem(f"{value!r} is not a user name; write small letters, digits, - and _, e.g. monitoring")
    return value


_WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")


def _check_weekdays(value: str) -> str:
    days = value.lower().split(":")
    if len(days) > 2 or not {*days} <= {*_WEEKDAYS}:
        raise problem(f"{value!r} is neither a weekday nor a span of them; write saturday or monday:friday")
    if len(days) == 2 and _WEEKDAYS.index(days[0]) > _WEEKDAYS.index(days[1]):
        raise problem(f"{value!r} runs backwards: weeks begin with sunday; write the days one by one")
    return value.lower()


def _check_days_of_month(value: str) -> str:
    numbers = re.fullmatch(r"(-?\d{1,2})(?::(-?\d{1,2}))?", value)
    if numbers is None or not all(0 < abs(int(n)) <= 31 for n in numbers.groups() if n):
        raise problem(
            f"{value!r} is neither a day of the month nor a span of them; write 1, 1:7, or -1 for the last"
        )
    return value


def _check_clock(value: str) -> str:
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d|24:00", value):
        raise problem(f"{value!r} is not a time of day; write for example 07:30, and 24:00 for its end")
    return value


def _check_time_zone(value: str) -> str:
    known = available_timezones()
    # A machine without a table of time zones can't tell; Alertmanager then refuses the wrong one.
    if known and value not in known:
        raise problem(f"{value!r} is not a time zone; write for example Europe/Berlin or UTC")
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
Fingerprint = Annotated[str, AfterValidator(_check_fingerprint)]
TokenId = Annotated[str, AfterValidator(_check_token_id)]
ImageReference = Annotated[str, AfterValidator(_check_image)]
HostPort = Annotated[str, AfterValidator(_check_target)]
Size = Annotated[str, AfterValidator(_check_size)]
IPv4 = Annotated[str, AfterValidator(_check_ipv4)]
Interface = Annotated[str, AfterValidator(_check_interface)]
DiskImage = Annotated[str, AfterValidator(_check_disk_image)]
Checksum = Annotated[str, AfterValidator(_check_checksum)]
PublicKey = Annotated[str, AfterValidator(_check_public_key)]
Tag = Annotated[str, AfterValidator(_check_tag)]
Pattern = Annotated[str, AfterValidator(_check_pattern)]
Cidr = Annotated[str, AfterValidator(_check_cidr)]
Release = Annotated[int, AfterValidator(_check_release)]
PoolId = Annotated[str, AfterValidator(_check_pool)]
Host = Annotated[str, AfterValidator(_check_host)]
HostKey = Annotated[str, AfterValidator(_check_host_key)]
Digest = Annotated[str, AfterValidator(_check_digest)]
Version = Annotated[str, AfterValidator(_check_version)]
ScriptText = Annotated[str, AfterValidator(_check_script_text)]
Msi = Annotated[ScriptText, AfterValidator(_check_msi)]
WindowsPath = Annotated[ScriptText, AfterValidator(_check_windows_path)]
UnixPath = Annotated[str, AfterValidator(_check_unix_path)]
ProcessFilter = Annotated[ScriptText, AfterValidator(_check_pattern)]
UnixUser = Annotated[str, AfterValidator(_check_unix_user)]
# Proxmox VE's own range (pve-vmid).
VmId = Annotated[int, Field(ge=100, le=999_999_999)]
Weekdays = Annotated[str, AfterValidator(_check_weekdays)]
DaysOfMonth = Annotated[str, AfterValidator(_check_days_of_month)]
Clock = Annotated[str, AfterValidator(_check_clock)]
TimeZone = Annotated[str, AfterValidator(_check_time_zone)]
Port = Annotated[int, Field(ge=1, le=65535)]
LabelName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]
# As Proxmox VE names nodes (pve-node in pve-common's JSONSchema.pm).
NodeName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")]
NonEmpty = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
