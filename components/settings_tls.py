"""Settings of encryption: what is scraped over TLS and with a password, and with which certificates."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Self

from cryptography.x509 import load_pem_x509_certificates
from pydantic import AfterValidator, model_validator

from components.settings_model import Model
from components.words import Tag, problem


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


def _check_certificates(value: str) -> str:
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

    def certificate(self, group: Group) -> str | None:
        """The certificate of a group."""
        found: str | None = getattr(self, group)
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
