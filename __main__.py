"""Monitoring of a Proxmox VE cluster: rights, machines, exporters, services, what is in Grafana."""

from __future__ import annotations

from pathlib import Path

import pulumi

from components import cautions, topology
from components import settings as configuration
from components.alertmanager import Alertmanager
from components.discovery import Discovery
from components.docker_host import DockerHost, DockerHostArgs
from components.firewall import firewall
from components.gateway import Gateway
from components.grafana import Grafana
from components.grafana_account import GrafanaAccount, GrafanaAccountArgs
from components.grafana_alerting import GrafanaAlerting, GrafanaAlertingArgs
from components.grafana_content import GrafanaContent, GrafanaContentArgs
from components.host_exporters import host_exporters
from components.images import Service
from components.monitoring_vm import monitoring_vms
from components.prometheus import Prometheus
from components.pve_access import with_tokens
from components.pve_exporter import PveExporter
from components.service import ServiceArgs, one_by_one

settings, given = configuration.load(Path())
cautions.warn(settings)
plan, secrets = topology.plan(settings), with_tokens(settings, given)
vms = monitoring_vms(settings, given)
ready = {key: vm.ready for key, vm in vms.items()}
rules = firewall(settings, given, {key: vm.vm for key, vm in vms.items()})
hosts = {
    host.key: DockerHost(
        f"host-{host.key}", DockerHostArgs(plan=host, settings=settings, ready=ready.get(host.key))
    )
    for host in plan.hosts
}


def args(instance: topology.Instance) -> ServiceArgs:
    """Arguments of the component that runs an instance."""
    host, seen = hosts[instance.host], plan.seen_from(instance.host)
    return ServiceArgs(instance=instance, topology=seen, host=host, settings=settings, secrets=secrets)


discovery = one_by_one(Discovery, map(args, plan.of(Service.DISCOVERY)))
pve_exporter = one_by_one(PveExporter, map(args, plan.of(Service.PVE_EXPORTER)))
alertmanager = one_by_one(Alertmanager, map(args, plan.of(Service.ALERTMANAGER)))
prometheus = one_by_one(Prometheus, map(args, plan.of(Service.PROMETHEUS)))
host_exporters(settings, given, [one.container for one in prometheus])
grafana = one_by_one(Grafana, map(args, plan.of(Service.GRAFANA)))
gateways = one_by_one(Gateway, map(args, plan.of(Service.GATEWAY)))
account = GrafanaAccount(
    "grafana-account",
    GrafanaAccountArgs(server=grafana[0], gateways=gateways, settings=settings, secrets=secrets),
)
content = GrafanaContent(
    "grafana-content",
    GrafanaContentArgs(account=account, topology=plan, settings=settings, secrets=secrets),
)
GrafanaAlerting(
    "grafana-alerting",
    GrafanaAlertingArgs(account=account, content=content, settings=settings, secrets=secrets),
)

pulumi.export("prometheusUrl", prometheus[0].url)
pulumi.export("alertmanagerUrl", alertmanager[0].url)
pulumi.export("grafanaUrl", grafana[0].url)
pulumi.export("gatewayUrl", settings.gateway_url)
pulumi.export("grafanaUser", settings.grafana.admin_user)
pulumi.export("dashboards", content.dashboards)
pulumi.export("nftables", rules)
