"""The platform's own services over TLS, as the program registers them: who gets which file, who keeps it."""

from __future__ import annotations

import json
import runpy
from functools import cache
from typing import Any

import bcrypt
import pytest
import yaml

from components.settings import PROJECT, Group, Secret
from tests.support.examples import EXAMPLES, ROOT
from tests.support.pki import CERTIFICATES, KEYS, PAIRS
from tests.support.pulumi_harness import Recording, Registration, deploy, plain_texts, secret_texts

CONTAINER = "docker:index/container:Container"
PASSWORD = "secret-value-of-scrapePlatformPassword"
# Where only its own services speak TLS.
ALONE: dict[str, Any] = {
    **EXAMPLES["dev"],
    "tls": {"hosts": False, "guests": False, "platform": True},
    "pki": CERTIFICATES,
}
TOOLKIT = {"secrets/tls_key", "secrets/web.yml", "secrets/scrape_platform_password"}
SECRET_FILES = {
    "prometheus-a": TOOLKIT,
    "alertmanager-a": TOOLKIT,
    "grafana-a": {"secrets/tls_key", "secrets/scrape_platform_password"},
    "discovery-a": {"secrets/tls_key", "secrets/scrape_platform_password"},
    "pve-exporter-a": {"secrets/tls_key"},
}


@cache
def run(*, encrypted: bool = True, preview: bool = False) -> Recording:
    values = ALONE if encrypted else EXAMPLES["dev"]
    config = {f"{PROJECT}:{key}": value for key, value in values.items()}
    secrets = {f"{PROJECT}:{secret}": KEYS.get(secret, f"secret-value-of-{secret}") for secret in Secret}
    return deploy(
        lambda: runpy.run_path(str(ROOT / "__main__.py")), config=config, secrets=secrets, preview=preview
    )


def uploads(recording: Recording, name: str) -> dict[str, Any]:
    """Files that a service gets, as sent: secrets still marked."""
    writer = recording.named(f"{name}-config-writer")
    return {item["file"].removeprefix("/payload/"): item["content"] for item in writer.raw_inputs["uploads"]}


def service(name: str) -> Registration:
    return run().named(name)


@pytest.mark.parametrize("name", SECRET_FILES)
def test_each_gets_the_certificate_and_the_secrets_it_needs(name: str) -> None:
    before, after = uploads(run(encrypted=False), name), uploads(run(), name)
    added = set(after) - set(before)
    assert {path for path in added if path.startswith("secrets/")} == SECRET_FILES[name]
    assert after["tls/server.pem"] == PAIRS[Group.PLATFORM].certificate
    for path in SECRET_FILES[name]:
        assert secret_texts(after[path]), path
        assert plain_texts(after[path]) == [], path
    assert secret_texts(after["secrets/tls_key"]) == [KEYS[Secret.TLS_PLATFORM_KEY]]


@pytest.mark.parametrize("name", ["prometheus-a", "alertmanager-a"])
def test_the_web_configuration_has_a_hash_of_the_password(name: str) -> None:
    (text,) = secret_texts(uploads(run(), name)["secrets/web.yml"])
    web = yaml.safe_load(text)
    directory = f"/etc/{name.removesuffix('-a')}"
    assert web["tls_server_config"]["cert_file"] == f"{directory}/tls/server.pem"
    assert web["tls_server_config"]["key_file"] == f"{directory}/secrets/tls_key"
    assert bcrypt.checkpw(PASSWORD.encode(), web["basic_auth_users"]["prometheus"].encode())
    assert f"--web.config.file={directory}/secrets/web.yml" in service(name).inputs["command"]


def test_health_checks_ask_over_tls_and_show_no_password() -> None:
    checks = {name: service(name).inputs["healthcheck"]["tests"][1:] for name in SECRET_FILES}
    assert checks == {
        "prometheus-a": [
            *("promtool", "check", "ready", "--http.config.file=/etc/prometheus/tls/client.yml"),
            "--url=https://127.0.0.1:9090",
        ],
        "alertmanager-a": [
            *("amtool", "cluster", "show", "--http.config.file=/etc/alertmanager/tls/client.yml"),
            "--alertmanager.url=https://127.0.0.1:9093",
        ],
        "grafana-a": [
            *("wget", "-q", "-O", "/dev/null", "--no-check-certificate"),
            "https://127.0.0.1:3000/api/health",
        ],
        "discovery-a": ["python", "-m", "discovery_fn.probe"],
        "pve-exporter-a": [
            *("wget", "-q", "-O", "/dev/null", "--no-check-certificate"),
            "https://127.0.0.1:9221/metrics",
        ],
    }


def test_a_certificate_restarts_neither_prometheus_nor_alertmanager() -> None:
    """What a container is made of has nothing of the certificate: the writer alone is replaced."""
    for name in ("prometheus-a", "alertmanager-a"):
        inputs = json.dumps(service(name).inputs)
        assert "BEGIN CERTIFICATE" not in inputs
        assert "org.pve-monitoring.configuration" not in inputs


def test_alertmanager_is_reloaded_by_python_with_a_password_from_a_file() -> None:
    plain = run(encrypted=False).named("alertmanager-a-config-writer").inputs
    assert "RELOAD_URL=http://alertmanager-a:9093/-/reload" in plain["envs"]
    assert "wget" in plain["entrypoints"][-1]
    writer = run().named("alertmanager-a-config-writer").inputs
    *_, program = writer["entrypoints"]
    assert program == (ROOT / "components" / "reload_over_tls.py").read_text("utf-8")
    assert 'python3 -c "$1"' in writer["entrypoints"][2]
    assert "wget" not in writer["entrypoints"][2]
    assert set(writer["envs"]) >= {
        "RELOAD_URL=https://alertmanager-a:9093/-/reload",
        "RELOAD_SERVER_NAME=platform.pve-monitoring.internal",
        "RELOAD_CA_FILE=tls/ca.pem",
        "RELOAD_PASSWORD_FILE=secrets/scrape_platform_password",
    }
    # busybox has no Python; the other writers go on with it.
    images = {r.name: r.inputs["name"] for r in run().of("docker:index/remoteImage:RemoteImage")}
    assert images["host-a-image-python-base"] == "python:3.13-slim"
    assert "host-a-image-python-base" not in {r.name for r in run(encrypted=False).registrations}


def test_data_sources_verify_the_name_and_keep_authority_and_password_secret() -> None:
    for name in ("prometheus", "alertmanager"):
        source = run().named(f"datasource-{name}")
        assert source.inputs["url"].startswith(f"https://{name}-a:")
        assert source.inputs["basicAuthEnabled"] is True
        assert source.inputs["basicAuthUsername"] == "prometheus"
        data = json.loads(source.inputs["jsonDataEncoded"])
        assert (data["tlsAuthWithCACert"], data["serverName"]) == (True, "platform.pve-monitoring.internal")
        (secure,) = secret_texts(source.raw_inputs["secureJsonDataEncoded"])
        assert json.loads(secure) == {"basicAuthPassword": PASSWORD, "tlsCACert": CERTIFICATES["ca"]}
        plain = run(encrypted=False).named(f"datasource-{name}").inputs
        assert set(plain) & {"basicAuthUsername", "secureJsonDataEncoded"} == set()


@pytest.mark.parametrize("preview", [False, True])
def test_the_program_itself_verifies_grafana(*, preview: bool) -> None:
    for name in ("grafana-account-administrator", "grafana-account-provider"):
        provider = run(preview=preview).named(name).inputs
        assert (provider["url"], provider["caCert"]) == ("https://127.0.0.1:3000", CERTIFICATES["ca"])
        assert "caCert" not in run(encrypted=False, preview=preview).named(name).inputs


def test_a_key_of_another_certificate_reaches_nobody() -> None:
    config = {f"{PROJECT}:{key}": value for key, value in ALONE.items()}
    secrets = {f"{PROJECT}:{secret}": KEYS.get(secret, f"secret-value-of-{secret}") for secret in Secret}
    secrets[f"{PROJECT}:{Secret.TLS_PLATFORM_KEY}"] = PAIRS[Group.GUESTS].key
    with pytest.raises(Exception, match="doesn't belong to the certificate"):
        deploy(lambda: runpy.run_path(str(ROOT / "__main__.py")), config=config, secrets=secrets)
