"""The platform's own services among each other: TLS and a password where settings say so, nothing else."""

from __future__ import annotations

import configparser
from typing import Any

import pytest
import yaml

from components.alertmanager import external_url as external_url_of_alertmanager
from components.images import Service
from components.prometheus import external_url as external_url_of_prometheus
from components.render import discovery, grafana, platform_tls, prometheus
from components.settings import SettingsError
from components.topology import plan
from tests.support.examples import EXAMPLES, settings
from tests.support.pki import CERTIFICATES

PLAIN = [name for name, values in EXAMPLES.items() if values.get("tls") in ("off", False)]
ENCRYPTED = [name for name in EXAMPLES if name not in PLAIN]
VERIFIED = {
    "ca_file": "/etc/prometheus/tls/ca.pem",
    "server_name": "platform.pve-monitoring.internal",
}
LOGIN = {"username": "prometheus", "password_file": "/etc/prometheus/secrets/scrape_platform_password"}
KEYS = {"scheme", "tls_config", "basic_auth"}


def rendered(name: str) -> dict[str, Any]:
    made = settings(EXAMPLES[name])
    document: dict[str, Any] = yaml.safe_load(prometheus.prometheus_yml(made, plan(made)))
    return document


def known(config: dict[str, Any]) -> dict[str, Any]:
    """What a part of the configuration says about TLS and login."""
    return {key: value for key, value in config.items() if key in KEYS}


def ini(name: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser()
    parser.read_string(grafana.grafana_ini(settings(EXAMPLES[name])))
    return parser


def test_there_are_examples_of_both() -> None:
    assert {"dev", "minimal"} <= set(PLAIN)
    assert {"encrypted", "production"} <= set(ENCRYPTED)


@pytest.mark.parametrize("name", ENCRYPTED)
def test_prometheus_asks_all_of_them_over_tls(name: str) -> None:
    document = rendered(name)
    jobs = {job["job_name"]: job for job in document["scrape_configs"]}
    whole = {"scheme": "https", "tls_config": VERIFIED, "basic_auth": LOGIN}
    for service in (service for service in Service if service in jobs):
        # pve-exporter knows no password, and is told none.
        login = {} if service is Service.PVE_EXPORTER else {"basic_auth": LOGIN}
        assert known(jobs[service]) == {"scheme": "https", "tls_config": VERIFIED, **login}, service
    for job in ("pve-cluster", "pve-node"):
        assert known(jobs[job]) == {"scheme": "https", "tls_config": VERIFIED}
    (alertmanager,) = document["alerting"]["alertmanagers"]
    assert known(alertmanager) == whole


@pytest.mark.parametrize("name", ENCRYPTED)
def test_discovery_is_asked_over_tls_by_every_job(name: str) -> None:
    found = [config for job in rendered(name)["scrape_configs"] for config in job.get("http_sd_configs", ())]
    assert len(found) >= 6
    for config in found:
        assert config["url"].startswith("https://discovery-a:8000/targets/")
        # http_sd_config has no key `scheme`.
        assert known(config) == {"tls_config": VERIFIED, "basic_auth": LOGIN}


@pytest.mark.parametrize("name", PLAIN)
def test_where_it_is_off_nothing_is_said_of_it(name: str) -> None:
    made = settings(EXAMPLES[name])
    document = rendered(name)
    parts = [*document["scrape_configs"], *document["alerting"]["alertmanagers"]]
    parts += [config for job in document["scrape_configs"] for config in job.get("http_sd_configs", ())]
    assert [known(part) for part in parts if known(part)] == []
    assert "protocol" not in ini(name)["server"]
    assert dict(ini(name)["metrics"]) == {"enabled": "true"}
    assert [key for key in discovery.environment(made) if "TLS" in key or "PASSWORD" in key] == [
        "PVE_VERIFY_TLS"
    ]
    assert platform_tls.web_config_option(made, "/etc/x") == ()
    assert platform_tls.certificate_files(made) == {}
    assert platform_tls.authority_of(made, "https://grafana.example.org:3000") is None


@pytest.mark.parametrize("name", ENCRYPTED)
def test_grafana_and_discovery_are_given_files(name: str) -> None:
    server, metrics = ini(name)["server"], ini(name)["metrics"]
    assert (server["protocol"], server["cert_file"], server["cert_key"]) == (
        "https",
        "/etc/pve-monitoring/tls/server.pem",
        "/etc/pve-monitoring/secrets/tls_key",
    )
    assert server["root_url"].startswith("https://")
    assert metrics["basic_auth_username"] == "prometheus"
    password = "/etc/pve-monitoring/secrets/scrape_platform_password"
    assert metrics["basic_auth_password"] == f"$__file{{{password}}}"
    environment = discovery.environment(settings(EXAMPLES[name]))
    assert environment["DISCOVERY_TLS_CERT_FILE"] == "/etc/discovery/tls/server.pem"
    assert environment["DISCOVERY_TLS_KEY_FILE"] == "/etc/discovery/secrets/tls_key"
    assert environment["DISCOVERY_PASSWORD_FILE"] == "/etc/discovery/secrets/scrape_platform_password"
    assert environment["DISCOVERY_USER"] == "prometheus"


def test_a_container_asks_itself_by_the_same_name_and_password() -> None:
    made = settings(EXAMPLES["encrypted"])
    assert yaml.safe_load(platform_tls.client_config(made, "/etc/prometheus")) == {
        "tls_config": VERIFIED,
        "basic_auth": LOGIN,
    }


@pytest.mark.parametrize(
    ("url", "ours"),
    [
        ("https://127.0.0.1:3000", True),
        ("https://[::1]:3000", True),
        ("https://localhost:13000/grafana", True),
        # A gateway with a certificate that everybody knows.
        ("https://grafana.example.com", False),
        ("http://127.0.0.1:3000", False),
    ],
)
def test_who_has_a_name_of_our_certificates_is_verified_by_our_authority(url: str, *, ours: bool) -> None:
    made = settings(EXAMPLES["encrypted"])
    assert platform_tls.authority_of(made, url) == (CERTIFICATES["ca"] if ours else None)


def test_tls_of_the_platform_alone_is_enough() -> None:
    values = {**EXAMPLES["encrypted"], "tls": {"hosts": False, "guests": False, "platform": True}}
    made = settings(values)
    assert platform_tls.scheme(made) == "https"
    others = settings({**EXAMPLES["encrypted"], "tls": {"platform": False}})
    assert platform_tls.scheme(others) == "http"
    assert platform_tls.certificate_files(others) == {}


def test_urls_that_are_told_name_the_scheme() -> None:
    for tls, scheme in (({"platform": True}, "https"), ("off", "http")):
        made = settings({**EXAMPLES["minimal"], "tls": tls, "pki": CERTIFICATES})
        topology = plan(made)
        (one,), (other,) = topology.of(Service.PROMETHEUS), topology.of(Service.ALERTMANAGER)
        assert external_url_of_prometheus(made, one) == f"{scheme}://127.0.0.1:9090"
        assert external_url_of_alertmanager(made, other) == f"{scheme}://127.0.0.1:9093"
        assert grafana.external_url(made) == f"{scheme}://127.0.0.1:3000"


def test_grafana_is_not_asked_in_the_clear() -> None:
    values = {**EXAMPLES["encrypted"], "grafana": {"apiUrl": "http://127.0.0.1:13000"}}
    with pytest.raises(SettingsError, match=r"grafana\.apiUrl is http://127\.0\.0\.1:13000.*write https://"):
        settings(values)
    assert settings({**values, "tls": "off"}).grafana.api_url == "http://127.0.0.1:13000"
