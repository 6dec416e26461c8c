"""Everything that a stack decides, and what of it has to fit together."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Self

from pydantic import Field, model_validator
from pydantic.alias_generators import to_camel

from components.settings_alerting import (
    Alerting,
    Grafana,
)
from components.settings_cluster import Access, Cluster, Firewall, FirewallMode
from components.settings_docker import (
    Containers,
    Docker,
    Images,
    LocalDocker,
    Network,
    ProxmoxDocker,
    Replica,
    SshDocker,
)
from components.settings_exporters import HostExporters
from components.settings_gateway import (
    BasicAuth,
    Gateway,
    GivenTls,
    InternalTls,
    OidcAuth,
    OwnTls,
)
from components.settings_guests import GuestExporters
from components.settings_model import Model
from components.settings_replica import addresses, check_replica, replica_of
from components.settings_scraping import (
    Discovery,
    Prometheus,
    Scrape,
)
from components.settings_secrets import ALWAYS_REQUIRED, CHANNEL_SECRETS, SCRAPE_PASSWORDS, TLS_KEYS, Secret
from components.settings_tls import GATEWAY, Group, Pki, Tls
from components.words import problem


class StackSettings(Model):
    """Everything a stack decides, without its secrets."""

    cluster: Cluster
    alerting: Alerting
    access: Access = Access()
    firewall: Firewall = Firewall()
    docker: Docker = LocalDocker()
    network: Network = Network()
    prometheus: Prometheus = Prometheus()
    scrape: Scrape = Scrape()
    discovery: Discovery = Discovery()
    grafana: Grafana = Grafana()
    images: Images = Images()
    containers: Containers = Containers()
    host_exporters: HostExporters = HostExporters()
    guest_exporters: GuestExporters = GuestExporters()
    tls: Tls = Tls()
    pki: Pki | None = None
    gateway: Gateway = Field(default_factory=Gateway, validate_default=True)

    @model_validator(mode="after")
    def _grafana_reachable(self) -> Self:
        remote = isinstance(self.docker, SshDocker) and not self.gateway.enabled
        if remote and ip_address(self.network.bind_address).is_loopback and self.grafana.api_url is None:
            raise problem(
                "docker.target is ssh and network.bindAddress is loopback on that host: Grafana's API can't "
                "be reached from here; turn the gateway on, or set network.bindAddress to an address of the "
                "host, or grafana.apiUrl to a tunnel"
            )
        return self

    @model_validator(mode="after")
    def _bound_to_the_vm(self) -> Self:
        if not isinstance(self.docker, ProxmoxDocker) or self.grafana.api_url is not None:
            return self
        address = self.network.bind_address
        if address in (self.docker.host, "0.0.0.0"):  # noqa: S104 - a comparison
            return self
        if not (self.gateway.enabled and ip_address(address).is_loopback):
            raise problem(
                f"docker.target is proxmox and network.bindAddress is {address}, which the VM doesn't "
                "have or nobody reaches; turn the gateway on and set network.bindAddress to 127.0.0.1, or "
                f"set it to {self.docker.host} or 0.0.0.0, or grafana.apiUrl to a tunnel"
            )
        return self

    @model_validator(mode="after")
    def _tokens_can_be_made(self) -> Self:
        given = (self.cluster.discovery_token_id, self.cluster.exporter_token_id)
        if not self.access.manage:
            return self
        for ident in given:
            if not ident.partition("!")[0].endswith("@pve"):
                raise problem(
                    f"access.manage makes the users of the tokens, and only in the realm pve, but there is "
                    f"{ident}; write user@pve!name in cluster.discoveryTokenId and cluster.exporterTokenId"
                )
        if given[0] == given[1]:
            raise problem(
                f"access.manage makes a token for each, but both are {given[0]}; give "
                "cluster.discoveryTokenId and cluster.exporterTokenId different names"
            )
        return self

    @property
    def certificate_holders(self) -> tuple[str, ...]:
        """Who uses a certificate of `pki`: groups whose servers speak TLS, and a gateway without another."""
        gateway = self.gateway.enabled and isinstance(self.gateway.tls, OwnTls)
        return (*self.tls.groups, *((GATEWAY,) if gateway else ()))

    @model_validator(mode="after")
    def _two_hosts_work_together(self) -> Self:
        check_replica(
            self.docker,
            self.network,
            self.tls,
            firewall=self.firewall,
            prometheus=self.prometheus,
            alerting=self.alerting,
        )
        return self

    @model_validator(mode="after")
    def _grafana_is_asked_over_tls(self) -> Self:
        url = str(self.grafana.api_url or "")
        if Group.PLATFORM in self.tls.groups and url.startswith("http://"):
            raise problem(
                f"grafana.apiUrl is {url}, and with tls.platform Grafana speaks https only; write https://"
            )
        return self

    @model_validator(mode="after")
    def _ports_are_free(self) -> Self:
        others = self.network.ports.model_dump().items()
        for service, port in ((s, p) for s, p in others if p in self.gateway.ports):
            raise problem(
                f"gateway and network.ports.{to_camel(service)} both want port {port}; give one of them "
                "another"
            )
        return self

    @model_validator(mode="after")
    def _gateway_can_be_verified(self) -> Self:
        if self.api_through_gateway and isinstance(self.gateway.tls, InternalTls):
            raise problem(
                "gateway.tls is internal, whose authority this machine doesn't know, but Grafana's API is "
                "reached through the gateway; use own, given or acme, or set grafana.apiUrl"
            )
        return self

    @property
    def gateway_url(self) -> str | None:
        """URL that people open; None without a gateway."""
        return self.gateway.url if self.gateway.enabled else None

    @property
    def api_through_gateway(self) -> bool:
        """Whether this program reaches Grafana through the gateway: all else is bound to another machine."""
        elsewhere = (
            not isinstance(self.docker, LocalDocker) and ip_address(self.network.bind_address).is_loopback
        )
        return self.gateway.enabled and elsewhere and self.grafana.api_url is None

    @property
    def replica(self) -> Replica | None:
        """The second Docker host; None where there is one."""
        return replica_of(self.docker)

    @property
    def host_addresses(self) -> tuple[str, ...]:
        """Addresses by which two Docker hosts reach each other; empty where there is one."""
        return addresses(self.docker, self.network)

    @property
    def discovery_token_id(self) -> str:
        """Id of the token that discovery uses."""
        return self._generation(self.cluster.discovery_token_id)

    @property
    def exporter_token_id(self) -> str:
        """Id of the token that pve-exporter uses."""
        return self._generation(self.cluster.exporter_token_id)

    def _generation(self, ident: str) -> str:
        number = self.access.token_generation if self.access.manage else 1
        return ident if number == 1 else f"{ident}-{number}"

    @property
    def uses_the_provider(self) -> bool:
        """Whether anything is made on the cluster."""
        filters = self.firewall.mode is FirewallMode.PROXMOX
        return self.access.manage or filters or isinstance(self.docker, ProxmoxDocker)

    @model_validator(mode="after")
    def _the_vm_stays_reachable(self) -> Self:
        filters = self.firewall.mode is FirewallMode.PROXMOX
        if filters and isinstance(self.docker, ProxmoxDocker) and not self.firewall.admins:
            raise problem(
                "firewall.mode is proxmox and docker.target too: the VM would accept nobody; give "
                "firewall.admins, with the address of the machine that runs Pulumi among them"
            )
        return self

    @property
    def monitoring_addresses(self) -> tuple[str, ...]:
        """From where Prometheus comes: as given, or each Docker host's address; empty if nobody knows."""
        if known := self.guest_exporters.monitoring_addresses or self.firewall.monitoring:
            return known
        if self.host_addresses:
            return self.host_addresses
        if isinstance(self.docker, ProxmoxDocker):
            return (self.docker.host,)
        given = [self.network.bind_address]
        if isinstance(self.docker, SshDocker):
            given.append(self.docker.host)
        return tuple(address for address in given if _can_be_reached(address))[:1]

    def required_secrets(self) -> tuple[Secret, ...]:
        """Secret keys that this configuration can't do without."""
        needed = [*ALWAYS_REQUIRED]
        if not self.access.manage:
            needed += [Secret.PVE_DISCOVERY_TOKEN, Secret.PVE_EXPORTER_TOKEN]
        if self.uses_the_provider:
            needed.append(Secret.PVE_PROVISIONING_TOKEN)
        needed += [
            CHANNEL_SECRETS[c] for c in sorted(self.alerting.routes.channels()) if c in CHANNEL_SECRETS
        ]
        if self.alerting.email is not None and self.alerting.email.username is not None:
            needed.append(Secret.SMTP_PASSWORD)
        if self.prometheus.remote_write is not None and self.prometheus.remote_write.username is not None:
            needed.append(Secret.REMOTE_WRITE_PASSWORD)
        for group in self.tls.groups:
            needed += [TLS_KEYS[group], SCRAPE_PASSWORDS[group]]
        return (*needed, *self._gateway_secrets())

    def _gateway_secrets(self) -> tuple[Secret, ...]:
        if not self.gateway.enabled:
            return ()
        wanted = {
            Secret.TLS_GATEWAY_KEY: isinstance(self.gateway.tls, OwnTls | GivenTls),
            Secret.GATEWAY_PASSWORD: isinstance(self.gateway.auth, BasicAuth),
            Secret.OIDC_CLIENT_SECRET: isinstance(self.gateway.auth, OidcAuth),
        }
        return tuple(secret for secret, needed in wanted.items() if needed)


def _can_be_reached(address: str) -> bool:
    """Whether it is an address, and one of a single machine that others reach."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return not parsed.is_loopback and not parsed.is_unspecified
