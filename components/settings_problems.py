"""What is wrong with a stack's config, told for people, with the key that it is about."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import pulumi
from pydantic import ValidationError

from components.settings_docker import (
    ProxmoxDocker,
)
from components.settings_exporters import HostExporters, HostRelease
from components.settings_gateway import (
    AuthMode,
    Gateway,
    GivenTls,
    TlsMode,
    certifies,
)
from components.settings_model import Model
from components.settings_secrets import SCRAPE_PASSWORDS, TLS_KEYS, Secret
from components.settings_stack import StackSettings
from components.settings_tls import GATEWAY, faults


class Problem(Model):
    """One thing wrong with the configuration."""

    key: str
    text: str

    def __str__(self) -> str:
        return f"{self.key}: {self.text}"


class SettingsError(pulumi.RunError):
    """The configuration can't be used; the message lists every problem, and no resource was registered."""

    def __init__(self, problems: list[Problem]) -> None:
        lines = "\n".join(f"  - {problem}" for problem in problems)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(f"{count} in the stack configuration; nothing was created.\n{lines}")
        self.problems = tuple(problems)


_ADVICE = {
    "missing": "is required and missing",
    "extra_forbidden": "is not a known key; remove it or correct its spelling",
}


# The discriminator of a union stands in the location of an error too; it is no key of the file.
_UNIONS = {
    "docker": ("local", "ssh", "proxmox"),
    "gateway.tls": tuple(TlsMode),
    "gateway.auth": tuple(AuthMode),
}


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        if part in _UNIONS.get(path, ()):
            continue
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path


def explain(error: ValidationError) -> list[Problem]:
    """What pydantic refused, by the keys of the stack file."""
    problems = []
    for item in error.errors(include_url=False):
        text = _ADVICE.get(item["type"], item["msg"])
        if item["type"] not in ("missing", "extra_forbidden", "setting", "secret"):
            text = f"{text[0].lower()}{text[1:]}, but it is {item['input']!r}"
        problems.append(Problem(key=_path(item["loc"]) or "(stack)", text=text))
    return problems


# What `ops pki` makes; others come from people.
_MADE = frozenset({*TLS_KEYS.values(), *SCRAPE_PASSWORDS.values()})


def secret_problems(settings: StackSettings, given: frozenset[str]) -> list[Problem]:
    """Secrets that this configuration can't do without, and how each comes to be."""
    made = _MADE - ({Secret.TLS_GATEWAY_KEY} if isinstance(settings.gateway.tls, GivenTls) else set())
    missing = [secret for secret in settings.required_secrets() if secret not in given]
    ways = {s: "python -m ops pki" if s in made else f"pulumi config set --secret {s}" for s in missing}
    return [Problem(key=key, text=f"is required and missing; run: {way}") for key, way in ways.items()]


def pki_problems(settings: StackSettings, now: datetime) -> list[Problem]:
    """Certificates that are missing, don't fit or have ended."""
    found = {**faults(settings.pki, settings.certificate_holders, now), **_gateway_fault(settings)}
    return [Problem(key=key, text=text) for key, text in found.items()]


def _gateway_fault(settings: StackSettings) -> Mapping[str, str]:
    host = settings.gateway.host
    if settings.pki is None or settings.pki.gateway is None or host is None:
        return {}
    if GATEWAY not in settings.certificate_holders or certifies(settings.pki.gateway, host):
        return {}
    return {"pki.gateway": f"isn't made out to gateway.host, {host}; run: python -m ops pki"}


def plain_problems(plain: Mapping[str, object]) -> list[Problem]:
    """Secrets that stand in plain text; their values aren't repeated."""
    known = {secret.value for secret in Secret}
    return [
        Problem(
            key=key,
            text="is a secret but stands in plain text in the stack file; remove it, change the secret, "
            f"and run: pulumi config set --secret {key}",
        )
        for key in plain
        if key in known
    ]


_IDENTITY = "a private key without a passphrase"


def _exporter_files(exporters: HostExporters) -> dict[str, tuple[Path | None, str]]:
    files = {"hostExporters.identityFile": (exporters.identity_file, _IDENTITY)}
    for name, host in exporters.hosts.items():
        files[f"hostExporters.hosts.{name}.identityFile"] = (host.identity_file, _IDENTITY)
    releases: dict[str, HostRelease | None] = {
        "nodeExporter": exporters.node_exporter,
        "gpuExporter": exporters.gpu_exporter,
    }
    for key, release in releases.items():
        if release is not None:
            archive = release.exporter.archive_name(release.version)
            files[f"hostExporters.{key}.file"] = (release.file, f"the archive {archive}")
    return files


def file_problems(settings: StackSettings, root: Path) -> list[Problem]:
    """Files of the site that can't be read or aren't what they have to be."""
    files = {"cluster.caFile": (settings.cluster.ca_file, "the cluster's CA certificate (PEM)")}
    if isinstance(settings.docker, ProxmoxDocker):
        files["docker.identityFile"] = (settings.docker.identity_file, _IDENTITY)
    files.update(_exporter_files(settings.host_exporters))
    files.update(settings.gateway.files())
    missing = [
        Problem(key=key, text=f"{path} is not a readable file; give the path of {what}")
        for key, (path, what) in files.items()
        if path is not None and not (root / path).is_file()
    ]
    return missing or _certificate_problems(settings.gateway, root)


def _certificate_problems(gateway: Gateway, root: Path) -> list[Problem]:
    if not gateway.enabled or not isinstance(gateway.tls, GivenTls) or gateway.host is None:
        return []
    path = gateway.tls.certificate_file
    try:
        fits = certifies((root / path).read_text("utf-8"), gateway.host)
    except ValueError:
        text = (
            f"{path} is not a certificate in PEM; give the gateway's, then those between it and the authority"
        )
        return [Problem(key="gateway.tls.certificateFile", text=text)]
    text = f"{path} is not for gateway.host, {gateway.host}; correct the one or have the other issued anew"
    return [] if fits else [Problem(key="gateway.tls.certificateFile", text=text)]
