"""What the program tells Grafana about alerting, and by whose account, without an engine."""

from __future__ import annotations

from typing import Any

import pytest

from components.render.alertmanager import alertmanager_yml
from components.settings import Channel, Severity, StackSettings
from tests.program.test_program import run
from tests.support.examples import EXAMPLES, settings
from tests.support.pulumi_harness import plain_texts

ARGUMENTS = {
    Channel.EMAIL: "emails",
    Channel.WEBHOOK: "webhooks",
    Channel.SLACK: "slacks",
    Channel.TEAMS: "teams",
    Channel.DISCORD: "discords",
    Channel.TELEGRAM: "telegrams",
    Channel.PAGERDUTY: "pagerduties",
}


def one(name: str, kind: str) -> dict[str, Any]:
    (found,) = run(name).of(f"grafana:alerting/{kind}")
    return found.inputs


def _channels(made: StackSettings, receiver: str) -> set[str]:
    severity = None if receiver == "default" else Severity(receiver)
    return {ARGUMENTS[channel] for channel in made.alerting.channels(severity)}


@pytest.mark.parametrize("name", EXAMPLES)
def test_contact_points_have_the_channels_of_alertmanagers_receivers(name: str) -> None:
    made = settings(EXAMPLES[name])
    points = {p.inputs["name"]: p.inputs for p in run(name).of("grafana:alerting/contactPoint:ContactPoint")}
    assert points.keys() == {"default", *Severity}
    for receiver, inputs in points.items():
        assert {key for key in inputs if key in ARGUMENTS.values()} == _channels(made, receiver)
        assert all(len(inputs[key]) == 1 for key in _channels(made, receiver))


def test_every_channel_has_its_secret_and_none_stands_in_plain() -> None:
    points = run("all-channels").of("grafana:alerting/contactPoint:ContactPoint")
    (critical,) = [p for p in points if p.inputs["name"] == "critical"]
    inputs = critical.inputs
    assert inputs["webhooks"][0]["url"] == "secret-value-of-webhookUrl"
    assert inputs["slacks"][0] == {
        "url": "secret-value-of-slackUrl",
        "recipient": "#ops",
        "title": '{{ template "pve_monitoring.title" . }}',
        "text": '{{ template "pve_monitoring.text" . }}',
        "disableResolveMessage": False,
    }
    assert inputs["teams"][0]["url"] == "secret-value-of-teamsUrl"
    assert inputs["discords"][0]["url"] == "secret-value-of-discordUrl"
    assert inputs["telegrams"][0]["token"] == "secret-value-of-telegramToken"
    assert inputs["telegrams"][0]["chatId"] == "-100123"
    assert inputs["pagerduties"][0]["integrationKey"] == "secret-value-of-pagerdutyRoutingKey"
    assert inputs["emails"][0]["addresses"] == ["a@example.com", "b@example.com"]
    assert not [text for p in points for text in plain_texts(p.raw_inputs) if "secret-value" in text]


def test_the_policy_is_alertmanagers_in_grafanas_spelling() -> None:
    policy = one("all-channels", "notificationPolicy:NotificationPolicy")
    assert policy["contactPoint"] == "default"
    assert policy["groupBies"] == ["alertname", "severity", "node"]
    assert (policy["groupWait"], policy["groupInterval"], policy["repeatInterval"]) == ("1m30s", "5m", "4h")
    assert [
        (p["contactPoint"], p["matchers"], p["repeatInterval"], p.get("muteTimings"))
        for p in policy["policies"]
    ] == [
        ("critical", [{"label": "severity", "match": "=", "value": "critical"}], "1h", []),
        ("warning", [{"label": "severity", "match": "=", "value": "warning"}], "4h", ["nights"]),
        ("info", [{"label": "severity", "match": "=", "value": "info"}], "1d", ["nights", "first-sunday"]),
    ]
    assert 'severity="critical"' in alertmanager_yml(settings(EXAMPLES["all-channels"]), frozenset())


def test_mute_timings_are_the_settings() -> None:
    timings = run("all-channels").of("grafana:alerting/muteTiming:MuteTiming")
    assert {t.inputs["name"]: t.inputs["intervals"] for t in timings} == {
        "nights": [
            {
                "location": "Europe/Berlin",
                "times": [{"start": "22:00", "end": "24:00"}, {"start": "00:00", "end": "06:30"}],
            }
        ],
        "first-sunday": [{"location": "UTC", "weekdays": ["sunday"], "daysOfMonths": ["1:7"]}],
    }


def test_what_the_policy_names_is_replaced_before_the_old_one_goes() -> None:
    for kind in ("contactPoint:ContactPoint", "muteTiming:MuteTiming", "ruleGroup:RuleGroup"):
        for registration in run("all-channels").of(f"grafana:alerting/{kind}"):
            assert registration.request.deleteBeforeReplaceDefined, registration.name
            assert not registration.request.deleteBeforeReplace, registration.name


def test_nothing_is_left_to_a_default_that_hides_what_somebody_changed() -> None:
    """A refresh takes the server's value for what the program leaves out, and sees no drift."""
    alerting = [r for r in run("all-channels").custom if r.type.startswith("grafana:alerting/")]
    assert len(alerting) == 9
    assert {r.inputs["disableProvenance"] for r in alerting} == {False}
    for rule in one("all-channels", "ruleGroup:RuleGroup")["rules"]:
        assert rule["isPaused"] is False


def test_rules_ask_the_declared_data_source_and_lie_in_a_declared_folder() -> None:
    recording = run("production")
    group = one("production", "ruleGroup:RuleGroup")
    assert group["folderUid"] in {f.inputs["uid"] for f in recording.of("grafana:oss/folder:Folder")}
    sources = {s.inputs["uid"] for s in recording.of("grafana:oss/dataSource:DataSource")}
    asked = {step["datasourceUid"] for rule in group["rules"] for step in rule["datas"]}
    assert asked - {"__expr__"} <= sources
    assert {rule["labels"]["cluster"] for rule in group["rules"]} == {"prod"}


def test_everything_but_the_account_is_made_with_its_token() -> None:
    recording = run("minimal")
    administrator = recording.named("grafana-account-administrator")
    by_token = recording.named("grafana-account-provider")
    assert administrator.inputs["auth"] == "admin:secret-value-of-grafanaAdminPassword"
    made_by = {
        urn: {r.type for r in recording.custom if r.request.provider.startswith(urn)}
        for urn in (administrator.urn, by_token.urn)
    }
    assert made_by[administrator.urn] == {
        "grafana:oss/serviceAccount:ServiceAccount",
        "grafana:oss/serviceAccountToken:ServiceAccountToken",
    }
    assert "grafana:oss/dashboard:Dashboard" in made_by[by_token.urn]
