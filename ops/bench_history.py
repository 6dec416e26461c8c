"""Thirty days of what dashboards read, made of what a Prometheus has now, at its own intervals."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import yaml

from components.durations import seconds
from lab.preview.recording import prometheus
from lab.preview.recording.exposition import END, merged, names_in
from lab.preview.recording.prometheus import Binaries
from ops.bench_blocks import moved

DAY = 86_400
DAYS = 30
# Midnight UTC after the last day, within what the format of blocks allows (2026-01-15).
END_OF_HISTORY = 1_768_435_200
# Values wander by this share, with all digits of a float: nothing compresses better than real measurements.
_WANDER = 0.05
_SEED = 1


@dataclass(frozen=True)
class Series:
    """A series as it was found: its name, its labels, its value."""

    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class Intervals:
    """How often a series gets a sample, in seconds: recorded ones by name, others by job."""

    recorded: Mapping[str, int]
    scraped: Mapping[str, int]
    default: int

    def of(self, series: Series) -> int:
        """The interval of one series."""
        by_name = self.recorded.get(series.name)
        return by_name or self.scraped.get(series.labels.get("job", ""), self.default)


def intervals(config: Mapping[str, Any], rules: Iterable[Mapping[str, Any]]) -> Intervals:
    """The intervals of a configuration and its rule files."""
    default = seconds(config["global"]["scrape_interval"])
    return Intervals(
        recorded={
            rule["record"]: seconds(group["interval"]) if "interval" in group else default
            for document in rules
            for group in document["groups"]
            for rule in group["rules"]
            if "record" in rule
        },
        scraped={
            job["job_name"]: seconds(job["scrape_interval"])
            for job in config["scrape_configs"]
            if "scrape_interval" in job
        },
        default=default,
    )


def read_by(queries: Iterable[str], found: Iterable[Mapping[str, Any]]) -> list[Series]:
    """Those series of an instant query's result that some query names."""
    wanted = names_in(queries)
    return [
        Series(name, {k: v for k, v in one["metric"].items() if k != "__name__"}, float(one["value"][1]))
        for one in found
        if (name := one["metric"]["__name__"]) in wanted
    ]


def make(found: Iterable[Series], every: Intervals, programs: Binaries, folder: Path) -> tuple[Path, int]:
    """Write the history; returns the folder of its blocks and how many samples a day has.

    Raises:
        lab.preview.recording.prometheus.PrometheusError: promtool fails.
    """
    text, first, data = folder / "day.om", folder / "first", folder / "data"
    data.mkdir()
    with text.open("w", encoding="utf-8") as out:
        samples = write_day(found, every, END_OF_HISTORY - DAY, out)
    prometheus.import_openmetrics(programs, text, first)
    text.unlink()
    blocks = [path for path in first.iterdir() if (path / "meta.json").is_file()]
    for day in range(DAYS):
        for number, block in enumerate(blocks):
            moved(block, data / _name(len(blocks) * day + number), -1000 * DAY * day)
    return data, samples


def write_day(found: Iterable[Series], every: Intervals, start: int, out: TextIO) -> int:
    """Write a day of each series as OpenMetrics; returns the number of samples."""
    chance = random.Random(_SEED)  # noqa: S311 - for repetition
    count = 0
    for series in found:
        interval = every.of(series)
        head = series.name + merged({}, series.labels)
        moments = range(start, start + DAY, interval)
        out.writelines(
            f"{head} {value!r} {moment}\n"
            for moment, value in zip(moments, _values(series, len(moments), chance), strict=True)
        )
        count += len(moments)
    out.write(END)
    return count


def _values(series: Series, count: int, chance: random.Random) -> Iterator[float]:
    """Counters and uptimes go up evenly, numbers of things stay, measurements wander."""
    value = series.value
    if series.name.endswith("_total") or "uptime" in series.name:
        yield from (value + number for number in range(count))
    elif value == int(value) and abs(value) < 2**31:
        yield from (value for _ in range(count))
    else:
        yield from (value * (1 + _WANDER * chance.random()) for _ in range(count))


def _name(number: int) -> str:
    """A name as Prometheus gives to blocks: an ULID, here of a number (Crockford's base 32)."""
    digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    return "01BENCH" + "".join(digits[number >> 5 * place & 31] for place in reversed(range(19)))


def rule_documents(folder: Path) -> list[dict[str, Any]]:
    """All rule files of a folder."""
    return [yaml.safe_load(path.read_text("utf-8")) for path in sorted(folder.glob("*.yml"))]
