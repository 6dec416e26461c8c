import ipaddress

import pytest

from lab.cluster.build import build
from lab.cluster.settings import Settings, load
from lab.cluster.state import Lab

from .conftest import NOW


def test_the_cast_shows_every_kind_of_guest() -> None:
    cluster = build(Settings())
    guests = cluster.guests
    assert [guest.vmid for guest in guests] == list(range(101, 113))
    assert [host.name for host in cluster.hosts] == ["pve1", "pve2", "pve3"]
    assert [len(host.gpus) for host in cluster.hosts] == [0, 0, 2]
    assert sum(g.os == "windows" and g.running for g in guests) >= 6
    assert [g.kind for g in guests].count("lxc") == 1
    assert {g.agent for g in guests} == {"ok", "none", "dead"}
    assert {g.quirk for g in guests} == {"", "zone", "apipa", "docker"}
    assert [sum(getattr(g, what) for g in guests) for what in ("template", "exporter")] == [1, 10]
    assert sum(not g.running and not g.template for g in guests) == 1
    assert sum(bool(g.away) for g in guests) == 1
    assert [(g.vmid, g.mapping) for g in guests if g.gpus] == [(102, "l40s"), (111, "")]


def test_the_largest_lab_has_an_address_for_everybody() -> None:
    cluster = build(Settings(hosts=50, guests=5000))
    assert len(cluster.guests) == 5000
    addresses = [host.address for host in cluster.hosts]
    addresses += [g.address for g in cluster.guests if not g.template]
    assert len(set(addresses)) == len(addresses)
    network = ipaddress.ip_network("10.90.0.0/16")
    assert all(ipaddress.ip_address(address) in network for address in addresses)
    macs = [nic.mac for guest in cluster.guests for nic in guest.nics]
    assert len(set(macs)) == len(macs)
    shares = {kind: sum(g.os == kind for g in cluster.guests) / 5000 for kind in ("windows", "linux")}
    assert shares["windows"] == pytest.approx(0.7, abs=0.03)


@pytest.mark.parametrize(("hosts", "guests"), [(3, 12), (3, 21), (3, 600), (50, 5000), (50, 12)])
def test_no_host_is_asked_for_more_than_it_has(hosts: int, guests: int) -> None:
    cluster = build(Settings(hosts=hosts, guests=guests))
    lab = Lab(cluster, Settings(), lambda: NOW)
    for host in cluster.hosts:
        peak = sum(g.vcpus for g in cluster.residents[host.name] if g.running) * 0.35
        assert peak < host.cpus
        assert lab.host_memory_used(host, NOW) < 0.85 * host.memory


def test_the_same_settings_build_the_same_cluster() -> None:
    assert build(Settings(guests=80)) == build(Settings(guests=80))
    assert build(Settings(guests=80)) != build(Settings(guests=80, seed=2))


def test_settings_come_from_the_environment() -> None:
    settings = load(
        {"LAB_HOSTS": "5", "LAB_GUESTS": "40", "LAB_PVE_RELEASE": "8", "LAB_AGENT_DELAY_MS": "50",
         "LAB_CLUSTER_NAME": "blue", "LAB_AUTH_DELAY": "0"}
    )  # fmt: skip
    assert settings.hosts == 5
    assert settings.guests == 40
    assert settings.version[0] == "8.4"
    assert settings.agent_delay == 0.05
    assert settings.cluster_name == "blue"
    assert settings.auth_delay == 0
    assert load({}) == Settings()


@pytest.mark.parametrize(
    ("env", "text"),
    [
        ({"LAB_HOSTS": "2"}, "LAB_HOSTS is 2; the lab carries 3 to 50"),
        ({"LAB_GUESTS": "5001"}, "LAB_GUESTS is 5001; the lab carries 12 to 5000"),
        ({"LAB_GUESTS": "601"}, "LAB_GUESTS is 601; that many need LAB_HOSTS of 4 or more"),
        ({"LAB_SEED": "x"}, "LAB_SEED is 'x', which is not int"),
        ({"LAB_PVE_RELEASE": "7"}, "LAB_PVE_RELEASE is 7; the lab plays 8 and 9"),
        ({"LAB_TLS_CERT": "/a"}, "LAB_TLS_CERT and LAB_TLS_KEY go together"),
    ],
)
def test_what_cannot_be_played_is_said(env: dict[str, str], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        load(env)
