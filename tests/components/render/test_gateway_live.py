"""The gateway as people meet it: the real Caddy with the rendered Caddyfile, before servers of the test."""

from __future__ import annotations

import contextlib
import copy
import json
import socket
import ssl
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from components import pki
from components.images import Service
from components.render import gateway_pages, tls
from components.settings import StackSettings
from components.topology import CONTAINER_PORTS, GATEWAY_HTTP, GATEWAY_HTTPS
from tests.support import caddy
from tests.support.caddy import PASSWORD, USER, Caddy, Upstream, gateway
from tests.support.examples import GATED, MINIMAL, settings
from tests.support.pki import AUTHORITY, CERTIFICATES
from tests.support.platform import PATIENCE, wait_for

Headers = Mapping[str, str]
RIGHT = (USER, PASSWORD)
BEHIND = (Service.PROMETHEUS, Service.ALERTMANAGER, Service.GRAFANA)


def configured(**values: Any) -> StackSettings:
    given = {"host": "localhost", "bindAddress": "127.0.0.1", **values}
    return settings({**MINIMAL, "pki": CERTIFICATES, "gateway": given})


@pytest.fixture
def upstreams() -> Iterator[dict[Service, Upstream]]:
    with ExitStack() as stack:
        yield {service: stack.enter_context(Upstream().running()) for service in BEHIND}


Run = Callable[..., Caddy]


@pytest.fixture
def run(upstreams: dict[Service, Upstream], tmp_path: Path) -> Iterator[Run]:
    """Starts the gateway with some of its settings."""
    with ExitStack() as stack:
        ports = {service: upstream.port for service, upstream in upstreams.items()}
        yield lambda **values: stack.enter_context(gateway(tmp_path, configured(**values), ports))


def test_pages_are_where_they_are_said_to_be_and_want_the_password(
    run: Run, upstreams: dict[Service, Upstream]
) -> None:
    served = run(httpPort=80)
    assert served.get("/d/some-dashboard").text == "ok"
    assert upstreams[Service.GRAFANA].seen[-1][1] == "/d/some-dashboard"
    for service in (Service.PROMETHEUS, Service.ALERTMANAGER):
        refused = served.get(f"/{service}/query?g0.expr=up")
        assert refused.status_code == 401
        assert refused.headers["WWW-Authenticate"] == 'Basic realm="pve-monitoring"'
        assert upstreams[service].seen == []
        assert served.get(f"/{service}/query?g0.expr=up", auth=RIGHT).status_code == 200
        method, path, headers = upstreams[service].seen[-1]
        assert (method, path) == ("GET", "/query?g0.expr=up")
        # The service doesn't get the password.
        assert "Authorization" not in headers
        assert headers["X-Forwarded-Proto"] == "https"
        assert served.get(f"/{service}").headers["Location"] == f"/{service}/"
    plain = requests.get(
        f"http://localhost:{served.ports[GATEWAY_HTTP]}/prometheus/?a=b", timeout=5, allow_redirects=False
    )
    assert (plain.status_code, plain.headers["Location"]) == (308, "https://localhost/prometheus/?a=b")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/alertmanager/-/reload"),
        ("POST", "/alertmanager//-/reload"),
        ("POST", "/alertmanager/%2D/reload"),
        ("POST", "/alertmanager/x/../-/reload"),
        ("POST", "/alertmanager/api/v2/alerts"),
        ("POST", "/prometheus/-/quit"),
        ("POST", "/prometheus/api/v1/admin/tsdb/delete_series"),
        ("POST", "/PROMETHEUS/api/v1/admin/tsdb/snapshot"),
        ("POST", "/prometheus/api/v1/write"),
        ("GET", "/prometheus/debug/pprof/heap"),
        ("GET", "/metrics"),
    ],
)
def test_what_changes_a_server_is_closed(
    closing: tuple[Caddy, dict[Service, Upstream]], method: str, path: str
) -> None:
    served, upstreams = closing
    with served.session() as session:
        # As it stands: the library would tidy the path.
        request = requests.Request(method, served.url, auth=RIGHT).prepare()
        request.url = f"{served.url}{path}"
        assert session.send(request, timeout=5).status_code == 403
    assert [path for upstream in upstreams.values() for _, path, _ in upstream.seen if "/-/" in path] == []


@pytest.fixture(scope="module")
def closing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Caddy, dict[Service, Upstream]]]:
    """One gateway for all closed paths."""
    with ExitStack() as stack:
        ups = {service: stack.enter_context(Upstream().running()) for service in BEHIND}
        ports = {service: upstream.port for service, upstream in ups.items()}
        made = configured(rateLimits={"logins": 1000})
        yield stack.enter_context(gateway(tmp_path_factory.mktemp("gateway"), made, ports)), ups


def test_silences_can_be_made_but_not_by_pages_of_others(
    run: Run, upstreams: dict[Service, Upstream]
) -> None:
    served = run()
    path = "/alertmanager/api/v2/silences"
    foreign = {"Sec-Fetch-Site": "cross-site"}
    assert served.request("POST", path, json={}, auth=RIGHT, headers=foreign).status_code == 403
    assert upstreams[Service.ALERTMANAGER].seen == []
    assert served.request("POST", path, json={}, auth=RIGHT).status_code == 200
    assert upstreams[Service.ALERTMANAGER].seen[-1][:2] == ("POST", "/api/v2/silences")


def test_answers_bear_what_browsers_need_and_nothing_of_the_server(
    run: Run, upstreams: dict[Service, Upstream]
) -> None:
    upstreams[Service.GRAFANA].answer = lambda *_: (200, {"Server": "x", "X-Powered-By": "y"}, "ok")
    served = run(httpPort=80)
    for path in ("/", "/prometheus/", "/alertmanager/-/reload"):
        headers = served.get(path).headers
        assert headers["Strict-Transport-Security"] == "max-age=63072000"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "same-origin"
        assert {"Server", "Via", "X-Powered-By", "Alt-Svc"} & set(headers) == set(), path
    assert served.get("/").headers["Content-Security-Policy"] == "frame-ancestors 'none'"
    plain = requests.get(f"http://localhost:{served.ports[GATEWAY_HTTP]}/", timeout=5, allow_redirects=False)
    assert "Server" not in plain.headers


def test_only_tls_1_2_and_newer_is_spoken(run: Run) -> None:
    served = run()
    context = ssl.create_default_context(cadata=AUTHORITY.certificate)
    with warnings.catch_warnings():
        # That it is old is the point.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    address = ("127.0.0.1", served.ports[GATEWAY_HTTPS])
    with socket.create_connection(address, 5) as raw, pytest.raises(ssl.SSLError):
        context.wrap_socket(raw, server_hostname="localhost")


def test_guessing_ends_in_429_and_who_knows_the_password_goes_on(run: Run) -> None:
    served = run()
    with served.session() as known:
        assert known.get(f"{served.url}/prometheus/", auth=RIGHT, timeout=5).status_code == 200
        assert [(c.secure, c.path) for c in known.cookies] == [(True, "/")]
        codes = [served.get("/prometheus/", auth=(USER, f"guess {n}")).status_code for n in range(20)]
        assert codes[:9] == [401] * 9
        assert codes[10:] == [429] * 10
        # Not even the right password is told from a wrong one now, at either page.
        refused = served.get("/alertmanager/", auth=RIGHT)
        assert refused.status_code == 429
        assert 0 < int(refused.headers["Retry-After"]) <= 61
        assert "Server" not in refused.headers
        assert known.get(f"{served.url}/prometheus/", auth=RIGHT, timeout=5).status_code == 200
        # The cookie alone opens nothing.
        assert known.get(f"{served.url}/prometheus/", timeout=5).status_code == 401


def test_logins_of_grafana_are_limited_too(run: Run) -> None:
    served = run()
    codes = [served.request("POST", "/login", json={}).status_code for _ in range(12)]
    assert codes == [200] * 10 + [429] * 2
    assert served.get("/").status_code == 200


def test_everything_is_limited_by_address(run: Run) -> None:
    served = run(rateLimits={"requests": 5})
    assert [served.get("/").status_code for _ in range(7)] == [200] * 5 + [429] * 2


def test_grafana_gets_tokens_but_no_password_that_a_browser_remembers(
    run: Run, upstreams: dict[Service, Upstream]
) -> None:
    served = run()
    browser = {"Sec-Fetch-Site": "same-origin"}
    served.get("/", auth=RIGHT, headers=browser)
    assert "Authorization" not in upstreams[Service.GRAFANA].seen[-1][2]
    served.get("/api/org", headers={"Authorization": "Bearer t", **browser})
    assert upstreams[Service.GRAFANA].seen[-1][2]["Authorization"] == "Bearer t"
    served.get("/api/serviceaccounts", auth=("admin", "x"))
    assert upstreams[Service.GRAFANA].seen[-1][2]["Authorization"].startswith("Basic ")


def test_a_large_body_is_refused(run: Run) -> None:
    served = run()
    # The answer comes while the body is still on its way, and ends the connection.
    with contextlib.suppress(requests.ConnectionError):
        served.request("POST", "/api/dashboards/db", data=b"x" * 11_000_000)
    soon("the refusal in the log", lambda: 413 in [line.get("status") for line in served.lines()])


def test_the_log_tells_who_asked_for_what_and_no_secret(run: Run, upstreams: dict[Service, Upstream]) -> None:
    upstreams[Service.GRAFANA].answer = lambda *_: (
        302,
        {"Set-Cookie": "grafana_session=secret-1", "Location": "/login/generic_oauth?state=secret-2"},
        "",
    )
    served = run()
    served.get("/public?auth_token=secret-3&code=secret-4&panel=7", cookies={"grafana_session": "secret-5"})
    served.get("/", headers={"Authorization": "Bearer secret-6", "Referer": "https://x/?token=secret-7"})
    served.get("/prometheus/?token=secret-8", auth=(USER, "secret-9"))
    served.get("/prometheus/", auth=RIGHT)
    served.get("/api/x", headers={"X-API-Key": "secret-10", "X-Grafana-Id": "secret-11"})
    lines = [line for line in served.lines() if line.get("logger", "").startswith("http.log.access")]
    assert [line["status"] for line in lines] == [302, 302, 401, 200, 302]
    assert lines[0]["request"]["uri"] == "/public?auth_token=REDACTED&code=REDACTED&panel=7"
    assert lines[0]["request"]["remote_ip"] == "127.0.0.1"
    text = served.log.read_text()
    assert "secret-" not in text
    assert PASSWORD not in text


def test_a_dead_service_is_told_without_a_secret(run: Run, upstreams: dict[Service, Upstream]) -> None:
    served = run()
    made = copy.copy(served.upstreams)
    served.upstreams = {**made, Service.PROMETHEUS: caddy.free_port()}
    served.write()
    soon("the change", lambda: "config file changed" in served.log.read_text())
    answer = served.get("/prometheus/?token=secret-1", auth=RIGHT)
    assert answer.status_code == 502
    assert "Server" not in answer.headers
    assert "secret-1" not in served.log.read_text()


def test_metrics_and_health_are_inside_only(run: Run) -> None:
    served = run()
    port = served.ports[CONTAINER_PORTS[Service.GATEWAY]]
    text = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text
    assert "caddy_config_last_reload_successful 1" in text
    assert requests.get(f"http://127.0.0.1:{port}/", timeout=5).status_code == 404


@contextmanager
def asked_all_the_time(served: Caddy) -> Iterator[list[object]]:
    """Asks for a page over and over, and for one that takes its time; gives what went wrong.

    A connection of the old configuration whose request comes a moment too late is closed without an answer
    (Go's http.Server does so while it shuts down): browsers try such a request again, and so do we, but none
    that is under way.
    """
    failures: list[object] = []
    done = threading.Event()

    def ask(path: str) -> None:
        while True:
            try:
                with served.session() as session:
                    if path != "/slow":
                        session.mount("https://", HTTPAdapter(max_retries=2))
                    session.get(f"{served.url}{path}", timeout=10).raise_for_status()
            except requests.RequestException as error:
                failures.append(error)
            if done.wait(0.02):
                return

    asking = [threading.Thread(target=ask, args=(path,)) for path in ("/", "/", "/slow")]
    for thread in asking:
        thread.start()
    try:
        yield failures
    finally:
        done.set()
        for thread in asking:
            thread.join()


def test_a_renewed_certificate_and_a_new_password_are_taken_up_without_a_lost_answer(
    run: Run, upstreams: dict[Service, Upstream]
) -> None:
    def slow(path: str, _: Headers) -> tuple[int, dict[str, str], str]:
        time.sleep(3 if path == "/slow" else 0)
        return 200, {}, "ok"

    upstreams[Service.GRAFANA].answer = slow
    served = run(rateLimits={"requests": 100_000, "logins": 1000})
    port = served.ports[GATEWAY_HTTPS]
    renewed = pki.issue(AUTHORITY, ["localhost"], datetime.now(UTC))
    with asked_all_the_time(served) as failures:
        certificates = {**CERTIFICATES, "gateway": renewed.certificate}
        gateway_ = served.settings.gateway.model_dump(mode="json", by_alias=True)
        served.key = renewed.key
        served.write(settings({**MINIMAL, "pki": certificates, "gateway": gateway_}))
        soon("the certificate", lambda: caddy.served_certificate(port) == renewed.certificate)
        # A new password changes a secret file alone.
        accounts = served.directory / gateway_pages.ACCOUNTS_FILE
        accounts.write_text(f"{USER} {tls.password_hash('another')}\n")
        soon("the password", lambda: served.get("/prometheus/", auth=(USER, "another")).status_code == 200)
    assert served.get("/prometheus/", auth=RIGHT).status_code == 401
    assert failures == []


def soon(what: str, check: Callable[[], bool]) -> None:
    """Wait for 15 s, however busy the machine is."""
    wait_for(what, check, 15 / PATIENCE, 0.2)


def test_a_service_of_the_site_decides(run: Run, upstreams: dict[Service, Upstream]) -> None:
    def verdict(_: str, headers: Headers) -> tuple[int, dict[str, str], str]:
        if headers.get("Cookie") == "site=alice":
            return 200, {"Remote-User": "alice", "Other": "x"}, ""
        return 302, {"Location": "https://auth.example.com/login"}, ""

    with Upstream(verdict).running() as service:
        url = f"http://127.0.0.1:{service.port}/api/verify?rd=a"
        served = run(auth={"mode": "forward", "url": url, "headers": ["Remote-User"]})
        refused = served.get("/prometheus/graph", headers={"Remote-User": "root"})
        assert refused.headers["Location"] == "https://auth.example.com/login"
        assert upstreams[Service.PROMETHEUS].seen == []
        method, path, headers = service.seen[-1]
        assert (method, path) == ("GET", "/api/verify?rd=a")
        assert headers["X-Forwarded-Uri"] == "/prometheus/graph"
        let_in = served.get("/prometheus/graph", cookies={"site": "alice"}, headers={"Remote-User": "root"})
        assert let_in.status_code == 200
        assert upstreams[Service.PROMETHEUS].seen[-1][2]["Remote-User"] == "alice"
        # Grafana has its own login.
        assert served.get("/").status_code == 200


def test_grafanas_session_opens_the_other_pages(run: Run, upstreams: dict[Service, Upstream]) -> None:
    def user(path: str, headers: Headers) -> tuple[int, dict[str, str], str]:
        known = headers.get("Cookie") == "grafana_session=alive" and "Authorization" not in headers
        return (200 if known else 401, {}, json.dumps({"path": path}))

    upstreams[Service.GRAFANA].answer = user
    served = run(auth=GATED["gateway-oidc"]["gateway"]["auth"])
    page = {"Accept": "text/html,*/*"}
    login = served.get("/prometheus/query?g0.expr=up%2B1&x=y", headers=page)
    assert login.status_code == 302
    assert login.headers["Location"] == "/login?redirectTo=%2Fprometheus%2Fquery%3Fg0.expr%3Dup%252B1%26x%3Dy"
    stale = served.get("/prometheus/", headers=page, cookies={"grafana_session": "due"})
    assert stale.headers["Location"] == "/user/auth-tokens/rotate?redirectTo=%2Fprometheus%2F"
    assert served.get("/prometheus/api/v1/query").status_code == 401
    assert served.request("POST", "/alertmanager/api/v2/silences", json={}).status_code == 401
    token = {"Authorization": "Bearer x"}
    assert served.get("/prometheus/", headers=token).status_code == 401
    assert upstreams[Service.PROMETHEUS].seen == []
    alive = {"grafana_session": "alive"}
    assert served.get("/prometheus/api/v1/query", cookies=alive).status_code == 200
    assert upstreams[Service.GRAFANA].seen[-1][1] == "/api/user"
    assert served.request("POST", "/alertmanager/api/v2/silences", json={}, cookies=alive).status_code == 200
