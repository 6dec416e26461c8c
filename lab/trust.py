"""An HTTP client for servers whose certificate one given authority signed."""

from __future__ import annotations

import ssl
from typing import Any

import requests
from requests.adapters import HTTPAdapter


class _Trusting(HTTPAdapter):
    """Trusts the given authority alone: neither the system's nor that of REQUESTS_CA_BUNDLE."""

    def __init__(self, authority: str) -> None:
        self._context = ssl.create_default_context(cadata=authority)
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:  # noqa: ARG002
        conn.cert_reqs = "CERT_REQUIRED"


def session(authority: str) -> requests.Session:
    """A client that speaks https with such servers only; the authority's certificates are PEM."""
    made = requests.Session()
    # Neither a proxy nor somebody's .netrc stands between parts of one machine.
    made.trust_env = False
    made.mount("https://", _Trusting(authority))
    return made
