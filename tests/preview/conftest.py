"""What tests of the preview need, and the reasons why it may be missing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from components.settings import StackSettings
from components.topology import plan
from lab.preview import bundle, views
from lab.preview.bundle import PreviewUnavailable, Programs
from lab.preview.drawing import Source
from lab.preview.recording import prometheus
from lab.preview.recording.prometheus import Binaries, PrometheusError
from lab.preview.recording.tape import Tape, Wish, playing, tape
from ops.pictures import CACHE
from tests.support.examples import EXAMPLES, settings

STEP = 60
# Long enough for averages over five minutes, with a migration between hosts in it.
HOURS = 0.7
DASHBOARDS = Path(__file__).parent / "dashboards"

Fixture = Callable[[str], Path]


@pytest.fixture(scope="session")
def stack() -> StackSettings:
    """The development stack, scraped once a minute."""
    found = settings(EXAMPLES["dev"])
    slower = found.prometheus.model_copy(update={"scrape_interval": f"{STEP}s"})
    return found.model_copy(update={"prometheus": slower})


@pytest.fixture(scope="session")
def wish(stack: StackSettings) -> Wish:
    """A short recording, with every metric that the dashboards read."""
    rendered = sorted(Path("dashboards/rendered").resolve().glob("*.json"))
    return Wish(
        settings=stack,
        topology=plan(stack),
        end=views.NOW,
        hours=HOURS,
        scenes=views.SCENES,
        read=tuple(path.read_text("utf-8") for path in (*rendered, *DASHBOARDS.glob("*.json"))),
    )


@pytest.fixture(scope="session")
def binaries() -> Binaries:
    """Skip where Prometheus can't be had."""
    try:
        return prometheus.binaries(CACHE / "bin")
    except PrometheusError as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def recorded(wish: Wish, binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Tape:
    """A recording of some minutes."""
    return tape(wish, binaries, tmp_path_factory.mktemp("tapes"), lambda _: None)


@pytest.fixture(scope="session")
def source(recorded: Tape, binaries: Binaries) -> Iterator[Source]:
    """A Prometheus that serves the recording."""
    with playing(recorded, binaries, STEP) as url:
        yield Source(url=url, scrape=f"{STEP}s", now=views.NOW)


@pytest.fixture(scope="session")
def programs() -> Programs:
    """The built preview; skip where node, npm, Chromium or the packages are missing."""
    try:
        found = bundle.programs()
        bundle.ensure(found, lambda _: None)
    except PreviewUnavailable as reason:
        pytest.skip(str(reason))
    return found


@pytest.fixture
def document() -> Callable[[str], dict[str, Any]]:
    """A dashboard of tests/preview/dashboards."""

    def read(name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((DASHBOARDS / f"{name}.json").read_text("utf-8"))
        return found

    return read
