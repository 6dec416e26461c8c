"""What Grafana tells by itself: contact points, message template, notification policy, mute timings, alerts.

Prometheus evaluates the rules and Alertmanager delivers; Grafana raises only what these two can't say about
themselves, over the same channels, in the same words, muted at the same times.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumiverse_grafana as grafana

from components.durations import canonical
from components.grafana_account import GrafanaAccount
from components.grafana_channels import contact_point
from components.grafana_content import GrafanaContent
from components.render.alertmanager import DEFAULT_RECEIVER, GROUP_BY, templates
from components.render.grafana_rules import GrafanaRule, GrafanaRuleGroup, queries, rule_groups
from components.render.links import link_bases
from components.settings import Channel, MuteTiming, Secrets, Severity, StackSettings
from dashboards import FOLDER_PLATFORM

RULES_DIR = Path("rules")


@dataclass(frozen=True, kw_only=True)
class GrafanaAlertingArgs:
    """Arguments of GrafanaAlerting."""

    account: GrafanaAccount
    content: GrafanaContent
    settings: StackSettings
    secrets: Secrets


class GrafanaAlerting(pulumi.ComponentResource):
    """Grafana's own alerts and the way they take to people."""

    TYPE = "pve-monitoring:components:GrafanaAlerting"

    def __init__(
        self, name: str, args: GrafanaAlertingArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(self.TYPE, name, None, opts)
        self._args = args
        self._alerting = args.settings.alerting
        self._child = args.account.child_options(self)
        # Grafana refuses to delete what the policy still names: the new one comes first, then the policy
        # changes, then the old one goes.
        self._named = pulumi.ResourceOptions.merge(
            self._child, pulumi.ResourceOptions(delete_before_replace=False)
        )
        template = grafana.alerting.MessageTemplate(
            "message-template",
            name="pve_monitoring",
            template=templates().strip(),
            disable_provenance=False,
            opts=self._child,
        )
        points = {
            severity: self._contact_point(severity, self._alerting.channels(severity), template)
            for severity in (None, *Severity)
        }
        timings = {timing.name: self._mute_timing(timing) for timing in self._alerting.mute_timings}
        policy = self._policy(points, timings)
        for group in rule_groups(RULES_DIR, link_bases(args.settings)):
            self._rule_group(group, policy)
        self.register_outputs({})

    def _contact_point(
        self,
        severity: Severity | None,
        channels: tuple[Channel, ...],
        template: grafana.alerting.MessageTemplate,
    ) -> grafana.alerting.ContactPoint:
        receiver = severity or DEFAULT_RECEIVER
        return grafana.alerting.ContactPoint(
            f"contact-point-{receiver}",
            name=str(receiver),
            disable_provenance=False,
            **contact_point(channels, self._args.settings, self._args.secrets),
            opts=pulumi.ResourceOptions.merge(self._named, pulumi.ResourceOptions(depends_on=[template])),
        )

    def _mute_timing(self, timing: MuteTiming) -> grafana.alerting.MuteTiming:
        interval = grafana.alerting.MuteTimingIntervalArgs(
            times=[
                grafana.alerting.MuteTimingIntervalTimeArgs(start=s.start, end=s.end) for s in timing.times
            ]
            or None,
            weekdays=list(timing.weekdays) or None,
            days_of_months=list(timing.days_of_month) or None,
            location=timing.time_zone,
        )
        return grafana.alerting.MuteTiming(
            f"mute-timing-{timing.name}",
            name=timing.name,
            disable_provenance=False,
            intervals=[interval],
            opts=self._named,
        )

    def _policy(
        self,
        points: Mapping[Severity | None, grafana.alerting.ContactPoint],
        timings: Mapping[str, grafana.alerting.MuteTiming],
    ) -> grafana.alerting.NotificationPolicy:
        repeat = self._alerting.repeat_intervals
        return grafana.alerting.NotificationPolicy(
            "notification-policy",
            contact_point=points[None].name,
            group_bies=list(GROUP_BY),
            disable_provenance=False,
            # Grafana answers with the canonical spelling; another one would show as a change for ever.
            group_wait=canonical(self._alerting.group_wait),
            group_interval=canonical(self._alerting.group_interval),
            repeat_interval=canonical(repeat.warning),
            policies=[
                {
                    "contact_point": points[severity].name,
                    "matchers": [{"label": "severity", "match": "=", "value": str(severity)}],
                    "repeat_interval": canonical(getattr(repeat, severity)),
                    "mute_timings": [timings[name].name for name in self._alerting.muted(severity)],
                }
                for severity in Severity
            ],
            opts=self._child,
        )

    def _rule_group(self, group: GrafanaRuleGroup, policy: grafana.alerting.NotificationPolicy) -> None:
        grafana.alerting.RuleGroup(
            f"rule-group-{group.name}",
            name=group.name,
            folder_uid=self._args.content.folders[FOLDER_PLATFORM].uid,
            interval_seconds=group.interval_seconds,
            disable_provenance=False,
            rules=[self._rule(rule) for rule in group.rules],
            # Whoever is told of the first alert is told by the right channels.
            opts=pulumi.ResourceOptions.merge(self._named, pulumi.ResourceOptions(depends_on=[policy])),
        )

    def _rule(self, rule: GrafanaRule) -> grafana.alerting.RuleGroupRuleArgs:
        steps = queries(rule, self._args.content.prometheus.uid)
        return grafana.alerting.RuleGroupRuleArgs(
            uid=rule.uid,
            name=rule.alert,
            condition=steps[-1]["ref_id"],
            for_=canonical(rule.wait),
            keep_firing_for="0s",
            is_paused=False,
            no_data_state=rule.no_data,
            exec_err_state=rule.error,
            labels={**rule.labels, "cluster": self._args.settings.cluster.name},
            annotations=rule.annotations,
            datas=steps,
        )
