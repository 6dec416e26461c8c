"""A gateway of a test: Caddy with the Caddyfile of some settings, on loopback, before servers of the test."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import docker
import pytest
import requests
from docker.errors import DockerException

from components.gateway import certificate
from components.images import Service
from components.render import gateway as render
from components.render import gateway_pages as pages
from components.render import tls
from components.settings import BasicAuth, StackSettings
from components.topology import CONTAINER_PORTS, GATEWAY_HTTP, GATEWAY_HTTPS, plan
from lab.images import recipes
from lab.images.errors import ImageError
from lab.images.gomodule import CACHE, binaries
from lab.images.programs import take_out
from tests.support.pki import AUTHORITY, GATEWAY

PASSWORD = "a password of the gateway"
USER = "monitoring"
_START_S = 20


@cache
def binary() -> Path:
    """Caddy with its module: out of the stand-in where this machine has it, else compiled as that is.

    Skips the test, with the reason, where it can't be had.
    """
    recipe = next(r for r in recipes.RECIPES if r.repository == "caddy" and r.tag == recipes.CADDY_TAG)
    try:
        return _of_the_stand_in(recipe) or _compiled(recipe)
    except ImageError as error:
        pytest.skip(f"no Caddy: {error}")


def _of_the_stand_in(recipe: recipes.Recipe) -> Path | None:
    reference = f"{recipe.repository}:{recipe.tag}"
    try:
        client = docker.from_env()
        labels = client.images.get(reference).labels
        # Upstream's own has no limit of requests; one of another recipe may be of another version.
        if labels.get(recipes.RECIPE_LABEL) != recipe.digest():
            return None
        (program,) = take_out(client, reference, ["/usr/bin/caddy"], CACHE)
    except DockerException:
        return None
    return program


def _compiled(recipe: recipes.Recipe) -> Path:
    (made,) = binaries(recipes.CADDY, recipe.folder, recipe.version, _architecture(), lambda _: None)
    return made


def _architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)


@dataclass
class Upstream:
    """A server that notes what it is asked, and answers as it is told.

    Attributes:
        answer: status, headers and body for a request's path and headers.
        seen: method, path and headers of each request.
    """

    answer: Callable[[str, Mapping[str, str]], tuple[int, dict[str, str], str]] = lambda *_: (200, {}, "ok")
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    port: int = 0

    @contextmanager
    def running(self) -> Iterator[Upstream]:
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                upstream.seen.append((self.command, self.path, dict(self.headers)))
                status, headers, body = upstream.answer(self.path, dict(self.headers))
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body.encode())

            do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - the library's names

            def log_message(self, *_: object) -> None:
                """Nothing."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            self.port = server.server_address[1]
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield self
            server.shutdown()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Caddy:
    """A running gateway.

    Attributes:
        directory: its configuration directory.
        key: of its certificate.
        ports: on loopback, by the ports of the container.
    """

    directory: Path
    settings: StackSettings
    upstreams: Mapping[Service, int]
    ports: Mapping[int, int]
    log: Path
    key: str = GATEWAY.key

    @property
    def url(self) -> str:
        return f"https://localhost:{self.ports[GATEWAY_HTTPS]}"

    def session(self) -> requests.Session:
        made = requests.Session()
        # A bundle named in the environment would win.
        made.trust_env = False
        made.verify = str(self.directory / "authority.pem")
        return made

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.request("GET", path, **options)

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        with self.session() as session:
            return session.request(method, f"{self.url}{path}", timeout=10, allow_redirects=False, **options)

    def write(self, settings: StackSettings | None = None) -> None:
        """Write the files as the program does; the Caddyfile last."""
        self.settings = settings or self.settings
        for path, text in self.files().items():
            (self.directory / path).parent.mkdir(exist_ok=True)
            (self.directory / path).write_text(text)
        new = self.directory / "Caddyfile.new"
        new.write_text(self.caddyfile())
        new.rename(self.directory / "Caddyfile")

    def files(self) -> dict[str, str]:
        """What the Caddyfile names."""
        found: dict[str, str] = {}
        if (own := certificate(self.settings)) is not None:
            pem, key = render.certificate_files(own, "gateway")
            found |= {pem: own, key: self.key}
        if isinstance(self.settings.gateway.auth, BasicAuth):
            account = f"{self.settings.gateway.auth.user} {tls.password_hash(PASSWORD)}\n"
            found |= {pages.ACCOUNTS_FILE: account, pages.KNOWN_FILE: "0123456789abcdef"}
        return found

    def caddyfile(self) -> str:
        """The Caddyfile with places of this machine instead of those in the container and its network."""
        topology = plan(self.settings)
        text = render.caddyfile(self.settings, topology, certificate(self.settings))
        text = text.replace(f"{pages.CONFIG_DIR}/", f"{self.directory}/")
        text = re.sub(r"storage file_system \S+", f"storage file_system {self.directory}/data", text)
        for service, port in self.upstreams.items():
            (endpoint,) = topology.endpoints(service)
            text = text.replace(endpoint, f"127.0.0.1:{port}")
        for inside, outside in self.ports.items():
            text = re.sub(rf"(:|http_port |https_port ){inside}\b", rf"\g<1>{outside}", text)
        return text

    def lines(self) -> list[dict[str, Any]]:
        """What it logged."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]


@contextmanager
def gateway(directory: Path, settings: StackSettings, upstreams: Mapping[Service, int]) -> Iterator[Caddy]:
    """Run the gateway of some settings, whose host must be localhost, before servers on loopback."""
    inside = (GATEWAY_HTTPS, GATEWAY_HTTP, CONTAINER_PORTS[Service.GATEWAY], 9181)
    log = directory / "log"
    made = Caddy(directory, settings, upstreams, {port: free_port() for port in inside}, log)
    (directory / "authority.pem").write_text(AUTHORITY.certificate)
    made.write()
    with log.open("w") as output:
        process = subprocess.Popen(
            [binary(), "run", "--config", "Caddyfile", "--watch"],
            cwd=directory,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={"HOME": str(directory), "PATH": os.environ["PATH"]},
        )
        try:
            _await(made, process)
            yield made
        finally:
            # Asked to end it would wait for connections that clients keep.
            process.kill()
            process.wait(30)
            shutil.rmtree(directory / "data", ignore_errors=True)


def _await(made: Caddy, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            requests.get(f"http://127.0.0.1:{made.ports[9181]}/health", timeout=2).raise_for_status()
        except requests.RequestException:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"Caddy doesn't start:\n{made.log.read_text()}")


def served_certificate(port: int) -> str:
    """The certificate that a server shows, in PEM."""
    return ssl.get_server_certificate(("localhost", port))
