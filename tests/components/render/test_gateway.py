"""The Caddyfile of every example: Caddy takes it, and no secret stands in it."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.gateway import authority, certificate
from components.images import Service
from components.render import gateway as render
from components.render import gateway_pages as pages
from components.render import grafana, tls
from components.render.caddyfile import block, quoted
from components.render.firewall import platform_ports
from components.settings import Group
from components.topology import Topology, plan
from tests.support import caddy
from tests.support.examples import EXAMPLES, GATED, MINIMAL, TWO_GATEWAYS, settings
from tests.support.pki import AUTHORITY, CERTIFICATES, GATEWAY, PAIRS

WITH_GATEWAY = [name for name, values in EXAMPLES.items() if values["gateway"].get("enabled", True)]


def rendered(values: dict[str, Any], topology: Topology | None = None) -> str:
    made = settings(values)
    return render.caddyfile(made, topology or plan(made), certificate(made))


def files(directory: Path) -> dict[str, str]:
    """Everything that a Caddyfile may name."""
    hashed = f"user {tls.password_hash('x')}\n"
    pairs = {"gateway": GATEWAY, "platform": PAIRS[Group.PLATFORM]}
    made = {tls.CA_FILE: AUTHORITY.certificate, pages.ACCOUNTS_FILE: hashed}
    made |= {render.METRICS_ACCOUNTS_FILE: hashed, pages.KNOWN_FILE: "0", "data/x": ""}
    for name, pair in pairs.items():
        pem, key = render.certificate_files(pair.certificate, name)
        made |= {pem: pair.certificate, key: pair.key}
    for path, text in made.items():
        (directory / path).parent.mkdir(exist_ok=True)
        (directory / path).write_text(text)
    return made


def check(text: str, directory: Path) -> str:
    """What Caddy says of a Caddyfile; empty if it takes it as it is, in the form that it would give it."""
    files(directory)
    text = text.replace(f"{pages.CONFIG_DIR}/", f"{directory}/").replace(render.DATA_DIR, f"{directory}/data")
    (directory / "Caddyfile").write_text(text)
    said = ""
    for words in (["validate", "--config", "Caddyfile"], ["fmt", "--diff", "Caddyfile"]):
        done = subprocess.run(
            [caddy.binary(), *words],
            cwd=directory,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={"HOME": str(directory)},
        )
        said += done.stdout + done.stderr if done.returncode else ""
    return said


@pytest.mark.parametrize("name", WITH_GATEWAY)
def test_caddy_takes_the_caddyfile_of_every_example(name: str, tmp_path: Path) -> None:
    assert check(rendered(EXAMPLES[name]), tmp_path) == ""


def test_caddy_would_say_what_it_does_not_take(tmp_path: Path) -> None:
    assert "unrecognized directive" in check("localhost {\n\tnonsense\n}\n", tmp_path)


def test_services_that_speak_tls_are_verified_and_told_the_password_of_the_platform() -> None:
    text = rendered(EXAMPLES["production"])
    assert "reverse_proxy https://prometheus-a:9090 {" in text
    assert text.count("tls_server_name platform.pve-monitoring.internal") == 3
    # Grafana has its own users.
    assert text.count("header_up Authorization") == 2
    assert 'header_up Authorization "Basic {file./etc/caddy/secrets/platform_authorization}"' in text
    assert "https://:9180 {" in text


def test_replicas_are_asked_whether_they_are_well(tmp_path: Path) -> None:
    made = settings(EXAMPLES["production"])
    topology = plan(made)
    (first,) = topology.of(Service.PROMETHEUS)
    two = replace(topology, instances=(*topology.instances, replace(first, key="prometheus-b")))
    text = rendered(EXAMPLES["production"], two)
    assert "reverse_proxy https://prometheus-a:9090 https://prometheus-b:9090 {" in text
    assert text.count("health_uri") == 1
    assert check(text, tmp_path) == ""


def test_the_second_of_two_hosts_reaches_grafana_on_the_first(tmp_path: Path) -> None:
    topology = plan(settings(TWO_GATEWAYS)).seen_from("b")
    text = rendered(TWO_GATEWAYS, topology)
    assert "reverse_proxy https://192.0.2.10:3000 {" in text
    assert "reverse_proxy https://192.0.2.10:9090 https://prometheus-b:9090 {" in text
    assert check(text, tmp_path) == ""


def test_another_certificate_makes_another_caddyfile() -> None:
    first, second = (render.certificate_files(text, "gateway") for text in ("a", "b"))
    assert first[0] != second[0]
    assert first[1] != second[1]


def test_the_authority_of_the_gateway_is_known_where_it_is_one_of_ours() -> None:
    assert authority(settings(EXAMPLES["production"])) == CERTIFICATES["ca"]
    assert authority(settings(EXAMPLES["gateway-acme"])) is None


def test_grafana_is_reached_through_the_gateway_where_it_is_bound_to_another_machine() -> None:
    assert grafana.api_url(settings(EXAMPLES["gateway-oidc"])) == "https://monitoring.example.com"
    assert grafana.api_url(settings(EXAMPLES["gateway-acme"])) == "http://127.0.0.1:3000"
    assert grafana.external_url(settings(EXAMPLES["gateway-acme"])) == "https://monitoring.example.com"


def test_the_firewall_lets_people_in_to_the_gateway() -> None:
    assert platform_ports(settings(EXAMPLES["gateway-acme"])) == "80,443,3000,8000,9090,9093,9221"


def test_grafana_logs_in_by_openid_connect_with_its_secret_in_a_file() -> None:
    made = settings(GATED["gateway-oidc"])
    text = grafana.grafana_ini(made)
    assert "[auth.generic_oauth]" in text
    assert "client_secret = $__file{/etc/pve-monitoring/secrets/oidc_client_secret}" in text
    assert "secrets/oidc_client_secret" in grafana.secret_files(made)
    assert "generic_oauth" not in grafana.grafana_ini(settings(MINIMAL))


def test_blocks_nest() -> None:
    assert block("a", "b", block("c", ["d"])) == ["a {", "\tb", "\tc {", "\t\td", "\t}", "}"]
    assert block("", "x") == ["{", "\tx", "}"]
    assert quoted('a "b" \\') == '"a \\"b\\" \\\\"'
