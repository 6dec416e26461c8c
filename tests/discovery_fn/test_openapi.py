"""The service keeps what its OpenAPI document promises, before anything is known and after all is."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import schemathesis
from fastapi import FastAPI
from schemathesis import engine
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events
from schemathesis.engine.recorder import CheckNode
from schemathesis.python.asgi import shutdown_lifespans

from discovery_fn.app import create_app
from tests.support import hypothesis_profile

hypothesis_profile.load()

# Schemathesis' own settings: the same requests in every run, nothing kept, all checks.
CONFIG = {
    "seed": 1,
    "workers": 1,
    "continue-on-failure": True,
    "generation": {"deterministic": True, "database": "none", "max-examples": 20},
    # 503 is an answer that the document promises, wherever it does.
    "checks": {"not_a_server_error": {"expected-statuses": ["2xx", "3xx", "4xx", 503]}},
}
CHECKS = {
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "positive_data_acceptance",
    "unsupported_method",
}
TARGETS = {f"GET /targets{name}" for name in ("", "/windows", "/linux", "/nodes", "/gpu", "/pve")}
OTHERS = {"GET /guests", "GET /", "GET /healthz", "GET /readyz", "GET /metrics"}


@dataclass
class Findings:
    """What Schemathesis checked, what failed, and the statuses that it got from each operation."""

    checks: set[str] = field(default_factory=set)
    failures: set[str] = field(default_factory=set)
    errors: list[object] = field(default_factory=list)
    statuses: defaultdict[str, set[int]] = field(default_factory=lambda: defaultdict(set))

    def add(self, event: events.EngineEvent) -> None:
        if isinstance(event, events.ScenarioFinished):
            record = event.recorder
            answers = [call.response for call in record.interactions.values()]
            self.statuses[record.label] |= {answer.status_code for answer in answers if answer is not None}
            done = [check for checks in record.checks.values() for check in checks]
            self.checks |= {check.name for check in done}
            self.failures |= {f"{record.label}: {_text(check)}" for check in done if check.failure_info}
        elif isinstance(event, events.NonFatalError | events.FatalError):
            self.errors.append(event)


def _text(check: CheckNode) -> str:
    failure = check.failure_info.failure if check.failure_info else None
    return f"{check.name}: {failure}"


def examine(app: FastAPI) -> Findings:
    config = SchemathesisConfig.from_dict(CONFIG)
    document = schemathesis.openapi.from_asgi("/openapi.json", app, config=config)
    found = Findings()
    for event in engine.from_schema(document).execute():
        found.add(event)
    return found


@pytest.fixture(autouse=True)
def _leave_nothing_behind() -> Iterator[None]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    yield
    shutdown_lifespans()
    root.handlers[:], _ = before
    root.setLevel(before[1])


def check(found: Findings, expected: Mapping[str, tuple[int, ...]]) -> None:
    assert found.failures == set()
    assert found.errors == []
    assert found.checks >= CHECKS
    # Methods that don't exist are tried, too.
    assert found.statuses == {operation: {*statuses, 405} for operation, statuses in expected.items()}


def test_before_anything_is_known(kit: Any) -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("Connection refused")

    app = create_app(kit.settings(), kit.in_memory(refuse))
    check(examine(app), dict.fromkeys(OTHERS, (200,)) | dict.fromkeys(TARGETS | {"GET /readyz"}, (503,)))


def test_when_all_is_known(kit: Any) -> None:
    cluster = kit.FakeCluster().add(
        kit.Vm(101, ostype="win11", name="\u2028<b>\x00"), kit.Vm(102), kit.Vm(103, config={"agent": "0"})
    )
    cluster.agent_seconds = cluster.call_seconds = 0.001
    app = create_app(kit.settings(), kit.in_memory(cluster))
    schemathesis.openapi.from_asgi("/openapi.json", app)  # starts the service
    deadline = time.monotonic() + 10
    while not app.state.refresher.inventory.complete:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    check(examine(app), dict.fromkeys(OTHERS, (200,)) | dict.fromkeys(TARGETS, (200, 304)))
