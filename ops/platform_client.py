"""The HTTP clients by which the commands ask a stack's own Prometheus, Alertmanager and discovery."""

from __future__ import annotations

from functools import cached_property
from urllib.parse import urlsplit

import requests

from components import pki
from components.render import tls
from components.render.platform_tls import encrypted
from components.settings import SCRAPE_PASSWORDS, Group
from lab import trust
from ops import stack_secrets
from ops.stack import Stack


class Clients:
    """The client for a URL: who has a name of the platform's certificate gets the password, nobody else."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def of(self, url: str) -> requests.Session:
        """The client for a server.

        Raises:
            OpsError: the password can't be read.
        """
        return self._ours if self._is_ours(url) else requests.Session()

    def _is_ours(self, url: str) -> bool:
        parts, given = urlsplit(url), self._stack.settings.pki
        if not encrypted(self._stack.settings) or given is None or given.platform is None:
            return False
        return parts.scheme == "https" and parts.hostname in pki.names(given.platform)

    @cached_property
    def _ours(self) -> requests.Session:
        given = self._stack.settings.pki
        assert given is not None  # noqa: S101 - the settings refuse TLS without it
        made = trust.session(given.ca)
        key = SCRAPE_PASSWORDS[Group.PLATFORM]
        made.auth = (tls.USER, stack_secrets.read(self._stack.name, (key,), self._stack.file)[key])
        return made
