"""The API's certificate: the given one, or one of an authority that is made at the start."""

import datetime as dt
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .settings import Settings

YEAR = dt.timedelta(days=365)
# Files of a folder with certificates.
AUTHORITY, CERTIFICATE, KEY = "ca.pem", "server.pem", "server.key"


def context(settings: Settings, hosts: list[str]) -> tuple[ssl.SSLContext, x509.Certificate]:
    """A server's TLS context and its certificate.

    Without LAB_TLS_CERT an authority and a certificate for the hosts are written to LAB_TLS_DIR (ca.pem,
    server.pem, server.key); a pair that is already there is used again, so that clients which trust it go on.

    Raises:
        OSError: A certificate can't be read, or the directory can't be written.
    """
    cert, key = Path(settings.tls_cert), Path(settings.tls_key)
    if not settings.tls_cert:
        ensure(settings.tls_path, hosts)
        cert, key = settings.tls_path / CERTIFICATE, settings.tls_path / KEY
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(cert, key)
    return tls, x509.load_pem_x509_certificate(cert.read_bytes())


def fingerprint(certificate: x509.Certificate) -> str:
    """The SHA-256 fingerprint with colons, as Proxmox VE shows it."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def ensure(folder: Path, hosts: list[str]) -> None:
    """Make an authority and a certificate for the hosts, unless what lies in the folder will do.

    Raises:
        OSError: The folder can't be written.
    """
    if not _usable(folder, hosts):
        _make(folder, hosts)


def _usable(folder: Path, hosts: list[str]) -> bool:
    """Whether all files are there, for these hosts, and for another month at least."""
    if not all((folder / name).is_file() for name in (AUTHORITY, CERTIFICATE, KEY)):
        return False
    certificate = x509.load_pem_x509_certificate((folder / CERTIFICATE).read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    covered = {f"{host}.lab" for host in hosts} <= set(names.get_values_for_type(x509.DNSName))
    return covered and certificate.not_valid_after_utc - dt.datetime.now(dt.UTC) > YEAR / 12


def _make(folder: Path, hosts: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = _name("Proxmox Virtual Environment")
    root = (
        _certificate(authority, authority, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    names: list[x509.GeneralName] = [x509.DNSName("localhost")]
    names += [x509.DNSName(name) for host in hosts for name in (host, f"{host}.lab")]
    names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    leaf = (
        _certificate(_name(f"{hosts[0]}.lab"), authority, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(issuer, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / KEY).touch(mode=0o600)
    (folder / KEY).write_bytes(secret)
    (folder / CERTIFICATE).write_bytes(leaf.public_bytes(pem))
    (folder / AUTHORITY).write_bytes(root.public_bytes(pem))


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + 2 * YEAR)
    )


def _usage(*, sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=sign, crl_sign=sign, encipher_only=False, decipher_only=False,
    )  # fmt: skip
