"""Platform Health: can the other dashboards be trusted?"""

from __future__ import annotations

from dashboards import FOLDER_PLATFORM, layout, style
from dashboards.fields import Query
from dashboards.layout import Section
from dashboards.links import links_from
from dashboards.panels import graph, stat
from dashboards.sdk import Dashboard
from dashboards.style import high_is_bad
from dashboards.tables import Column, table
from dashboards.thresholds import levels

_AGE = high_is_bad(*levels("DiscoveryStale"))


def _head() -> list[object]:
    return [
        stat(
            "Targets down",
            "Exporters and parts of the platform that don't answer, of all that are scraped.",
            "sum(up == bool 0)",
            steps=style.ANY_IS_NOTABLE,
        ),
        stat(
            "Guests watched",
            "Guests that have a target.",
            'sum(pve_discovery_guests{state="monitored"})',
        ),
        stat(
            "Guests not watched",
            "Guests that run without a target and weren't left out on purpose; Coverage says why.",
            'sum(pve_discovery_guests_unmonitored{reason!="excluded"})',
            steps=style.ANY_IS_NOTABLE,
        ),
        stat(
            "Age of the inventory",
            "Since discovery last read the list of guests without an error.",
            "max(pve_discovery_inventory_age_seconds)",
            unit=style.AGE,
            steps=_AGE,
        ),
        stat(
            "API endpoints down",
            "Members of the cluster that discovery asks and that don't answer.",
            "sum(pve_discovery_endpoint_up == bool 0)",
            steps=style.ANY_IS_NOTABLE,
        ),
        stat(
            "Privileges missing",
            "Privileges in Proxmox VE that discovery needs and its token lacks.",
            "sum(pve_discovery_missing_privileges)",
            steps=style.ANY_IS_BAD,
        ),
        stat(
            "Rules failing",
            "Evaluations of rules that failed within the last 15 minutes.",
            "sum(increase(prometheus_rule_evaluation_failures_total[15m]))",
            steps=style.ANY_IS_BAD,
            decimals=0,
        ),
        stat(
            "Messages lost",
            "Notifications that Alertmanager failed to deliver within the last hour.",
            "sum(increase(alertmanager_notifications_failed_total[1h]))",
            steps=style.ANY_IS_BAD,
            decimals=0,
        ),
    ]


def _targets() -> Section:
    return Section(
        title="Targets",
        panels=[
            table(
                "Targets that are down",
                "What Prometheus fails to scrape. Empty while everything answers.",
                [
                    Column(title="Job", label="job", width=130),
                    Column(title="Instance", label="instance", width=220),
                    Column(title="Guest", label="vm_name", width=160),
                    Column(title="Host", label="node", width=120),
                    Column(
                        title="Down",
                        expr="count by (job, instance, vm_name, node) (up == 0)",
                        unit=style.COUNT,
                        width=80,
                    ),
                ],
                sort_by="Job",
                descending=False,
                no_value="everything answers",
                width=14,
                height=9,
            ),
            graph(
                "Targets by job",
                "Targets that answer.",
                [Query(expr="sum by (job) (up)", legend="{{job}}")],
                unit=style.COUNT,
                width=10,
            ),
        ],
    )


def _api() -> Section:
    return Section(
        title="Way into the cluster",
        panels=[
            graph(
                "Calls of discovery to the API",
                "Per minute, by status: anything but 200 deserves a look; 5xx of single guests are agents "
                "that don't answer.",
                [
                    Query(
                        expr="60 * sum by (status) "
                        "(rate(pve_discovery_api_requests_total[$__rate_interval]))",
                        legend="{{status}}",
                    )
                ],
                unit="cpm",
                stacked=True,
                width=8,
            ),
            graph(
                "Agents that fail",
                "Questions within an hour to which a guest didn't confirm its address, by reason.",
                [
                    Query(
                        expr="sum by (reason) (increase(pve_discovery_agent_failures_total[1h])) > 0",
                        legend="{{reason}}",
                    )
                ],
                unit=style.COUNT,
                no_value="every guest confirms its address",
                width=8,
            ),
            graph(
                "Time to read the API",
                "Seconds that pve-exporter takes for a scrape; Prometheus gives up at 30 s.",
                [
                    Query(
                        expr='max by (job, instance) (scrape_duration_seconds{job=~"pve-cluster|pve-node"})',
                        legend="{{job}} {{instance}}",
                    )
                ],
                unit=style.SECONDS,
                width=8,
            ),
        ],
    )


def _prometheus() -> Section:
    return Section(
        title="Prometheus",
        panels=[
            graph(
                "Series in memory",
                "Series that Prometheus holds; about 3 KiB of memory each.",
                [Query(expr="prometheus_tsdb_head_series", legend="{{instance}}")],
                unit=style.COUNT,
                width=8,
            ),
            graph(
                "Samples taken in",
                "Per second.",
                [
                    Query(
                        expr="sum by (instance) "
                        "(rate(prometheus_tsdb_head_samples_appended_total[$__rate_interval]))",
                        legend="{{instance}}",
                    )
                ],
                unit="cps",
                width=8,
            ),
            graph(
                "Memory of the platform",
                "Resident memory of each part.",
                [
                    Query(
                        expr='process_resident_memory_bytes{job=~"prometheus|alertmanager|grafana|pve-exporter"}',
                        legend="{{job}}",
                    )
                ],
                unit=style.BYTES,
                width=8,
            ),
            graph(
                "Rule groups: share of their interval",
                "How much of its interval a group of rules takes to evaluate; at 100 % it falls behind.",
                [
                    Query(
                        expr="topk(5, prometheus_rule_group_last_duration_seconds"
                        " / prometheus_rule_group_interval_seconds)",
                        legend="{{rule_group}}",
                    )
                ],
                unit=style.RATIO,
                steps=high_is_bad(0.5, 1),
                width=8,
            ),
            graph(
                "Slowest scrapes",
                "The ten slowest targets at the end of the time range.",
                [
                    Query(
                        expr="scrape_duration_seconds and on (job, instance)"
                        " topk(10, max by (job, instance) (scrape_duration_seconds @ end()))",
                        legend="{{job}} {{instance}} {{vm_name}}",
                    )
                ],
                unit=style.SECONDS,
                width=8,
            ),
            graph(
                "Data on disk",
                "Blocks and write-ahead log.",
                [
                    Query(expr="prometheus_tsdb_storage_blocks_bytes", legend="blocks"),
                    Query(expr="prometheus_tsdb_wal_storage_size_bytes", legend="write-ahead log"),
                ],
                unit=style.BYTES,
                width=8,
            ),
        ],
    )


def _notifications() -> Section:
    return Section(
        title="Notifications",
        panels=[
            graph(
                "Sent and failed",
                "Notifications per hour and integration; failed ones were lost. Empty while none is sent.",
                [
                    Query(
                        expr="sum by (integration) (increase(alertmanager_notifications_total[1h])) > 0",
                        legend="{{integration}} sent",
                    ),
                    Query(
                        expr="sum by (integration) "
                        "(increase(alertmanager_notifications_failed_total[1h])) > 0",
                        legend="{{integration}} failed",
                    ),
                ],
                unit=style.COUNT,
            ),
            graph(
                "Alerts in Alertmanager",
                "By state: suppressed ones are silenced or inhibited.",
                [Query(expr="sum by (state) (alertmanager_alerts)", legend="{{state}}")],
                unit=style.COUNT,
            ),
        ],
    )


def build() -> Dashboard:
    """Build the dashboard."""
    return layout.dashboard(
        uid="pve-platform-health",
        title="Platform Health",
        question="Can the other dashboards be trusted?",
        folder=FOLDER_PLATFORM,
        variables=[],
        links=links_from("pve-platform-health"),
        head=_head(),
        sections=[_targets(), _api(), _prometheus(), _notifications()],
        alert_matchers=', scope="platform"',
    )
