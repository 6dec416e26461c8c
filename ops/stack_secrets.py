"""Secrets of a stack that a command can't do without; they are kept in memory alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from components import pki
from components.render.tls import Server
from components.settings import PROJECT, SCRAPE_PASSWORDS, TLS_KEYS, Group, Secret
from lab import stack_config
from lab.stack_config import StackConfigError
from ops import pulumi_cli
from ops.console import OpsError
from ops.pulumi_cli import CliUnavailable
from ops.stack import Stack, stack_file


def read(name: str, wanted: Sequence[Secret], file: Path | None = None) -> dict[Secret, str]:
    """Values of secrets of a stack.

    A stack that is encrypted with a passphrase needs no Pulumi CLI; who keeps the keys of others, it knows.

    Args:
        name: of the stack.
        wanted: the secrets.
        file: where its config lies, if not in the project's directory.

    Raises:
        OpsError: they can't be opened, with the reason.
    """
    try:
        opened = stack_config.read(file or stack_file(name), pulumi_cli.passphrase()).secrets
        return {secret: opened[f"{PROJECT}:{secret}"] for secret in wanted}
    except (StackConfigError, KeyError) as reason:
        return {secret: _asked_for(name, secret, file, reason) for secret in wanted}


def _asked_for(name: str, secret: Secret, file: Path | None, reason: Exception) -> str:
    try:
        cli = pulumi_cli.find()
    except CliUnavailable as missing:
        raise OpsError(f"{secret} can't be opened: {reason}; and the Pulumi CLI: {missing}") from None
    elsewhere = () if file is None else ("--config-file", str(file))
    words = ("config", "get", f"{PROJECT}:{secret}", "--stack", name, *elsewhere, "--non-interactive")
    result = cli.capture(*words)
    if result.returncode != 0:
        raise OpsError(f"{secret} can't be opened: {result.stderr.strip()}")
    return result.stdout.removesuffix("\n")


def guest_server(stack: Stack) -> Server | None:
    """With what exporters in a stack's guests speak TLS; None where they don't, or with files of the site.

    Raises:
        OpsError: a secret can't be opened, or the key isn't that of the certificate.
    """
    settings, exporters = stack.settings, stack.settings.guest_exporters
    certificate = settings.pki.guests if settings.pki is not None else None
    sites_own = exporters.windows.web_config_file is not None and exporters.linux.web_config_file is not None
    if Group.GUESTS not in settings.tls.groups or certificate is None or sites_own:
        return None
    key, password = TLS_KEYS[Group.GUESTS], SCRAPE_PASSWORDS[Group.GUESTS]
    found = read(stack.name, (key, password))
    if not pki.belongs(certificate, found[key]):
        raise OpsError(f"the key {key} doesn't belong to the certificate pki.guests; run: python -m ops pki")
    return Server(certificate=certificate, key=found[key], passwords=found[password])
