"""What people see in Grafana: data sources, folders, dashboards, and the organization's preferences."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumiverse_grafana as grafana

from components.grafana_account import GrafanaAccount
from components.images import Service
from components.render import tls
from components.render.platform_tls import encrypted, scheme
from components.settings import SCRAPE_PASSWORDS, Group, Secrets, StackSettings
from components.topology import Instance, Topology, suffix
from dashboards import ALERTMANAGER_UID, DASHBOARDS, PROMETHEUS_UID, Entry


@dataclass(frozen=True, kw_only=True)
class GrafanaContentArgs:
    """Arguments of GrafanaContent."""

    account: GrafanaAccount
    topology: Topology
    settings: StackSettings
    secrets: Secrets


def _verified(settings: StackSettings) -> dict[str, Any]:
    """What goes into jsonData: the certificate is verified, by the name that all our servers have."""
    return (
        {"tlsAuthWithCACert": True, "serverName": Group.PLATFORM.server_name} if encrypted(settings) else {}
    )


def _login(args: GrafanaContentArgs) -> dict[str, Any]:
    if not encrypted(args.settings) or args.settings.pki is None:
        return {"basic_auth_enabled": False}
    ca, password = args.settings.pki.ca, args.secrets[SCRAPE_PASSWORDS[Group.PLATFORM]]
    secure = password.apply(lambda text: json.dumps({"basicAuthPassword": text, "tlsCACert": ca}))
    return {
        "basic_auth_enabled": True,
        "basic_auth_username": tls.USER,
        "secure_json_data_encoded": pulumi.Output.secret(secure),
    }


class GrafanaContent(pulumi.ComponentResource):
    """What is looked at; what Grafana tells by itself is grafana_alerting.

    Attributes:
        dashboards: uids of the dashboards, in the order of the registry.
        prometheus: the data source of all of them.
        folders: by title.
    """

    TYPE = "pve-monitoring:components:GrafanaContent"

    dashboards: list[pulumi.Output[str]]
    prometheus: grafana.oss.DataSource
    folders: dict[str, grafana.oss.Folder]

    def __init__(
        self, name: str, args: GrafanaContentArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(self.TYPE, name, None, opts)
        self._child = args.account.child_options(self)
        self.prometheus, *others = [self._prometheus(args, i) for i in args.topology.of(Service.PROMETHEUS)]
        sources = [self.prometheus, *others, self._alertmanager(args)]
        titles = sorted({entry.folder for entry in DASHBOARDS})
        self.folders = {title: self._folder(title) for title in titles}
        created = {e.uid: self._dashboard(e, self.folders[e.folder], sources) for e in DASHBOARDS}
        grafana.oss.OrganizationPreferences(
            "preferences",
            # The registry begins with what people want to see first.
            home_dashboard_uid=created[DASHBOARDS[0].uid].uid,
            timezone=args.settings.grafana.time_zone,
            week_start="monday",
            theme="dark",
            opts=self._child,
        )
        self.dashboards = [dashboard.uid for dashboard in created.values()]
        self.register_outputs({"dashboards": self.dashboards})

    def _prometheus(self, args: GrafanaContentArgs, instance: Instance) -> grafana.oss.DataSource:
        return self._data_source(
            args,
            instance,
            PROMETHEUS_UID,
            {
                "httpMethod": "POST",
                "prometheusType": "Prometheus",
                # Grafana's $__rate_interval is at least four of these.
                "timeInterval": args.settings.prometheus.scrape_interval,
            },
            is_default=not suffix(instance.host),
        )

    def _alertmanager(self, args: GrafanaContentArgs) -> grafana.oss.DataSource:
        json_data = {"implementation": "prometheus", "handleGrafanaManagedAlerts": False}
        # One is enough: they tell each other what is silenced.
        first = args.topology.of(Service.ALERTMANAGER)[0]
        return self._data_source(args, first, ALERTMANAGER_UID, json_data, is_default=False)

    def _data_source(
        self,
        args: GrafanaContentArgs,
        instance: Instance,
        uid: str,
        json_data: dict[str, Any],
        *,
        is_default: bool,
    ) -> grafana.oss.DataSource:
        return grafana.oss.DataSource(
            f"datasource-{instance.service}{suffix(instance.host)}",
            type=str(instance.service),
            name=f"{instance.service.capitalize()}{suffix(instance.host)}",
            uid=f"{uid}{suffix(instance.host)}",
            url=f"{scheme(args.settings)}://{args.topology.endpoint(instance)}",
            access_mode="proxy",
            is_default=is_default,
            json_data_encoded=json.dumps({**json_data, **_verified(args.settings)}),
            **_login(args),
            opts=self._child,
        )

    def _folder(self, title: str) -> grafana.oss.Folder:
        uid = f"pve-{title.lower()}"
        return grafana.oss.Folder(
            f"folder-{uid}", uid=uid, title=title, prevent_destroy_if_not_empty=False, opts=self._child
        )

    def _dashboard(
        self, entry: Entry, folder: grafana.oss.Folder, sources: list[grafana.oss.DataSource]
    ) -> grafana.oss.Dashboard:
        return grafana.oss.Dashboard(
            f"dashboard-{entry.uid}",
            folder=folder.uid,
            config_json=entry.path.read_text("utf-8"),
            message="pulumi up",
            opts=pulumi.ResourceOptions.merge(self._child, pulumi.ResourceOptions(depends_on=[*sources])),
        )
