"""The gateway before the running platform: what people open, and what they can't."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from components.images import Service
from components.topology import GATEWAY_HTTPS
from ops.stack import LAB_GATEWAY_PASSWORD
from tests.support.containers import run
from tests.support.platform import Platform, wait_for

pytestmark = pytest.mark.docker

# Where Caddy keeps the authority that it makes by itself.
_AUTHORITY = "/var/lib/caddy/pki/authorities/local/root.crt"


@pytest.fixture
def people(platform: Platform, tmp_path: Path) -> Iterator[requests.Session]:
    """A browser that trusts the gateway's authority and knows nothing else."""
    ca = tmp_path / "ca.pem"
    ca.write_text(run(platform.container(Service.GATEWAY), "cat", _AUTHORITY)[1])
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(ca)
        yield session


def test_people_see_all_pages_and_make_silences(platform: Platform, people: requests.Session) -> None:
    url = f"https://localhost:{GATEWAY_HTTPS + platform.offset}"
    assert people.get(f"{url}/login", timeout=15).status_code == 200
    assert people.get(f"{url}/api/health", timeout=15).json()["database"] == "ok"
    for service in (Service.PROMETHEUS, Service.ALERTMANAGER):
        assert people.get(f"{url}/{service}/", timeout=15).status_code == 401
    people.auth = ("monitoring", LAB_GATEWAY_PASSWORD)
    # Prometheus sends on to its own pages below the path that it doesn't see.
    start = people.get(f"{url}/prometheus/", timeout=15)
    assert (start.status_code, start.url) == (200, f"{url}/prometheus/query")
    assert people.get(f"{url}/alertmanager/", timeout=15).status_code == 200
    answer = people.get(f"{url}/prometheus/api/v1/query", params={"query": "vector(1)"}, timeout=15)
    assert answer.json()["status"] == "success"
    now = datetime.now(UTC)
    silence = {
        "matchers": [{"name": "alertname", "value": "none-of-ours", "isRegex": False, "isEqual": True}],
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(minutes=1)).isoformat(),
        "createdBy": "test",
        "comment": "made through the gateway",
    }
    made = people.post(f"{url}/alertmanager/api/v2/silences", json=silence, timeout=15)
    assert made.status_code == 200, made.text
    assert people.post(f"{url}/alertmanager/-/reload", timeout=15).status_code == 403
    assert people.post(f"{url}/prometheus/-/reload", timeout=15).status_code == 403
    log = platform.log(Service.GATEWAY)
    assert '"uri":"/alertmanager/api/v2/silences"' in log
    assert LAB_GATEWAY_PASSWORD not in log


def test_links_lead_through_the_gateway(platform: Platform) -> None:
    url = f"https://localhost:{GATEWAY_HTTPS + platform.offset}"
    (watchdog,) = wait_for(
        "the watchdog", lambda: [a for a in platform.alerts() if a["labels"]["alertname"] == "Watchdog"], 60
    )
    assert watchdog["generatorURL"].startswith(f"{url}/prometheus/graph?")
    assert watchdog["annotations"]["dashboard_url"].startswith(f"{url}/d/")


def test_the_gateway_may_do_nothing_on_its_machine(platform: Platform) -> None:
    _, text = run(platform.container(Service.GATEWAY), "cat", "/proc/1/status")
    status = {key: value for key, _, value in (line.partition(":\t") for line in text.splitlines())}
    assert status["CapBnd"] == status["CapEff"] == "0000000000000000"
    assert status["Uid"].split() == ["10002"] * 4
