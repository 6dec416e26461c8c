"""Exporters on a host and in a guest, scraped over TLS with passwords; everything is real but discovery."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import requests
from docker.errors import DockerException

from components import pki
from components.pki import Pair
from components.render.tls import Server
from components.settings import Group
from lab.images.errors import ImageBuildFailed
from tests.support.encrypted_site import INTERVAL, UNIT, EncryptedSite
from tests.support.pki import AUTHORITY, PAIRS
from tests.support.platform import wait_for

pytestmark = [
    pytest.mark.docker,
    pytest.mark.usefixtures("docker_ready"),
    pytest.mark.xdist_group("encrypted-scrapes"),
]

BOTH = (Group.HOSTS, Group.GUESTS)
PASSWORDS = {group: f"the-password-of-{group}" for group in BOTH}
UP = 'up{job=~"node|linux"}'


def server(group: Group, passwords: str | None = None, pair: Pair | None = None) -> Server:
    chosen = pair or PAIRS[group]
    return Server(certificate=chosen.certificate, key=chosen.key, passwords=passwords or PASSWORDS[group])


def signed(authority: Pair, group: Group) -> Pair:
    return pki.issue(authority, [group.server_name], datetime.now(UTC))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, docker_ready: None) -> Iterator[EncryptedSite]:
    made = EncryptedSite(tmp_path_factory.mktemp("scrapes"))
    try:
        try:
            made.start()
        except (ImageBuildFailed, DockerException) as error:
            pytest.skip(f"the machines of this test can't be made: {error}")
        for group in BOTH:
            made.install(group, server(group))
        made.tell_prometheus(AUTHORITY.certificate, PASSWORDS)
        made.start_prometheus()
        wait_for(
            "all targets", lambda: made.query(f"{UP} == 1").keys() == {"node", "linux 101", "linux 102"}, 30
        )
        yield made
    finally:
        made.close()


def test_who_has_no_password_gets_nothing(site: EncryptedSite) -> None:
    for group in BOTH:
        address = site.address(site.machines[group])
        plain = requests.get(f"http://{address}:9100/metrics", timeout=10)
        assert (plain.status_code, plain.text) == (400, "Client sent an HTTP request to an HTTPS server.\n")
        assert site.ask(group)[0] == 401
        assert site.ask(group, PASSWORDS[group])[0] == 200
    # Who has a guest's password can't read a host.
    assert site.ask(Group.HOSTS, PASSWORDS[Group.GUESTS])[0] == 401


def test_a_guest_without_tls_is_asked_without_the_password(site: EncryptedSite) -> None:
    assert site.outside is not None
    assert site.outside.asked
    assert not [headers for headers in site.outside.asked if "Authorization" in headers]
    assert site.query('plain{job="linux"}') == {"linux 102": 1}
    assert site.errors()["linux-plain"] == ""


def test_key_and_hash_are_for_the_exporter_alone(site: EncryptedSite) -> None:
    for group in BOTH:
        machine = site.machines[group]
        rights = site.sh(machine, "cd /etc/pve-monitoring && stat -c '%a %U %n' *")
        assert rights.splitlines() == [
            "444 root tls.crt",
            "400 pve-monitoring tls.key",
            "400 pve-monitoring web.yml",
        ]
        assert PASSWORDS[group] not in site.sh(machine, "grep -rs . /etc/pve-monitoring /etc/systemd/system")
        assert site.sh(machine, "ps -ww -o args= -C node_exporter || cat /proc/*/cmdline").count("$2b$") == 0


def test_a_second_run_changes_nothing(site: EncryptedSite) -> None:
    before = [site.pid(group) for group in BOTH]
    assert [site.install(group, server(group)).endswith("1.12.1: nothing to change") for group in BOTH] == [
        True,
        True,
    ]
    assert [site.pid(group) for group in BOTH] == before


def test_a_certificate_of_somebody_else_is_refused_and_told(site: EncryptedSite) -> None:
    other = signed(pki.authority("somebody else", datetime.now(UTC)), Group.GUESTS)
    site.install(Group.GUESTS, server(Group.GUESTS, pair=other))
    # Connections that are there already have seen the former one.
    site.sh(site.guest, f"systemctl restart {UNIT}")
    wait_for("the refusal", lambda: site.query(UP)["linux 101"] == 0, 10, 0.5)
    assert "certificate signed by unknown authority" in site.errors()["linux"]
    site.install(Group.GUESTS, server(Group.GUESTS))
    wait_for("the scrape", lambda: site.query(UP)["linux 101"] == 1, 10, 0.5)
    # A host's certificate is no guest's, although the authority is the same.
    site.install(Group.GUESTS, server(Group.GUESTS, pair=PAIRS[Group.HOSTS]))
    site.sh(site.guest, f"systemctl restart {UNIT}")
    wait_for("the refusal", lambda: "not guests.pve-monitoring" in site.errors()["linux"], 10, 0.5)
    site.install(Group.GUESTS, server(Group.GUESTS))
    wait_for("the scrape", lambda: site.query(UP)["linux 101"] == 1, 10, 0.5)


def test_certificates_and_passwords_are_exchanged_without_a_gap(site: EncryptedSite) -> None:
    """As it is done with a stack: exporters accept both, Prometheus changes, the former ones go."""
    started = site.query('process_start_time_seconds{job="prometheus"}')
    before = [site.pid(group) for group in BOTH]
    begin = time.time()
    authority = pki.authority("the next one", datetime.now(UTC))
    new = {group: f"the-new-password-of-{group}" for group in BOTH}
    pairs = {group: signed(authority, group) for group in BOTH}

    site.tell_prometheus(AUTHORITY.certificate + authority.certificate, PASSWORDS)
    for group in BOTH:
        said = site.install(group, server(group, f"{PASSWORDS[group]} {new[group]}", pairs[group]))
        assert "nothing to change" not in said
    time.sleep(INTERVAL + 1)
    site.tell_prometheus(authority.certificate, {group: f"{new[group]} {PASSWORDS[group]}" for group in BOTH})
    time.sleep(INTERVAL + 1)
    for group in BOTH:
        site.install(group, server(group, new[group], pairs[group]))
        assert site.ask(group, PASSWORDS[group], authority.certificate)[0] == 401
        assert site.ask(group, new[group], authority.certificate)[0] == 200
        with pytest.raises(ssl.SSLError):
            site.ask(group)
    time.sleep(INTERVAL + 1)

    span = f"[{time.time() - begin:.0f}s]"
    assert site.query(f"min_over_time({UP}{span})") == {"node": 1, "linux 101": 1, "linux 102": 1}
    # Not one scrape is missing, but for those at the ends.
    counts = site.query(f"count_over_time({UP}{span})")
    assert min(counts.values()) >= (time.time() - begin) / INTERVAL - 2
    assert [site.pid(group) for group in BOTH] == before
    assert site.query('process_start_time_seconds{job="prometheus"}') == started


def test_tls_can_be_switched_off_again_and_nothing_is_left(site: EncryptedSite) -> None:
    # What the other exporter of a host needs stays for it.
    site.sh(site.host, "ls /etc/pve-monitoring/* >/usr/local/lib/pve-monitoring/other_exporter.files")
    left = {Group.HOSTS: 0, Group.GUESTS: 2}
    for group, orders in ((Group.HOSTS, "remove"), (Group.GUESTS, "--uninstall")):
        machine = site.machines[group]
        site.install(group, None)
        page = requests.get(f"http://{site.address(machine)}:9100/metrics", timeout=10).text
        assert "node_exporter_build_info" in page
        assert site.code(machine, "ls /etc/pve-monitoring/tls.key") == left[group]
        if group is Group.GUESTS:
            site.install(group, server(group))
            assert site.ask(group, PASSWORDS[group])[0] == 200
        site.install(group, server(group), orders)
        assert site.code(machine, "ls -d /etc/pve-monitoring") == 2
