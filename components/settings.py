"""Settings of a stack: the pydantic models of its Pulumi config, and the only reader of it.

Structured values are plain (addresses, sizes, names). Secrets are flat keys of their own, so that
`pulumi config set --secret KEY` is all that is needed, and stay Pulumi Outputs: no model ever holds one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface, ip_address
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import pulumi
from pulumi.runtime import config as runtime_config
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from components.exporters import GITHUB, NODE_EXPORTER, NVIDIA_GPU_EXPORTER, Exporter
from components.images import CONFIG_WRITER, PYTHON_BASE, Service
from components.words import (
    Address,
    Checksum,
    Clock,
    DaysOfMonth,
    Digest,
    DiskImage,
    Duration,
    Endpoint,
    Host,
    HostKey,
    HostPort,
    ImageReference,
    Interface,
    IPv4,
    LabelName,
    Name,
    NodeName,
    NonEmpty,
    Port,
    PublicKey,
    Size,
    Tag,
    TimeZone,
    TokenId,
    UnixUser,
    Url,
    Version,
    VmId,
    Weekdays,
    problem,
    some,
)

PROJECT = "pve-monitoring"


class Channel(StrEnum):
    """A way for a notification to reach people."""

    EMAIL = "email"
    WEBHOOK = "webhook"
    SLACK = "slack"
    TEAMS = "teams"
    DISCORD = "discord"
    TELEGRAM = "telegram"
    PAGERDUTY = "pagerduty"


class Severity(StrEnum):
    """How urgent an alert is; the label `severity` of every rule but the watchdog's."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class Secret(StrEnum):
    """A flat secret key of the stack config (names of keys, not values)."""

    PVE_DISCOVERY_TOKEN = "pveDiscoveryToken"
    PVE_EXPORTER_TOKEN = "pveExporterToken"
    PVE_PROVISIONING_TOKEN = "pveProvisioningToken"
    GRAFANA_ADMIN_PASSWORD = "grafanaAdminPassword"
    SMTP_PASSWORD = "smtpPassword"
    WEBHOOK_URL = "webhookUrl"
    SLACK_URL = "slackUrl"
    TEAMS_URL = "teamsUrl"
    DISCORD_URL = "discordUrl"
    TELEGRAM_TOKEN = "telegramToken"
    PAGERDUTY_ROUTING_KEY = "pagerdutyRoutingKey"
    WATCHDOG_URL = "watchdogUrl"
    REMOTE_WRITE_PASSWORD = "remoteWritePassword"


ALWAYS_REQUIRED = (Secret.PVE_DISCOVERY_TOKEN, Secret.PVE_EXPORTER_TOKEN, Secret.GRAFANA_ADMIN_PASSWORD)

# The secret without which a channel can't deliver.
CHANNEL_SECRETS: Mapping[Channel, Secret] = {
    Channel.WEBHOOK: Secret.WEBHOOK_URL,
    Channel.SLACK: Secret.SLACK_URL,
    Channel.TEAMS: Secret.TEAMS_URL,
    Channel.DISCORD: Secret.DISCORD_URL,
    Channel.TELEGRAM: Secret.TELEGRAM_TOKEN,
    Channel.PAGERDUTY: Secret.PAGERDUTY_ROUTING_KEY,
}


# --- the models ----------------------------------------------------------------------------------


class Model(BaseModel):
    """Base of all settings: immutable, camelCase in the stack file, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class Cluster(Model):
    """The Proxmox VE cluster to watch, and how its API is reached."""

    # The label `cluster` on everything that is scraped.
    name: NonEmpty
    endpoints: Annotated[tuple[Endpoint, ...], AfterValidator(some)]
    discovery_token_id: TokenId
    exporter_token_id: TokenId
    ca_file: Path | None = None
    verify_tls: bool = True

    @model_validator(mode="after")
    def _ca_needs_verification(self) -> Self:
        if self.ca_file is not None and not self.verify_tls:
            raise problem("caFile and verifyTls: false contradict each other; remove one of them")
        return self


class LocalDocker(Model):
    """Docker on the machine that runs Pulumi."""

    target: Literal["local"] = "local"


class SshDocker(Model):
    """Docker on an existing host, reached over SSH by the `ssh` command of the machine that runs Pulumi."""

    target: Literal["ssh"]
    host: NonEmpty
    user: NonEmpty = "root"
    port: Port = 22
    identity_file: Path | None = None


class ProxmoxDocker(Model):
    """Docker in a VM that the program creates on the cluster itself.

    Its address is given, never learnt: the Docker provider needs it before the VM exists.
    """

    target: Literal["proxmox"]
    # Where it is created; a later migration is left alone.
    node: NonEmpty
    vm_id: VmId
    address: Interface
    gateway: IPv4
    bridge: NonEmpty = "vmbr0"
    vlan: Annotated[int, Field(ge=1, le=4094)] | None = None
    # Proxmox VE would give it the node's, but the provider can't take back what was once given.
    dns_servers: Annotated[tuple[IPv4, ...], AfterValidator(some)]
    # A cloud image with cloud-init (Debian, Ubuntu), at a URL whose content never changes.
    image_url: DiskImage
    image_checksum: Checksum
    # It must hold the content type `import`.
    image_datastore: NonEmpty = "local"
    disk_datastore: NonEmpty = "local-lvm"
    # Prometheus' history, the images and the system share one disk; it can grow, never shrink.
    disk_gib: Annotated[int, Field(ge=16)] = 64
    cores: PositiveInt = 2
    memory_mib: Annotated[int, Field(ge=2048)] = 8192
    user: UnixUser = "monitoring"
    ssh_public_keys: Annotated[tuple[PublicKey, ...], AfterValidator(some)]
    # The private key of one of them; without it the SSH agent is asked.
    identity_file: Path | None = None
    port: Port = 22
    tags: tuple[Tag, ...] = ("monitoring",)
    start_order: NonNegativeInt | None = None

    @property
    def host(self) -> str:
        """The address without its prefix length."""
        return str(IPv4Interface(self.address).ip)

    @model_validator(mode="after")
    def _gateway_is_reached(self) -> Self:
        interface = IPv4Interface(self.address)
        if IPv4Address(self.gateway) not in interface.network or self.gateway == self.host:
            raise problem(
                f"gateway {self.gateway} is not another address in {interface.network}; correct it, or the "
                "prefix length of address"
            )
        return self


Docker = Annotated[LocalDocker | SshDocker | ProxmoxDocker, Field(discriminator="target")]


class Ports(Model):
    """Published ports on the bind address; null publishes none."""

    prometheus: Port | None = 9090
    alertmanager: Port | None = 9093
    # Grafana's content is created through this port: it is always published.
    grafana: Port = 3000
    discovery: Port | None = 8000
    pve_exporter: Port | None = 9221

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        used = [port for port in self.model_dump().values() if port is not None]
        if len(set(used)) != len(used):
            raise problem("two services have the same port; give each its own")
        return self


class Network(Model):
    """Where the platform listens, and which other networks it joins."""

    bind_address: Address = "127.0.0.1"
    ports: Ports = Ports()
    # Existing Docker networks (a macvlan into the guests' VLAN, say) that the containers join too.
    extra_networks: tuple[NonEmpty, ...] = ()


class RemoteWrite(Model):
    """A long-term store that takes Prometheus remote write (Mimir, VictoriaMetrics, Thanos receive)."""

    url: Url
    username: NonEmpty | None = None


class Prometheus(Model):
    """Prometheus: how often it scrapes, how much it keeps, where it also writes."""

    scrape_interval: Duration = "15s"
    retention_time: Duration = "30d"
    retention_size: Size | None = None
    external_labels: dict[LabelName, NonEmpty] = {}
    external_url: Url | None = None
    remote_write: RemoteWrite | None = None


class ExporterPorts(Model):
    """Ports on which exporters answer on hosts and in guests."""

    node: Port = 9100
    windows: Port = 9182
    linux: Port = 9100
    gpu: Port = 9835


class StaticHost(Model):
    """A machine outside the cluster (the monitoring host, a NAS, a backup server) with node_exporter."""

    target: HostPort
    name: NonEmpty


class LabelsMode(StrEnum):
    """Which labels guest targets carry: all that the cluster knows, or identity only."""

    FULL = "full"
    LEAN = "lean"


class Scrape(Model):
    """What is scraped besides the platform itself."""

    labels: LabelsMode = LabelsMode.FULL
    exporter_ports: ExporterPorts = ExporterPorts()
    static_hosts: tuple[StaticHost, ...] = ()
    # HTTP proxy for exporters on hosts and guests that Prometheus can't reach by itself (a jump host).
    proxy_url: Url | None = None


class Discovery(Model):
    """The discovery service."""

    refresh_seconds: PositiveInt = 15
    cache_seconds: PositiveInt = 60
    include: tuple[NonEmpty, ...] = ()
    exclude: tuple[NonEmpty, ...] = ()
    prefer_cidrs: tuple[NonEmpty, ...] = ()
    # node name -> address to scrape, where the cluster reports a corosync-only one.
    node_addresses: dict[NonEmpty, NonEmpty] = {}
    gpu_nodes: tuple[NonEmpty, ...] = ()
    # Network of the image build ("host" where the build needs the host's name resolution).
    build_network: NonEmpty | None = None


class RepeatIntervals(Model):
    """How long until an alert that still fires is sent again."""

    critical: Duration = "1h"
    warning: Duration = "4h"
    info: Duration = "1d"


class Routes(Model):
    """Channels by severity; a severity without its own list uses `default`."""

    default: Annotated[tuple[Channel, ...], AfterValidator(some)]
    critical: tuple[Channel, ...] = ()
    warning: tuple[Channel, ...] = ()
    info: tuple[Channel, ...] = ()

    def channels(self) -> frozenset[Channel]:
        """All channels that some route uses."""
        return frozenset((*self.default, *self.critical, *self.warning, *self.info))


class ClockSpan(Model):
    """From a time of day to a later one of the same day."""

    start: Clock
    end: Clock

    @model_validator(mode="after")
    def _forwards(self) -> Self:
        if self.start >= self.end:
            raise problem(
                f"ends at {self.end}, before it starts at {self.start}; a night is two spans: "
                f"{self.start} to 24:00, and 00:00 to {self.end}"
            )
        return self


class MuteTiming(Model):
    """When alerts of some severities reach nobody, every week anew; they stay visible meanwhile.

    Times, weekdays and days of the month narrow each other down; one that is left out allows all.
    """

    name: Name
    severities: Annotated[tuple[Severity, ...], AfterValidator(some)] = (Severity.WARNING, Severity.INFO)
    weekdays: tuple[Weekdays, ...] = ()
    days_of_month: tuple[DaysOfMonth, ...] = ()
    times: tuple[ClockSpan, ...] = ()
    time_zone: TimeZone = "UTC"

    @model_validator(mode="after")
    def _not_for_ever(self) -> Self:
        if not (self.weekdays or self.days_of_month or self.times):
            raise problem("mutes for ever; give weekdays, daysOfMonth or times")
        return self


class Email(Model):
    """Notification by e-mail."""

    to: Annotated[tuple[NonEmpty, ...], AfterValidator(some)]
    from_: NonEmpty = Field(alias="from")
    smarthost: HostPort
    username: NonEmpty | None = None
    require_tls: bool = True


class Slack(Model):
    """Notification to a Slack channel; its URL is the secret slackUrl."""

    channel: NonEmpty


class Telegram(Model):
    """Notification to a Telegram chat; the bot's token is the secret telegramToken."""

    chat_id: int


class Alerting(Model):
    """Alertmanager: grouping, repetition, and which severity reaches people how."""

    routes: Routes
    group_wait: Duration = "30s"
    group_interval: Duration = "5m"
    repeat_intervals: RepeatIntervals = RepeatIntervals()
    mute_timings: tuple[MuteTiming, ...] = ()
    email: Email | None = None
    slack: Slack | None = None
    telegram: Telegram | None = None
    external_url: Url | None = None
    # Where the runbooks of docs/runbooks are read: alerts link to headings below it.
    runbook_base_url: Url | None = None

    @model_validator(mode="after")
    def _mute_timings_differ(self) -> Self:
        names = [timing.name for timing in self.mute_timings]
        if len(set(names)) != len(names):
            raise problem("two muteTimings have the same name; give each its own")
        return self

    def muted(self, severity: Severity) -> tuple[str, ...]:
        """Names of the mute timings that hold for a severity."""
        return tuple(timing.name for timing in self.mute_timings if severity in timing.severities)

    def channels(self, severity: Severity | None) -> tuple[Channel, ...]:
        """Channels of a severity, each once; None asks for those of alerts without one."""
        own: tuple[Channel, ...] = getattr(self.routes, severity) if severity else ()
        return tuple(dict.fromkeys(own or self.routes.default))

    @model_validator(mode="after")
    def _channels_are_described(self) -> Self:
        described = {Channel.EMAIL: self.email, Channel.SLACK: self.slack, Channel.TELEGRAM: self.telegram}
        for channel, value in described.items():
            if channel in self.routes.channels() and value is None:
                raise problem(
                    f"routes use {channel}, but alerting.{channel} is missing; add it or change the route"
                )
        return self


class Grafana(Model):
    """Grafana."""

    admin_user: NonEmpty = "admin"
    # What people type into the browser.
    external_url: Url | None = None
    # How the machine that runs Pulumi reaches Grafana's API, where that differs.
    api_url: Url | None = None
    time_zone: NonEmpty = "browser"
    # Raised by one, it makes a new token for the program and takes the former one away.
    token_generation: PositiveInt = 1


class Images(Model):
    """Container images: a mirror for all, or single references (by digest for production)."""

    registry_prefix: NonEmpty | None = None
    prometheus: ImageReference | None = None
    alertmanager: ImageReference | None = None
    grafana: ImageReference | None = None
    pve_exporter: ImageReference | None = None
    # A finished image of the discovery service; without it, the image is built from discovery_fn/.
    discovery: ImageReference | None = None
    config_writer: ImageReference | None = None
    python_base: ImageReference | None = None

    def overrides(self) -> dict[str, str]:
        """References given by the site, by key of the image table."""
        given: dict[str, str | None] = {
            Service.PROMETHEUS: self.prometheus,
            Service.ALERTMANAGER: self.alertmanager,
            Service.GRAFANA: self.grafana,
            Service.PVE_EXPORTER: self.pve_exporter,
            Service.DISCOVERY: self.discovery,
            CONFIG_WRITER: self.config_writer,
            PYTHON_BASE: self.python_base,
        }
        return {key: value for key, value in given.items() if value is not None}


class MemoryLimits(Model):
    """Memory limits in MiB. Prometheus: about 3 KiB per series plus queries (docs/sizing in the README)."""

    prometheus: PositiveInt = 2048
    alertmanager: PositiveInt = 128
    grafana: PositiveInt = 512
    discovery: PositiveInt = 256
    pve_exporter: PositiveInt = 256


class Containers(Model):
    """What all containers have in common."""

    # Stands before the names of containers, volumes and the network: two stacks on one host differ in it.
    name_prefix: Name = PROJECT
    # Volumes with history refuse to be deleted or replaced, and stay when the stack is destroyed.
    protect_data: bool = True
    memory_mib: MemoryLimits = MemoryLimits()
    log_max_size_mib: PositiveInt = 10
    log_max_files: PositiveInt = 3
    stop_grace_seconds: NonNegativeInt = 30


class Collector(StrEnum):
    """What hosts tell by node_exporter's textfile collector (host_collectors)."""

    UPDATES = "updates"
    SMART = "smart"
    BACKUPS = "backups"
    CERTIFICATES = "certificates"


class Release(Model):
    """Which release of an exporter is installed, and from where."""

    exporter: ClassVar[Exporter]

    version: Version
    sha256: Digest | None = None
    # The archive on the machine that runs Pulumi: it is uploaded instead of downloaded by the host.
    file: Path | None = None

    @property
    def checksum(self) -> str:
        """SHA-256 of the archive."""
        return self.sha256 or self.exporter.checksums[self.version]

    @model_validator(mode="after")
    def _checksum_is_known(self) -> Self:
        if self.sha256 is None and self.version not in self.exporter.checksums:
            archive = self.exporter.archive_name(self.version)
            raise problem(
                f"the checksum of {archive} isn't known here; set sha256 to the one that "
                f"{self.exporter.checksums_url(self.version)} gives for it"
            )
        return self


class NodeRelease(Release):
    """node_exporter, on every host."""

    exporter = NODE_EXPORTER

    version: Version = NODE_EXPORTER.version


class GpuRelease(Release):
    """nvidia_gpu_exporter, on hosts whose own driver runs their GPUs."""

    exporter = NVIDIA_GPU_EXPORTER

    version: Version = NVIDIA_GPU_EXPORTER.version
    # auto: wherever nvidia-smi answers when the host is set up.
    hosts: Literal["auto"] | Annotated[tuple[NodeName, ...], AfterValidator(some)] = "auto"


class ExporterHost(Model):
    """A host that exporters are installed on over SSH."""

    address: Host
    # It is known beforehand: whoever answers with another key gets no login and no script.
    host_key: HostKey
    user: UnixUser = "root"
    port: Port = 22
    # Without one here or for all hosts, the SSH agent is asked.
    identity_file: Path | None = None
    # Address of the host on which the exporters listen; all of them if none is given.
    listen_address: Address | None = None


class HostExporters(Model):
    """Exporters on the hosts of the cluster; they listen on scrape.exporterPorts."""

    # By the name of the node; none: the hosts are left alone.
    hosts: dict[NodeName, ExporterHost] = {}
    identity_file: Path | None = None
    node_exporter: NodeRelease = NodeRelease()
    # Not installed where it isn't given.
    gpu_exporter: GpuRelease | None = None
    # A mirror that is laid out as GitHub is, for hosts that don't reach it.
    download_base_url: Url = GITHUB
    textfile_collectors: tuple[Collector, ...] = tuple(Collector)

    @model_validator(mode="after")
    def _gpu_hosts_are_hosts(self) -> Self:
        named = (
            () if self.gpu_exporter is None or self.gpu_exporter.hosts == "auto" else self.gpu_exporter.hosts
        )
        if unknown := sorted(set(named) - self.hosts.keys()):
            raise problem(
                f"gpuExporter.hosts names {', '.join(unknown)}, which hosts doesn't; correct one of them"
            )
        return self

    def identity(self, host: ExporterHost) -> Path | None:
        """The private key for a host; None asks the SSH agent."""
        return host.identity_file or self.identity_file


class StackSettings(Model):
    """Everything a stack decides, without its secrets."""

    cluster: Cluster
    alerting: Alerting
    docker: Docker = LocalDocker()
    network: Network = Network()
    prometheus: Prometheus = Prometheus()
    scrape: Scrape = Scrape()
    discovery: Discovery = Discovery()
    grafana: Grafana = Grafana()
    images: Images = Images()
    containers: Containers = Containers()
    host_exporters: HostExporters = HostExporters()

    @model_validator(mode="after")
    def _grafana_reachable(self) -> Self:
        remote = isinstance(self.docker, SshDocker)
        if remote and ip_address(self.network.bind_address).is_loopback and self.grafana.api_url is None:
            raise problem(
                "docker.target is ssh and network.bindAddress is loopback on that host: Grafana's API can't "
                "be reached from here; set network.bindAddress to an address of the host, or grafana.apiUrl "
                "to a tunnel or gateway"
            )
        return self

    @model_validator(mode="after")
    def _bound_to_the_vm(self) -> Self:
        if not isinstance(self.docker, ProxmoxDocker) or self.grafana.api_url is not None:
            return self
        if self.network.bind_address not in (self.docker.host, "0.0.0.0"):  # noqa: S104 - a comparison
            raise problem(
                f"docker.target is proxmox and network.bindAddress is {self.network.bind_address}, which the "
                f"VM doesn't have or nobody reaches; set network.bindAddress to {self.docker.host} or "
                "0.0.0.0, or grafana.apiUrl to a tunnel or gateway"
            )
        return self

    def required_secrets(self) -> tuple[Secret, ...]:
        """Secret keys that this configuration can't do without."""
        needed = [*ALWAYS_REQUIRED]
        if isinstance(self.docker, ProxmoxDocker):
            needed.append(Secret.PVE_PROVISIONING_TOKEN)
        needed += [
            CHANNEL_SECRETS[c] for c in sorted(self.alerting.routes.channels()) if c in CHANNEL_SECRETS
        ]
        if self.alerting.email is not None and self.alerting.email.username is not None:
            needed.append(Secret.SMTP_PASSWORD)
        if self.prometheus.remote_write is not None and self.prometheus.remote_write.username is not None:
            needed.append(Secret.REMOTE_WRITE_PASSWORD)
        return tuple(needed)


# --- reading -------------------------------------------------------------------------------------


class Secrets:
    """The secret values of a stack, as Outputs."""

    def __init__(self, values: Mapping[Secret, pulumi.Output[str]]) -> None:
        self._values = dict(values)

    def __contains__(self, secret: Secret) -> bool:
        return secret in self._values

    def __getitem__(self, secret: Secret) -> pulumi.Output[str]:
        return self._values[secret]


class Problem(Model):
    """One thing wrong with the configuration."""

    key: str
    text: str

    def __str__(self) -> str:
        return f"{self.key}: {self.text}"


class SettingsError(pulumi.RunError):
    """The configuration can't be used; the message lists every problem, and no resource was registered."""

    def __init__(self, problems: list[Problem]) -> None:
        lines = "\n".join(f"  - {problem}" for problem in problems)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(f"{count} in the stack configuration; nothing was created.\n{lines}")
        self.problems = tuple(problems)


_ADVICE = {
    "missing": "is required and missing",
    "extra_forbidden": "is not a known key; remove it or correct its spelling",
}


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        # The discriminator of a union stands in the location too; it is no key of the file.
        if part in ("local", "ssh", "proxmox") and path == "docker":
            continue
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path


def _explain(error: ValidationError) -> list[Problem]:
    problems = []
    for item in error.errors(include_url=False):
        text = _ADVICE.get(item["type"], item["msg"])
        if item["type"] not in ("missing", "extra_forbidden", "setting", "secret"):
            text = f"{text[0].lower()}{text[1:]}, but it is {item['input']!r}"
        problems.append(Problem(key=_path(item["loc"]) or "(stack)", text=text))
    return problems


def _secret_problems(settings: StackSettings, given: frozenset[str]) -> list[Problem]:
    return [
        Problem(key=secret, text=f"is required and missing; run: pulumi config set --secret {secret}")
        for secret in settings.required_secrets()
        if secret not in given
    ]


def _plain_problems(plain: Mapping[str, object]) -> list[Problem]:
    known = {secret.value for secret in Secret}
    return [
        Problem(
            key=key,
            text="is a secret but stands in plain text in the stack file; remove it, change the secret, "
            f"and run: pulumi config set --secret {key}",
        )
        for key in plain
        if key in known
    ]


_IDENTITY = "a private key without a passphrase"


def _exporter_files(exporters: HostExporters) -> dict[str, tuple[Path | None, str]]:
    files = {"hostExporters.identityFile": (exporters.identity_file, _IDENTITY)}
    for name, host in exporters.hosts.items():
        files[f"hostExporters.hosts.{name}.identityFile"] = (host.identity_file, _IDENTITY)
    releases: dict[str, Release | None] = {
        "nodeExporter": exporters.node_exporter,
        "gpuExporter": exporters.gpu_exporter,
    }
    for key, release in releases.items():
        if release is not None:
            archive = release.exporter.archive_name(release.version)
            files[f"hostExporters.{key}.file"] = (release.file, f"the archive {archive}")
    return files


def _file_problems(settings: StackSettings, root: Path) -> list[Problem]:
    files = {"cluster.caFile": (settings.cluster.ca_file, "the cluster's CA certificate (PEM)")}
    if isinstance(settings.docker, ProxmoxDocker):
        files["docker.identityFile"] = (settings.docker.identity_file, _IDENTITY)
    files.update(_exporter_files(settings.host_exporters))
    return [
        Problem(key=key, text=f"{path} is not a readable file; give the path of {what}")
        for key, (path, what) in files.items()
        if path is not None and not (root / path).is_file()
    ]


def validate(plain: Mapping[str, object], secret_keys: frozenset[str], root: Path) -> StackSettings:
    """Build the settings from plain values and the names of the secrets that are set.

    Args:
        plain: structured values by key, without the project's prefix.
        secret_keys: keys that are given as secrets.
        root: directory that relative paths in the settings start from.

    Raises:
        SettingsError: with all problems at once.
    """
    secrets = {secret.value for secret in Secret}
    problems = _plain_problems(plain)
    problems += [
        Problem(key=key, text="is encrypted, but no secret is known by that name; correct its spelling")
        for key in sorted(secret_keys - secrets)
        if key not in {to_camel(name) for name in StackSettings.model_fields}
    ]
    settings: StackSettings | None = None
    try:
        settings = StackSettings.model_validate({k: v for k, v in plain.items() if k not in secrets})
    except ValidationError as error:
        problems += _explain(error)
    if settings is None:
        raise SettingsError(problems)
    plain_secrets = frozenset(key for key in plain if key in secrets)
    problems += _secret_problems(settings, secret_keys | plain_secrets)
    problems += _file_problems(settings, root)
    if problems:
        raise SettingsError(problems)
    return settings


def _decode(value: Any) -> object:
    """Structured values arrive as JSON text; a plain word is a value of its own."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def load(root: Path) -> tuple[StackSettings, Secrets]:
    """Read the config of the current stack.

    Args:
        root: the project's directory; relative paths in the settings start there.

    Raises:
        SettingsError: with all problems at once, before any resource exists.
    """
    prefix = f"{PROJECT}:"
    keys = {key.removeprefix(prefix): key for key in _config_keys() if key.startswith(prefix)}
    secret = frozenset(name for name, key in keys.items() if runtime_config.is_config_secret(key))
    plain = {n: _decode(runtime_config.get_config(key)) for n, key in keys.items() if n not in secret}
    settings = validate(plain, secret, root)
    config = pulumi.Config(PROJECT)
    return settings, Secrets({s: config.require_secret(s) for s in Secret if s.value in secret})


def _config_keys() -> set[str]:
    return {*runtime_config.CONFIG.get(), *runtime_config.get_config_env()}
