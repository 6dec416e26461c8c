"""pve.yml, grafana.ini, the environment of discovery, and the identity of a built image."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest
import yaml

from components.render import discovery, grafana, pve_exporter
from components.render.build import content_tag
from components.settings import Secret
from tests.support.examples import EXAMPLES, MINIMAL, settings


def test_pve_yml_splits_the_token_id_and_verifies_tls() -> None:
    module = yaml.safe_load(pve_exporter.pve_yml(settings(MINIMAL), "secret: 'odd\"value"))["default"]
    assert module == {
        "user": "exporter@pve",
        "token_name": "monitoring",
        "token_value": "secret: 'odd\"value",
        "verify_ssl": True,
        "timeout": 20,
    }


def test_pve_yml_verifies_by_the_given_ca(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_text("x", "utf-8")
    made = settings({**MINIMAL, "cluster": {**MINIMAL["cluster"], "caFile": str(ca)}})
    assert yaml.safe_load(pve_exporter.pve_yml(made, "t"))["default"]["verify_ssl"] == pve_exporter.CA_FILE
    assert discovery.environment(made)["PVE_CA_FILE"] == discovery.CA_FILE


def test_discovery_speaks_with_certificates_of_these_fingerprints_alone(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_text("x", "utf-8")
    cluster = {**MINIMAL["cluster"], "caFile": str(ca)}
    spelled = {**cluster, "fingerprints": [":".join(["AB"] * 32), "cd" * 32]}
    environment = discovery.environment(settings({**MINIMAL, "cluster": spelled}))
    assert environment["PVE_TLS_FINGERPRINT"] == f"{'ab' * 32},{'cd' * 32}"
    assert "PVE_TLS_FINGERPRINT" not in discovery.environment(settings({**MINIMAL, "cluster": cluster}))


def test_grafana_ini_holds_the_path_of_the_password_only() -> None:
    parser = configparser.RawConfigParser()
    parser.read_string(grafana.grafana_ini(settings(MINIMAL)))
    assert parser["security"]["admin_password"] == "$__file{/etc/pve-monitoring/secrets/admin_password}"
    assert parser["server"]["root_url"] == "http://127.0.0.1:3000/"
    assert parser["analytics"]["check_for_updates"] == "false"


def _smtp(**email: object) -> dict[str, str]:
    alerting = {"routes": {"default": ["email"]}, "email": {"to": ["a@example.com"], **email}}
    parser = configparser.RawConfigParser()
    parser.read_string(grafana.grafana_ini(settings({**MINIMAL, "alerting": alerting})))
    # The names of Grafana's options are written as its documentation does; it reads either case.
    return dict(parser["smtp"])


def test_grafana_sends_mail_as_alertmanager_does() -> None:
    section = _smtp(**{"from": "Monitoring <m@example.com>", "smarthost": "smtp.example.com:587"})
    assert section == {
        "enabled": "true",
        "host": "smtp.example.com:587",
        "from_address": "m@example.com",
        "from_name": "Monitoring",
        "starttls_policy": "MandatoryStartTLS",
    }


def test_grafana_logs_in_to_the_mail_server_with_a_password_from_a_file() -> None:
    example = settings(EXAMPLES["all-channels"])
    section = _smtp(**{"from": "m@example.com", "smarthost": "smtp.example.com:25", "username": "m"})
    assert section["user"] == "m"
    path = section["password"].removeprefix(f"$__file{{{grafana.CONFIG_DIR}/").removesuffix("}")
    assert grafana.secret_files(example)[path] is Secret.SMTP_PASSWORD
    assert Secret.SMTP_PASSWORD not in grafana.secret_files(settings(MINIMAL)).values()


def test_without_mail_grafana_sends_none() -> None:
    parser = configparser.RawConfigParser()
    parser.read_string(grafana.grafana_ini(settings(MINIMAL)))
    assert dict(parser["smtp"]) == {"enabled": "false"}


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:3000"),  # noqa: S104 - compared
        ("192.0.2.10", "http://192.0.2.10:3000"),
    ],
)
def test_grafana_is_found_at_the_bind_address(address: str, url: str) -> None:
    assert grafana.published_url(settings({**MINIMAL, "network": {"bindAddress": address}})) == url


def test_discovery_is_told_everything_but_the_token() -> None:
    environment = discovery.environment(settings(EXAMPLES["production"]))
    assert environment["PVE_ENDPOINTS"].count("https://") == 3
    assert environment["PVE_TOKEN_SECRET_FILE"] == "/etc/discovery/secrets/token"
    assert environment["DISCOVERY_CLUSTER"] == "prod"
    assert environment["DISCOVERY_EXCLUDE"] == "tag:lab,vmid:9000-9999"
    assert environment["DISCOVERY_NODE_ADDRESSES"] == "pve1=192.0.2.11"
    assert "PVE_TOKEN_SECRET" not in environment
    assert "DISCOVERY_INCLUDE" not in environment


def test_the_tag_of_an_image_follows_its_content(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1", "utf-8")
    first = content_tag(tmp_path, "base:1")
    assert content_tag(tmp_path, "base:1") == first
    assert content_tag(tmp_path, "base:2") != first
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_text("x", "utf-8")
    assert content_tag(tmp_path, "base:1") == first
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    assert content_tag(tmp_path, "base:1") != first
