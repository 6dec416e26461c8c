"""Network namespaces of the tests' own, and a scan of ports out of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

EVERY_PORT = range(1, 65_536)
_SCANNER = str(Path(__file__).with_name("scanner.py"))


def _run(*words: str, text: str | None = None) -> str:
    result = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{' '.join(words)}: {result.stderr}"
    return result.stdout


@contextmanager
def namespaces(*names: str) -> Iterator[None]:
    """Make network namespaces, and remove them; skip, with the reason, where that can't be done."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces take root and iproute2: nothing was scanned")
    for name in names:
        with suppress(AssertionError):
            _run("ip", "netns", "delete", name)
    try:
        for name in names:
            made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
            if made.returncode != 0:
                pytest.skip(f"no network namespace can be made here: {made.stderr.strip()}")
            within(name, "ip", "link", "set", "lo", "up")
        yield
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


def within(namespace: str | None, *words: str, text: str | None = None) -> str:
    """Run a command in a namespace, or in the machine's own; what it printed."""
    return _run(*(("ip", "netns", "exec", namespace) if namespace else ()), *words, text=text)


def connect(one: tuple[str | None, str], other: tuple[str, str], addresses: Sequence[Sequence[str]]) -> None:
    """Join two namespaces by a cable.

    Args:
        one: namespace, or None for the machine's own, and name of its end.
        other: the same for the other end.
        addresses: of each end, with their networks.
    """
    (namespace, device), (peer, peer_device) = one, other
    _run("ip", "link", "add", device, "type", "veth", "peer", "name", peer_device, "netns", peer)
    if namespace is not None:
        _run("ip", "link", "set", device, "netns", namespace)
    for where, end, given in zip((namespace, peer), (device, peer_device), addresses, strict=True):
        for address in given:
            options = ["nodad"] if ":" in address else []
            within(where, "ip", "address", "add", address, "dev", end, *options)
        within(where, "ip", "link", "set", end, "up")


def _scanner(namespace: str | None, *words: str) -> list[str]:
    prefix = ["ip", "netns", "exec", namespace] if namespace else []
    return [*prefix, sys.executable, _SCANNER, *words]


@contextmanager
def listening(namespace: str | None, ports: Iterable[int]) -> Iterator[None]:
    """Something that listens at all addresses of a namespace."""
    words = _scanner(namespace, "listen", *(str(port) for port in ports))
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "listening\n"
            yield
        finally:
            process.terminate()


def open_ports(namespace: str, target: str, ports: Iterable[int], source: str = "") -> set[int]:
    """TCP ports of an address that accept a connection from a namespace.

    Args:
        namespace: who scans.
        target: the address.
        ports: which are tried.
        source: an address of the namespace; "" for the one that its routes choose.
    """
    return _asked(namespace, target, ports, source, "tcp")


def echoing_ports(namespace: str, target: str, ports: Iterable[int], source: str = "") -> set[int]:
    """UDP ports at which `listening` answers."""
    return _asked(namespace, target, ports, source, "udp")


def _asked(namespace: str, target: str, ports: Iterable[int], source: str, protocol: str) -> set[int]:
    wanted = json.dumps({"target": target, "source": source, "ports": list(ports)})
    result = subprocess.run(
        _scanner(namespace, protocol), input=wanted, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return set(json.loads(result.stdout))
