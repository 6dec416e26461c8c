"""Coverage: which guests are watched, which aren't, and why?"""

from __future__ import annotations

from dashboards import FOLDER_PLATFORM, layout, style
from dashboards.fields import Query
from dashboards.layout import Section
from dashboards.links import links_from
from dashboards.panels import graph, stat
from dashboards.queries import COVERAGE_OF_HOST, GUEST_PAGE, HOSTS
from dashboards.sdk import Dashboard
from dashboards.style import high_is_bad
from dashboards.tables import Column, table
from dashboards.thresholds import levels

# What discovery's reasons mean, and what to do about each.
REASONS = {
    "pending": "not asked yet: wait a minute",
    "excluded": "left out on purpose by the settings of discovery",
    "node_offline": "its host is offline: see to the host",
    "no_agent": "no QEMU agent: enable it (qm set VMID --agent 1) and install it inside",
    "agent_dead": "the agent is enabled but silent: start qemu-guest-agent inside",
    "agent_denied": "the token may not ask the agent: see Privileges below",
    "agent_unsupported": "the agent bars guest-network-get-interfaces: update or allow it",
    "config_denied": "the token may not read its configuration: see Privileges below",
    "no_address": "only loopback, link-local or filtered addresses: see its network",
    "unknown_os": "its system isn't known: qm set VMID --ostype l26 (or win11)",
    "moved": "it was moving to another host: passes by itself",
    "api_error": "the Proxmox VE API failed: look at discovery's log if it lasts",
}

_AGE = high_is_bad(*levels("DiscoveryStale"))
_CLUSTER = 'cluster=~"$cluster"'

_GUEST = "max by (cluster, vm_id, node)"
_KNOWN = f"pve_discovery_guest_info{{{HOSTS}"
# Each of these has a series per guest, whether one discovery service says it or two do.
_RUNNING = f"({_GUEST} (vm:guest:info{{{HOSTS}}}) and on (cluster, vm_id) vm:running:bool{{{_CLUSTER}}} == 1)"
_WATCHED = f'{_GUEST} ({_KNOWN}, target!=""}})'
_RUNNING_AND_WATCHED = f"({_RUNNING} and on (cluster, vm_id) {_WATCHED})"
_LEFT_OUT = f'({_GUEST} ({_KNOWN}, reason="excluded"}}) unless on (cluster, vm_id) {_WATCHED})'
_UNWATCHED = f'({_GUEST} ({_KNOWN}, reason!="", reason!="excluded"}}) unless on (cluster, vm_id) {_WATCHED})'
_ANSWERS = f'max by (cluster, vm_id) (up{{job=~"windows|linux", vm_id!="", {_CLUSTER}}})'
_SILENT = f"({_RUNNING} and on (cluster, vm_id) {_ANSWERS} == 0)"
_EXPECTED = f"node:guests_expected:count{{{HOSTS}}}"
# A host whose guests are all unwatched has no count of watched ones: it is at zero, not absent.
_SHARE = (
    f"(node:guests_watched:count{{{HOSTS}}} or on (cluster, node) 0 * {_EXPECTED}) "
    f"/ on (cluster, node) {_EXPECTED}"
)


def _counted(kind: str) -> str:
    """Guests of all chosen hosts, as counted at each moment."""
    return f"sum(node:guests_{kind}:count{{{HOSTS}}})"


def _head() -> list[object]:
    notable = style.ANY_IS_NOTABLE
    return [
        stat("Running", "Guests that run on the chosen hosts.", f"count({_RUNNING})"),
        stat(
            "Watched",
            "Running guests that have a target: Prometheus asks the exporter inside.",
            f"count({_RUNNING_AND_WATCHED})",
        ),
        stat(
            "Watched share",
            "Share of the running guests that have a target, those left out on purpose not counted.",
            f"count({_RUNNING_AND_WATCHED}) / count({_RUNNING} unless on (cluster, vm_id) {_LEFT_OUT})",
            unit=style.RATIO,
            decimals=0,
            steps=style.ALL_IS_GOOD,
        ),
        stat(
            "Not watched",
            "Running guests without a target that weren't left out on purpose. Empty while every guest is "
            "watched.",
            f"count({_UNWATCHED})",
            steps=notable,
            no_value="none",
        ),
        stat(
            "Left out",
            "Guests that the settings of discovery leave out on purpose. Empty while none is.",
            f"count({_LEFT_OUT})",
            no_value="none",
        ),
        stat(
            "Unconfirmed",
            "Targets at an address that the guest itself doesn't confirm at the moment: a former one, or the "
            "one that cloud-init was given. For the whole cluster.",
            f"sum(max by (cluster, reason) (pve_discovery_guests_unconfirmed{{{_CLUSTER}}}))",
            steps=notable,
        ),
        stat(
            "Exporters silent",
            "Guests that run and have a target, but whose exporter doesn't answer. Empty while all do.",
            f"count({_SILENT})",
            steps=style.ANY_IS_BAD,
            no_value="none",
        ),
        stat(
            "Inventory age",
            "Since discovery last read the list of guests without an error.",
            f"max(pve_discovery_inventory_age_seconds{{{_CLUSTER}}})",
            unit=style.AGE,
            steps=_AGE,
        ),
    ]


def _guest_columns() -> list[Column]:
    return [
        Column(title="Guest", label="vm_name", width=150, links=(GUEST_PAGE,)),
        Column(title="VMID", label="vm_id", width=58),
        Column(title="Host", label="node", width=75),
        Column(title="Cluster", label="cluster", width=75),
    ]


def _unwatched_table() -> object:
    labels = "vm_name, vm_id, node, cluster, type, os, reason"
    known = f'{_KNOWN}, reason!=""}}'
    return table(
        "Not watched, why, and what to do",
        "Running guests without a target, the reason that discovery gives, and what helps. Empty while every "
        "guest is watched.",
        [
            *_guest_columns(),
            Column(title="Kind", label="type", width=70),
            Column(title="OS", label="os", width=90),
            Column(title="Why, and what to do", label="reason", words=style.plain_words(REASONS)),
            Column(
                title="Up for",
                expr=f"max by ({labels}) ({known} * on (cluster, vm_id) group_left () vm:uptime:seconds "
                f"or on (cluster, vm_id) 0 * {known})",
                unit=style.SECONDS,
                decimals=1,
                width=100,
            ),
        ],
        sort_by="Guest",
        descending=False,
        no_value="every guest is watched",
        height=7,
    )


def _silent_table() -> object:
    by = "max by (vm_name, vm_id, node, cluster, instance)"
    name = "* on (cluster, vm_id) group_left (vm_name, node)"
    target = f'up{{job=~"windows|linux", vm_id!="", {_CLUSTER}}}'
    guest = f"(vm:guest:info{{{HOSTS}}} and on (cluster, vm_id) vm:running:bool == 1)"
    return table(
        "Exporters that don't answer",
        "Guests that run, have a target, and don't answer: service stopped, firewall, or hung. Answered: "
        "share of the scrapes of the last hour that worked. Empty while every exporter answers.",
        [
            *_guest_columns(),
            Column(title="Address", label="instance"),
            Column(
                title="Answered",
                expr=f"{by} ((avg_over_time({target}[1h]) and {target} == 0) {name} {guest})",
                unit=style.RATIO,
                decimals=0,
                width=95,
            ),
        ],
        sort_by="Answered",
        descending=False,
        no_value="every exporter answers",
        width=14,
        height=8,
    )


def _versions() -> object:
    def count(metric: str, matchers: str, where: str) -> str:
        kinds = f"count by (version) ({metric}{{{matchers}{_CLUSTER}}})"
        exporter = metric.removesuffix("_build_info")
        named = f'label_replace({kinds}, "exporter", "{exporter}", "", "")'
        return f'label_replace({named}, "where", "{where}", "", "")'

    every = " or ".join(
        (
            count("windows_exporter_build_info", "", "guests"),
            count("node_exporter_build_info", 'job="linux", ', "guests"),
            count("node_exporter_build_info", 'job="node", ', "hosts"),
        )
    )
    return table(
        "Versions of exporters",
        "Which versions answer, and how often each: an old one may lack what the rules ask for.",
        [
            Column(title="Exporter", label="exporter"),
            Column(title="Version", label="version", width=100),
            Column(title="On", label="where", width=80),
            Column(title="Targets", expr=every, unit=style.COUNT, width=85),
        ],
        sort_by="Exporter",
        descending=False,
        width=10,
        height=8,
    )


def _host_table() -> object:
    def per_host(guests: str) -> str:
        return f"count by (cluster, node) ({guests})"

    return table(
        "Hosts",
        "Running guests of each host, and how many of them are watched.",
        [
            Column(title="Host", label="node", links=(COVERAGE_OF_HOST,)),
            Column(title="Cluster", label="cluster", width=90),
            Column(title="Running", expr=per_host(_RUNNING), unit=style.COUNT, width=85),
            Column(title="Not watched", expr=per_host(_UNWATCHED), unit=style.COUNT, width=110),
            Column(
                title="Watched",
                expr=f"max by (cluster, node) ({_SHARE})",
                unit=style.RATIO,
                decimals=0,
                width=100,
            ),
        ],
        sort_by="Watched",
        descending=False,
        width=10,
    )


def _guests() -> Section:
    return Section(
        title="Guests",
        panels=[
            _unwatched_table(),
            _silent_table(),
            _versions(),
            graph(
                "Watched share of each host",
                "Share of the running guests on a host that have a target, those left out on purpose not "
                "counted.",
                [Query(expr=_SHARE, legend="{{node}}")],
                unit=style.RATIO,
                maximum=1,
                width=14,
            ),
            _host_table(),
            graph(
                "Watched and not watched",
                "Running guests. What the line has above the stack are guests that discovery doesn't know.",
                [
                    Query(expr=_counted("running"), legend="running", color=style.HOST_COLOR, reference=True),
                    Query(expr=_counted("watched"), legend="watched", color=style.WATCHED_COLOR),
                    Query(expr=_counted("unwatched"), legend="not watched", color=style.UNWATCHED_COLOR),
                    Query(expr=_counted("left_out"), legend="left out", color=style.REST_COLOR),
                ],
                unit="suffix:guests",
                stacked=True,
            ),
            graph(
                "Not watched, by reason",
                "Running guests without a target, by the reason that discovery gives. Empty while every "
                "guest is watched.",
                [
                    Query(
                        expr="max by (reason) (sum by (instance, reason) "
                        f"(pve_discovery_guests_unmonitored{{{_CLUSTER}}})) > 0",
                        legend="{{reason}}",
                    )
                ],
                unit="suffix:guests",
                stacked=True,
                no_value="every guest is watched",
            ),
        ],
    )


def _discovery() -> Section:
    return Section(
        title="Discovery itself",
        panels=[
            graph(
                "Age of the inventory",
                "Seconds since discovery last read the list of guests without an error. Within its own "
                "interval it rises and falls; a line that only rises means that it can't read the API.",
                [Query(expr=f"pve_discovery_inventory_age_seconds{{{_CLUSTER}}}", legend="{{instance}}")],
                unit=style.SECONDS,
                steps=_AGE,
                width=8,
            ),
            graph(
                "Refreshes",
                "Readings of the list of guests per minute, by result: anything but success deserves a look.",
                [
                    Query(
                        expr="60 * sum by (result) "
                        f"(rate(pve_discovery_refreshes_total{{{_CLUSTER}}}[$__rate_interval])) > 0",
                        legend="{{result}}",
                    )
                ],
                unit="cpm",
                stacked=True,
                width=8,
            ),
            graph(
                "Targets that discovery gives",
                "Guests, hosts and GPU exporters that Prometheus is told to ask.",
                [
                    Query(
                        expr=f"max by (kind) (pve_discovery_targets{{{_CLUSTER}}})",
                        legend="{{kind}}",
                    )
                ],
                unit="suffix:targets",
                width=8,
            ),
            table(
                "Privileges",
                "Privileges in Proxmox VE that discovery uses. Missing: the token has it on no path. The "
                "runbook of DiscoveryPermissionLost says how to grant it.",
                [
                    Column(title="Privilege", label="privilege"),
                    Column(
                        title="State",
                        expr=f"max by (privilege) (pve_discovery_missing_privileges{{{_CLUSTER}}})",
                        words=style.MISSING_GRANTED,
                        width=100,
                    ),
                ],
                sort_by="State",
                width=8,
                height=7,
            ),
            table(
                "API endpoints",
                "Members of the cluster that discovery may ask. In use: the one that it asks now; the next "
                "takes over when that one fails.",
                [
                    Column(title="Endpoint", label="endpoint"),
                    Column(
                        title="State",
                        expr=f"min by (endpoint) (pve_discovery_endpoint_up{{{_CLUSTER}}})",
                        words=style.UP_DOWN,
                        width=75,
                    ),
                    Column(
                        title="In use",
                        expr=f"max by (endpoint) (pve_discovery_endpoint_active{{{_CLUSTER}}})",
                        words=style.IN_USE,
                        width=80,
                    ),
                ],
                sort_by="Endpoint",
                descending=False,
                width=8,
                height=7,
            ),
            table(
                "Services",
                "Discovery services and what each says of itself. Complete: every guest was asked at least "
                "once since it started.",
                [
                    Column(title="Service", label="instance"),
                    Column(
                        title="Fresh",
                        expr=f"max by (instance) (pve_discovery_inventory_fresh{{{_CLUSTER}}})",
                        words=style.YES_NO,
                        width=75,
                    ),
                    Column(
                        title="Complete",
                        expr=f"max by (instance) (pve_discovery_inventory_complete{{{_CLUSTER}}})",
                        words=style.YES_NO,
                        width=95,
                    ),
                    Column(
                        title="Token",
                        expr=f"max by (instance) (pve_discovery_authentication_ok{{{_CLUSTER}}})",
                        words=style.ACCEPTED,
                        width=95,
                    ),
                ],
                sort_by="Service",
                descending=False,
                width=8,
                height=7,
            ),
        ],
    )


def build() -> Dashboard:
    """Build the dashboard."""
    return layout.dashboard(
        uid="pve-coverage",
        title="Coverage",
        question="Which guests are watched, which aren't, and why?",
        folder=FOLDER_PLATFORM,
        variables=[
            layout.label_variable("cluster", "Cluster", "label_values(node:cluster_online:bool, cluster)"),
            layout.label_variable(
                "node", "Host", 'label_values(node:cluster_online:bool{cluster=~"$cluster"}, node)'
            ),
        ],
        links=links_from("pve-coverage"),
        head=_head(),
        sections=[_guests(), _discovery()],
        alert_matchers=', alertname=~"GuestsUnmonitored|GuestExporterMissing|Discovery.*"',
    )
