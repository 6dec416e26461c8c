"""What people see in Grafana: data sources, folders, dashboards, and the organization's preferences."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pulumi
import pulumiverse_grafana as grafana

from components.grafana_account import GrafanaAccount
from components.images import Service
from components.settings import StackSettings
from components.topology import Topology
from dashboards import DASHBOARDS, Entry

# Dashboards and rules name their data sources by these uids.
PROMETHEUS_UID = "prometheus"
ALERTMANAGER_UID = "alertmanager"


@dataclass(frozen=True, kw_only=True)
class GrafanaContentArgs:
    """Arguments of GrafanaContent."""

    account: GrafanaAccount
    topology: Topology
    settings: StackSettings


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
        self.prometheus = self._prometheus(args)
        sources = [self.prometheus, self._alertmanager(args)]
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

    def _prometheus(self, args: GrafanaContentArgs) -> grafana.oss.DataSource:
        return grafana.oss.DataSource(
            "datasource-prometheus",
            type="prometheus",
            name="Prometheus",
            uid=PROMETHEUS_UID,
            url=f"http://{args.topology.endpoints(Service.PROMETHEUS)[0]}",
            access_mode="proxy",
            is_default=True,
            basic_auth_enabled=False,
            json_data_encoded=json.dumps(
                {
                    "httpMethod": "POST",
                    "prometheusType": "Prometheus",
                    # Grafana's $__rate_interval is at least four of these.
                    "timeInterval": args.settings.prometheus.scrape_interval,
                }
            ),
            opts=self._child,
        )

    def _alertmanager(self, args: GrafanaContentArgs) -> grafana.oss.DataSource:
        return grafana.oss.DataSource(
            "datasource-alertmanager",
            type="alertmanager",
            name="Alertmanager",
            uid=ALERTMANAGER_UID,
            url=f"http://{args.topology.endpoints(Service.ALERTMANAGER)[0]}",
            access_mode="proxy",
            is_default=False,
            basic_auth_enabled=False,
            json_data_encoded=json.dumps(
                {"implementation": "prometheus", "handleGrafanaManagedAlerts": False}
            ),
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
