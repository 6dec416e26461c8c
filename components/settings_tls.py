"""Settings of encryption: what is scraped over TLS and with a password, and with which certificates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Self

from cryptography.x509 import load_pem_x509_certificates
from pydantic import AfterValidator, model_validator

from components import pki
from components.settings_model import Model
from components.words import problem
from components.words_machine import Tag


class Group(StrEnum):
    """Servers that share a certificate, its key and a password.

    A guest belongs to somebody else: who owns one must be able neither to play a host nor to read one.
    """

    HOSTS = "hosts"
    GUESTS = "guests"
    PLATFORM = "platform"

    @property
    def server_name(self) -> str:
        """Name in its certificate, which clients ask for whatever the server's address is."""
        return f"{self}.pve-monitoring.internal"


# What people's browsers see; it has a certificate and a key, but is no group: nobody scrapes it.
GATEWAY = "gateway"
# Who has a certificate, by its key in `pki`.
HOLDERS: tuple[str, ...] = (*Group, GATEWAY)


def _check_certificates(value: str) -> str:
    if "PRIVATE KEY" in value:
        raise problem("holds a private key in plain text; remove that, and run: python -m ops pki renew")
    try:
        load_pem_x509_certificates(value.encode())
    except ValueError:
        raise problem("is not a certificate in PEM; run: python -m ops pki") from None
    return value


Certificates = Annotated[str, AfterValidator(_check_certificates)]


class Pki(Model):
    """Certificates in PEM, as `ops pki` makes them; their keys are secrets of the stack."""

    # The first one signs. Others are trusted until nobody uses them any more.
    ca: Certificates
    hosts: Certificates | None = None
    guests: Certificates | None = None
    platform: Certificates | None = None
    gateway: Certificates | None = None

    def certificate(self, holder: str) -> str | None:
        """The certificate of a group or of the gateway."""
        found: str | None = getattr(self, holder)
        return found


class Tls(Model):
    """Which servers speak TLS and want a password; `tls: off` is a trusted network, where none does."""

    # node_exporter and GPU exporter of hosts.
    hosts: bool = True
    # windows_exporter and node_exporter of guests.
    guests: bool = True
    # Prometheus, Alertmanager, Grafana, discovery and pve-exporter among each other.
    platform: bool = True
    # Guests with this tag are still scraped without TLS, and without the password: for the move to TLS.
    plain_tag: Tag | None = None

    @model_validator(mode="before")
    @classmethod
    def _off(cls, value: Any) -> Any:
        # YAML 1.1 reads the word as a boolean, 1.2 as text.
        return {str(group): False for group in Group} if value in (False, "off") else value

    @model_validator(mode="after")
    def _tag_has_guests(self) -> Self:
        if self.plain_tag is not None and not self.guests:
            raise problem("plainTag tells which guests don't speak TLS, but guests is false: none does")
        return self

    @property
    def groups(self) -> tuple[Group, ...]:
        """Groups whose servers speak TLS."""
        return tuple(group for group in Group if getattr(self, group))


_TRUSTED = "everybody on the network is trusted"


def faults(given: Pki | None, holders: Sequence[str], now: datetime) -> Mapping[str, str]:
    """What is wrong with the certificates that some need: text for people by the setting's key."""
    if not holders:
        return {}
    if given is None:
        if tuple(holders) == (GATEWAY,):
            return {
                "pki": "is missing, and the gateway needs a certificate; run: python -m ops pki, or give "
                "gateway.tls another mode (given, acme)"
            }
        text = f"is missing, and tls is on for {', '.join(holders)}; run: python -m ops pki, or set tls: off "
        return {"pki": f"{text}where {_TRUSTED}"}
    found = {f"pki.{holder}": _fault(given, holder, now) for holder in holders}
    if (end := pki.expiry(given.ca)) <= now:
        found["pki.ca"] = f"ended on {end:%Y-%m-%d}; run: python -m ops pki renew --authority"
    return {key: text for key, text in found.items() if text is not None}


def _fault(given: Pki, holder: str, now: datetime) -> str | None:
    certificate = given.certificate(holder)
    if certificate is None:
        other = "give gateway.tls another mode (given, acme)"
        other = other if holder == GATEWAY else f"set tls.{holder}: false where {_TRUSTED}"
        return f"is missing; run: python -m ops pki, or {other}"
    if not pki.signed_by(certificate, given.ca):
        return "is signed by none of the certificates in pki.ca; run: python -m ops pki"
    name = None if holder == GATEWAY else Group(holder).server_name
    if name is not None and name not in pki.names(certificate):
        return f"isn't made out to {name}; run: python -m ops pki"
    if (end := pki.expiry(certificate)) <= now:
        return f"ended on {end:%Y-%m-%d}; run: python -m ops pki renew {holder}"
    return None
