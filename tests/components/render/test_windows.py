"""What is kept of windows_exporter, with the pages of the simulated cluster and relabelling in Python."""

from __future__ import annotations

from collections import Counter

import pytest

from components.render.windows import metric_relabelings
from components.settings import Scrape
from dashboards import DASHBOARDS
from lab.cluster.build import build
from lab.cluster.exporters import windows
from lab.cluster.exporters.windows_processes import processes
from lab.cluster.model import Guest
from lab.cluster.settings import Settings
from lab.cluster.state import Lab
from lab.preview.recording.exposition import labels_of, names_in
from lab.preview.recording.jobs import Labels, relabelled
from tests.support.examples import ROOT
from tests.support.promql import catalogue

NOW = 1_768_391_400.0
SIZES = Settings(hosts=5, guests=100, oddities=0)
LAB = Lab(build(SIZES), SIZES, clock=lambda: NOW)
GUESTS = [guest for guest in LAB.cluster.guests if guest.os == "windows" and guest.running]
NAMED_FAMILIES = {"cpu_time_total", "working_set_private_bytes", "handles", "io_bytes_total", "private_bytes"}


def kept(guest: Guest, **scrape: tuple[str, ...]) -> list[Labels]:
    lines = windows.render(LAB, guest, NOW).splitlines()
    series = [labels_of(line.rpartition(" ")[0]) for line in lines if not line.startswith("#")]
    rules = metric_relabelings(Scrape(**scrape))
    return [labels for one in series if (labels := relabelled(one, rules)) is not None]


def of_service(name: str) -> Labels | None:
    rules = metric_relabelings(Scrape(windows_services=("mssql.*",)))
    return relabelled({"__name__": "windows_service_state", "name": name, "state": "running"}, rules)


def families(series: list[Labels], process: str) -> set[str]:
    found = {one["__name__"] for one in series if one.get("process") == process}
    return {name.removeprefix("windows_process_") for name in found}


def test_the_simulated_guests_run_as_many_processes_as_real_ones() -> None:
    counts = [len(processes(guest)) for guest in GUESTS]
    assert min(counts) >= 80
    assert max(counts) <= 150
    assert max(counts) - min(counts) > 30


def test_a_guest_has_at_most_1200_series_and_twice_as_many_at_the_exporter() -> None:
    for guest in GUESTS:
        assert len(kept(guest)) <= 1200, guest.name
        assert windows.render(LAB, guest, NOW).count("\n") > 2000


def test_every_process_is_there_by_what_it_takes_and_the_named_ones_by_more() -> None:
    guest = next(guest for guest in GUESTS if guest.name == "win-sql01")
    found = kept(guest)
    assert families(found, "svchost") == {"cpu_time_total", "working_set_private_bytes"}
    assert families(found, "sqlservr") > NAMED_FAMILIES
    by_number = Counter(one.get("process_id") for one in found if one["__name__"].endswith("_private_bytes"))
    assert len(by_number) == len(processes(guest))


def test_names_are_expressions_in_any_case_that_fit_as_a_whole() -> None:
    guest = next(guest for guest in GUESTS if guest.name == "win-sql01")
    found = kept(guest, windows_processes=("SQL.*", "svc"))
    assert "threads" in families(found, "sqlservr")
    assert "threads" not in families(found, "svchost")
    assert "threads" not in families(kept(guest, windows_processes=()), "sqlservr")


def test_command_lines_are_never_kept_and_no_mark_stays() -> None:
    found = kept(GUESTS[0], windows_processes=(".*",))
    assert not any("cmdline" in one for one in found)
    assert not any(name.startswith("__tmp") for one in found for name in one)


def test_services_are_kept_by_name_only() -> None:
    assert of_service("Spooler") is None
    assert of_service("MSSQLSERVER") is not None


@pytest.mark.parametrize("scrape", [Scrape(), Scrape(windows_processes=(), windows_services=())])
def test_whatever_a_rule_or_a_panel_reads_is_kept(scrape: Scrape) -> None:
    texts = [
        path.read_text("utf-8") for path in (ROOT / "rules").glob("*/*.yml") if "catalogue" not in str(path)
    ]
    texts += [path.read_text("utf-8") for path in (ROOT / "docs" / "runbooks").glob("*.md")]
    texts += [entry.path.read_text("utf-8") for entry in DASHBOARDS]
    read = {name for name in names_in(texts) & catalogue().keys() if name.startswith("windows_")}
    assert len(read) > 20
    rules = metric_relabelings(scrape)
    assert {name for name in read if relabelled({"__name__": name, "process": "x"}, rules) is None} == set()
