"""A small certificate authority: makes, signs and reads X.509 certificates (pure but for their keys)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_DAYS = 3650
# A year and a month: a yearly renewal has time to be late.
CERTIFICATE_DAYS = 397
# Clocks of guests are wrong now and then, and a certificate of the future is refused.
_BACKDATED = timedelta(days=1)
# Two Alertmanagers show each other theirs, as servers and as clients.
_PURPOSES = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A certificate and its private key, both PEM."""

    certificate: str
    key: str


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _builder(subject: str, issuer: x509.Name, now: datetime, days: int) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(issuer)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + timedelta(days=days))
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def authority(name: str, now: datetime, days: int = AUTHORITY_DAYS) -> Pair:
    """Make an authority that signs servers' certificates and nothing else (RFC 5280, P-256)."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key()
    certificate = (
        _builder(name, _name(name), now, days)
        .public_key(public)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Pair(certificate=certificate.public_bytes(serialization.Encoding.PEM).decode(), key=_pem(key))


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def issue(signer: Pair, names: Sequence[str], now: datetime, days: int = CERTIFICATE_DAYS) -> Pair:
    """Make a key and a server's certificate for it, signed by an authority.

    Args:
        signer: the authority; of several certificates the first one is its own.
        names: DNS names and addresses that clients may ask for; the first is its common name.
        now: the present, with its time zone.
        days: how long it is valid; never longer than the authority itself.

    Raises:
        ValueError: the authority's certificate or key can't be read.
    """
    issuer = x509.load_pem_x509_certificates(signer.certificate.encode())[0]
    issuer_key = serialization.load_pem_private_key(signer.key.encode(), password=None)
    if not isinstance(issuer_key, ec.EllipticCurvePrivateKey):
        raise ValueError("the authority's key is none of an elliptic curve")  # noqa: TRY004 - what is read
    key = ec.generate_private_key(ec.SECP256R1())
    left = (issuer.not_valid_after_utc - now).days
    certificate = (
        _builder(names[0], issuer.subject, now, min(days, left))
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(_PURPOSES), critical=False)
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
        .sign(issuer_key, hashes.SHA256())
    )
    return Pair(certificate=certificate.public_bytes(serialization.Encoding.PEM).decode(), key=_pem(key))


def expiry(certificate: str) -> datetime:
    """When a certificate in PEM ends (UTC); of several the first."""
    return x509.load_pem_x509_certificates(certificate.encode())[0].not_valid_after_utc


def belongs(certificate: str, key: str) -> bool:
    """Whether a private key is that of a certificate (of several the first); what is no key is nobody's."""
    try:
        private = serialization.load_pem_private_key(key.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return private.public_key() == x509.load_pem_x509_certificates(certificate.encode())[0].public_key()


def names(certificate: str) -> frozenset[str]:
    """DNS names and addresses that a certificate in PEM is for; of several the first."""
    first = x509.load_pem_x509_certificates(certificate.encode())[0]
    found = first.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = found.get_values_for_type(x509.IPAddress)
    return frozenset([*found.get_values_for_type(x509.DNSName), *(str(address) for address in addresses)])
