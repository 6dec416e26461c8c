"""Settings of encryption: what is wrong with certificates is told with its key and what to run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from components import pki
from components.settings import Group, Secret, SettingsError, StackSettings, parse, validate
from tests.support.examples import ALL_SECRETS, ENCRYPTED, EXAMPLES, MINIMAL, ROOT, settings
from tests.support.pki import AUTHORITY, CERTIFICATES, PAIRS

NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=1000)
OTHER = pki.authority("other", NOW)
ENDED = pki.issue(AUTHORITY, [Group.HOSTS.server_name], LONG_AGO)
OLD = pki.authority("old", LONG_AGO, days=900)


def problems(secrets: frozenset[str] = ALL_SECRETS, **values: Any) -> dict[str, str]:
    """By key; what is given stands in for parts of the example."""
    with pytest.raises(SettingsError) as caught:
        validate({**ENCRYPTED, **values}, secrets, ROOT)
    return {problem.key: problem.text for problem in caught.value.problems}


def with_certificate(holder: str, certificate: str) -> dict[str, Any]:
    return {"pki": {**CERTIFICATES, holder: certificate}}


def test_without_any_certificate_the_way_to_them_is_told() -> None:
    assert problems(pki=None) == {
        "pki": "is missing, and tls is on for hosts, guests, platform; run: python -m ops pki, or set tls: "
        "off where everybody on the network is trusted"
    }


def test_every_certificate_that_is_missing_is_told() -> None:
    given = {"ca": CERTIFICATES["ca"], "hosts": CERTIFICATES["hosts"]}
    found = problems(pki=given)
    assert found.keys() == {"pki.guests", "pki.platform"}
    assert found["pki.guests"] == (
        "is missing; run: python -m ops pki, or set tls.guests: false where everybody on the network is "
        "trusted"
    )


def test_a_certificate_of_another_authority_is_refused() -> None:
    foreign = pki.issue(OTHER, [Group.HOSTS.server_name], NOW)
    assert problems(**with_certificate("hosts", foreign.certificate)) == {
        "pki.hosts": "is signed by none of the certificates in pki.ca; run: python -m ops pki"
    }


def test_a_former_authority_is_still_trusted() -> None:
    both = OTHER.certificate + AUTHORITY.certificate
    assert settings({**ENCRYPTED, **with_certificate("ca", both)}).pki is not None


def test_a_certificate_for_another_name_is_refused() -> None:
    assert problems(**with_certificate("hosts", PAIRS[Group.GUESTS].certificate)) == {
        "pki.hosts": "isn't made out to hosts.pve-monitoring.internal; run: python -m ops pki"
    }


def test_a_certificate_that_has_ended_is_told_with_its_day() -> None:
    day = pki.expiry(ENDED.certificate).strftime("%Y-%m-%d")
    assert problems(**with_certificate("hosts", ENDED.certificate)) == {
        "pki.hosts": f"ended on {day}; run: python -m ops pki renew hosts"
    }


def test_an_authority_that_has_ended_is_told() -> None:
    day = pki.expiry(OLD.certificate).strftime("%Y-%m-%d")
    found = problems(**with_certificate("ca", OLD.certificate + AUTHORITY.certificate))
    assert found == {"pki.ca": f"ended on {day}; run: python -m ops pki renew --authority"}


def test_a_group_that_is_off_needs_no_certificate() -> None:
    made = settings({**ENCRYPTED, "tls": {"hosts": False}, **with_certificate("hosts", ENDED.certificate)})
    assert made.certificate_holders == ("guests", "platform")


def test_nobody_looks_at_certificates_where_tls_is_off() -> None:
    made = settings({**ENCRYPTED, "tls": "off", **with_certificate("hosts", ENDED.certificate)})
    assert made.certificate_holders == ()


def test_the_gateways_certificate_needs_no_name_but_a_signature() -> None:
    mine = pki.issue(AUTHORITY, ["monitoring.example.com"], NOW)
    on: dict[str, Any] = {"gateway": {"host": "monitoring.example.com"}}
    made = settings({**ENCRYPTED, **with_certificate("gateway", mine.certificate), **on})
    assert made.certificate_holders == ("hosts", "guests", "platform", "gateway")
    foreign = pki.issue(OTHER, ["monitoring.example.com"], NOW)
    assert problems(**with_certificate("gateway", foreign.certificate), **on).keys() == {"pki.gateway"}


@pytest.mark.parametrize(
    "value", ["no PEM", PAIRS[Group.HOSTS].certificate + PAIRS[Group.HOSTS].key], ids=["text", "key"]
)
def test_what_is_no_certificate_is_refused_and_not_repeated(value: str) -> None:
    text = problems(**with_certificate("hosts", value))["pki.hosts"]
    assert "run: python -m ops pki" in text
    assert value not in text
    assert "BEGIN" not in text


def test_missing_keys_and_passwords_are_made_not_set() -> None:
    found = problems(ALL_SECRETS - {Secret.TLS_HOSTS_KEY, Secret.SCRAPE_GUESTS_PASSWORD})
    assert found == {
        "tlsHostsKey": "is required and missing; run: python -m ops pki",
        "scrapeGuestsPassword": "is required and missing; run: python -m ops pki",
    }


def test_it_is_told_together_with_other_problems() -> None:
    found = problems(ALL_SECRETS - {Secret.GRAFANA_ADMIN_PASSWORD}, pki=None)
    assert found.keys() == {"pki", "grafanaAdminPassword"}


@pytest.mark.parametrize("name", EXAMPLES)
def test_settings_can_be_read_before_there_are_certificates_and_secrets(name: str) -> None:
    """`ops pki` reads them so: what it is to make can't be asked for first."""
    values = {key: value for key, value in EXAMPLES[name].items() if key != "pki"}
    made: StackSettings = parse(values, frozenset())
    assert made.pki is None
    assert made.tls == settings(EXAMPLES[name]).tls


def test_mistakes_in_the_settings_themselves_are_told_then_too() -> None:
    with pytest.raises(SettingsError, match=r"network\.bindAddress"):
        parse({**MINIMAL, "network": {"bindAddress": "nonsense"}}, frozenset())
    with pytest.raises(SettingsError, match="webhookUrl: is a secret but stands in plain text"):
        parse({**MINIMAL, "webhookUrl": "https://example.com"}, frozenset())
