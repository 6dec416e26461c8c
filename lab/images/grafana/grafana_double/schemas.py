"""The request bodies that Grafana 13 knows (its published API description), checked strictly.

A field that Grafana doesn't know, one of the wrong type and a missing one that it needs are all refused.
Real Grafana drops unknown fields silently; here they would hide a mistake.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Text = Annotated[str, Field(min_length=1)]
Uid = Annotated[str, Field(max_length=40, pattern=r"^[a-zA-Z0-9_-]*$")]
"""Letters, digits, - and _; at most 40 (Grafana's util.ValidateUID)."""
Role = Literal["Viewer", "Editor", "Admin", "None"]
Strings = list[str] | None


class Body(BaseModel):
    """A body with camelCase names."""

    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


class AlertingBody(BaseModel):
    """A body with the snake_case names of Alertmanager's configuration."""

    model_config = ConfigDict(extra="forbid", strict=True)


class CreateFolder(Body):
    """POST /api/folders."""

    title: str = ""
    uid: Uid = ""
    description: str = ""
    parent_uid: str = ""


class UpdateFolder(Body):
    """PUT /api/folders/{uid}."""

    title: str = ""
    description: str = ""
    overwrite: bool = False
    version: int = 0


class MoveFolder(Body):
    """POST /api/folders/{uid}/move; an empty parent is the top."""

    parent_uid: str = ""


class DataSourceBody(Body):
    """POST /api/datasources and PUT /api/datasources/uid/{uid}."""

    name: Text
    type: Text
    access: Literal["proxy", "direct"]
    uid: Uid = ""
    url: str = ""
    user: str = ""
    database: str = ""
    basic_auth: bool = False
    basic_auth_user: str = ""
    with_credentials: bool = False
    is_default: bool = False
    json_data: dict[str, Any] = Field(default_factory=dict)
    secure_json_data: dict[str, str] = Field(default_factory=dict)
    version: int | None = None


class SaveDashboard(Body):
    """POST /api/dashboards/db."""

    dashboard: dict[str, Any]
    updated_at: str = Field(default="", alias="UpdatedAt")
    folder_id: int = 0
    folder_uid: str = ""
    is_folder: Literal[False] = False
    message: str = ""
    overwrite: bool = False
    user_id: int = 0


class ContactPoint(Body):
    """One integration of a contact point."""

    name: Text
    type: Text
    settings: dict[str, Any]
    uid: Uid = ""
    disable_resolve_message: bool = False
    provenance: str = ""


class TemplateContent(AlertingBody):
    """PUT of a notification template."""

    template: Text
    version: str = ""


class TimeRange(AlertingBody):
    """A time of day, HH:MM to HH:MM; 24:00 is the end of the day."""

    start_time: Text
    end_time: Text


class TimeInterval(AlertingBody):
    """One interval of a mute timing."""

    times: list[TimeRange] | None = None
    weekdays: Strings = None
    days_of_month: Strings = None
    months: Strings = None
    years: Strings = None
    location: str = ""


class MuteTiming(AlertingBody):
    """A mute timing."""

    name: Text
    time_intervals: list[TimeInterval]
    version: str = ""


class RouteTree(AlertingBody):
    """A node of the notification policy tree; `matchers`, `match` and `match_re` are not imitated."""

    receiver: str = ""
    group_by: Strings = None
    object_matchers: list[Annotated[list[str], Field(min_length=3, max_length=3)]] | None = None
    mute_time_intervals: Strings = None
    active_time_intervals: Strings = None
    continue_: bool = Field(default=False, alias="continue")
    group_wait: str = ""
    group_interval: str = ""
    repeat_interval: str = ""
    routes: list[RouteTree] | None = None
    provenance: str = ""


class RelativeTimeRange(Body):
    """Seconds before now."""

    from_: int = Field(default=0, alias="from")
    to: int = 0


class AlertQuery(Body):
    """One query or expression of an alert rule."""

    ref_id: Text
    datasource_uid: Text
    query_type: str = ""
    relative_time_range: RelativeTimeRange = Field(default_factory=RelativeTimeRange)
    model: dict[str, Any]


class NotificationSettings(AlertingBody):
    """Simplified routing of a rule to one contact point."""

    receiver: Text
    group_by: Strings = None
    mute_time_intervals: Strings = None
    active_time_intervals: Strings = None
    group_wait: str = ""
    group_interval: str = ""
    repeat_interval: str = ""


class AlertRule(Body):
    """An alert rule as the provisioning API takes it; recording rules are not imitated."""

    title: Text
    condition: Text
    data: Annotated[list[AlertQuery], Field(min_length=1)]
    for_: str = Field(alias="for")
    no_data_state: Literal["NoData", "Alerting", "OK", "KeepLast"]
    exec_err_state: Literal["Error", "Alerting", "OK", "KeepLast"]
    folder_uid: Text = Field(alias="folderUID")
    rule_group: Text
    org_id: int = Field(alias="orgID")
    uid: Uid = ""
    id: int = 0
    keep_firing_for: str = Field(default="0s", alias="keep_firing_for")
    is_paused: bool = False
    annotations: dict[str, str] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)
    missing_series_evals_to_resolve: int | None = None
    notification_settings: NotificationSettings | None = Field(default=None, alias="notification_settings")
    record: None = None
    provenance: str = ""
    updated: str = ""


class RuleGroup(Body):
    """PUT of a whole rule group; the interval is in seconds."""

    title: str = ""
    folder_uid: str = ""
    interval: int
    rules: list[AlertRule]


class CreateServiceAccount(Body):
    """POST /api/serviceaccounts."""

    name: Text
    role: Role = "Viewer"
    is_disabled: bool = False


class UpdateServiceAccount(Body):
    """PATCH /api/serviceaccounts/{id}; what is left out stays."""

    name: Text | None = None
    role: Role | None = None
    is_disabled: bool | None = None
    service_account_id: int | None = None


class CreateToken(Body):
    """POST of a service account token; 0 seconds is a token without an end."""

    name: Text
    seconds_to_live: Annotated[int, Field(ge=0)] = 0


class Preferences(Body):
    """PUT /api/org/preferences; it replaces everything."""

    home_dashboard_uid: str = Field(default="", alias="homeDashboardUID")
    theme: Literal["", "light", "dark", "system"] = ""
    timezone: str = ""
    week_start: Literal["", "browser", "saturday", "sunday", "monday"] = ""
    language: str = ""
    regional_format: str = ""
