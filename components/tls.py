"""What servers and clients of TLS get of the stack's secrets; keys are checked against their certificate."""

from __future__ import annotations

import pulumi

from components import pki
from components.render import tls as render
from components.settings import SCRAPE_PASSWORDS, TLS_KEYS, Group, Secrets, StackSettings


def checked_key(settings: StackSettings, secrets: Secrets, holder: str) -> pulumi.Output[str]:
    """The private key, in PEM, of a group whose servers speak TLS, or of the gateway.

    The settings can't check it: it is known only when the stack's secrets are. A server with another
    certificate's key wouldn't start.

    Raises:
        pulumi.RunError: in the Output, if the key isn't that of the certificate.
    """
    certificate = settings.pki.certificate(holder) if settings.pki is not None else None
    name = TLS_KEYS[holder]

    def check(key: str) -> str:
        if certificate is None or not pki.belongs(certificate, key):
            raise pulumi.RunError(
                f"the key {name} doesn't belong to the certificate pki.{holder}; run: python -m ops pki"
            )
        return key

    return secrets[name].apply(check)


def exporter(settings: StackSettings, secrets: Secrets, group: Group) -> pulumi.Output[render.Server] | None:
    """What exporters of a group need to speak TLS, as a secret; None where they speak plain HTTP."""
    certificate = settings.pki.certificate(group) if settings.pki is not None else None
    if group not in settings.tls.groups or certificate is None:
        return None
    values = pulumi.Output.all(checked_key(settings, secrets, group), secrets[SCRAPE_PASSWORDS[group]])
    return values.apply(
        lambda given: render.Server(certificate=certificate, key=given[0], passwords=given[1])
    )


def client_secrets(settings: StackSettings, secrets: Secrets) -> dict[str, pulumi.Output[str]]:
    """Secret files that clients need, by path below their configuration directory."""
    files: dict[str, pulumi.Output[str]] = {}
    for group in settings.tls.groups:
        password = secrets[SCRAPE_PASSWORDS[group]]
        if group is not Group.PLATFORM:
            password = password.apply(lambda given: render.accepted(given)[0])
            files[render.user_file(group)] = password.apply(render.user)
        files[render.password_file(group)] = password
    return files
