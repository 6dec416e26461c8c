"""A Prometheus for the time of a drawing: its binaries, its data, its process."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import requests
from docker.errors import DockerException, ImageNotFound

from components.images import DEFAULT_REFERENCES, Service
from lab.images.errors import ImageError
from lab.images.programs import take_out

_NAMES = ("prometheus", "promtool")
_START_TIMEOUT_S = 30
_STOP_TIMEOUT_S = 30
_QUERY_TIMEOUT_S = 120
_IMPORT_TIMEOUT_S = 300
# promtool reads the whole text once for each block that it makes.
_ONE_BLOCK = "--max-block-duration=1d"


class PrometheusError(Exception):
    """Prometheus or promtool can't be had or doesn't do its work; the message says why and what to do."""


@dataclass(frozen=True)
class Binaries:
    """Where the two programs are."""

    prometheus: Path
    promtool: Path


def binaries(cache: Path) -> Binaries:
    """Find both programs on PATH, else take them out of the pinned image, which the daemon has to have.

    Args:
        cache: folder that keeps what was taken out of the image.

    Raises:
        PrometheusError: there is neither.
    """
    found = [shutil.which(name) for name in _NAMES]
    if all(found):
        return Binaries(*(Path(str(path)) for path in found))
    reference = DEFAULT_REFERENCES[Service.PROMETHEUS]
    try:
        return Binaries(*take_out(docker.from_env(), reference, [f"/bin/{name}" for name in _NAMES], cache))
    except ImageNotFound as error:
        raise PrometheusError(_MISSING.format(why=f"this machine has no image {reference}")) from error
    except ImageError as error:
        raise PrometheusError(str(error)) from error
    except DockerException as error:
        raise PrometheusError(_MISSING.format(why=f"no Docker daemon answers ({error})")) from error


_MISSING = (
    "prometheus and promtool aren't on PATH, and {why}. Install Prometheus (both programs), or run `make up` "
    "once: it gets or builds the image that they are taken from"
)


def import_openmetrics(programs: Binaries, text: Path, data: Path) -> None:
    """Make blocks of an OpenMetrics file.

    Raises:
        PrometheusError: promtool refuses it.
    """
    _promtool(
        programs, ["tsdb", "create-blocks-from", "openmetrics", "--quiet", _ONE_BLOCK, str(text), str(data)]
    )


def import_rules(
    programs: Binaries, url: str, files: Sequence[Path], span: tuple[int, int], data: Path
) -> None:
    """Make blocks of recording rules, evaluated over what a running Prometheus has.

    Raises:
        PrometheusError: promtool can't evaluate them.
    """
    start, end = span
    words = ["tsdb", "create-blocks-from", "rules", f"--start={start}", f"--end={end}", f"--url={url}"]
    _promtool(programs, [*words, f"--output-dir={data}", *map(str, files)])


def _promtool(programs: Binaries, words: list[str]) -> None:
    result = subprocess.run(
        [str(programs.promtool), *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=_IMPORT_TIMEOUT_S,
    )
    # It reports rules that it can't evaluate, and still ends well.
    if result.returncode != 0 or "err=" in result.stderr or "failed" in result.stderr:
        raise PrometheusError(
            f"promtool {' '.join(words[:3])} failed:\n{(result.stdout + result.stderr)[-2000:]}"
        )


@contextmanager
def serving(
    programs: Binaries, data: Path, lookback: int, log: Path, options: Sequence[str] = ()
) -> Iterator[str]:
    """Serve blocks on a free port of the loopback interface; yields the URL.

    Args:
        programs: Prometheus's own.
        data: folder of the blocks; Prometheus writes there too.
        lookback: seconds after a sample during which it counts as the present value.
        log: file that takes what it says.
        options: more of Prometheus' own.

    Raises:
        PrometheusError: it doesn't come up.
    """
    config = data.parent / "prometheus.yml"
    config.write_text("scrape_configs: []\n", "utf-8")
    port = _free_port()
    words = [
        str(programs.prometheus),
        f"--config.file={config}",
        f"--storage.tsdb.path={data}",
        # Blocks of the past are what this is about.
        "--storage.tsdb.retention.time=100y",
        f"--query.lookback-delta={lookback}s",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
        *options,
    ]
    url = f"http://127.0.0.1:{port}"
    with running(words, url, log):
        yield url


@contextmanager
def running(words: Sequence[str], url: str, log: Path, patience: float = _START_TIMEOUT_S) -> Iterator[int]:
    """Run a Prometheus for the time of the block; yields the number of its process once it is ready.

    Args:
        words: the program and its options.
        url: where it answers.
        log: file that takes what it says.
        patience: seconds that it may take to be ready.

    Raises:
        PrometheusError: it doesn't come up.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(words, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    try:
        _await(url, process, log, patience)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await(url: str, process: subprocess.Popen[bytes], log: Path, patience: float) -> None:
    deadline = time.monotonic() + patience
    while not _ready(url):
        if process.poll() is not None or time.monotonic() > deadline:
            raise PrometheusError(f"Prometheus doesn't come up:\n{log.read_text('utf-8', 'replace')[-2000:]}")
        time.sleep(0.05)


def _ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/-/ready", timeout=5).ok
    except requests.RequestException:
        return False


def query_range(url: str, expression: str, span: tuple[int, int], step: int) -> list[dict[str, Any]]:
    """The result of a range query: a list of {"metric": …, "values": [[time, text], …]}.

    Raises:
        PrometheusError: Prometheus refuses the query.
    """
    start, end = span
    parameters: dict[str, str | int] = {"query": expression, "start": start, "end": end, "step": step}
    return _query(
        lambda: requests.post(f"{url}/api/v1/query_range", data=parameters, timeout=_QUERY_TIMEOUT_S)
    )


def _query(ask: Callable[[], requests.Response]) -> list[dict[str, Any]]:
    try:
        document = ask().json()
    except (requests.RequestException, ValueError) as error:
        raise PrometheusError(f"Prometheus gives no answer: {error}") from error
    if document.get("status") != "success":
        raise PrometheusError(f"Prometheus refuses a query: {document.get('error')}")
    found: list[dict[str, Any]] = document["data"]["result"]
    return found
