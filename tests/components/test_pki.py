"""The small authority, as others verify what it makes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from components import pki

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
AUTHORITY = pki.authority("an authority", NOW)
OTHER = pki.authority("an authority", NOW)
NAMES = ("hosts.pve-monitoring.internal", "localhost", "192.0.2.10", "::1")
LEAF = pki.issue(AUTHORITY, NAMES, NOW)


def verify(leaf: str, authorities: str, name: str, at: datetime = NOW) -> None:
    """As RFC 5280 and the CA/Browser Forum have it, by cryptography's own verifier."""
    try:
        subject: x509.GeneralName = x509.IPAddress(ip_address(name))
    except ValueError:
        subject = x509.DNSName(name)
    assert isinstance(subject, x509.IPAddress | x509.DNSName)
    store = Store(x509.load_pem_x509_certificates(authorities.encode()))
    verifier = PolicyBuilder().store(store).time(at).build_server_verifier(subject)
    verifier.verify(x509.load_pem_x509_certificate(leaf.encode()), [])


@pytest.mark.parametrize("name", NAMES)
def test_it_holds_for_each_name(name: str) -> None:
    verify(LEAF.certificate, AUTHORITY.certificate, name)
    assert name in pki.names(LEAF.certificate)


@pytest.mark.parametrize("name", ["guests.pve-monitoring.internal", "192.0.2.11", "::2"])
def test_it_holds_for_no_other_name(name: str) -> None:
    with pytest.raises(VerificationError):
        verify(LEAF.certificate, AUTHORITY.certificate, name)


def test_an_authority_of_the_same_name_is_another_one() -> None:
    with pytest.raises(VerificationError):
        verify(LEAF.certificate, OTHER.certificate, NAMES[0])
    assert not pki.signed_by(LEAF.certificate, OTHER.certificate)


def test_one_of_several_authorities_is_enough() -> None:
    both = OTHER.certificate + AUTHORITY.certificate
    verify(LEAF.certificate, both, NAMES[0])
    assert pki.signed_by(LEAF.certificate, both)
    assert pki.certificates(both) == [OTHER.certificate, AUTHORITY.certificate]


def test_it_ends_when_it_says_and_a_clock_may_be_late() -> None:
    end = pki.expiry(LEAF.certificate)
    assert end == NOW + timedelta(days=pki.CERTIFICATE_DAYS)
    verify(LEAF.certificate, AUTHORITY.certificate, NAMES[0], NOW - timedelta(hours=23))
    with pytest.raises(VerificationError):
        verify(LEAF.certificate, AUTHORITY.certificate, NAMES[0], end + timedelta(seconds=1))


def test_it_doesnt_outlive_its_authority() -> None:
    short = pki.authority("short", NOW, days=100)
    leaf = pki.issue(short, NAMES, NOW)
    assert pki.expiry(leaf.certificate) == pki.expiry(short.certificate)
    assert pki.expiry(leaf.certificate) < NOW + timedelta(days=pki.CERTIFICATE_DAYS)


def test_a_servers_certificate_signs_nothing() -> None:
    below = pki.issue(pki.Pair(certificate=LEAF.certificate, key=LEAF.key), NAMES, NOW)
    with pytest.raises(VerificationError):
        verify(below.certificate, LEAF.certificate, NAMES[0])


def test_keys_belong_to_their_own_certificates() -> None:
    assert pki.belongs(LEAF.certificate, LEAF.key)
    assert not pki.belongs(LEAF.certificate, AUTHORITY.key)
    assert not pki.belongs(LEAF.certificate, "not a key")
    assert not pki.belongs(LEAF.certificate, "")


def test_it_says_who_signed_it() -> None:
    assert pki.issuer(LEAF.certificate) == "an authority"


def test_a_certificate_without_names_has_none() -> None:
    assert pki.names(AUTHORITY.certificate) == ()
