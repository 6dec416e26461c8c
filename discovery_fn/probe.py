"""Asks the service in the same container whether it works: `python -m discovery_fn.probe`, for health checks.

It reads two of the service's variables itself: all settings would take longer than the question.
"""

from __future__ import annotations

import os
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping

_SECONDS = 4


def question(environment: Mapping[str, str]) -> tuple[str, ssl.SSLContext | None]:
    """Return what is asked, and how: on this very machine nobody has to prove who he is."""
    port = environment.get("DISCOVERY_PORT") or "8000"
    if not environment.get("DISCOVERY_TLS_CERT_FILE"):
        return f"http://127.0.0.1:{port}/healthz", None
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return f"https://127.0.0.1:{port}/healthz", context


def main() -> int:
    """Return 0 if it works."""
    url, context = question(os.environ)
    try:
        urllib.request.urlopen(url, timeout=_SECONDS, context=context).close()  # noqa: S310 - a constant
    except (OSError, urllib.error.URLError) as error:
        sys.stderr.write(f"{url}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
