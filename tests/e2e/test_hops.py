"""The platform's own services speak TLS with each other: all of it works, nobody else is let in."""

from __future__ import annotations

import itertools
import json
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from cryptography import x509

from components import pki
from components.images import Service
from components.render import tls
from components.settings import TLS_KEYS, Group, Secret
from components.topology import CONTAINER_PORTS, GATEWAY_HTTPS
from lab import trust
from ops.enroll.watch import watch_of
from ops.stack import load
from tests.support.pki import AUTHORITY, CERTIFICATES, PAIRS
from tests.support.platform import Platform, running, wait_for
from tests.support.stack_secrets import encrypted

# Those whose own port is published: the gateway's is for Prometheus alone.
ASKED = tuple(service for service in Service if service is not Service.GATEWAY)

pytestmark = [
    pytest.mark.docker,
    pytest.mark.pulumi_cli,
    pytest.mark.usefixtures("cli"),
    pytest.mark.xdist_group("hops"),
]

PASSWORD = "a-password-of-the-platform"
OURS = PAIRS[Group.PLATFORM]
WITH_PASSWORD = (Service.PROMETHEUS, Service.ALERTMANAGER, Service.DISCOVERY, Service.GRAFANA)


def changes(pair: pki.Pair) -> dict[str, Any]:
    """Settings of a stack whose own servers have this certificate; hosts and guests of the lab have none."""
    secrets = {TLS_KEYS[Group.PLATFORM]: pair.key, Secret.SCRAPE_PLATFORM_PASSWORD: PASSWORD}
    return {
        "tls": {"hosts": False, "guests": False, "platform": True},
        "pki": {**CERTIFICATES, "platform": pair.certificate},
        **encrypted(secrets),
    }


def client(user: str, password: str) -> requests.Session:
    made = trust.session(AUTHORITY.certificate)
    made.auth = (user, password)
    return made


@pytest.fixture(scope="module")
def secured(docker_ready: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    yield from running(
        Platform(
            "hops",
            tmp_path_factory.mktemp("hops"),
            offset=17_300,
            changes=changes(OURS),
            scheme="https",
            session=client(tls.USER, PASSWORD),
        )
    )


def test_everything_is_scraped_and_alerts_arrive_over_tls(secured: Platform) -> None:
    wait_for("all targets up", secured.all_up, 180)
    own = {t["scrapePool"]: t["scrapeUrl"] for t in secured.targets() if t["scrapePool"] in [*Service]}
    assert set(own) == set(Service)
    assert [url for url in own.values() if not url.startswith("https://")] == []
    assert all(t["scrapeUrl"].startswith("https://") for t in secured.targets() if "pve" in t["scrapePool"])
    beats = wait_for("a beat", lambda: secured.control.hooks("watchdog"), 60)
    assert beats[0]["body"]["commonLabels"]["alertname"] == "Watchdog"
    gateway = f"https://localhost:{GATEWAY_HTTPS + secured.offset}"
    assert beats[0]["body"]["externalURL"] == f"{gateway}/alertmanager"


@pytest.mark.parametrize("service", ASKED)
def test_plain_http_is_refused(secured: Platform, service: Service) -> None:
    port = CONTAINER_PORTS[service] + secured.offset
    try:
        answer = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10)
    except requests.ConnectionError:
        return
    assert answer.status_code == 400


@pytest.mark.parametrize("service", WITH_PASSWORD)
def test_a_missing_or_wrong_password_is_refused(secured: Platform, service: Service) -> None:
    url = f"{secured.url(service)}/metrics"
    nobody = trust.session(AUTHORITY.certificate)
    assert nobody.get(url, timeout=10).status_code == 401
    assert client(tls.USER, "wrong").get(url, timeout=10).status_code == 401
    assert secured.session.get(url, timeout=10).status_code == 200


def test_a_certificate_of_somebody_else_is_not_trusted(secured: Platform) -> None:
    other = pki.authority("somebody else", datetime.now(UTC))
    with pytest.raises(requests.exceptions.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        trust.session(other.certificate).get(secured.url(Service.PROMETHEUS), timeout=10)


def test_content_is_in_grafana_and_its_data_sources_answer(secured: Platform) -> None:
    session, url = client("admin", "lab-admin"), secured.url(Service.GRAFANA)
    found = session.get(f"{url}/api/search", params={"type": "dash-db"}, timeout=15).json()
    assert {"pve-cluster-overview", "pve-vm-detail"} <= {d["uid"] for d in found}
    for uid in ("prometheus", "alertmanager"):
        health = session.get(f"{url}/api/datasources/uid/{uid}/health", timeout=15).json()
        assert health["status"] == "OK", health
    assert session.get(f"{url}/__double/refusals", timeout=15).json()["refusals"] == []


def test_commands_find_the_password_and_the_authority_in_the_stack(secured: Platform) -> None:
    watch = watch_of(load(secured.name, secured.stack_file), None, None)
    wait_for("guests are scraped", lambda: any((watch.up() or {}).values()), 60)
    assert "guests" in secured.get(Service.DISCOVERY, "/guests")


def test_no_secret_is_in_what_docker_shows_or_in_a_list_of_processes(secured: Platform) -> None:
    names = [str(c.name) for c in secured.client.containers.list(all=True, filters={"name": secured.prefix})]
    assert len(names) == 2 * len(Service)
    secrets = (PASSWORD, OURS.key.splitlines()[1])
    for name in names:
        container = secured.client.containers.get(name)
        shown = json.dumps(container.attrs) + container.logs().decode(errors="replace")
        # Health checks come and go while the list is read.
        for _ in range(5 if container.status == "running" else 0):
            shown += json.dumps(container.top())
        assert [secret for secret in secrets if secret in shown] == [], name


def test_a_second_up_changes_nothing_and_nothing_drifts(secured: Platform) -> None:
    result = secured.up_with_cli("--refresh", "--expect-no-changes")
    assert result.returncode == 0, result.stdout + result.stderr


def serial(platform: Platform, service: Service) -> int:
    port = CONTAINER_PORTS[service] + platform.offset
    text = ssl.get_server_certificate(("127.0.0.1", port), timeout=10)
    return x509.load_pem_x509_certificate(text.encode()).serial_number


def started(platform: Platform, service: Service) -> str:
    return str(platform.container(service).attrs["State"]["StartedAt"])


def test_a_renewed_certificate_is_shown_without_a_restart(secured: Platform) -> None:
    kept = (Service.PROMETHEUS, Service.ALERTMANAGER)
    before = {service: started(secured, service) for service in kept}
    begun = time.time()
    names = [Group.PLATFORM.server_name, "localhost", "127.0.0.1"]
    renewed = pki.issue(AUTHORITY, names, datetime.now(UTC))
    secured.write_config(**changes(renewed))
    result = secured.up_with_cli()
    assert result.returncode == 0, result.stdout + result.stderr
    wanted = x509.load_pem_x509_certificate(renewed.certificate.encode()).serial_number
    assert {service: serial(secured, service) for service in ASKED} == dict.fromkeys(ASKED, wanted)
    assert {service: started(secured, service) for service in kept} == before
    writer = secured.client.containers.get(f"{secured.prefix}-alertmanager-a-config-writer")
    assert "reloaded" in writer.logs().decode()
    wait_for("all targets up", secured.all_up, 60)
    _no_scrape_is_missing(secured, begun)


def _no_scrape_is_missing(secured: Platform, since: float) -> None:
    """Nobody is forgotten; those who went on answered each time, those who began anew may not have."""
    interval, span = 5.0, int(time.time() - since) + 10
    for series in secured.query(f'up{{job!~"pve-.*"}}[{span}s]'):
        times = [float(moment) for moment, _ in series["values"]]
        gaps = [later - sooner for sooner, later in itertools.pairwise(times)]
        assert max(gaps) < 2 * interval - 0.5, (series["metric"], gaps)
        if series["metric"]["job"] in ("prometheus", "alertmanager"):
            assert {value for _, value in series["values"]} == {"1"}, series
