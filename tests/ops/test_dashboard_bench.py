"""What is made of the times that were taken, and how they are taken."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest

from ops import dashboard_bench as bench
from ops.bench_history import DAY, END_OF_HISTORY, Intervals, Series
from ops.console import OpsError
from ops.dashboard_bench import SPANS, Snapshot, Timing, slowest
from ops.grafana_queries import Query
from ops.machine import load


class _Prometheus(ThreadingHTTPServer):
    """Answers every query after a moment, and knows how many it was asked at a time."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.lock = threading.Lock()
        self.now = self.most = 0
        self.asked: list[tuple[str, dict[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: _Prometheus

    def do_POST(self) -> None:
        body = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        asked = {name: values[0] for name, values in body.items()}
        with self.server.lock:
            self.server.asked.append((self.path, asked))
            self.server.now += 1
            self.server.most = max(self.server.most, self.server.now)
        time.sleep(0.05)
        with self.server.lock:
            self.server.now -= 1
        self.send_response(400 if asked["query"] == "wrong" else 200)
        self.end_headers()
        self.wfile.write(json.dumps({"data": {"result": [{"metric": {"node": "b"}}]}}).encode())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's own name
        pass


@pytest.fixture
def prometheus() -> Iterator[_Prometheus]:
    with _Prometheus() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_slowest_three_come_longest_first() -> None:
    found = [Timing(name, seconds) for name, seconds in (("a", 1.0), ("b", 4.0), ("c", 2.0), ("d", 3.0))]
    assert [timing.name for timing in slowest(found)] == ["b", "d", "c"]


def test_six_queries_are_under_way_at_a_time(prometheus: _Prometheus) -> None:
    taken = bench._seconds(prometheus.url, SPANS[0], [Query("up", 0)] * 12)
    assert prometheus.most == 6
    assert 0.1 <= taken < 5


def test_ends_lie_on_multiples_of_the_step(prometheus: _Prometheus) -> None:
    bench._ask(prometheus.url, Query("up", 3600), DAY)
    ((path, asked),) = prometheus.asked
    assert path == "/api/v1/query_range"
    assert int(asked["end"]) == END_OF_HISTORY - 3600
    assert int(asked["end"]) - int(asked["start"]) == DAY


def test_values_of_a_label_and_a_refused_query(prometheus: _Prometheus) -> None:
    assert bench._label_values(prometheus.url, "up", "node") == ["b"]
    assert prometheus.asked[0][1]["query"] == "group by (node) (up)"
    with pytest.raises(OpsError, match="refuses wrong"):
        bench._ask(prometheus.url, Query("wrong", 0), 0)


def test_the_month_is_made_of_a_moment_when_every_rule_has_recorded() -> None:
    sizes = iter((1, 3, 3, 3, 5, 5, 5, 5, 9))
    every = Intervals({}, {}, 15)
    found = bench._complete(lambda: Snapshot([Series("up", {}, 1)] * next(sizes), every), 0.001)
    assert (len(found.found), next(sizes)) == (5, 9)


def test_a_busy_machine_is_said_to_be_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr("os.getloadavg", lambda: (0.5, 0, 0))
    assert load() == "load 0.5 on 2 CPUs"
    monkeypatch.setattr("os.getloadavg", lambda: (9.0, 0, 0))
    assert "busy" in load()
