"""The HTTP service as Prometheus and people meet it."""

from __future__ import annotations

import json
import logging
import re
import time
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from discovery_fn import logs
from discovery_fn.app import create_app

with warnings.catch_warnings():
    # Starlette would rather have httpx2, which is not what the service itself uses.
    warnings.simplefilter("ignore", DeprecationWarning)
    warnings.simplefilter("ignore", UserWarning)
    from fastapi.testclient import TestClient

# What Prometheus' http_sd asks of the header.
CONTENT_TYPE = re.compile(r'^application/json(;\s*charset="?utf-8"?)?$', re.IGNORECASE)
PATHS = ["/targets", "/targets/windows", "/targets/linux", "/targets/nodes", "/targets/gpu", "/targets/pve"]


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    yield
    root.handlers[:], _ = before
    root.setLevel(before[1])


@pytest.fixture
def cluster(kit: Any) -> Any:
    found = kit.FakeCluster().add(
        kit.Vm(101, "pve1", ostype="win11", name="<b>win</b>", tags="web"),
        kit.Vm(102, "pve2"),
        kit.Vm(103, "pve2", config={"agent": "0"}),
        kit.Vm(104, "pve2", status="stopped"),
    )
    found.agent_seconds = found.call_seconds = 0.001
    return found


def ready(service: TestClient) -> None:
    for _ in range(500):
        if service.get("/readyz").status_code == 200:
            time.sleep(0.1)  # publishing is gathered
            return
        time.sleep(0.01)
    raise AssertionError("never ready")


@pytest.fixture
def service(kit: Any, cluster: Any) -> Iterator[TestClient]:
    with TestClient(create_app(kit.settings(), kit.in_memory(cluster))) as client:
        ready(client)
        yield client


@pytest.mark.parametrize("path", PATHS)
def test_targets_are_what_prometheus_reads(service: TestClient, path: str) -> None:
    answer = service.get(path, headers={"X-Prometheus-Refresh-Interval-Seconds": "60"})
    assert answer.status_code == 200
    assert CONTENT_TYPE.match(answer.headers["content-type"])
    for group in answer.json():
        assert set(group) == {"targets", "labels"}
        assert all(isinstance(value, str) for value in group["labels"].values())
        assert all(isinstance(target, str) for target in group["targets"])


def test_who_is_where(service: TestClient) -> None:
    def found(path: str) -> list[str]:
        return [target for group in service.get(path).json() for target in group["targets"]]

    assert found("/targets") == ["10.0.0.102:9182", "10.0.0.103:9100"]
    assert found("/targets/windows") == ["10.0.0.102:9182"]
    assert found("/targets/linux") == ["10.0.0.103:9100"]
    assert found("/targets/nodes") == ["192.0.2.1:9100", "192.0.2.2:9100", "192.0.2.3:9100"]
    assert found("/targets/pve") == ["pve1.example.com", "pve2.example.com"]
    assert found("/targets/gpu") == []


def test_entity_tag(service: TestClient) -> None:
    first = service.get("/targets")
    tag = first.headers["etag"]
    assert service.get("/targets").content == first.content
    for condition in (tag, f'"x", W/{tag}', "*"):
        assert service.get("/targets", headers={"If-None-Match": condition}).status_code == 304
    assert service.get("/targets", headers={"If-None-Match": '"x"'}).status_code == 200


def test_guests_with_reasons(service: TestClient) -> None:
    answer = service.get("/guests").json()
    assert answer["complete"] is True
    assert answer["fresh"] is True
    assert {guest["vm_id"]: guest["reason"] for guest in answer["guests"]} == {
        101: "",
        102: "",
        103: "no_agent",
        104: "",
    }


def test_the_page_is_safe_to_look_at(service: TestClient) -> None:
    answer = service.get("/")
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "&lt;b&gt;win&lt;/b&gt;" in answer.text
    assert "<b>win" not in answer.text
    assert "no_agent" in answer.text
    assert "Turn on the QEMU guest agent" in answer.text


def test_health_and_metrics(service: TestClient) -> None:
    assert service.get("/healthz").json() == {"status": "alive"}
    text = service.get("/metrics").text
    assert 'pve_discovery_guests{state="monitored"} 2.0' in text
    assert 'pve_discovery_guests_unmonitored{reason="no_agent"} 1.0' in text
    assert 'pve_discovery_api_requests_total{endpoint="cluster/resources",status="200"} ' in text
    assert (
        'pve_discovery_guest_info{cluster="lab",disk_type="scsi/lvmthin",memory_gb="8",node="pve2",os="linux",'
        'reason="",tags="",target="10.0.0.103:9100",type="qemu",vcpus="4",vm_id="102",vm_name="vm102"} 1.0'
    ) in text


def test_openapi_describes_every_path(service: TestClient) -> None:
    paths = service.get("/openapi.json").json()["paths"]
    assert set(paths) == {*PATHS, "/guests", "/", "/healthz", "/readyz", "/metrics"}
    assert "503" in paths["/targets"]["get"]["responses"]


def test_a_wrong_token_at_start_leaves_the_service_up(kit: Any, cluster: Any) -> None:
    cluster.override["cluster/resources"] = lambda: kit.error(401, "Authentication failed!", b"")
    with TestClient(create_app(kit.settings(discovery_cluster="lab"), kit.in_memory(cluster))) as service:
        time.sleep(0.2)
        assert service.get("/healthz").status_code == 200
        assert service.get("/readyz").status_code == 503
        assert [group["targets"] for group in service.get("/targets/pve").json()]
        for path in PATHS[:-1]:
            answer = service.get(path)
            assert answer.status_code == 503
            assert "not reached" in answer.json()["detail"]
        assert "pve_discovery_authentication_ok 0.0" in service.get("/metrics").text
        assert "refuses the token" in service.get("/").text


def test_state_makes_it_ready_without_the_api(kit: Any, cluster: Any, tmp_path: Any) -> None:
    settings = kit.settings(discovery_state_dir=str(tmp_path))
    with TestClient(create_app(settings, kit.in_memory(cluster))) as service:
        ready(service)
        before = service.get("/targets").content
    cluster.down = {"pve1.example.com", "pve2.example.com"}
    with TestClient(create_app(settings, kit.in_memory(cluster))) as service:
        assert service.get("/readyz").status_code == 200
        assert service.get("/targets").content == before


def test_a_loop_that_ended_is_not_healthy(kit: Any, cluster: Any) -> None:
    app = create_app(kit.settings(), kit.in_memory(cluster))
    with TestClient(app) as service:
        ready(service)
        assert service.portal is not None
        service.portal.call(app.state.background.stop)
        assert service.get("/healthz").status_code == 503


def test_log_lines_of_both_forms() -> None:
    record = logging.LogRecord("discovery", logging.WARNING, "", 0, "token refused", None, None)
    record.fields = {"endpoint": "pve1:8006", "error": 'a "b"\nc'}
    line = logs.LogfmtFormatter().format(record)
    assert line.endswith(
        'level=warning logger=discovery event="token refused" endpoint=pve1:8006 error="a \\"b\\"\\nc"'
    )
    assert json.loads(logs.JsonFormatter().format(record))["error"] == 'a "b"\nc'
    assert "\n" not in line
