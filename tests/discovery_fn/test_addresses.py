"""The choice of the address."""

from __future__ import annotations

import ipaddress
import random

import pytest

from discovery_fn.addresses import choose, choose_static, host_port
from discovery_fn.model import Interface, Nic

NICS = (Nic(0, "bc:24:11:00:00:01"), Nic(1, "bc:24:11:00:00:02"))


def face(mac: str, *addresses: str, name: str = "eth0") -> Interface:
    return Interface(name, mac, addresses)


def nic0(*addresses: str) -> Interface:
    return face("bc:24:11:00:00:01", *addresses)


def nic1(*addresses: str) -> Interface:
    return face("bc:24:11:00:00:02", *addresses, name="eth1")


def test_container_bridges_lose_against_the_macs_of_the_configuration() -> None:
    faces = [
        face("02:42:00:00:00:01", "172.17.0.1", name="docker0"),
        face("aa:00:00:00:00:01", "10.42.0.1", name="weave"),
        nic1("10.0.0.133"),
        nic0("172.16.0.143"),
    ]
    assert choose(NICS, faces) == "172.16.0.143"


def test_an_address_in_the_range_that_docker_uses_is_fine_on_a_real_network_card() -> None:
    nics = (Nic(0, "02:0c:29:00:00:01"),)
    assert choose(nics, [face("02:0c:29:00:00:01", "172.17.0.9")]) == "172.17.0.9"


def test_windows_link_local_first_with_zone_and_loopback_without_mac() -> None:
    faces = [
        face("", "::1", "127.0.0.1", name="Loopback Pseudo-Interface 1"),
        nic0("fe80::9a3c:51ff:fe0b:77aa%12", "192.0.2.101"),
    ]
    assert choose(NICS, faces) == "192.0.2.101"


@pytest.mark.parametrize(
    "bad",
    [
        "127.0.0.1",
        "169.254.7.1",
        "0.0.0.0",  # noqa: S104
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "ff02::1",
    ],
)
def test_unusable_addresses_never_win(bad: str) -> None:
    assert choose(NICS, [nic0(bad)]) == ""
    assert choose(NICS, [nic0(bad), nic1("192.0.2.9")]) == "192.0.2.9"
    assert choose((), [face("", bad)]) == ""


def test_apipa_on_the_first_card_yields_to_the_second() -> None:
    assert choose(NICS, [nic0("169.254.77.12"), nic1("198.51.100.102")]) == "198.51.100.102"


def test_order_of_network_cards_not_of_the_answer() -> None:
    assert choose(NICS, [nic1("10.0.0.1"), nic0("192.0.2.1")]) == "192.0.2.1"


def test_ipv4_before_ipv6_and_ipv6_alone_without_zone() -> None:
    assert choose(NICS, [nic0("2001:db8::5", "192.0.2.5")]) == "192.0.2.5"
    assert choose(NICS, [nic0("fe80::1%eth0", "2001:db8::5/64")]) == "2001:db8::5"
    assert choose(NICS, [nic0("::ffff:192.0.2.5")]) == "192.0.2.5"


def test_preferred_networks_win_in_their_order() -> None:
    prefer = [ipaddress.ip_network("10.9.0.0/16"), ipaddress.ip_network("198.51.100.0/24")]
    assert choose(NICS, [nic0("192.0.2.1"), nic1("198.51.100.7")], prefer) == "198.51.100.7"
    assert choose(NICS, [nic0("198.51.100.7"), nic1("10.9.0.7")], prefer) == "10.9.0.7"


def test_previous_choice_stays_while_it_is_reported() -> None:
    both = [nic0("192.0.2.10", "192.0.2.200")]
    assert choose(NICS, both) == "192.0.2.10"
    assert choose(NICS, both, previous="192.0.2.200") == "192.0.2.200"
    assert choose(NICS, [nic0("192.0.2.10")], previous="192.0.2.200") == "192.0.2.10"


def test_a_preference_beats_the_previous_choice() -> None:
    prefer = [ipaddress.ip_network("10.9.0.0/16")]
    assert choose(NICS, [nic0("192.0.2.1"), nic1("10.9.0.7")], prefer, "192.0.2.1") == "10.9.0.7"


def test_without_any_known_mac_names_decide() -> None:
    faces = [
        face("02:42:00:00:00:01", "172.17.0.1", name="docker0"),
        face("00:00:00:00:00:09", "100.64.0.1", name="tailscale0"),
        face("00:00:00:00:00:08", "192.0.2.8", name="enp1s0"),
    ]
    assert choose((), faces) == "192.0.2.8"
    assert choose((), faces[:2]) == ""


def test_static_addresses() -> None:
    nics = (Nic(0, "", ("169.254.1.1",)), Nic(1, "", ("2001:db8::1", "192.0.2.3")))
    assert choose_static(nics) == "192.0.2.3"
    assert choose_static(()) == ""


@pytest.mark.parametrize(
    ("host", "expected"), [("192.0.2.1", "192.0.2.1:9100"), ("2001:db8::1", "[2001:db8::1]:9100")]
)
def test_host_port(host: str, expected: str) -> None:
    assert host_port(host, 9100) == expected


def test_the_order_of_the_answer_never_matters() -> None:
    chance = random.Random(3)  # noqa: S311
    pool = ["192.0.2.7", "10.1.1.1", "2001:db8::9", "fe80::3%1", "127.0.0.1", "172.17.0.1", "198.51.100.3"]
    for _ in range(300):
        faces = [
            face(
                chance.choice(["", NICS[0].mac, NICS[1].mac, "02:42:0:0:0:1"]),
                *chance.sample(pool, 3),
                name="n",
            )
            for _ in range(4)
        ]
        expected = choose(NICS, faces)
        chance.shuffle(faces)
        shuffled = [Interface(f.name, f.mac, tuple(chance.sample(f.addresses, 3))) for f in faces]
        assert choose(NICS, shuffled) == expected
