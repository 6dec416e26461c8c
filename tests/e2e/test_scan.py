"""Who reaches which port of a machine with our rule files: seen from other network namespaces."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

import pytest

from components.render import firewall, nftables
from tests.support.examples import NFTABLES, settings
from tests.support.scan import EVERY_PORT, connect, echoing_ports, listening, namespaces, open_ports, within

NFT = shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin:/bin")

# Its namespaces have fixed names: one process makes them for all tests.
pytestmark = pytest.mark.xdist_group("scan")

MACHINE, PEOPLE = "pvemon-machine", "pvemon-people"
# The machine's own addresses, and those from which it is asked.
TARGETS = {4: "10.0.0.1", 6: "fd00::1"}
SOURCES = {
    "monitoring": {4: "192.0.2.10", 6: "2001:db8::10"},
    "administrator": {4: "198.51.100.7", 6: "2001:db8:1::7"},
    "gateway": {4: "203.0.113.7", 6: "2001:db8:2::1"},
    "stranger": {4: "203.0.113.66", 6: "2001:db8:66::1"},
}
FILTERED = settings(
    {
        **NFTABLES,
        "firewall": {
            "mode": "nftables",
            "monitoring": ["192.0.2.10", "2001:db8::10"],
            "admins": ["198.51.100.0/24", "2001:db8:1::/64"],
            "gateways": ["203.0.113.7", "2001:db8:2::1"],
        },
    }
)


def ports(text: str) -> frozenset[int]:
    """A list of ports as rules have it."""
    return frozenset(int(port) for port in text.split(","))


# Hosts, guests and GPUs; Prometheus, Alertmanager, Grafana, discovery, pve-exporter.
EXPORTERS = ports(firewall.exporter_ports(FILTERED))
PLATFORM = ports(firewall.platform_ports(FILTERED))
# Of others: SSH and the API of Proxmox VE.
OTHERS = frozenset({22, 8006})
# What Docker would do: a published port leads to another one inside.
PUBLISHED, INSIDE = 9090, 19090


@pytest.fixture(scope="module")
def machine() -> Iterator[None]:
    """A machine with both rule files on which everything listens, and a cable to everybody."""
    if NFT is None:
        pytest.skip("nft isn't here (Debian package nftables): no rule was tried")
    with namespaces(MACHINE, PEOPLE):
        people = [f"{a}/{32 if v == 4 else 128}" for each in SOURCES.values() for v, a in each.items()]
        connect((MACHINE, "pvemon0"), (PEOPLE, "pvemon1"), [["10.0.0.1/32", "fd00::1/128"], people])
        for namespace, device in ((MACHINE, "pvemon0"), (PEOPLE, "pvemon1")):
            within(namespace, "ip", "route", "add", "default", "dev", device)
            within(namespace, "ip", "-6", "route", "add", "default", "dev", device)
        with listening(MACHINE, [*EXPORTERS, *PLATFORM, *OTHERS, INSIDE]):
            assert reached("stranger") == EXPORTERS | PLATFORM | OTHERS, "nothing is filtered yet"
            for text in nftables.files(FILTERED).values():
                loaded = subprocess.run(
                    ["ip", "netns", "exec", MACHINE, NFT, "-f", "-"],
                    input=text,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                if "Operation not permitted" in loaded.stderr:
                    pytest.skip("nft may not ask this kernel: no rule was tried")
                assert loaded.returncode == 0, loaded.stderr
            yield


def reached(who: str, version: int = 4) -> set[int]:
    """Ports that somebody reaches."""
    known = sorted(EXPORTERS | PLATFORM | OTHERS)
    return open_ports(PEOPLE, TARGETS[version], known, SOURCES[who][version])


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(
    ("who", "wanted"),
    [
        ("monitoring", EXPORTERS),
        ("administrator", PLATFORM),
        ("gateway", PLATFORM),
        ("stranger", frozenset[int]()),
    ],
)
@pytest.mark.usefixtures("machine")
def test_everybody_reaches_what_is_theirs(who: str, wanted: frozenset[int], version: int) -> None:
    assert reached(who, version) == wanted | OTHERS


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("version", [4, 6])
def test_what_is_no_tcp_is_nobodys_business(version: int) -> None:
    """Corosync, say: without its packets (UDP) members don't see each other any more."""
    found = echoing_ports(PEOPLE, TARGETS[version], sorted(EXPORTERS | OTHERS), SOURCES["stranger"][version])
    assert found == EXPORTERS | OTHERS


@pytest.mark.usefixtures("machine")
def test_a_stranger_finds_no_other_way_in() -> None:
    """Everything that listens there but what others have is shut."""
    found = open_ports(PEOPLE, TARGETS[4], EVERY_PORT, SOURCES["stranger"][4])
    assert found == OTHERS | {INSIDE}


@pytest.mark.usefixtures("machine")
def test_the_machine_reaches_itself() -> None:
    assert open_ports(MACHINE, "127.0.0.1", sorted(EXPORTERS | PLATFORM)) == EXPORTERS | PLATFORM


@pytest.mark.usefixtures("machine")
def test_a_port_that_docker_publishes_is_filtered_before_it_is_rewritten() -> None:
    chain = f"type nat hook prerouting priority dstnat\n tcp dport {PUBLISHED} redirect to :{INSIDE}"
    rewriting = f"table ip docker {{\n chain prerouting {{\n {chain}\n }}\n }}\n"
    assert NFT is not None
    within(MACHINE, NFT, "-f", "-", text=rewriting)
    try:
        assert PUBLISHED in reached("administrator")
        assert PUBLISHED not in reached("stranger")
    finally:
        within(MACHINE, NFT, "delete", "table", "ip", "docker")
