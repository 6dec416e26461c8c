"""A small HTTPS server for tests of clients: it answers to one password, and remembers what it was asked."""

from __future__ import annotations

import base64
import json
import ssl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from components.pki import Pair


@dataclass
class TlsServer:
    """What runs.

    Attributes:
        port: on 127.0.0.1.
        status: of the answer to who knows the password.
        answer: body of it, JSON.
        asked: method and path of each request, and whether it was let in.
    """

    port: int
    login: str
    status: int = 200
    answer: Any = None
    asked: list[tuple[str, str, bool]] = field(default_factory=list)


@contextmanager
def tls_server(pair: Pair | None, login: str) -> Iterator[TlsServer]:
    """Run the server with a certificate; None is plain HTTP.

    Args:
        pair: certificate and key.
        login: `user:password` that it wants.
    """
    wanted = f"Basic {base64.b64encode(login.encode()).decode()}"

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            known = self.headers.get("Authorization") == wanted
            made.asked.append((self.command, self.path, known))
            self.send_response(made.status if known else 401)
            self.end_headers()
            self.wfile.write(json.dumps(made.answer).encode())

        do_GET = do_POST = _answer  # noqa: N815 - names of the base class

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            """Clients that trust nobody break off."""

    with Server(("127.0.0.1", 0), Handler) as server, tempfile.TemporaryDirectory() as folder:
        if pair is not None:
            file = Path(folder) / "server.pem"
            file.write_text(pair.certificate + pair.key, "utf-8")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(file)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        made = TlsServer(server.server_port, login)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()
