"""alertmanager.yml and its message templates, from settings.

Every secret stands in a file of its own (`*_file` options), so the rendered text can be read by anybody.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from components.render import to_yaml
from components.settings import CHANNEL_SECRETS, Channel, MuteTiming, Secret, Severity, StackSettings

CONFIG_DIR = "/etc/alertmanager"
CONFIG_FILE = f"{CONFIG_DIR}/alertmanager.yml"
TEMPLATE_FILE = "templates/pve-monitoring.tmpl"
DATA_DIR = "/alertmanager"

# What is told in one message. Grafana's own alerts are grouped alike.
GROUP_BY = ("alertname", "severity", "node")
# Takes what has no severity.
DEFAULT_RECEIVER = "default"
WATCHDOG_ALERT = "Watchdog"
HOST_DOWN_ALERT = "HostDown"
API_UNREACHABLE_ALERT = "ProxmoxApiUnreachable"

# Labels that tell one subject from another: critical silences warning only about the very same thing.
_SUBJECT_LABELS = (
    *("alertname", "cluster", "node", "vm_id", "job", "instance"),
    *("device", "mountpoint", "volume", "storage", "id", "uuid"),
    *("chip", "sensor", "zpool", "controller", "operation", "certificate"),
)

_JSON = dict[str, Any]

# The message's parts; Grafana has the same templates.
TITLE = '{{ template "pve_monitoring.title" . }}'
TEXT = '{{ template "pve_monitoring.text" . }}'

_TEMPLATES = """\
{{ define "pve_monitoring.title" -}}
[{{ .Status | toUpper }}{{ if eq .Status "firing" }}:{{ .Alerts.Firing | len }}{{ end }}]
{{- with .GroupLabels.severity }} {{ . }}{{ end }} {{ .GroupLabels.alertname }}
{{- with .CommonLabels.vm_name }} {{ . }}{{ end }}
{{- with .GroupLabels.node }} on {{ . }}{{ end }}
{{- with .CommonLabels.cluster }} ({{ . }}){{ end }}
{{- end }}

{{ define "pve_monitoring.text" -}}
{{ range .Alerts }}{{ if eq .Status "resolved" }}Resolved: {{ end }}{{ .Annotations.summary }}
{{ .Annotations.description }}
{{ with .Annotations.runbook_url }}Runbook: {{ . }}
{{ end }}{{ with .Annotations.dashboard_url }}Dashboard: {{ . }}
{{ end }}
{{ end }}
{{- end }}
"""


def _secret_file(secret: Secret) -> str:
    return f"{CONFIG_DIR}/secrets/{secret}"


def secret_files(settings: StackSettings, given: frozenset[Secret]) -> dict[str, Secret]:
    """Which secrets Alertmanager reads, by path below its configuration directory."""
    used = {CHANNEL_SECRETS[c] for c in settings.alerting.routes.channels() if c in CHANNEL_SECRETS}
    if settings.alerting.email is not None and settings.alerting.email.username is not None:
        used.add(Secret.SMTP_PASSWORD)
    used |= given & {Secret.WATCHDOG_URL}
    return {f"secrets/{secret}": secret for secret in sorted(used)}


def _email(settings: StackSettings) -> _JSON:
    email = settings.alerting.email
    assert email is not None  # noqa: S101 - the settings refuse a route without it
    config: _JSON = {
        "to": ", ".join(email.to),
        "from": email.from_,
        "smarthost": email.smarthost,
        "require_tls": email.require_tls,
        "send_resolved": True,
        "headers": {"Subject": TITLE},
        "text": TEXT,
        # Without it mail programs show Alertmanager's own page instead of the text.
        "html": "",
    }
    if email.username is not None:
        config |= {"auth_username": email.username, "auth_password_file": _secret_file(Secret.SMTP_PASSWORD)}
    return config


def _slack(settings: StackSettings) -> _JSON:
    slack = settings.alerting.slack
    assert slack is not None  # noqa: S101 - the settings refuse a route without it
    return {
        "api_url_file": _secret_file(Secret.SLACK_URL),
        "channel": slack.channel,
        "send_resolved": True,
        "title": TITLE,
        "text": TEXT,
    }


def _telegram(settings: StackSettings) -> _JSON:
    telegram = settings.alerting.telegram
    assert telegram is not None  # noqa: S101 - the settings refuse a route without it
    return {
        "bot_token_file": _secret_file(Secret.TELEGRAM_TOKEN),
        "chat_id": telegram.chat_id,
        "send_resolved": True,
        # Plain text: names of guests hold characters that Telegram's markup trips over.
        "parse_mode": "",
        "message": f"{TITLE}\n{TEXT}",
    }


def _titled(url_option: str, secret: Secret, text_option: str) -> _JSON:
    return {
        url_option: _secret_file(secret),
        "send_resolved": True,
        "title": TITLE,
        text_option: TEXT,
    }


def _pagerduty(_settings: StackSettings) -> _JSON:
    return {
        "routing_key_file": _secret_file(Secret.PAGERDUTY_ROUTING_KEY),
        "send_resolved": True,
        "description": TITLE,
        # PagerDuty knows critical, error, warning and info: ours are among them.
        "severity": "{{ if .GroupLabels.severity }}{{ .GroupLabels.severity }}{{ else }}error{{ end }}",
    }


def _webhook(_settings: StackSettings) -> _JSON:
    return {"url_file": _secret_file(Secret.WEBHOOK_URL), "send_resolved": True}


# Alertmanager's option for each channel, and what renders one entry of it.
_INTEGRATIONS: dict[Channel, tuple[str, Callable[[StackSettings], _JSON]]] = {
    Channel.EMAIL: ("email_configs", _email),
    Channel.WEBHOOK: ("webhook_configs", _webhook),
    Channel.SLACK: ("slack_configs", _slack),
    Channel.TEAMS: ("msteamsv2_configs", lambda _: _titled("webhook_url_file", Secret.TEAMS_URL, "text")),
    Channel.DISCORD: (
        "discord_configs",
        lambda _: _titled("webhook_url_file", Secret.DISCORD_URL, "message"),
    ),
    Channel.TELEGRAM: ("telegram_configs", _telegram),
    Channel.PAGERDUTY: ("pagerduty_configs", _pagerduty),
}


def _receiver(name: str, channels: tuple[Channel, ...], settings: StackSettings) -> _JSON:
    receiver: _JSON = {"name": name}
    for channel in channels:
        option, render = _INTEGRATIONS[channel]
        receiver[option] = [render(settings)]
    return receiver


def _watchdog_route() -> _JSON:
    # The switch at the other end trips when nothing came for some minutes: sent often and at once.
    return {
        "matchers": [f'alertname="{WATCHDOG_ALERT}"'],
        "receiver": "watchdog",
        "group_wait": "0s",
        "group_interval": "1m",
        # Less than that: a minute that isn't quite over would let every second beat fall out.
        "repeat_interval": "50s",
    }


def _muted(timings: tuple[str, ...]) -> _JSON:
    return {"mute_time_intervals": list(timings)} if timings else {}


def time_interval(timing: MuteTiming) -> _JSON:
    """A mute timing as Alertmanager writes it; what is left out allows all."""
    interval: _JSON = {
        "times": [{"start_time": span.start, "end_time": span.end} for span in timing.times],
        "weekdays": list(timing.weekdays),
        "days_of_month": list(timing.days_of_month),
        "location": timing.time_zone,
    }
    return {key: value for key, value in interval.items() if value}


def _time_intervals(timings: tuple[MuteTiming, ...]) -> _JSON:
    if not timings:
        return {}
    return {"time_intervals": [{"name": t.name, "time_intervals": [time_interval(t)]} for t in timings]}


def _routes(settings: StackSettings) -> list[_JSON]:
    alerting = settings.alerting
    repeat = alerting.repeat_intervals
    return [
        _watchdog_route(),
        *(
            {
                "matchers": [f'severity="{severity}"'],
                "receiver": str(severity),
                "repeat_interval": getattr(repeat, severity),
                **_muted(alerting.muted(severity)),
            }
            for severity in Severity
        ),
    ]


def _watchdog_receiver(given: frozenset[Secret]) -> _JSON:
    receiver: _JSON = {"name": "watchdog"}
    if Secret.WATCHDOG_URL in given:
        receiver["webhook_configs"] = [
            {"url_file": _secret_file(Secret.WATCHDOG_URL), "send_resolved": False},
        ]
    return receiver


def _without_api(settings: StackSettings) -> list[str]:
    """What the cluster's API being away holds back: of two hosts it may be away for one alone."""
    critical_too = settings.replica is None
    return ['depends="pve-api"', *([] if critical_too else ['severity!="critical"'])]


def _inhibit_rules(settings: StackSettings) -> list[_JSON]:
    host_down = [f'alertname="{HOST_DOWN_ALERT}"']
    same_host = ["cluster", "node"]
    return [
        {"source_matchers": host_down, "target_matchers": ['scope="guest"'], "equal": same_host},
        {
            "source_matchers": host_down,
            "target_matchers": ['scope="host"', f'alertname!="{HOST_DOWN_ALERT}"'],
            "equal": same_host,
        },
        {
            "source_matchers": ['severity="critical"'],
            "target_matchers": ['severity="warning"'],
            "equal": list(_SUBJECT_LABELS),
        },
        {
            "source_matchers": [f'alertname="{API_UNREACHABLE_ALERT}"'],
            "target_matchers": _without_api(settings),
            "equal": ["cluster"],
        },
    ]


def alertmanager_yml(settings: StackSettings, given: frozenset[Secret]) -> str:
    """Render alertmanager.yml.

    Args:
        settings: the stack's settings.
        given: secrets that are set; the watchdog is sent only where its URL is among them.
    """
    alerting = settings.alerting
    document: _JSON = {
        "route": {
            "receiver": DEFAULT_RECEIVER,
            "group_by": list(GROUP_BY),
            "group_wait": alerting.group_wait,
            "group_interval": alerting.group_interval,
            "repeat_interval": alerting.repeat_intervals.warning,
            "routes": _routes(settings),
        },
        "receivers": [
            _receiver(DEFAULT_RECEIVER, alerting.channels(None), settings),
            *(_receiver(str(s), alerting.channels(s), settings) for s in Severity),
            _watchdog_receiver(given),
        ],
        **_time_intervals(alerting.mute_timings),
        "inhibit_rules": _inhibit_rules(settings),
        "templates": [f"{CONFIG_DIR}/{TEMPLATE_FILE}"],
    }
    return to_yaml(document)


def templates() -> str:
    """Message templates shared by all channels."""
    return _TEMPLATES
