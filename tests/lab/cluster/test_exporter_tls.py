"""Simulated exporters that speak TLS: reached through the proxy's CONNECT, as Prometheus does it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import urllib3
from urllib3.exceptions import HTTPError, ProxyError

from components.settings import Group
from tests.support.live_lab import Live
from tests.support.pki import AUTHORITY, PAIRS

HOST, GUEST = "10.90.0.11", "10.90.1.10"
NODE, WINDOWS = 9100, 9182
PASSWORDS = {Group.HOSTS: "of-hosts", Group.GUESTS: "of-guests"}


@pytest.fixture(scope="module")
def secured(start_lab: Callable[..., Live], tmp_path_factory: pytest.TempPathFactory) -> Live:
    folder = tmp_path_factory.mktemp("exporters")
    for group, password in PASSWORDS.items():
        (folder / f"{group}.crt").write_text(PAIRS[group].certificate)
        (folder / f"{group}.key").write_text(PAIRS[group].key)
        (folder / f"{group}.password").write_text(f"{password}\n")
    (folder / "ca.pem").write_text(AUTHORITY.certificate)
    return start_lab(exporters_tls_dir=str(folder))


def ask(live: Live, address: str, port: int, group: Group, password: str | None) -> Any:
    headers = {} if password is None else urllib3.make_headers(basic_auth=f"prometheus:{password}")
    authority = Path(live.lab.settings.exporters_tls_dir or "/nowhere") / "ca.pem"
    with urllib3.ProxyManager(
        live.proxy,
        ca_certs=str(authority) if authority.exists() else None,
        server_hostname=group.server_name,
        assert_hostname=group.server_name,
        retries=False,
    ) as pool:
        return pool.request("GET", f"https://{address}:{port}/metrics", headers=headers)


def test_each_group_has_its_certificate_and_its_password(secured: Live) -> None:
    for address, port, group in ((HOST, NODE, Group.HOSTS), (GUEST, WINDOWS, Group.GUESTS)):
        answer = ask(secured, address, port, group, PASSWORDS[group])
        assert answer.status == 200
        assert b"exporter_build_info" in answer.data
        for wrong in (None, "wrong", PASSWORDS[Group.HOSTS if group is Group.GUESTS else Group.GUESTS]):
            assert ask(secured, address, port, group, wrong).status == 401
    with pytest.raises(HTTPError, match=r"doesn't match|mismatch"):
        ask(secured, HOST, NODE, Group.GUESTS, PASSWORDS[Group.GUESTS])


def test_plain_http_is_refused_as_exporters_do(secured: Live) -> None:
    answer = secured.scrape(HOST, NODE)
    assert (answer.status_code, answer.text) == (400, "Client sent an HTTP request to an HTTPS server.\n")


def test_who_is_not_there_is_told_by_the_proxy(secured: Live) -> None:
    with pytest.raises(ProxyError, match="502"):
        ask(secured, HOST, 9999, Group.HOSTS, "x")
    with pytest.raises(ProxyError, match="504"):
        ask(secured, "10.90.9.9", NODE, Group.HOSTS, "x")


def test_by_default_nobody_speaks_tls(start_lab: Callable[..., Live]) -> None:
    live = start_lab()
    assert live.scrape(HOST, NODE).status_code == 200
    with pytest.raises(ProxyError, match="502"):
        ask(live, HOST, NODE, Group.HOSTS, "x")
