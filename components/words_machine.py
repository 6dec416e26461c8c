"""Words of the stack configuration about machines, what runs on them, and Proxmox VE."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from components.words import ScriptText, problem, spelled
from components.words_network import Url

# Path segments under which distributions publish whatever is newest.
_MOVING = frozenset({"latest", "current", "daily", "release", "stable", "testing", "sid"})


def _check_disk_image(value: str) -> str:
    path = urlsplit(value).path
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


def _check_release(value: int) -> int:
    if value < 8:
        raise problem(
            f"Proxmox VE {value} is not supported: it gets no security updates any more, and its API can't "
            "say what the dashboards show; upgrade the cluster, then write 8 or 9"
        )
    if value > 9:
        raise problem(f"Proxmox VE {value} is not known here; write 8 or 9")
    return value


DiskImage = Annotated[Url, AfterValidator(_check_disk_image)]
Checksum = Annotated[
    str,
    spelled(
        r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}",
        "is not a checksum; write sha256: and 64 hex digits, or sha512: and 128, from the SHA256SUMS or "
        "SHA512SUMS beside the image",
    ),
]
PublicKey = Annotated[str, AfterValidator(_check_public_key)]
UnixUser = Annotated[
    str,
    spelled(
        r"[a-z_][a-z0-9_-]{0,31}",
        "is not a user name; write small letters, digits, - and _, e.g. monitoring",
    ),
]
Msi = Annotated[
    ScriptText,
    spelled(
        r"(https?://|[A-Za-z]:\\|\\\\)[^\"]+\.msi",
        "is not where a guest finds an MSI; write a URL, \\\\server\\share\\name.msi or C:\\folder\\name.msi",
    ),
]
WindowsPath = Annotated[
    ScriptText,
    spelled(
        r'[A-Za-z]:\\[^"<>|?*]+', "is not a path of a Windows guest; write for example C:\\folder\\web.yml"
    ),
]
UnixPath = Annotated[
    str,
    spelled(
        r"/[A-Za-z0-9._/-]+",
        "is not a path of a Linux guest; write letters, digits, . _ - and /, e.g. /etc/web.yml",
    ),
]
# PVE_TAG_RE in pve-common's JSONSchema.pm; Proxmox VE stores them in lower case.
Tag = Annotated[
    str,
    spelled(
        r"[a-z0-9_][a-z0-9_.+-]*",
        "is not a tag; write small letters, digits, - . + and _, e.g. monitoring",
    ),
]
TokenId = Annotated[
    str,
    spelled(
        r"[^@!\s]+@[^@!\s]+![A-Za-z0-9][A-Za-z0-9._-]+",
        "is not a token id; write user@realm!name, as Proxmox VE shows it",
    ),
]
# pve-access-control: a name, or up to three of them by slashes since 8.1 (nested pools).
PoolId = Annotated[
    str,
    spelled(
        r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*){0,2}",
        "is not a pool; write its name as Datacenter > Permissions > Pools shows it",
    ),
]
Release = Annotated[int, AfterValidator(_check_release)]
# Proxmox VE's own range (pve-vmid).
VmId = Annotated[int, Field(ge=100, le=999_999_999)]
# As Proxmox VE names nodes (pve-node in pve-common's JSONSchema.pm).
NodeName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$")]
