"""Rule files for nftables: nft itself reads them, and loads them twice."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from components.render import firewall, nftables
from tests.support.examples import MINIMAL, NFTABLES, TWO_HOSTS, settings

NFT = shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin:/bin")


def files(**firewall_: object) -> dict[str, str]:
    return nftables.files(settings({**NFTABLES, "firewall": {**NFTABLES["firewall"], **firewall_}}))


def test_each_kind_of_machine_has_its_ports_and_its_people() -> None:
    found = files()
    assert "tcp dport != { 9100, 9182, 9835 } return" in found["exporters"]
    assert "ip saddr { 192.0.2.10 } return" in found["exporters"]
    assert "ip6 saddr { 2001:db8::10 } return" in found["exporters"]
    assert "tcp dport != { 3000, 8000, 9090, 9093, 9221 } return" in found["platform"]
    assert "ip saddr { 198.51.100.0/24 } return" in found["platform"]
    assert "ip6 saddr { 2001:db8:2::1 } return" in found["platform"]


def test_they_lock_nobody_out() -> None:
    for text in files().values():
        assert "policy accept" in text
        assert "policy drop" not in text
        # All that can be dropped is what goes to these ports.
        before, _, after = text.partition("meta l4proto != tcp return\n        tcp dport != {")
        assert after
        assert "drop" not in before.partition("table inet")[2]
        assert after.count("drop") == 1
        assert " 22" not in text
        assert "8006" not in text


def test_docker_rewrites_ports_only_after_they_were_looked_at() -> None:
    # The kernel's own priority for that is -100 (dstnat).
    assert "hook prerouting priority -150" in files()["platform"]


def test_nobody_is_kept_from_the_platform_while_nobody_is_named() -> None:
    assert set(files(admins=[], gateways=[])) == {"exporters"}


def test_a_second_docker_host_reaches_the_platform_too() -> None:
    found = nftables.files(settings(TWO_HOSTS))["platform"]
    assert "tcp dport != { 3000, 9093, 9221, 19090, 19094 } return" in found
    assert "ip saddr { 192.0.2.10, 192.0.2.20, 198.51.100.0/24 } return" in found


def test_a_file_says_where_to_put_it() -> None:
    for text in files().values():
        assert "Put it at /etc/nftables.d/pve_monitoring_" in text


def test_the_ports_are_those_of_the_settings() -> None:
    made = settings({**MINIMAL, "scrape": {"exporterPorts": {"node": 19100, "linux": 9101}}})
    assert firewall.exporter_ports(made) == "9101,9182,9835,19100"
    closed = settings({**MINIMAL, "network": {"ports": {"prometheus": None, "discovery": None}}})
    assert firewall.platform_ports(closed) == "3000,9093,9221"


@pytest.mark.parametrize("kind", ["exporters", "platform"])
def test_nft_takes_it(kind: str) -> None:
    if NFT is None:
        pytest.skip("nft isn't here (Debian package nftables): the rule files were only read as text")
    command = [NFT, "-c", "-f", "-"]
    # Twice, as when it is loaded again.
    result = subprocess.run(command, input=files()[kind] * 2, text=True, capture_output=True, check=False)
    if "Operation not permitted" in result.stderr:
        pytest.skip(
            "nft may not ask this kernel (root and CAP_NET_ADMIN): the rule files were only read as text"
        )
    assert result.returncode == 0, result.stderr
    broken = subprocess.run(
        command, input=files()[kind].replace("saddr", "sadr"), text=True, capture_output=True, check=False
    )
    assert broken.returncode != 0
