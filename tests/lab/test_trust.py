"""The client that trusts one authority."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from components import pki
from components.settings import Group
from lab import trust
from tests.support.pki import AUTHORITY, PAIRS
from tests.support.tls_server import tls_server

OURS = PAIRS[Group.PLATFORM]


def test_it_trusts_the_authority_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = pki.authority("somebody else", datetime.now(UTC))
    # What the environment of a machine names is not asked.
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(AUTHORITY.certificate, "utf-8")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    with tls_server(OURS, "u:p") as server:
        url = f"https://127.0.0.1:{server.port}/"
        session = trust.session(AUTHORITY.certificate)
        session.auth = ("u", "p")
        assert session.get(url, timeout=5).status_code == 200
        with pytest.raises(requests.exceptions.SSLError):
            trust.session(other.certificate).get(url, timeout=5)
        with pytest.raises(requests.exceptions.SSLError):
            trust.session(other.certificate).get(url, timeout=5, verify=False)


def test_the_certificate_has_to_have_the_name_in_the_url() -> None:
    elsewhere = pki.issue(AUTHORITY, ["elsewhere.example.com"], datetime.now(UTC))
    with (
        tls_server(elsewhere, "u:p") as server,
        pytest.raises(requests.exceptions.SSLError, match="IP address mismatch"),
    ):
        trust.session(AUTHORITY.certificate).get(f"https://127.0.0.1:{server.port}/", timeout=5)
