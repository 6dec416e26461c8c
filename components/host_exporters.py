"""Exporters on the hosts of the cluster, installed over SSH."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pulumi
import pulumi_command as command
from pulumi_command import remote

from components.render.host_exporters import script
from components.render.host_units import Driver, Installation
from components.render.tls import Server
from components.settings import ExporterHost, Group, HostRelease, Secrets, StackSettings
from components.settings import HostExporters as Wanted
from components.tls import exporter

# Three tries of 15 s: a host that is down is told about soon, one that is slow still gets its turn.
DIAL_ERRORS = 3
DIAL_SECONDS = 15


@dataclass(frozen=True, kw_only=True)
class HostExportersArgs:
    """Arguments of HostExporters.

    Attributes:
        server: with what the exporters speak TLS; None for plain HTTP.
        after: exporters come after these.
    """

    settings: StackSettings
    server: pulumi.Output[Server] | None = None
    after: Sequence[pulumi.Resource] = ()


@dataclass(frozen=True, kw_only=True)
class ExportersOfHostArgs:
    """Arguments of ExportersOfHost.

    Attributes:
        name: of the host.
        common: what all hosts have in common.
        provider: runs commands.
    """

    name: str
    host: ExporterHost
    common: HostExportersArgs
    provider: command.Provider


class HostExporters(pulumi.ComponentResource):
    """The exporters of all hosts. Hosts don't wait for each other: one that fails fails alone."""

    TYPE = "pve-monitoring:components:HostExporters"

    def __init__(
        self, name: str, args: HostExportersArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(self.TYPE, name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        provider = command.Provider(f"{name}-command", opts=child)
        for host_name, host in sorted(args.settings.host_exporters.hosts.items()):
            ExportersOfHost(
                f"{name}-{host_name}",
                ExportersOfHostArgs(name=host_name, host=host, common=args, provider=provider),
                child,
            )
        self.register_outputs({})


class ExportersOfHost(pulumi.ComponentResource):
    """node_exporter with its collectors and, where a GPU is, nvidia_gpu_exporter on one host."""

    TYPE = "pve-monitoring:components:ExportersOfHost"

    def __init__(
        self, name: str, args: ExportersOfHostArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(self.TYPE, name, None, opts)
        self._key, self._args = name, args
        before = [*args.common.after]
        # One after the other: what they share (user, directories) goes with the last that is removed.
        for kind, installation in installations(args.name, args.common.settings).items():
            before = [self._install(kind, installation, before)]
        self.register_outputs({})

    def _install(self, kind: str, wanted: Installation, before: list[pulumi.Resource]) -> remote.Command:
        archive = self._upload(kind, wanted)
        server: pulumi.Output[Server | None] = pulumi.Output.from_input(self._args.common.server)
        text = server.apply(lambda given: script(replace(wanted, server=given)))
        # Standard input brings the script, so that nothing of it stands in the host's list of processes. Its
        # digest stands in the command, to be seen in a preview: it tells nothing of a key that is in it.
        # `triggers` would replace the resource.
        order = pulumi.Output.unsecret(text.apply(lambda it: f"{self._shell} install {_digest(it)}"))
        return remote.Command(
            f"{self._key}-{kind}-exporter",
            connection=self._connection(),
            create=order,
            update=order,
            delete=f"{self._shell} remove",
            stdin=text,
            # What a host said last is no business of its next run.
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(
                parent=self,
                provider=self._args.provider,
                depends_on=[*before, *([archive] if archive else [])],
                # The other way round it would remove what it has just installed.
                delete_before_replace=True,
                hide_diffs=["stdin"],
                custom_timeouts=pulumi.CustomTimeouts(create="10m", update="10m", delete="5m"),
            ),
        )

    def _upload(self, kind: str, wanted: Installation) -> remote.CopyToRemote | None:
        if wanted.file is None:
            return None
        return remote.CopyToRemote(
            f"{self._key}-{kind}-archive",
            connection=self._connection(),
            source=pulumi.FileAsset(str(wanted.file)),
            remote_path=wanted.upload,
            opts=pulumi.ResourceOptions(parent=self, provider=self._args.provider),
        )

    @property
    def _shell(self) -> str:
        return "bash -s" if self._args.host.user == "root" else "sudo -n bash -s"

    def _connection(self) -> remote.ConnectionArgs:
        host = self._args.host
        identity = self._args.common.settings.host_exporters.identity(host)
        return remote.ConnectionArgs(
            host=host.address,
            port=host.port,
            user=host.user,
            host_key=host.host_key,
            private_key=pulumi.Output.secret(identity.read_text("utf-8")) if identity else None,
            dial_error_limit=DIAL_ERRORS,
            per_dial_timeout=DIAL_SECONDS,
        )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def installations(name: str, settings: StackSettings) -> dict[str, Installation]:
    """What is installed on a host, in this order, by kind (`node`, `gpu`)."""
    wanted, ports = settings.host_exporters, settings.scrape.exporter_ports
    node = _installation(name, wanted, wanted.node_exporter, "nodeExporter", ports.node)
    found = {"node": replace(node, collectors=wanted.textfile_collectors)}
    gpu = wanted.gpu_exporter
    if gpu is not None and (gpu.hosts == "auto" or name in gpu.hosts):
        driver = Driver.AUTO if gpu.hosts == "auto" else Driver.REQUIRED
        found["gpu"] = replace(_installation(name, wanted, gpu, "gpuExporter", ports.gpu), driver=driver)
    return found


def _installation(name: str, wanted: Wanted, release: HostRelease, setting: str, port: int) -> Installation:
    exporter, host = release.exporter, wanted.hosts[name]
    return Installation(
        exporter=exporter,
        setting=setting,
        version=release.version,
        sha256=release.checksum,
        url=exporter.url(wanted.download_base_url, release.version),
        file=release.file,
        port=port,
        listen=host.listen_address or "",
    )


def host_exporters(
    settings: StackSettings, secrets: Secrets, clients: Sequence[pulumi.Resource]
) -> HostExporters | None:
    """The exporters that the settings ask for; None where the hosts are left alone.

    Args:
        settings: of the stack.
        secrets: of the stack.
        clients: who asks them. Those know a new authority, and send the password that stays, before an
            exporter shows a certificate of the one or forgets the other: no scrape is missed.
    """
    if not settings.host_exporters.hosts:
        return None
    server = exporter(settings, secrets, Group.HOSTS)
    after = clients if server is not None else ()
    return HostExporters("host-exporters", HostExportersArgs(settings=settings, server=server, after=after))
