from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio.from_thread
import httpx
import pytest

from lab.images.grafana.grafana_double.app import build
from lab.images.grafana.grafana_double.datasource_client import DataSourceClient
from lab.images.grafana.grafana_double.settings import Settings

ADMIN = ("admin", "first-password")
NOBODY = httpx.Auth()
"""Instead of the client's own credentials: none."""

Answers = Callable[[httpx.Request], httpx.Response]
Start = Callable[..., httpx.Client]


class InProcess(httpx.BaseTransport):
    """Hands the requests of a plain client to an ASGI application in this process."""

    def __init__(self, application: httpx.ASGITransport, portal: anyio.from_thread.BlockingPortal) -> None:
        self._application = application
        self._portal = portal

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._portal.call(self._answer, request)

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        response = await self._application.handle_async_request(request)
        return httpx.Response(response.status_code, headers=response.headers, content=await response.aread())


@contextlib.contextmanager
def serving(settings: Settings, answers: Answers | None) -> Iterator[httpx.Client]:
    """A client that is signed in as the administrator, for as long as the application runs."""
    application = build(settings, DataSourceClient(httpx.MockTransport(answers) if answers else None))
    with anyio.from_thread.start_blocking_portal() as portal:
        lifespan = application.router.lifespan_context(application)
        with portal.wrap_async_context_manager(lifespan):
            transport = InProcess(httpx.ASGITransport(application), portal)
            with httpx.Client(base_url="http://grafana", transport=transport, auth=ADMIN) as client:
                yield client


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start the server; every start stops the one before and takes over its data directory."""
    with contextlib.ExitStack() as running:

        def run(
            password: str = ADMIN[1],
            answers: Answers | None = None,
            anonymous_role: str | None = None,
            metrics_login: tuple[str, str] | None = None,
        ) -> httpx.Client:
            running.close()
            settings = Settings(
                data=tmp_path,
                http_port=3000,
                root_url="http://localhost:3000/",
                admin_user=ADMIN[0],
                admin_password=password,
                anonymous_role=anonymous_role,
                metrics_login=metrics_login,
            )
            return running.enter_context(serving(settings, answers))

        yield run


@pytest.fixture
def grafana(start: Start) -> httpx.Client:
    return start()
