"""Alert rules and their groups: stored and answered, never evaluated."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from . import durations, folders, provenance, references
from .api import ORG_ID, Call, Route, answer, empty, get, new_uid, now
from .errors import ApiError, plain, public, refuse
from .references import ALERT_RULE
from .schemas import AlertQuery, AlertRule, NotificationSettings, RuleGroup
from .store import Document, Store

PATH = "/api/v1/provisioning"
_GROUP = f"{PATH}/folder/{{folder}}/rule-groups/{{group}}"
_RULE = f"{PATH}/alert-rules/{{uid}}"

BASE_INTERVAL_S = 10
"""Grafana's scheduler tick; intervals of groups are multiples of it ([unified_alerting] default)."""

_EXPRESSIONS = ("__expr__", "-100")
"""Data source uids of server side expressions."""

_PRIVATE = ("_interval", "_index")
"""Kept with a rule, not answered: the group's interval in seconds and the place in the group."""


def group(store: Store, folder: str, name: str) -> list[Document]:
    """The rules of a group in their order."""
    members = [
        rule for rule in store.all(ALERT_RULE) if rule["folderUID"] == folder and rule["ruleGroup"] == name
    ]
    return sorted(members, key=lambda rule: int(rule["_index"]))


def _shown(rule: Document) -> Document:
    shown = {key: value for key, value in rule.items() if key not in (*_PRIVATE, "provenance")}
    return shown | provenance.shown(rule["provenance"])


def _invalid(reason: str) -> ApiError:
    return plain(400, f"invalid alert rule: {reason}")


def _query(query: AlertQuery) -> dict[str, Any]:
    model = {"intervalMs": 1000, "maxDataPoints": 43200, **query.model}
    kind = query.model.get("queryType", query.query_type)
    return {
        "refId": query.ref_id,
        "queryType": kind,
        "relativeTimeRange": {"from": query.relative_time_range.from_, "to": query.relative_time_range.to},
        "datasourceUid": query.datasource_uid,
        "model": dict(sorted(model.items())),
    }


def _duration(rule: AlertRule, text: str) -> str:
    try:
        return durations.canonical(text)
    except ValueError as error:
        raise _invalid(f"{rule.title!r}: {error}") from error


def _document(rule: AlertRule, old: Document | None, identifier: int, origin: str) -> Document:
    document = {
        "id": identifier,
        "uid": rule.uid or new_uid(),
        "orgID": ORG_ID,
        "folderUID": rule.folder_uid,
        "ruleGroup": rule.rule_group,
        "title": rule.title,
        "condition": rule.condition,
        "data": [_query(query) for query in rule.data],
        "noDataState": rule.no_data_state,
        "execErrState": rule.exec_err_state,
        "for": _duration(rule, rule.for_),
        "keep_firing_for": _duration(rule, rule.keep_firing_for),
        "isPaused": rule.is_paused,
        "notification_settings": _notification(rule),
        "record": None,
        "provenance": origin,
    }
    if rule.annotations:
        document["annotations"] = rule.annotations
    if rule.labels:
        document["labels"] = rule.labels
    if rule.missing_series_evals_to_resolve is not None:
        document["missingSeriesEvalsToResolve"] = rule.missing_series_evals_to_resolve
    document["updated"] = old["updated"] if old and _same(old, document) else now()
    return document


def _same(old: Document, document: Document) -> bool:
    apart = (*_PRIVATE, "updated")
    return {key: value for key, value in old.items() if key not in apart} == document


def _notification(rule: AlertRule) -> dict[str, Any] | None:
    settings = rule.notification_settings
    if settings is None:
        return None
    shown = {key: value for key, value in settings.model_dump().items() if value}
    for name in ("group_wait", "group_interval", "repeat_interval"):
        if name in shown:
            shown[name] = _duration(rule, shown[name])
    return shown


def _check(store: Store, rule: AlertRule) -> None:
    references = [query.ref_id for query in rule.data]
    if rule.condition not in references:
        raise public(
            400,
            "alerting.alert-rule.conditionNotExist",
            f"Condition {rule.condition} does not exist, must be one of [{' '.join(references)}]",
        )
    if len(set(references)) < len(references):
        raise _invalid(f"{rule.title!r}: a refId stands twice")
    for query in rule.data:
        span = query.relative_time_range
        if query.datasource_uid not in _EXPRESSIONS and span.from_ <= span.to:
            raise public(
                400,
                "alerting.alert-rule.invalidRelativeTime",
                f"Invalid alert rule query {query.ref_id}: invalid relative time range "
                f"[From: {span.from_}s, To: {span.to}s]",
            )
    if rule.notification_settings:
        _check_notification(store, rule.notification_settings)


def _check_notification(store: Store, settings: NotificationSettings) -> None:
    if settings.receiver not in references.receiver_names(store):
        raise _invalid(f"receiver {settings.receiver} does not exist")
    intervals = {*(settings.mute_time_intervals or []), *(settings.active_time_intervals or [])}
    if missing := sorted(intervals - references.interval_names(store)):
        raise _invalid(f"time interval {missing[0]} does not exist")


def _check_group(call: Call, command: RuleGroup) -> None:
    folder, name = call.params["folder"], call.params["group"]
    if call.store.get(folders.KIND, folder) is None:
        raise _invalid("folder does not exist")
    if command.interval <= 0 or command.interval % BASE_INTERVAL_S:
        raise _invalid(
            f"interval ({durations.render(command.interval * 1000)}) should be non-zero and divided exactly "
            f"by scheduler interval: {BASE_INTERVAL_S}"
        )
    said = {(command.folder_uid or folder, command.title or name)}
    said |= {(rule.folder_uid, rule.rule_group) for rule in command.rules}
    if said != {(folder, name)}:
        raise refuse(400, "bad request data: folder or group in the body differ from those in the path")
    if not command.rules:
        raise refuse(400, "bad request data: rules: a group without rules can't be stored")


def _check_titles(store: Store, folder: str, commands: list[AlertRule], kept: set[str]) -> None:
    titles = [rule.title for rule in commands]
    titles += [
        rule["title"]
        for rule in store.all(ALERT_RULE)
        if rule["folderUID"] == folder and rule["uid"] not in kept
    ]
    for rule in commands:
        if titles.count(rule.title) > 1:
            raise public(
                409,
                "alerting.alert-rule.conflict",
                f"Failed to save alert rule '{rule.uid}' in organization {ORG_ID} due to conflict: "
                "rule title under the same organisation and folder should be unique",
            )


def _check_uids(commands: list[AlertRule]) -> None:
    uids = [rule.uid for rule in commands if rule.uid]
    if len(set(uids)) < len(uids):
        raise _invalid("a rule uid stands twice in the group")


def _put_group(call: Call) -> Response:
    command = call.parse(RuleGroup)
    _check_group(call, command)
    _check_uids(command.rules)
    before = group(call.store, call.params["folder"], call.params["group"])
    # Rules of the group that the body doesn't name are dropped, those it names elsewhere move here.
    replaced = {rule["uid"] for rule in before} | {rule.uid for rule in command.rules}
    _check_titles(call.store, call.params["folder"], command.rules, replaced)
    for place, rule in enumerate(command.rules):
        _save(call, rule, place, command.interval)
    for rule_before in before:
        if rule_before["uid"] not in {rule.uid for rule in command.rules}:
            call.store.delete(ALERT_RULE, rule_before["uid"])
    # Grafana answers with the request as it came: no generated uids, no defaults.
    return answer(call.json())


def _save(call: Call, rule: AlertRule, place: int, interval_s: int) -> Document:
    _check(call.store, rule)
    given = provenance.of(call)
    old = call.store.get(ALERT_RULE, rule.uid) if rule.uid else None
    if old and old["provenance"] != given and old["provenance"]:
        raise provenance.mismatch(409, old["provenance"], given)
    identifier = old["id"] if old else call.store.next_id(ALERT_RULE)
    document = _document(rule, old, identifier, given)
    document |= {"_interval": interval_s, "_index": place}
    call.store.put(ALERT_RULE, document["uid"], document)
    return document


def _read_group(call: Call) -> Response:
    folder, name = call.params["folder"], call.params["group"]
    members = group(call.store, folder, name)
    if not members:
        raise public(404, "alerting.alert-rule.notFound", "Not found")
    return answer(
        {
            "title": name,
            "folderUid": folder,
            "interval": members[0]["_interval"],
            "rules": [_shown(rule) for rule in members],
        }
    )


def _list(call: Call) -> Response:
    return answer([_shown(rule) for rule in call.store.all(ALERT_RULE)])


def _find(call: Call) -> Document:
    rule = call.store.get(ALERT_RULE, call.params["uid"])
    if rule is None:
        raise ApiError(404, None)
    return rule


def _read(call: Call) -> Response:
    return answer(_shown(_find(call)))


def _put(call: Call) -> Response:
    old = _find(call)
    command = call.parse(AlertRule)
    if command.uid not in ("", old["uid"]):
        raise refuse(400, "bad request data: uid differs from the one in the path")
    if (command.folder_uid, command.rule_group) != (old["folderUID"], old["ruleGroup"]):
        raise refuse(400, "this stand-in moves single rules neither to another group nor to another folder")
    rule = command.model_copy(update={"uid": old["uid"]})
    _check_titles(call.store, old["folderUID"], [rule], {old["uid"]})
    return answer(_shown(_save(call, rule, old["_index"], old["_interval"])))


def _delete(call: Call) -> Response:
    call.store.delete(ALERT_RULE, call.params["uid"])
    return empty()


ROUTES = (
    get(f"{PATH}/alert-rules", _list),
    get(_RULE, _read),
    Route("PUT", _RULE, _put),
    Route("DELETE", _RULE, _delete),
    get(_GROUP, _read_group),
    Route("PUT", _GROUP, _put_group),
)
