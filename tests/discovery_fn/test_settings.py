"""Settings from the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from discovery_fn.settings import SettingsError, load_settings

SECRET = "aaaaaaaa-1111-2222-3333-bbbbbbbbbbbb"


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> Any:
    def put(**values: str) -> None:
        base = {
            "PVE_ENDPOINTS": "https://pve1.example.com:8006",
            "PVE_TOKEN_ID": "prometheus@pve!discovery",
            "PVE_TOKEN_SECRET": SECRET,
        }
        for name, value in (base | values).items():
            monkeypatch.setenv(name, value)

    return put


def test_defaults(env: Any) -> None:
    env()
    settings = load_settings()
    assert settings.discovery_refresh_seconds == 15
    assert settings.discovery_cache_seconds == 60
    assert settings.discovery_labels == "full"
    assert (settings.discovery_windows_port, settings.discovery_linux_port) == (9182, 9100)
    assert (settings.discovery_node_port, settings.discovery_gpu_port, settings.discovery_port) == (
        9100,
        9835,
        8000,
    )
    assert settings.pve_verify_tls


def test_everything_wrong_is_named_at_once_and_the_secret_never(env: Any) -> None:
    env(
        PVE_ENDPOINTS="http://pve1.example.com",
        PVE_TOKEN_ID="prometheus",
        PVE_TOKEN_SECRET_FILE="/does/not/exist",
        PVE_TLS_FINGERPRINT="12:34",
        DISCOVERY_INCLUDE="vmid:abc",
        DISCOVERY_PREFER_CIDRS="10.0.0.0/99",
        DISCOVERY_LABELS="some",
        DISCOVERY_LINUX_PORT="0",
        DISCOVERY_NODE_ADDRESSES="pve1",
    )
    with pytest.raises(SettingsError) as caught:
        load_settings()
    text = str(caught.value)
    names = [line.partition(":")[0] for line in text.splitlines()]
    assert sorted(names) == [
        "DISCOVERY_INCLUDE",
        "DISCOVERY_LABELS",
        "DISCOVERY_LINUX_PORT",
        "DISCOVERY_NODE_ADDRESSES",
        "DISCOVERY_PREFER_CIDRS",
        "PVE_ENDPOINTS",
        "PVE_TLS_FINGERPRINT",
        "PVE_TOKEN_ID",
        "PVE_TOKEN_SECRET_FILE",
    ]
    assert SECRET not in text


def test_nothing_set() -> None:
    with pytest.raises(SettingsError, match="PVE_ENDPOINTS: is not set"):
        load_settings()


def test_the_secret_is_in_no_text_of_the_settings(env: Any) -> None:
    env()
    settings = load_settings()
    assert SECRET not in repr(settings) + str(settings) + settings.model_dump_json()
    assert settings.secret() == SECRET


def test_secret_by_file_is_read_anew(env: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    env(PVE_TOKEN_SECRET_FILE=str(file))
    monkeypatch.delenv("PVE_TOKEN_SECRET")
    settings = load_settings()
    assert settings.secret() == "first"
    file.write_text("second\n")
    assert settings.secret() == "second"


@pytest.mark.parametrize("content", ["", "  \n", "two words"])
def test_a_secret_file_holds_the_secret_and_nothing_else(
    env: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    file = tmp_path / "token"
    file.write_text(content)
    env(PVE_TOKEN_SECRET_FILE=str(file))
    monkeypatch.delenv("PVE_TOKEN_SECRET")
    with pytest.raises(SettingsError, match="nothing else"):
        load_settings()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("https://pve1.example.com", ("https://pve1.example.com:8006",)),
        ("pve1.example.com", ("https://pve1.example.com:8006",)),
        ("https://pve1.example.com:443/api2/json", ("https://pve1.example.com:443",)),
        ("https://[2001:db8::1]:8006/", ("https://[2001:db8::1]:8006",)),
        (" https://a:8006 , https://b , https://a", ("https://a:8006", "https://b:8006")),
    ],
)
def test_endpoints(env: Any, given: str, expected: tuple[str, ...]) -> None:
    env(PVE_ENDPOINTS=given)
    assert load_settings().pve_endpoints == expected


@pytest.mark.parametrize("given", ["http://a", "https://", "https://u:p@a", "https://a/path", "ftp://a", ","])
def test_bad_endpoints(env: Any, given: str) -> None:
    env(PVE_ENDPOINTS=given)
    with pytest.raises(SettingsError, match="PVE_ENDPOINTS"):
        load_settings()


def test_fingerprints_in_any_notation(env: Any) -> None:
    env(PVE_TLS_FINGERPRINT=":".join(["AB"] * 32) + "," + "cd" * 32)
    assert load_settings().pve_tls_fingerprint == ("ab" * 32, "cd" * 32)


def test_checks_that_would_have_no_effect_are_refused(env: Any, tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_text("x")
    env(PVE_VERIFY_TLS="false", PVE_CA_FILE=str(ca), PVE_TLS_FINGERPRINT="ab" * 32)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value).count("no effect") == 2


def test_node_addresses(env: Any) -> None:
    env(DISCOVERY_NODE_ADDRESSES="pve1=192.0.2.1, pve2=pve2.example.com,pve3=2001:db8::3")
    assert load_settings().discovery_node_addresses == {
        "pve1": "192.0.2.1",
        "pve2": "pve2.example.com",
        "pve3": "2001:db8::3",
    }


def test_empty_variables_count_as_unset(env: Any) -> None:
    env(DISCOVERY_CLUSTER="", DISCOVERY_REFRESH_SECONDS="", PVE_CA_FILE="")
    assert load_settings().pve_ca_file is None
