"""What is kept of windows_exporter: a bounded number of series, however many processes and services run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from components.settings import Scrape

# Label that lives within the relabelling only.
_KEPT = "__tmp_kept"

# Three series per process, enough to tell which ones take CPU and memory; the exporter gives 22. Some are of
# interest by name: what they hold and do besides. Never windows_process_info: it has the command line, where
# passwords stand.
_OF_ALL = "windows_process_(cpu_time_total|working_set_private_bytes)"
_OF_NAMED = "windows_process_(handles|io_bytes_total|private_bytes|start_time_seconds_timestamp|threads)"
_BOUNDED = "windows_(process|service)_.+"

# Ten series per logical CPU that no rule and no panel reads; cpu_time_total stays.
_UNREAD = "windows_cpu_(clock_interrupts|cstate_seconds|idle_break_events|parking|processor)_.+"


def _any_of(patterns: Iterable[str]) -> str:
    # Windows doesn't tell upper from lower case in the names of programs and services.
    return f"(?i:{'|'.join(patterns)})"


def _kept(regex: str, *source_labels: str) -> dict[str, Any]:
    return {
        "source_labels": ["__name__", *source_labels],
        "regex": regex,
        "target_label": _KEPT,
        "replacement": "yes",
    }


def metric_relabelings(scrape: Scrape) -> list[dict[str, Any]]:
    """The metric_relabel_configs of the job: about 900 series for 16 vCPUs and 150 processes.

    What has the mark is kept; a family of processes or services that a later version of the exporter adds is
    bounded like the others.
    """
    marks = [_kept(_OF_ALL)]
    if scrape.windows_processes:
        marks.append(_kept(f"{_OF_NAMED};{_any_of(scrape.windows_processes)}", "process"))
    if scrape.windows_services:
        marks.append(_kept(f"windows_service_.+;{_any_of(scrape.windows_services)}", "name"))
    return [
        *marks,
        {"source_labels": [_KEPT, "__name__"], "regex": f";{_BOUNDED}", "action": "drop"},
        {"source_labels": ["__name__"], "regex": _UNREAD, "action": "drop"},
        {"regex": _KEPT, "action": "labeldrop"},
    ]
