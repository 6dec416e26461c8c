"""Who reaches exporters, hosts and the platform: Proxmox VE's firewall, or files for nftables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_proxmoxve as proxmoxve

from components import rights
from components.cluster_provider import cluster_provider
from components.preflight import Wanted
from components.render import firewall as render
from components.render import nftables
from components.settings import FirewallMode, ProxmoxDocker, Secret, Secrets, StackSettings, Switch
from components.topology import machines, suffix

# Names on the cluster: operators write them into rules of their own. A group's has 18 characters at most.
MONITORING, EXPORTERS, HOSTS, PLATFORM = "monitoring", "mon-exporters", "mon-hosts", "mon-platform"


@dataclass(frozen=True, kw_only=True)
class FirewallArgs:
    """Arguments of Firewall.

    Attributes:
        token: whole API token that may change firewalls, `user@realm!name=uuid`.
        vms: the machines with the platform by key of the Docker host, where they are on the cluster.
    """

    settings: StackSettings
    token: pulumi.Input[str]
    vms: Mapping[str, pulumi.Resource] = field(default_factory=dict)


class Firewall(pulumi.ComponentResource):
    """The set of monitoring addresses, security groups, where they apply, and the switch: in this order."""

    TYPE = "pve-monitoring:components:Firewall"

    def __init__(self, name: str, args: FirewallArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, None, opts)
        self._key, self._settings = name, args.settings
        wanted = args.settings.firewall
        on_cluster = machines(args.settings)
        nodes = {guest.node for guest in wanted.guests} | {vm.node for vm in on_cluster.values()}
        provider = cluster_provider(
            f"{name}-proxmoxve",
            args.settings,
            args.token,
            self,
            Wanted(rights.of_firewall(wanted, [*on_cluster.values()]), tuple(sorted(nodes))),
        )
        self._child = pulumi.ResourceOptions(parent=self, provider=provider)
        # What is on stays protected: without its rules nobody would reach the hosts.
        self._guarded = wanted.switch is Switch.ON
        monitoring = self._set()
        source = f"+{MONITORING}"
        exporters = self._group("exporters", EXPORTERS, render.exporters(args.settings, source), [monitoring])
        for guest in wanted.guests:
            self._attach(f"guest-{guest.vm_id}", [EXPORTERS], [exporters], guest.node, guest.vm_id)
        applied: list[pulumi.Resource] = []
        if wanted.hosts:
            hosts = self._group("hosts", HOSTS, render.hosts(args.settings, source), [monitoring])
            applied.append(self._attach("datacenter", [HOSTS, EXPORTERS], [hosts, exporters]))
        if on_cluster:
            group = self._group("platform", PLATFORM, render.platform(args.settings), [])
            for key, machine in on_cluster.items():
                made = [args.vms[key]] if key in args.vms else []
                name = f"platform{suffix(key)}"
                applied.append(self._on_vm(name, machine, [group, exporters, *made]))
        if wanted.switch is not Switch.LEAVE:
            self._switch(applied)
        self.register_outputs({"groups": [EXPORTERS]})

    def _options(
        self, after: Sequence[pulumi.Resource] = (), *, guarded: bool = False
    ) -> pulumi.ResourceOptions:
        more = pulumi.ResourceOptions(depends_on=list(after), protect=guarded or None)
        return pulumi.ResourceOptions.merge(self._child, more)

    def _set(self) -> pulumi.Resource:
        return proxmoxve.firewall.IpsetLegacy(
            f"{self._key}-monitoring",
            name=MONITORING,
            comment=self._comment,
            cidrs=[
                proxmoxve.firewall.IpsetLegacyCidrArgs(name=cidr)
                for cidr in sorted(set(self._settings.firewall.monitoring))
            ],
            opts=pulumi.ResourceOptions.merge(
                self._options(),
                # Another one of the same name would be taken for it, and then be deleted as the old one.
                pulumi.ResourceOptions(delete_before_replace=True),
            ),
        )

    @property
    def _comment(self) -> str:
        return f"Monitoring of {self._settings.cluster.name}. Managed by Pulumi: {pulumi.get_project()}."

    def _group(
        self, key: str, name: str, rules: Sequence[render.Rule], after: Sequence[pulumi.Resource]
    ) -> pulumi.Resource:
        return proxmoxve.cluster.firewall.security.GroupLegacy(
            f"{self._key}-group-{key}",
            name=name,
            comment=self._comment,
            rules=[
                proxmoxve.cluster.firewall.security.GroupLegacyRuleArgs(
                    type="in",
                    action=rule.action,
                    comment=rule.comment,
                    source=rule.source or None,
                    dport=rule.ports or None,
                    proto="tcp" if rule.ports else None,
                )
                for rule in rules
            ],
            opts=self._options(after, guarded=self._guarded and key == "hosts"),
        )

    def _attach(
        self,
        key: str,
        groups: Sequence[str],
        after: Sequence[pulumi.Resource],
        node: str | None = None,
        vm_id: int | None = None,
    ) -> pulumi.Resource:
        """The whole list of rules of the datacenter or of a machine: groups. It must be empty before."""
        return proxmoxve.firewall.RulesLegacy(
            f"{self._key}-rules-{key}",
            node_name=node,
            vm_id=vm_id,
            rules=[
                proxmoxve.firewall.RulesLegacyRuleArgs(security_group=group, comment=self._comment)
                for group in groups
            ],
            opts=self._options(after, guarded=self._guarded and key == "datacenter"),
        )

    def _on_vm(self, name: str, machine: ProxmoxDocker, after: Sequence[pulumi.Resource]) -> pulumi.Resource:
        rules = self._attach(name, [PLATFORM, EXPORTERS], after, machine.node, machine.vm_id)
        return proxmoxve.firewall.OptionsLegacy(
            f"{self._key}-options-{name}",
            node_name=machine.node,
            vm_id=machine.vm_id,
            enabled=True,
            input_policy="DROP",
            output_policy="ACCEPT",
            # Proxmox VE's own defaults; the provider would write the opposite, and end IPv6.
            ndp=True,
            radv=False,
            opts=self._options([rules]),
        )

    def _switch(self, after: Sequence[pulumi.Resource]) -> None:
        proxmoxve.cluster.FirewallLegacy(
            f"{self._key}-switch",
            enabled=self._settings.firewall.switch is Switch.ON,
            # As Proxmox VE has it where nobody said otherwise; the provider would write 0.
            ebtables=True,
            input_policy="DROP",
            output_policy="ACCEPT",
            # To leave it on and let it go would take its rules with it: it is switched off first.
            opts=self._options(after, guarded=self._guarded),
        )


def firewall(
    settings: StackSettings, secrets: Secrets, vms: Mapping[str, pulumi.Resource] | None = None
) -> dict[str, str]:
    """What the settings ask for: made on the cluster, or as files for nftables by machine; else nothing."""
    if settings.firewall.mode is FirewallMode.PROXMOX:
        args = FirewallArgs(settings=settings, token=secrets[Secret.PVE_PROVISIONING_TOKEN], vms=vms or {})
        Firewall("firewall", args)
    return nftables.files(settings) if settings.firewall.mode is FirewallMode.NFTABLES else {}
