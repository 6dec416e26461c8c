"""How many samples of a page are left after metric_relabel_configs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lab.preview.recording.exposition import labels_of, samples_on
from lab.preview.recording.jobs import relabelled

Job = Mapping[str, Any]


class Kept:
    """Counts samples; which series a job keeps is worked out once for each."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self._rules = {job["job_name"]: job.get("metric_relabel_configs", []) for job in jobs}
        self._known: dict[tuple[str, str], bool] = {}

    def count(self, page: str, job: str) -> int:
        """Samples of the page that a job keeps."""
        if not self._rules.get(job):
            return samples_on(page)
        lines = (line.rpartition(" ")[0] for line in page.splitlines() if line and not line.startswith("#"))
        return sum(self._keeps(series, job) for series in lines)

    def _keeps(self, series: str, job: str) -> bool:
        key = (job, series)
        if key not in self._known:
            self._known[key] = relabelled(labels_of(series), self._rules[job]) is not None
        return self._known[key]
