"""The HTTP proxy through which Prometheus reaches the exporters in guests and on hosts."""

import asyncio
import re
from collections.abc import Mapping
from functools import partial

from .exporter_access import GUESTS, HOSTS, Access
from .exporters import gpu, node, windows
from .exporters.page import CONTENT_TYPE
from .model import Guest, Host
from .state import Lab
from .web import Request, Response, Tunnel

NODE, WINDOWS, GPU = 9100, 9182, 9835
TUNNEL = re.compile(r"(?:\[(?P<six>[^\]]+)\]|(?P<host>[^:/?]+)):(?P<port>\d+)")
TARGET = re.compile(r"^http://(?:\[(?P<six>[^\]]+)\]|(?P<host>[^:/?]+))(?::(?P<port>\d+))?(?P<path>/[^?]*)?")


class ProxyError(Exception):
    """What the proxy can't fetch: 502 for a refused connection, 504 for one that nobody answers."""

    def __init__(self, status: int, reason: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.reason = reason


class Proxy:
    """Answers absolute-form requests out of the lab's state, and CONNECT where exporters speak TLS."""

    def __init__(self, lab: Lab, access: Mapping[str, Access] | None = None) -> None:
        self._lab = lab
        self._access = access or {}

    async def __call__(self, request: Request) -> Response:
        """Fetch what a request names, or lead to who answers it."""
        tunnel = request.method == "CONNECT"
        found = TUNNEL.fullmatch(request.target) if tunnel else TARGET.match(request.target)
        if request.method not in ("GET", "HEAD", "CONNECT") or found is None:
            return _plain(400, "Bad Request", "this is a forward proxy: ask for http://address:port/path")
        address, port = found["host"] or found["six"], int(found["port"] or 80)
        access = self._access.get(HOSTS if isinstance(self._find(address), Host) else GUESTS)
        if tunnel:
            return await self._connect(address, port, access)
        if access is not None:
            return _plain(400, "Bad Request", "Client sent an HTTP request to an HTTPS server.")
        return await self._page(address, port, found["path"] or "/")

    async def _connect(self, address: str, port: int, access: Access | None) -> Response:
        # No exporter has a page there: anything else is why none is reached.
        page = await self._page(address, port, "/")
        if page.status != 404:
            return page
        if access is None:
            return _plain(502, "Bad Gateway", f"{address} port {port} doesn't speak TLS")
        return Response(200, tunnel=Tunnel(access.context, partial(self._inside, address, port, access)))

    async def _inside(self, address: str, port: int, access: Access, request: Request) -> Response:
        return access.refusal(request) or await self._page(address, port, request.path)

    async def _page(self, address: str, port: int, path: str) -> Response:
        try:
            text = self.fetch(address, port, path)
        except ProxyError as error:
            if error.status == 504:
                await asyncio.sleep(self._lab.settings.proxy_timeout)
            return _plain(error.status, error.reason, str(error))
        if text is None:
            return _plain(404, "Not Found", "404 page not found")
        return Response(200, text.encode(), CONTENT_TYPE, "OK")

    def fetch(self, address: str, port: int, path: str) -> str | None:
        """What ``path`` on ``address:port`` answers; None where the exporter has no such page.

        Raises:
            ProxyError: Nobody is at the address, or nothing listens on the port.
        """
        lab = self._lab
        t = lab.clock()
        entity = self._find(address)
        if entity is None or not self._reachable(entity, t):
            raise ProxyError(504, "Gateway Timeout", f"connect to {address} port {port}: No route to host")
        key = entity.vmid if isinstance(entity, Guest) else entity.name
        if port not in ports(entity) or lab.faults.hitting(key, "exporter_gone", t):
            raise ProxyError(502, "Bad Gateway", f"connect to {address} port {port}: Connection refused")
        return render(lab, entity, port, t) if path == "/metrics" else None

    def _find(self, address: str) -> Host | Guest | None:
        known = self._lab.cluster.by_address.get(address)
        name = address.removesuffix(".lab")
        return known or self._lab.cluster.host.get(name)

    def _reachable(self, entity: Host | Guest, t: float) -> bool:
        if isinstance(entity, Host):
            return self._lab.online(entity.name, t)
        return self._lab.running(entity, t)


def ports(entity: Host | Guest) -> tuple[int, ...]:
    """The ports on which exporters listen."""
    if isinstance(entity, Host):
        return (NODE, GPU) if entity.gpus else (NODE,)
    if not entity.exporter:
        return ()
    own = WINDOWS if entity.os == "windows" else NODE
    return (own, GPU) if entity.gpus else (own,)


def render(lab: Lab, entity: Host | Guest, port: int, t: float) -> str:
    """The page of the exporter on ``port``."""
    if port == GPU:
        return gpu.render(lab, entity, t)
    if isinstance(entity, Host):
        return node.render_host(lab, entity, t)
    return windows.render(lab, entity, t) if port == WINDOWS else node.render_guest(lab, entity, t)


def _plain(status: int, reason: str, text: str) -> Response:
    return Response(status, f"{text}\n".encode(), "text/plain; charset=utf-8", reason)
