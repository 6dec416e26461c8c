"""The month that dashboards are measured with."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from lab.preview.recording import prometheus
from ops.bench_blocks import UnknownBlock, moved
from ops.bench_history import DAY, END_OF_HISTORY, Intervals, Series, intervals, read_by, write_day
from ops.bench_platform import BINARIES

START = END_OF_HISTORY - DAY
EVERY = Intervals(recorded={"vm:cpu:avg5m": 3600}, scraped={"pve": 7200}, default=21_600)
FOUND = [
    Series("vm:cpu:avg5m", {"vm_id": "101"}, 0.5),
    Series("pve_up", {"job": "pve"}, 1.0),
    Series("bytes_total", {"job": "node"}, 7.5),
]


def test_each_series_has_its_own_interval() -> None:
    config = {
        "global": {"scrape_interval": "15s"},
        "scrape_configs": [{"job_name": "pve", "scrape_interval": "30s"}, {"job_name": "node"}],
    }
    groups = [{"interval": "1m", "rules": [{"record": "a"}, {"alert": "B"}]}, {"rules": [{"record": "c"}]}]
    found = intervals(config, [{"groups": groups}])
    jobs = {"a": "", "c": "", "up": "pve", "x": "node"}
    assert [found.of(Series(name, {"job": job}, 0)) for name, job in jobs.items()] == [60, 15, 30, 15]


def test_only_what_a_query_names_is_kept() -> None:
    result = [{"metric": {"__name__": name, "job": "j"}, "value": [0, "2.5"]} for name in ("up", "down")]
    assert read_by(["sum(up) > 0"], result) == [Series("up", {"job": "j"}, 2.5)]


def test_a_day_has_every_sample_and_what_is_measured_has_all_its_digits() -> None:
    out = io.StringIO()
    assert write_day(FOUND, EVERY, START, out) == 24 + 12 + 4
    lines = out.getvalue().splitlines()
    assert lines[-1] == "# EOF"
    assert lines[24] == f'pve_up{{job="pve"}} 1.0 {START}'
    assert [line.split()[1] for line in lines[36:40]] == ["7.5", "8.5", "9.5", "10.5"]
    values = [line.split()[1] for line in lines[:24]]
    assert len(set(values)) == 24
    assert min(map(len, values)) > 10


@pytest.fixture
def programs() -> prometheus.Binaries:
    try:
        return prometheus.binaries(BINARIES)
    except prometheus.PrometheusError as error:
        pytest.skip(str(error))


@pytest.fixture
def block(programs: prometheus.Binaries, tmp_path: Path) -> Path:
    text = tmp_path / "day.om"
    with text.open("w") as out:
        write_day(FOUND, EVERY, START, out)
    prometheus.import_openmetrics(programs, text, tmp_path / "first")
    return next(path for path in sorted((tmp_path / "first").iterdir()) if (path / "meta.json").is_file())


def test_a_moved_block_is_read_by_prometheus_with_the_same_samples_at_other_times(
    programs: prometheus.Binaries, block: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for number in range(2):
        moved(block, data / f"01BENCH{number:019d}", -1000 * DAY * number)
    first, last = (
        json.loads((block / "meta.json").read_text())[end] // 1000 for end in ("minTime", "maxTime")
    )
    with prometheus.serving(programs, data, 60, tmp_path / "log") as url:
        for name in ("vm:cpu:avg5m", "bytes_total"):
            ends = (first, last - 1)
            now = prometheus.query_range(url, name, ends, 3600)[0]["values"]
            before = prometheus.query_range(url, name, (ends[0] - DAY, ends[1] - DAY), 3600)[0]["values"]
            assert len(now) > 1
            assert before == [[moment - DAY, value] for moment, value in now]


def test_a_block_of_another_format_is_refused(block: Path, tmp_path: Path) -> None:
    path = block / "chunks" / "000001"
    data = bytearray(path.read_bytes())
    data[9] = 2  # the first chunk's encoding
    path.write_bytes(data)
    with pytest.raises(UnknownBlock, match="encoding 2"):
        moved(block, tmp_path / "x", 1000)
    assert not (tmp_path / "x" / "index").exists()
