from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import docker
import pytest
from docker.errors import APIError, DockerException

from lab.images.errors import ImageError
from lab.images.reference import parse
from lab.images.registry import RegistryRefusal, RegistryUnreachable, pull

IMAGE = "prom/prometheus:v3.13.5"


def ignore(_line: str) -> None:
    pass


def test_passes_progress_on_without_the_bars(daemon: Any) -> None:
    daemon.answers[IMAGE] = lambda _: iter(
        [
            {"status": "Pulling from prom/prometheus", "id": "v3.13.5"},
            {"status": "Downloading", "id": "aa", "progressDetail": {"current": 1, "total": 2}},
            {"status": "Pull complete", "id": "aa", "progressDetail": {}},
        ]
    )
    lines: list[str] = []

    pull(parse(IMAGE), daemon, lines.append)

    assert lines == ["v3.13.5: Pulling from prom/prometheus", "aa: Pull complete"]


@pytest.mark.parametrize(
    "text",
    [
        "manifest for prom/prometheus:v3.13.5 not found: manifest unknown: manifest unknown",
        (
            "pull access denied for a/b, repository does not exist or may require 'docker login': denied: "
            "requested access to the resource is denied"
        ),
        'failed to resolve reference "docker.io/a/b:1": docker.io/a/b:1: not found',
        "toomanyrequests: You have reached your pull rate limit.",
        'Head "https://example.com/v2/a/manifests/1": unauthorized: authentication required',
        "no matching manifest for linux/arm64/v8 in the manifest list entries",
        "error from registry: denied",
    ],
)
def test_a_definite_no_is_a_refusal(daemon: Any, text: str) -> None:
    daemon.answers[IMAGE] = lambda _: iter([{"error": text}])

    with pytest.raises(RegistryRefusal, match=text[:20]):
        pull(parse(IMAGE), daemon, ignore)


@pytest.mark.parametrize(
    "text",
    [
        'Get "https://example.com/v2/": dial tcp: lookup example.com on 192.0.2.1:53: no such host',
        'Get "https://example.com/v2/": dial tcp 192.0.2.1:443: connect: connection refused',
        'Get "https://example.com/v2/": x509: certificate signed by unknown authority',
        'Get "https://example.com/v2/": net/http: request canceled while waiting for connection',
        "error parsing HTTP 403 response body: invalid character '<' looking for beginning of value",
        "unexpected status from HEAD request to https://example.com/v2/a/manifests/1: 403 Forbidden",
        "received unexpected HTTP status: 503 Service Unavailable",
        "unexpected EOF",
    ],
)
def test_everything_in_between_is_unreachable(daemon: Any, text: str) -> None:
    daemon.answers[IMAGE] = lambda _: iter([{"error": text}])

    with pytest.raises(RegistryUnreachable, match=text[:10]):
        pull(parse(IMAGE), daemon, ignore)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (APIError("500 Server Error", explanation="manifest unknown"), RegistryRefusal),
        (APIError("500 Server Error", explanation="no such host"), RegistryUnreachable),
        (DockerException("Credentials store error"), RegistryUnreachable),
        (OSError("broken pipe"), RegistryUnreachable),
    ],
)
def test_judges_errors_that_come_before_the_stream(
    daemon: Any, error: Exception, kind: type[ImageError]
) -> None:
    def answer(_reference: str) -> Iterator[dict[str, Any]]:
        raise error

    daemon.answers[IMAGE] = answer

    with pytest.raises(kind):
        pull(parse(IMAGE), daemon, ignore)


def test_waits_for_silence_only_so_long(daemon: Any) -> None:
    over = threading.Event()

    def answer(_reference: str) -> Iterator[dict[str, Any]]:
        over.wait(30)
        yield {}

    daemon.answers[IMAGE] = answer
    before = time.monotonic()

    with pytest.raises(RegistryUnreachable, match="no answer"):
        pull(parse(IMAGE), daemon, ignore, first_answer_s=0.05)
    over.set()

    assert time.monotonic() - before < 5


def test_a_running_pull_may_take_longer_than_the_first_answer(daemon: Any) -> None:
    def answer(_reference: str) -> Iterator[dict[str, Any]]:
        yield {"status": "Pulling fs layer", "id": "aa"}
        time.sleep(0.3)
        yield {"status": "Pull complete", "id": "aa"}

    daemon.answers[IMAGE] = answer
    lines: list[str] = []

    pull(parse(IMAGE), daemon, lines.append, first_answer_s=0.1, stall_s=10)

    assert lines == ["aa: Pulling fs layer", "aa: Pull complete"]


class _Registry(BaseHTTPRequestHandler):
    """A registry on the loopback address that gives one answer to every question about an image."""

    status = 404
    content_type = "application/json"
    body = b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}'

    def do_GET(self) -> None:
        hello = self.path.rstrip("/") == "/v2"
        self.send_response(200 if hello else self.status)
        self.send_header("Content-Type", self.content_type)
        body = b"{}" if hello else self.body
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name in http.server)
        """Say nothing."""


class _Proxy(_Registry):
    status = 403
    content_type = "text/html"
    body = b"<html><h1>Blocked</h1></html>"


class _Broken(_Proxy):
    status = 503


@pytest.fixture
def engine() -> Iterator[docker.DockerClient]:
    try:
        client = docker.from_env()
        client.ping()
    except DockerException as error:
        pytest.skip(f"no Docker daemon: {error}")
    yield client
    client.close()


@pytest.mark.docker
@pytest.mark.parametrize(
    ("server", "kind"),
    [(_Registry, RegistryRefusal), (_Proxy, RegistryUnreachable), (_Broken, RegistryUnreachable)],
)
def test_understands_this_machines_daemon(
    engine: docker.DockerClient, server: type[_Registry], kind: type[ImageError]
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), server) as registry:
        threading.Thread(target=registry.serve_forever, daemon=True).start()
        try:
            with pytest.raises(kind):
                pull(parse(f"127.0.0.1:{registry.server_port}/a/b:1"), engine, ignore)
        finally:
            registry.shutdown()


@pytest.mark.docker
def test_a_closed_port_is_unreachable_for_the_daemon(engine: docker.DockerClient) -> None:
    with pytest.raises(RegistryUnreachable, match="refused"):
        pull(parse("127.0.0.1:1/a/b:1"), engine, ignore)
