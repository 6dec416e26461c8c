"""A whole recording on disk: scraped, its rules evaluated, its alerts raised; made once, then kept."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from components.durations import seconds
from components.images import Service
from components.render.prometheus import prometheus_yml
from components.render.rule_files import rule_files
from components.settings import StackSettings
from components.topology import Topology
from lab.preview.recording import platform, prometheus, rules
from lab.preview.recording.exposition import END, Series, names_in, sample
from lab.preview.recording.history import Recorder, Scene, Span
from lab.preview.recording.jobs import Target, targets
from lab.preview.recording.prometheus import Binaries
from lab.preview.recording.rules import Alert, Episode

ROOT = Path(__file__).resolve().parent.parent.parent.parent
_SOURCES = (
    "lab/cluster", "discovery_fn", "rules", "lab/preview/recording", "components/render", "Pulumi.dev.yaml",
)  # fmt: skip
_SUMMARY = "summary.json"
_KEPT = 3
_DRAFT = ".draft-"

Report = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a recording is to hold.

    Attributes:
        end: Unix seconds of its last moment.
        hours: how long it is.
        scenes: faults that happen in it.
        read: texts of PromQL that are asked of it; only what they and the rules name is kept.
    """

    settings: StackSettings
    topology: Topology
    end: int
    hours: float
    scenes: tuple[Scene, ...]
    read: tuple[str, ...]

    @property
    def step(self) -> int:
        """Seconds between two scrapes of everything."""
        return seconds(self.settings.prometheus.scrape_interval)

    @property
    def span(self) -> Span:
        """The time that is recorded."""
        return Span(int(self.end - self.hours * 3600), self.end, self.step)


@dataclass(frozen=True)
class Tape:
    """A finished recording."""

    data: Path
    summary: Mapping[str, Any]


def tape(wish: Wish, programs: Binaries, cache: Path, report: Report) -> Tape:
    """The recording that is wished for: the kept one, if nothing that it depends on has changed.

    Raises:
        lab.preview.recording.prometheus.PrometheusError: a program failed.
    """
    folder = cache / _digest(wish)[:16]
    if (folder / _SUMMARY).is_file():
        folder.touch()
        return Tape(folder / "data", json.loads((folder / _SUMMARY).read_text("utf-8")))
    cache.mkdir(parents=True, exist_ok=True)
    _forget(cache)
    # Somebody else may make the same one meanwhile: whoever is first keeps the place.
    with _draft(cache) as name:
        draft = Path(name)
        (draft / "data").mkdir()
        summary = _make(wish, programs, draft, report)
        (draft / _SUMMARY).write_text(json.dumps(summary), "utf-8")
        with contextlib.suppress(OSError):
            draft.rename(folder)
    return Tape(folder / "data", summary)


def _draft(cache: Path) -> tempfile.TemporaryDirectory[str]:
    """A folder of our own beside the finished ones."""
    return tempfile.TemporaryDirectory(prefix=_DRAFT, dir=cache, ignore_cleanup_errors=True)


@contextmanager
def playing(recorded: Tape, programs: Binaries, step: int) -> Iterator[str]:
    """Serve a recording on the loopback interface; yields the URL.

    Prometheus gets a folder of its own, with links to the recording's files: it locks its folder, and after a
    while it puts blocks together.

    Args:
        recorded: the recording.
        programs: Prometheus's own.
        step: seconds between two moments of the recording.
    """
    with _draft(recorded.data.parent.parent) as name:
        data = Path(name) / "data"
        shutil.copytree(recorded.data, data, copy_function=os.link)
        with _serving(programs, data, step) as url:
            yield url


def _digest(wish: Wish) -> str:
    """A digest of everything that a recording is made of."""
    facts = (wish.end, wish.hours, wish.scenes, sorted(names_in(wish.read)), wish.settings.model_dump_json())
    total = hashlib.sha256(repr(facts).encode())
    for path in _source_files():
        total.update(f"\n{path.relative_to(ROOT)}\n".encode())
        total.update(path.read_bytes())
    return total.hexdigest()


def _source_files() -> list[Path]:
    found: set[Path] = set()
    for name in _SOURCES:
        path = ROOT / name
        inside = path.rglob("*") if path.is_dir() else [path]
        found |= {
            file for file in inside if file.suffix in (".py", ".yml", ".yaml", ".tsv") and file.is_file()
        }
    return sorted(found)


def _forget(cache: Path) -> None:
    """Keep the latest recordings only."""
    finished = [path for path in cache.iterdir() if not path.name.startswith(_DRAFT)]
    folders = sorted(finished, key=lambda path: path.stat().st_mtime, reverse=True)
    for path in folders[_KEPT - 1 :]:
        shutil.rmtree(path, ignore_errors=True)


def _make(wish: Wish, programs: Binaries, folder: Path, report: Report) -> dict[str, Any]:
    files = rule_files(ROOT / "rules", {})
    documents = {name: yaml.safe_load(text) for name, text in files.items()}
    wanted = names_in([*wish.read, *rules.expressions(documents.values())])
    recorder = Recorder(wish.settings, wish.topology, wanted, rules.groups(documents, wish.step), wish.span)
    report("asking the simulated cluster")
    text, data = folder / "scraped.om", folder / "data"
    with text.open("w", encoding="utf-8") as out:
        summary = asyncio.run(recorder.record(out, wish.scenes))
    prometheus.import_openmetrics(programs, text, data)
    text.unlink()
    _record_rules(wish, programs, list(documents.values()), folder, report)
    _raise_alerts(wish, programs, rules.alerts(documents.values()), folder, report)
    return asdict(summary)


def _ends(span: Span) -> tuple[int, int]:
    moments = list(span)
    return moments[0], moments[-1]


def _record_rules(
    wish: Wish, programs: Binaries, documents: Sequence[rules.Document], folder: Path, report: Report
) -> None:
    found = rules.levels(documents, wish.step)
    for number, document in enumerate(found, start=1):
        report(f"recording rules, step {number} of {len(found)}")
        file = folder / f"rules-{number}.yml"
        file.write_text(yaml.safe_dump(document), "utf-8")
        with _serving(programs, folder / "data", wish.step) as url:
            prometheus.import_rules(programs, url, [file], _ends(wish.span), folder / "data")


def _serving(programs: Binaries, data: Path, step: int) -> AbstractContextManager[str]:
    """Serve blocks, looking back one step only.

    Everything lies on multiples of the step, so each moment sees its own sample and no older one: a target
    that is gone, or has other labels now, is gone at once. In a running Prometheus staleness marks do that,
    which promtool can't write.
    """
    return prometheus.serving(programs, data, step, data.parent / "prometheus.log")


def _raise_alerts(
    wish: Wish, programs: Binaries, alerts: Iterable[Alert], folder: Path, report: Report
) -> None:
    report("alerts")
    ends = _ends(wish.span)
    with _serving(programs, folder / "data", wish.step) as url:
        raised = [
            episode
            for alert in alerts
            for episode in rules.episodes(
                alert, prometheus.query_range(url, alert.expr, ends, wish.step), wish.step
            )
        ]
    text = folder / "alerts.om"
    with text.open("w", encoding="utf-8") as out:
        for line in alert_lines(raised, ends[1]):
            out.write(line)
        for line in notification_lines(raised, wish):
            out.write(line)
        out.write(END)
    prometheus.import_openmetrics(programs, text, folder / "data")


def alert_lines(raised: Iterable[Episode], end: int) -> Iterable[str]:
    """The series ALERTS as OpenMetrics."""
    for episode in raised:
        labels = {**episode.labels, "alertstate": episode.state}
        for time in episode.times:
            if time <= end:
                yield sample("ALERTS", labels, 1, str(time))


def notification_lines(raised: Sequence[Episode], wish: Wish) -> Iterable[str]:
    """What Alertmanager would say: alerts that are active, a notification for each that began or ended."""
    firing = [episode for episode in raised if episode.state == "firing"]
    active: Counter[int] = Counter(time for episode in firing for time in episode.times)
    told = [episode for episode in firing if episode.labels.get("severity") != "none"]
    changes = sorted([e.times[0] for e in told] + [e.times[-1] + wish.step for e in told])
    series = Series(names_in([platform.alertmanager_page(0, {"any": 0})]))
    target = _alertmanager(wish)
    for time in wish.span:
        sent = sum(change <= time for change in changes)
        page = platform.alertmanager_page(active[time], {"webhook": sent, "email": sent // 3})
        yield from series.lines(page, target, str(time))


def _alertmanager(wish: Wish) -> Target:
    config = yaml.safe_load(prometheus_yml(wish.settings, wish.topology))
    own = [job for job in config["scrape_configs"] if job["job_name"] == Service.ALERTMANAGER]
    return targets(own, lambda _: [])[0]
