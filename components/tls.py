"""The key of a certificate, checked against it before any server gets it."""

from __future__ import annotations

import pulumi

from components import pki
from components.settings import TLS_KEYS, Secrets, StackSettings


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
