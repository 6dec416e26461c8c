"""Who gets the password of a stack's own servers from the commands, and who doesn't."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from components.settings import PROJECT, Group, Secret
from ops.platform_client import Clients
from ops.pulumi_cli import ROOT
from ops.stack import load
from tests.support.pki import CERTIFICATES, PAIRS
from tests.support.stack_secrets import encrypted
from tests.support.tls_server import tls_server

PASSWORD = "a-password"


def clients(folder: Path, **values: Any) -> Clients:
    """Of a stack whose file is the development stack's, with other values."""
    document = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text("utf-8"))
    document["config"].pop(f"{PROJECT}:cluster")
    cluster = {
        "name": "lab",
        "endpoints": ["https://pve1.lab:8006"],
        "discoveryTokenId": "discovery@pve!monitoring",
        "exporterTokenId": "exporter@pve!monitoring",
    }
    secrets = encrypted({Secret.SCRAPE_PLATFORM_PASSWORD: PASSWORD, Secret.TLS_PLATFORM_KEY: "key"})
    for key, value in {"cluster": cluster, **secrets, **values}.items():
        document["config"][f"{PROJECT}:{key}"] = value
    file = folder / "Pulumi.test.yaml"
    file.write_text(yaml.safe_dump(document), "utf-8")
    return Clients(load("test", file))


@pytest.fixture
def secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clients:
    for name in ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    return clients(tmp_path, tls={"hosts": False, "guests": False}, pki=CERTIFICATES)


def test_who_has_a_name_of_the_certificate_is_asked_with_the_password(secure: Clients) -> None:
    with tls_server(PAIRS[Group.PLATFORM], f"prometheus:{PASSWORD}") as server:
        url = f"https://127.0.0.1:{server.port}"
        assert secure.of(url).get(f"{url}/-/ready", timeout=10).status_code == 200
        assert server.asked == [("GET", "/-/ready", True)]
        assert secure.of(url) is secure.of("https://localhost:9090")


def test_who_only_says_so_is_not_told_it(secure: Clients) -> None:
    for url in ("http://127.0.0.1:9090", "https://prometheus.example.com", "https://192.0.2.1:9090"):
        assert secure.of(url).auth is None


def test_without_tls_there_is_nothing_to_know(tmp_path: Path) -> None:
    session = clients(tmp_path, pki=CERTIFICATES).of("https://127.0.0.1:9090")
    assert type(session.get_adapter("https://127.0.0.1")) is requests.adapters.HTTPAdapter
    assert session.auth is None
