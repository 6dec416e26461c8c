"""What simulated exporters show and want where they speak TLS: a certificate, a password."""

import base64
import binascii
import hmac
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from .web import Request, Response

HOSTS, GUESTS = "hosts", "guests"


@dataclass(frozen=True)
class Access:
    """What exporters of hosts, or of guests, show and want."""

    context: ssl.SSLContext
    password: str

    @classmethod
    def read(cls, folder: str) -> dict[str, Self]:
        """Those of both groups; nothing where no folder is given.

        Raises:
            OSError: A file is missing, or is no certificate or key.
        """
        found = {}
        for group in (HOSTS, GUESTS) if folder else ():
            path = Path(folder) / group
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(path.with_suffix(".crt"), path.with_suffix(".key"))
            found[group] = cls(context, path.with_suffix(".password").read_text("utf-8").strip())
        return found

    def refusal(self, request: Request) -> Response | None:
        """What exporter-toolkit answers who doesn't know the password; None for who does."""
        kind, _, encoded = request.headers.get("authorization", "").partition(" ")
        try:
            given = base64.b64decode(encoded).partition(b":")[2]
        except binascii.Error:
            given = b""
        if kind == "Basic" and hmac.compare_digest(given, self.password.encode()):
            return None
        challenge = (("WWW-Authenticate", "Basic"),)
        return Response(401, b"Unauthorized\n", "text/plain; charset=utf-8", "Unauthorized", challenge)
