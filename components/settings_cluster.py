"""Settings of the cluster that is watched: its API, who reads it, who reaches what."""

from __future__ import annotations

from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, PositiveInt, model_validator

from components.settings_model import Model
from components.words import NonEmpty, problem, some
from components.words_machine import PoolId, Release, TokenId, VmId
from components.words_network import Cidr, Endpoint, Fingerprint


class Cluster(Model):
    """The Proxmox VE cluster to watch, and how its API is reached."""

    # The label `cluster` on everything that is scraped.
    name: NonEmpty
    endpoints: Annotated[tuple[Endpoint, ...], AfterValidator(some)]
    discovery_token_id: TokenId
    exporter_token_id: TokenId
    ca_file: Path | None = None
    # SHA-256 of the members' own certificates, one or more for each; discovery speaks with nobody else.
    fingerprints: tuple[Fingerprint, ...] = ()
    verify_tls: bool = True

    @model_validator(mode="after")
    def _ca_needs_verification(self) -> Self:
        if self.ca_file is not None and not self.verify_tls:
            raise problem("caFile and verifyTls: false contradict each other; remove one of them")
        return self

    @model_validator(mode="after")
    def _others_need_the_ca(self) -> Self:
        if self.fingerprints and self.ca_file is None:
            raise problem(
                "discovery alone checks fingerprints, pve-exporter and the commands can't; give caFile "
                "too: /etc/pve/pve-root-ca.pem of a member, fetched as the fingerprints were, over SSH say"
            )
        return self


class Access(Model):
    """Who may read the cluster: whether the users and tokens of discovery and pve-exporter are made here."""

    manage: bool = False
    # Which privileges there are follows from it: the API isn't asked, so that a preview needs none.
    release: Release = 9
    # Only guests of these pools are seen; hosts and storages always are.
    pools: tuple[PoolId, ...] = ()
    # On 8 this takes VM.Monitor, with which the token can run commands in guests as well.
    guest_agent: bool = False
    # Another number makes other tokens; the old ones go when nobody uses them any more.
    token_generation: PositiveInt = 1
    # The day on which the tokens end, UTC; a later one prolongs the same tokens.
    token_expires: date | None = None

    @model_validator(mode="after")
    def _not_expired(self) -> Self:
        if self.token_expires is not None and self.token_expires <= datetime.now(UTC).date():
            raise problem(
                f"the tokens expired on {self.token_expires} (tokenExpires): nothing is watched with them; "
                "write a later day, which prolongs them as they are"
            )
        return self


class FirewallMode(StrEnum):
    """Who filters: nobody that this program knows of, Proxmox VE's firewall, or nftables on each machine."""

    NONE = "none"
    PROXMOX = "proxmox"
    NFTABLES = "nftables"


class Switch(StrEnum):
    """The cluster's firewall as a whole: as it is found, on, or off."""

    LEAVE = "leave"
    ON = "on"
    OFF = "off"


class FirewallGuest(Model):
    """A virtual machine that gets the rules for exporters; its own firewall is switched on by its owner."""

    node: NonEmpty
    vm_id: VmId


class Firewall(Model):
    """Who reaches the exporters and the platform."""

    mode: FirewallMode = FirewallMode.NONE
    # From where exporters and the API are asked: the monitoring host's addresses.
    monitoring: tuple[Cidr, ...] = ()
    # Who administers: SSH, the web interface and the platform's own pages.
    admins: tuple[Cidr, ...] = ()
    # Who reaches the platform's pages only: a reverse proxy, say.
    gateways: tuple[Cidr, ...] = ()
    # The members' networks among each other (corosync, Ceph, migration, storage).
    members: tuple[Cidr, ...] = ()
    # Whether the rules are put into the datacenter's own list, which must be empty.
    hosts: bool = False
    guests: tuple[FirewallGuest, ...] = ()
    switch: Switch = Switch.LEAVE

    @model_validator(mode="after")
    def _nobody_is_locked_out(self) -> Self:
        if self.switch is not Switch.ON:
            return self
        needed = {"admins": self.admins, "members": self.members, "monitoring": self.monitoring}
        if missing := [name for name, value in needed.items() if not value]:
            raise problem(
                f"switch: on drops what no rule accepts, and {', '.join(missing)} is empty; give the "
                "networks of those who administer (admins), of the members among each other (members: "
                "corosync, Ceph, migration) and of the monitoring host (monitoring)"
            )
        if not self.hosts:
            raise problem("switch: on drops what no rule accepts; set hosts: true, so that hosts have rules")
        return self

    @model_validator(mode="after")
    def _rules_have_addresses(self) -> Self:
        if self.mode is not FirewallMode.NONE and not self.monitoring:
            raise problem(
                f"mode is {self.mode}, but monitoring is empty: nobody could scrape; give the monitoring "
                "host's addresses"
            )
        if self.mode is not FirewallMode.PROXMOX and (self.hosts or self.guests or self.switch != "leave"):
            raise problem(
                f"hosts, guests and switch are for mode proxmox, but mode is {self.mode}; remove them or "
                "change the mode"
            )
        return self
