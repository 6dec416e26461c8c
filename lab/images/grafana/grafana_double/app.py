"""The ASGI application: finds the route of a call, checks who calls, runs the handler, keeps the journal."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, nullcontext
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route as StarletteRoute

from . import (
    COMMIT,
    NOTICE,
    VERSION,
    auth,
    contact_points,
    dashboards,
    datasources,
    drawings,
    folders,
    mute_timings,
    pages,
    policies,
    preferences,
    rules,
    service_accounts,
    sessions,
    templates,
)
from .api import Call, Route, answer, error_answer, get
from .datasource_client import DataSourceClient
from .errors import ApiError, public, refuse
from .journal import Journal
from .metrics import Metrics
from .settings import Settings, SettingsError
from .store import FILE_NAME, Store

_LOG = logging.getLogger("grafana_double")
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

_MODULES = (
    folders,
    dashboards,
    datasources,
    contact_points,
    templates,
    mute_timings,
    policies,
    rules,
    service_accounts,
    preferences,
    sessions,
    pages,
    drawings,
)


class Server:
    """Everything that the calls share."""

    def __init__(self, settings: Settings, client: DataSourceClient) -> None:
        """Open the data directory.

        Raises:
            SettingsError: it can't be used.
        """
        self.settings = settings
        self.client = client
        self.store = _open_store(settings)
        if not auth.ensure_admin(self.store, settings):
            _LOG.info("data directory has its users: the admin password of the settings is not taken")
        self.journal = Journal()
        self.metrics = Metrics(self.store)
        self.routes = tuple(_own_routes(self)) + tuple(
            route for module in _MODULES for route in module.ROUTES
        )

    async def __call__(self, request: Request) -> Response:
        """Answer one request."""
        content = await request.body()
        return await run_in_threadpool(self._answer, request, content)

    def _answer(self, request: Request, content: bytes) -> Response:
        path, started = raw_path(request), time.perf_counter()
        # What stays when a handler fails for another reason than an ApiError.
        handler, status, refused, reason = "notfound", 500, False, "internal error"
        try:
            route, params = self._find(request.method, path)
            handler = route.path
            response = self._run(route, params, request, content)
            status, reason = response.status_code, ""
        except ApiError as error:
            status, refused, reason = error.status, error.refused, str(error)
            response = self._error(error, handler, request)
        finally:
            self.metrics.observe(handler, request.method, status, time.perf_counter() - started)
            if not handler.startswith("/__double/"):
                self.journal.record(request.method, path, status, refused=refused, reason=reason)
        response.headers["X-Stand-In"] = "grafana-double"
        return response

    def _find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        wanted = "GET" if method == "HEAD" else method
        for route in self.routes:
            params = route.match(path) if route.method == wanted else None
            if params is not None:
                return route, params
        raise refuse(404, "Not found")

    def _run(self, route: Route, params: dict[str, str], request: Request, content: bytes) -> Response:
        identity = None
        if route.access != "open":
            identity = sessions.identify(self.store, request.headers.get("cookie"))
            if identity is None or "authorization" in request.headers:
                identity = auth.identify(self.store, self.settings, request.headers.get("authorization"))
            if not auth.allowed(identity, route.access):
                raise public(
                    403,
                    "accesscontrol.forbidden",
                    "You'll need additional permissions to perform this action",
                )
        query = parse_qs(request.url.query, keep_blank_values=True)
        if route.query is not None and (unknown := sorted(set(query) - route.query)):
            raise refuse(400, f"bad request data: unknown query parameter {unknown[0]}")
        call = Call(
            method=request.method,
            query_string=request.url.query,
            params=params,
            query=query,
            headers=request.headers,
            content=content,
            store=self.store,
            client=self.client,
            identity=identity,
        )
        with self.store.transaction() if route.locked else nullcontext():
            return route.handler(call)

    def _error(self, error: ApiError, handler: str, request: Request) -> Response:
        if error.status == 401 and any(
            route.path == handler and route.access == "page" for route in self.routes
        ):
            # Grafana always sends to its form. A browser's own dialog is less to go through for who looks at
            # a dashboard straight away; behind a gateway it would give the gateway's password.
            if "x-forwarded-proto" not in request.headers:
                return pages.sign_in()
            return sessions.to_login(raw_path(request), request.url.query)
        return error_answer(error)

    def close(self) -> None:
        """Close files and connections."""
        self.store.close()
        self.client.close()


def raw_path(request: Request) -> str:
    """The path as it was sent: an encoded slash in a name is not a separator."""
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    return raw.decode("ascii", "replace").partition("?")[0]


def _open_store(settings: Settings) -> Store:
    path = settings.data / FILE_NAME
    try:
        return Store(path)
    except sqlite3.Error as error:
        raise SettingsError(
            f"[paths] data: can't use {path}: {error}; the directory must exist and belong to the user "
            "that the server runs as (uid 472 in the image)"
        ) from error


def _own_routes(server: Server) -> Iterable[Route]:
    """The routes about the server itself."""
    health = {"commit": COMMIT, "database": "ok", "version": VERSION}

    def metrics(call: Call) -> Response:
        wanted = server.settings.metrics_login
        if wanted is not None and auth.basic_login(call.headers.get("authorization")) != wanted:
            return Response(status_code=401, headers={"WWW-Authenticate": 'Basic realm="Grafana"'})
        return Response(server.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return (
        get("/api/health", lambda _: answer(health), access="open", locked=False),
        get("/metrics", metrics, access="open"),
        get(
            "/__double/refusals",
            lambda _: answer({"notice": NOTICE, "refusals": server.journal.refusals()}),
            access="open",
            locked=False,
        ),
        get(
            "/__double/calls",
            lambda _: answer({"notice": NOTICE, "calls": server.journal.calls()}),
            access="open",
            locked=False,
        ),
    )


async def _broken(_: Request, __: Exception) -> Response:
    return JSONResponse({"message": "Internal server error"}, 500)


def build(settings: Settings, client: DataSourceClient | None = None) -> Starlette:
    """The application.

    Raises:
        SettingsError: the data directory can't be used.
    """
    server = Server(settings, client or DataSourceClient())

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        server.close()

    async def endpoint(request: Request) -> Response:
        return await server(request)

    return Starlette(
        routes=[StarletteRoute("/{path:path}", endpoint, methods=list(_METHODS))],
        exception_handlers={Exception: _broken},
        lifespan=lifespan,
    )
