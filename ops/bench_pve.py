"""The Proxmox VE API of a simulated cluster as pve-exporter gives it, without its container."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

from lab.cluster.identities import EXPORTER
from lab.preview.recording.pve_exporter import cluster_page, node_page

_TIMEOUT_S = 30


@dataclass(frozen=True)
class _Member:
    """A member of the cluster, over HTTPS."""

    url: str
    ca_file: str

    async def get(self, path: str) -> Any:
        """GET a path below /api2/json; return its `data`."""
        answer = requests.get(  # noqa: ASYNC210 - nothing else runs in this loop
            f"{self.url}/api2/json/{path}",
            headers={"Authorization": f"PVEAPIToken={EXPORTER.id}={EXPORTER.secret}"},
            verify=self.ca_file,
            timeout=_TIMEOUT_S,
        )
        answer.raise_for_status()
        return answer.json()["data"]


@contextmanager
def exporter(port: int, ca_file: str) -> Iterator[None]:
    """Answer at /pve on loopback, as pve-exporter does, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
            text = asyncio.run(_page(asked, ca_file)) if "target" in asked else ""
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's own name
            """Say nothing: every scrape would be a line."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


async def _page(asked: dict[str, str], ca_file: str) -> str:
    member = _Member(f"https://{asked['target']}", ca_file)
    if asked.get("cluster") == "1":
        return await cluster_page(member)
    (node,) = [row["name"] for row in await member.get("cluster/status") if row.get("local") == 1]
    return await node_page(member, node)
