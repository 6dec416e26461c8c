"""Settings of who hears of it and who looks at it: Alertmanager and Grafana."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, Field, PositiveInt, model_validator

from components.settings_model import Model
from components.words import Duration, Name, NonEmpty, problem, some
from components.words_calendar import Clock, DaysOfMonth, TimeZone, Weekdays
from components.words_network import HostPort, Url


class Channel(StrEnum):
    """A way for a notification to reach people."""

    EMAIL = "email"
    WEBHOOK = "webhook"
    SLACK = "slack"
    TEAMS = "teams"
    DISCORD = "discord"
    TELEGRAM = "telegram"
    PAGERDUTY = "pagerduty"


class Severity(StrEnum):
    """How urgent an alert is; the label `severity` of every rule but the watchdog's."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class RepeatIntervals(Model):
    """How long until an alert that still fires is sent again."""

    critical: Duration = "1h"
    warning: Duration = "4h"
    info: Duration = "1d"


class Routes(Model):
    """Channels by severity; a severity without its own list uses `default`."""

    default: Annotated[tuple[Channel, ...], AfterValidator(some)]
    critical: tuple[Channel, ...] = ()
    warning: tuple[Channel, ...] = ()
    info: tuple[Channel, ...] = ()

    def channels(self) -> frozenset[Channel]:
        """All channels that some route uses."""
        return frozenset((*self.default, *self.critical, *self.warning, *self.info))


class ClockSpan(Model):
    """From a time of day to a later one of the same day."""

    start: Clock
    end: Clock

    @model_validator(mode="after")
    def _forwards(self) -> Self:
        if self.start >= self.end:
            raise problem(
                f"ends at {self.end}, before it starts at {self.start}; a night is two spans: "
                f"{self.start} to 24:00, and 00:00 to {self.end}"
            )
        return self


class MuteTiming(Model):
    """When alerts of some severities reach nobody, every week anew; they stay visible meanwhile.

    Times, weekdays and days of the month narrow each other down; one that is left out allows all.
    """

    name: Name
    severities: Annotated[tuple[Severity, ...], AfterValidator(some)] = (Severity.WARNING, Severity.INFO)
    weekdays: tuple[Weekdays, ...] = ()
    days_of_month: tuple[DaysOfMonth, ...] = ()
    times: tuple[ClockSpan, ...] = ()
    time_zone: TimeZone = "UTC"

    @model_validator(mode="after")
    def _not_for_ever(self) -> Self:
        if not (self.weekdays or self.days_of_month or self.times):
            raise problem("mutes for ever; give weekdays, daysOfMonth or times")
        return self


class Email(Model):
    """Notification by e-mail."""

    to: Annotated[tuple[NonEmpty, ...], AfterValidator(some)]
    from_: NonEmpty = Field(alias="from")
    smarthost: HostPort
    username: NonEmpty | None = None
    require_tls: bool = True


class Slack(Model):
    """Notification to a Slack channel; its URL is the secret slackUrl."""

    channel: NonEmpty


class Telegram(Model):
    """Notification to a Telegram chat; the bot's token is the secret telegramToken."""

    chat_id: int


class Alerting(Model):
    """Alertmanager: grouping, repetition, and which severity reaches people how."""

    routes: Routes
    group_wait: Duration = "30s"
    group_interval: Duration = "5m"
    repeat_intervals: RepeatIntervals = RepeatIntervals()
    mute_timings: tuple[MuteTiming, ...] = ()
    email: Email | None = None
    slack: Slack | None = None
    telegram: Telegram | None = None
    external_url: Url | None = None
    # Where the runbooks of docs/runbooks are read: alerts link to headings below it.
    runbook_base_url: Url | None = None

    @model_validator(mode="after")
    def _mute_timings_differ(self) -> Self:
        names = [timing.name for timing in self.mute_timings]
        if len(set(names)) != len(names):
            raise problem("two muteTimings have the same name; give each its own")
        return self

    def muted(self, severity: Severity) -> tuple[str, ...]:
        """Names of the mute timings that hold for a severity."""
        return tuple(timing.name for timing in self.mute_timings if severity in timing.severities)

    def channels(self, severity: Severity | None) -> tuple[Channel, ...]:
        """Channels of a severity, each once; None asks for those of alerts without one."""
        own: tuple[Channel, ...] = getattr(self.routes, severity) if severity else ()
        return tuple(dict.fromkeys(own or self.routes.default))

    @model_validator(mode="after")
    def _channels_are_described(self) -> Self:
        described = {Channel.EMAIL: self.email, Channel.SLACK: self.slack, Channel.TELEGRAM: self.telegram}
        for channel, value in described.items():
            if channel in self.routes.channels() and value is None:
                raise problem(
                    f"routes use {channel}, but alerting.{channel} is missing; add it or change the route"
                )
        return self


class Grafana(Model):
    """Grafana."""

    admin_user: NonEmpty = "admin"
    # What people type into the browser.
    external_url: Url | None = None
    # How the machine that runs Pulumi reaches Grafana's API, where that differs.
    api_url: Url | None = None
    time_zone: NonEmpty = "browser"
    # Raised by one, it makes a new token for the program and takes the former one away.
    token_generation: PositiveInt = 1
