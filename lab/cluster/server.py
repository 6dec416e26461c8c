"""Starts every listener of the simulated cluster and ends them on SIGTERM."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from . import settings as environment
from . import tls
from .api.app import Api
from .build import build
from .control import Control
from .exporter_access import Access
from .proxy import Proxy
from .settings import Settings
from .sinks import Sinks
from .state import Lab
from .web import Listener, listen


@dataclass(frozen=True)
class Running:
    """The listeners: the ports they got, and what tests look into."""

    lab: Lab
    sinks: Sinks
    listeners: Sequence[Listener]
    mail: asyncio.Server
    broadcast: asyncio.Task[None]
    api_port: int
    proxy_port: int
    control_port: int
    smtp_port: int

    async def close(self) -> None:
        """End every listener; conversations that go on are broken off."""
        self.broadcast.cancel()
        self.mail.close()
        for listener in self.listeners:
            await listener.close()


async def start(settings: Settings) -> Running:
    """Build the cluster and open its ports.

    Raises:
        OSError: A port is taken, or a certificate can't be read or written.
    """
    cluster = build(settings)
    lab = Lab(cluster, settings)
    context, certificate = tls.context(settings, [host.name for host in cluster.hosts])
    sinks = Sinks(lab.clock, lambda name: lab.refuses(name, lab.clock()))
    api = Api(lab, certificate)
    loop = asyncio.get_running_loop()
    where = settings.listen
    listeners = [
        await listen(api, where, settings.api_port, context),
        await listen(Proxy(lab, Access.read(settings.exporters_tls_dir)), where, settings.proxy_port),
        await listen(Control(lab, sinks, api.calls), where, settings.control_port),
    ]
    mail = await loop.create_server(sinks.smtp, where, settings.smtp_port)
    ports = [*(listener.port for listener in listeners), mail.sockets[0].getsockname()[1]]
    return Running(lab, sinks, listeners, mail, asyncio.create_task(api.broadcast()), *ports)


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    running = await start(settings)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    hosts, guests = len(running.lab.cluster.hosts), len(running.lab.cluster.guests)
    print(
        f"cluster {settings.cluster_name}: Proxmox VE {settings.version[1]}, {hosts} hosts, {guests} guests;",
        f"API {running.api_port}, proxy {running.proxy_port}, control {running.control_port},",
        f"SMTP {running.smtp_port}",
        flush=True,
    )
    await stop.wait()
    await running.close()


def main() -> None:
    """Read the environment and serve; what is wrong with it is said in one line."""
    try:
        settings = environment.load()
    except ValueError as error:
        sys.exit(f"lab: {error}")
    try:
        asyncio.run(serve(settings))
    except OSError as error:
        sys.exit(f"lab: {error}; look at LAB_*_PORT, LAB_TLS_CERT, LAB_TLS_KEY and who may write LAB_TLS_DIR")
