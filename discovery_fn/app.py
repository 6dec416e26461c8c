"""The HTTP service. Every answer comes from memory; refreshing goes on beside them."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated

from fastapi import Depends, FastAPI, Header, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, Field

from . import __version__, logs
from .access import BasicAuthentication
from .background import Background
from .metrics import Metrics, StatusCollector
from .model import GuestView
from .page import CONTENT_SECURITY_POLICY, page
from .proxmox import Opener
from .pve import connect
from .refresh import Refresher
from .settings import Settings, load_settings
from .targets import Name

_NOTHING_KNOWN = "The cluster was not reached yet; see /metrics and the log for why."


class TargetGroup(BaseModel):
    """One target group of Prometheus' HTTP service discovery."""

    targets: list[str]
    labels: dict[str, str]


class GuestInfo(BaseModel):
    """A guest as discovery knows it."""

    vm_id: int
    vm_name: str
    node: str
    type: str = Field(description="qemu or lxc")
    status: str
    template: bool
    os: str
    vcpus: str
    memory_gb: str
    disk_type: str
    tags: str = Field(description="Joined by a comma on both ends, so that ,web, matches one tag.")
    pool: str
    target: str = Field(description="Empty for a guest that is no target.")
    gpu_target: str
    reason: str = Field(description="Why a running guest is no target, empty for all others.")
    address_source: str = Field(description="agent (reported by the guest), static (configured), or empty.")
    unconfirmed: str = Field(description="Why the guest did not confirm its address when last asked.")
    stopped_unexpectedly: bool = Field(description="It was seen running, is stopped, and no task stopped it.")


class Guests(BaseModel):
    """The whole inventory of guests."""

    cluster: str
    complete: bool
    fresh: bool
    age_seconds: float | None
    address_conflicts: list[str]
    guests: list[GuestInfo]


class Problem(BaseModel):
    """Why there is no answer."""

    detail: str


class Health(BaseModel):
    """Condition of the service."""

    status: str


def _info(guest: GuestView) -> GuestInfo:
    return GuestInfo(
        vm_id=guest.vmid,
        vm_name=guest.name,
        node=guest.node,
        type=guest.kind,
        status=guest.status,
        template=guest.template,
        os=guest.os,
        vcpus=guest.vcpus,
        memory_gb=guest.memory_gb,
        disk_type=guest.disk_type,
        tags=guest.tags,
        pool=guest.pool,
        target=guest.target,
        gpu_target=guest.gpu_target,
        reason=guest.reason,
        address_source=guest.source,
        unconfirmed=guest.agent,
        stopped_unexpectedly=guest.stopped_unexpectedly,
    )


def create_app(settings: Settings | None = None, open_member: Opener | None = None) -> FastAPI:
    """Make the service of the environment; `open_member` replaces the network in tests.

    Raises:
        SettingsError: The environment is wrong.
    """
    chosen = settings or load_settings()
    logs.configure(chosen.discovery_log_level, chosen.discovery_log_format)
    metrics = Metrics()
    client = connect(chosen, metrics, open_member)
    refresher = Refresher(chosen, client, metrics)
    background = Background(refresher)
    metrics.registry.register(StatusCollector(refresher.status))

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        logs.event(
            logging.INFO,
            "discovery starts",
            version=__version__,
            endpoints=",".join(endpoint.label for endpoint in client.endpoints),
            token_id=chosen.pve_token_id,
            tls_verified=chosen.pve_verify_tls,
        )
        if not chosen.pve_verify_tls:
            logs.event(logging.WARNING, "TLS certificates are not checked; set PVE_CA_FILE instead")
        refresher.load()
        background.start()
        yield
        await background.stop()
        logs.event(logging.INFO, "discovery stopped")

    app = FastAPI(
        title="Proxmox VE discovery for Prometheus",
        version=__version__,
        description="HTTP service discovery of the guests and nodes of a Proxmox VE cluster.",
        lifespan=lifespan,
    )
    app.state.refresher = refresher
    app.state.background = background
    app.state.metrics = metrics
    for add in (_add_targets, _add_inventory, _add_operation):
        add(app)
    password = chosen.password()
    if password is not None:
        app.add_middleware(BasicAuthentication, user=chosen.discovery_user, password=password)
    return app


def _refresher(request: Request) -> Refresher:
    found: Refresher = request.app.state.refresher
    return found


Known = Annotated[Refresher, Depends(_refresher)]
IfNoneMatch = Annotated[str, Header(description="Entity tags, or * for any.", examples=["*"])]
_TARGET_ROUTES: tuple[tuple[str, Name, str], ...] = (
    ("/targets", "all", "All guests"),
    ("/targets/windows", "windows", "Guests with windows_exporter"),
    ("/targets/linux", "linux", "Guests with node_exporter"),
    ("/targets/nodes", "nodes", "Nodes of the cluster, online or not"),
    ("/targets/gpu", "gpu", "Nodes and guests that have a GPU"),
    ("/targets/pve", "pve", "Members of the API, for the Proxmox VE exporter"),
)


_ETAG = {
    "ETag": {
        "description": "Of the list as it stands; the same as long as nothing changes.",
        "required": True,
        "schema": {"type": "string"},
    }
}


def _add_targets(app: FastAPI) -> None:
    for path, name, summary in _TARGET_ROUTES:
        app.add_api_route(
            path,
            _targets_of(name),
            methods=["GET"],
            summary=summary,
            operation_id=f"targets_{name}",
            tags=["targets"],
            response_model=list[TargetGroup],
            responses={
                200: {"headers": _ETAG},
                304: {"description": "Unchanged since the given entity tag.", "headers": _ETAG},
                503: {"model": Problem, "description": "Nothing is known yet; Prometheus keeps what it has."},
            },
        )


def _targets_of(name: Name) -> Callable[..., Awaitable[Response]]:
    async def answer(refresher: Known, if_none_match: IfNoneMatch = "") -> Response:
        body = refresher.bodies.get(name)
        if body is None:
            return JSONResponse({"detail": _NOTHING_KNOWN}, status_code=503)
        headers = {"ETag": body.etag, "Cache-Control": "no-cache"}
        if _matches(if_none_match, body.etag):
            return Response(status_code=304, headers=headers)
        return Response(body.content, media_type="application/json", headers=headers)

    return answer


def _matches(condition: str, etag: str) -> bool:
    known = {item.strip().removeprefix("W/") for item in condition.split(",")}
    return "*" in known or etag in known


def _add_inventory(app: FastAPI) -> None:
    @app.get("/guests", response_model=Guests, tags=["inventory"], summary="All guests, with reasons")
    def guests(refresher: Known) -> Response:
        status = refresher.status()
        found = Guests(
            cluster=status.inventory.cluster,
            complete=status.inventory.complete,
            fresh=status.fresh,
            age_seconds=None if status.age is None else round(status.age, 3),
            address_conflicts=list(status.inventory.conflicts),
            guests=[_info(guest) for guest in status.inventory.guests],
        )
        return Response(found.model_dump_json(), media_type="application/json")

    @app.get("/", response_class=HTMLResponse, tags=["inventory"], summary="All guests, for people")
    def people(refresher: Known) -> HTMLResponse:
        headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY, "X-Content-Type-Options": "nosniff"}
        return HTMLResponse(page(refresher.status()), headers=headers)


def _add_operation(app: FastAPI) -> None:
    @app.get(
        "/healthz",
        tags=["operation"],
        summary="Whether the process works",
        responses={503: {"model": Health, "description": "Refreshing has ended; restart the process."}},
    )
    async def healthz(request: Request, response: Response) -> Health:
        if not request.app.state.background.alive:
            response.status_code = 503
            return Health(status="refreshing has ended")
        return Health(status="alive")

    @app.get(
        "/readyz",
        tags=["operation"],
        summary="Whether the inventory is complete",
        responses={503: {"model": Health, "description": "Not yet."}},
    )
    async def readyz(refresher: Known, response: Response) -> Health:
        if not refresher.inventory.complete:
            response.status_code = 503
            return Health(status="the inventory is not complete yet")
        return Health(status="ready")

    @app.get(
        "/metrics",
        tags=["operation"],
        summary="Metrics of the service itself",
        response_class=PlainTextResponse,
    )
    def metrics(request: Request) -> Response:
        return Response(generate_latest(request.app.state.metrics.registry), media_type=CONTENT_TYPE_LATEST)
