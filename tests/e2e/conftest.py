"""One stack for all end-to-end tests, and the reasons why there may be none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException

from components.docker_host import BUILT
from components.images import DEFAULT_REFERENCES, Service
from components.settings import Secret
from tests.support import secret_values, stack_secrets
from tests.support.platform import CLI, Platform, running

# Fixtures whose stack several files share. One process makes and removes it: all that use it must run there.
STACKS = ("engine", "platform")
NEEDED = (*(s for s in Service if s not in BUILT), *(set(DEFAULT_REFERENCES) - set(Service)))


# Before pytest-xdist reads the marks.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring the tests of a stack together.

    Raises:
        pytest.UsageError: a test is in two groups. It would run in a process of its own, with a second stack
            of the same name.
    """
    for item in items:
        if stack := next((name for name in STACKS if name in getattr(item, "fixturenames", ())), None):
            item.add_marker(pytest.mark.xdist_group(stack))
        groups = {mark.args[0] for mark in item.iter_markers("xdist_group")}
        if len(groups) > 1:
            raise pytest.UsageError(f"{item.nodeid} is in several groups: {', '.join(sorted(groups))}")


@pytest.fixture(scope="session")
def docker_ready() -> None:
    """Skip, with the reason, where there is no daemon or an image is missing."""
    try:
        client = docker.from_env()
        client.ping()
    except DockerException as error:
        pytest.skip(f"no Docker daemon answers ({type(error).__name__}); make test starts one")
    missing = [DEFAULT_REFERENCES[key] for key in NEEDED if not client.images.list(DEFAULT_REFERENCES[key])]
    if missing:
        pytest.skip(f"images are missing: {', '.join(missing)}; make test gets or builds them")


@pytest.fixture(scope="session")
def cli() -> None:
    """Skip where there is no Pulumi CLI."""
    if CLI is None:
        pytest.skip("the Pulumi CLI is not on PATH: nothing of this was seen with the real engine")


@pytest.fixture(scope="session")
def platform(docker_ready: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A running stack, made with the CLI where there is one; torn down at the end."""
    yield from running(Platform("e2e", tmp_path_factory.mktemp("e2e")))


@pytest.fixture(scope="session")
def engine(docker_ready: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A stack whose settings tests change; Grafana takes its administrator's password at its first start."""
    password = stack_secrets.encrypted({Secret.GRAFANA_ADMIN_PASSWORD: secret_values.ADMIN_PASSWORD})
    made = Platform("engine", tmp_path_factory.mktemp("engine"), offset=11_000, changes={**password})
    yield from running(made)


@pytest.fixture
def calm(platform: Platform) -> Iterator[Platform]:
    """The running stack without faults, and with empty sinks."""
    platform.control.clear()
    platform.control.clear_hooks()
    platform.control.clear_mail()
    yield platform
    platform.control.clear()


@pytest.fixture
def fresh(tmp_path: Path, worker_id: str) -> Iterator[Platform]:
    """A stack of which nothing exists yet, with names and ports of this worker's own."""
    worker = int(worker_id.removeprefix("gw")) if worker_id != "master" else 0
    made = Platform(f"faults{worker}", tmp_path, offset=13_000 + 100 * worker)
    made.destroy()
    made.start_lab()
    try:
        yield made
    finally:
        made.destroy()
