"""Tells a service that its files have changed: POST over TLS, with a password.

It runs in the container that wrote the files, by Python alone. (wget of busybox verifies no certificate and
shows a password to everybody who can list processes.) RELOAD_URL says where, RELOAD_SERVER_NAME which name
the certificate must have, RELOAD_USER who asks.
"""

from __future__ import annotations

import base64
import http.client
import os
import socket
import ssl
import sys
from pathlib import Path
from urllib.parse import urlsplit

PAYLOAD = Path(os.environ.get("PAYLOAD", "/payload"))
CONNECT_SECONDS = 5
RELOAD_SECONDS = 20


def main() -> int:
    """Reload; 0 if that was done, or if nobody is there yet: who starts later reads the files then."""
    url = urlsplit(os.environ["RELOAD_URL"])
    context = ssl.create_default_context(cafile=PAYLOAD / os.environ["RELOAD_CA_FILE"])
    try:
        plain = socket.create_connection((url.hostname or "", url.port or 443), CONNECT_SECONDS)
        channel = context.wrap_socket(plain, server_hostname=os.environ["RELOAD_SERVER_NAME"])
    except ssl.SSLCertVerificationError as error:
        sys.stderr.write(f"{url.geturl()} shows another certificate ({error.verify_message}); not reloaded\n")
        return 2
    except OSError:
        # Not there, or still without TLS: it is about to be started anew.
        return 0
    channel.settimeout(RELOAD_SECONDS)
    connection = http.client.HTTPConnection(url.hostname or "")
    connection.sock = channel
    password = (PAYLOAD / os.environ["RELOAD_PASSWORD_FILE"]).read_text("utf-8").strip()
    login = base64.b64encode(f"{os.environ['RELOAD_USER']}:{password}".encode()).decode()
    try:
        connection.request("POST", url.path, headers={"Authorization": f"Basic {login}"})
        answer = connection.getresponse()
        said = answer.read(300).decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException) as error:
        sys.stderr.write(f"{url.geturl()} doesn't answer: {error}\n")
        return 2
    if answer.status != http.HTTPStatus.OK:
        sys.stderr.write(
            f"{url.geturl()} refused the new files ({answer.status} {said}); the service goes on with what "
            "it had (see its log)\n"
        )
        return 2
    sys.stdout.write("reloaded\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
