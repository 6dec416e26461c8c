"""The channels of alerting as Grafana's contact points take them; Alertmanager's are in components.render."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pulumi

from components.render.alertmanager import TEXT, TITLE
from components.settings import CHANNEL_SECRETS, Channel, Secrets, StackSettings

_Integration = dict[str, Any]
_Url = pulumi.Output[str]

_TOLD_WHEN_OVER = {"disable_resolve_message": False}


def _email(settings: StackSettings, _secret: _Url | None) -> _Integration:
    email = settings.alerting.email
    assert email is not None  # noqa: S101 - the settings refuse a route without it
    return {"addresses": list(email.to), "single_email": True, "subject": TITLE, "message": TEXT}


def _webhook(_settings: StackSettings, secret: _Url | None) -> _Integration:
    return {"url": secret, "http_method": "POST"}


def _slack(settings: StackSettings, secret: _Url | None) -> _Integration:
    slack = settings.alerting.slack
    assert slack is not None  # noqa: S101 - the settings refuse a route without it
    return {"url": secret, "recipient": slack.channel, "title": TITLE, "text": TEXT}


def _titled(_settings: StackSettings, secret: _Url | None) -> _Integration:
    return {"url": secret, "title": TITLE, "message": TEXT}


def _telegram(settings: StackSettings, secret: _Url | None) -> _Integration:
    telegram = settings.alerting.telegram
    assert telegram is not None  # noqa: S101 - the settings refuse a route without it
    # Plain text: names of guests hold characters that Telegram's markup trips over.
    return {
        "token": secret,
        "chat_id": str(telegram.chat_id),
        "parse_mode": "None",
        "message": f"{TITLE}\n{TEXT}",
    }


def _pagerduty(_settings: StackSettings, secret: _Url | None) -> _Integration:
    return {"integration_key": secret, "summary": TITLE, "severity": "{{ .CommonLabels.severity }}"}


# The argument of grafana.alerting.ContactPoint for each channel, and what builds one entry of it.
_ARGUMENTS: Mapping[Channel, tuple[str, Callable[[StackSettings, _Url | None], _Integration]]] = {
    Channel.EMAIL: ("emails", _email),
    Channel.WEBHOOK: ("webhooks", _webhook),
    Channel.SLACK: ("slacks", _slack),
    Channel.TEAMS: ("teams", _titled),
    Channel.DISCORD: ("discords", _titled),
    Channel.TELEGRAM: ("telegrams", _telegram),
    Channel.PAGERDUTY: ("pagerduties", _pagerduty),
}


def contact_point(channels: tuple[Channel, ...], settings: StackSettings, secrets: Secrets) -> dict[str, Any]:
    """Arguments of a contact point that tells all the channels; what is secret in them stays an Output."""
    arguments: dict[str, Any] = {}
    for channel in channels:
        option, build = _ARGUMENTS[channel]
        secret = secrets[CHANNEL_SECRETS[channel]] if channel in CHANNEL_SECRETS else None
        arguments[option] = [{**build(settings, secret), **_TOLD_WHEN_OVER}]
    return arguments
