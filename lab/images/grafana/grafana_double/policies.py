"""The notification policy tree: one per organization."""

from __future__ import annotations

import re
from operator import itemgetter
from typing import Any

from starlette.responses import Response

from . import durations, provenance, references
from .api import Call, Route, answer, get
from .errors import ApiError, public
from .references import DEFAULT_TREE, POLICY, POLICY_KEY
from .schemas import RouteTree
from .store import Document, Store

PATH = "/api/v1/provisioning/policies"

_DURATIONS = ("group_wait", "group_interval", "repeat_interval")
_OPERATORS = ("=", "!=", "=~", "!~")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def normalized(route: RouteTree) -> dict[str, Any]:
    """A route as Grafana answers it: matchers sorted, durations canonical, nothing empty.

    Raises:
        ValueError: a matcher, grouping or duration that isn't valid; the message is for the caller.
    """
    shown: dict[str, Any] = {
        "receiver": route.receiver,
        "group_by": _grouping(route.group_by or []),
        "object_matchers": sorted(map(_matcher, route.object_matchers or []), key=itemgetter(0, 2, 1)),
        "mute_time_intervals": route.mute_time_intervals,
        "active_time_intervals": route.active_time_intervals,
        "continue": route.continue_,
        "routes": [normalized(child) for child in route.routes or []],
    }
    for name in _DURATIONS:
        shown[name] = _duration(name, getattr(route, name))
    return {key: value for key, value in shown.items() if value}


def _grouping(labels: list[str]) -> list[str]:
    if "..." in labels and len(labels) > 1:
        raise ValueError("cannot have wildcard group_by (`...`) and other labels at the same time")
    if len(set(labels)) < len(labels):
        raise ValueError("duplicated label in group_by")
    for label in labels:
        if label != "..." and not _LABEL.fullmatch(label):
            raise ValueError(f'invalid label name "{label}" in group_by list')
    return labels


def _matcher(matcher: list[str]) -> list[str]:
    name, operator, value = matcher
    if operator not in _OPERATORS:
        raise ValueError(f"unsupported match type {operator} in matcher")
    if not name:
        raise ValueError("a matcher has no label name")
    if operator in ("=~", "!~"):
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"invalid regular expression in the matcher for {name}: {error.msg}") from error
    return matcher


def _duration(name: str, text: str) -> str:
    if not text:
        return ""
    canonical = durations.canonical(text)
    if canonical == "0s" and name != "group_wait":
        raise ValueError(f"{name} cannot be zero")
    return canonical


def _invalid(reason: str) -> ApiError:
    return public(
        400,
        "alerting.notifications.routes.invalidFormat",
        f"Invalid format of the submitted route: {reason}. Correct the payload and try again.",
        {"Error": reason},
    )


def _check_root(route: RouteTree) -> None:
    if not route.receiver:
        raise _invalid("root route must specify a default receiver")
    if route.object_matchers:
        raise _invalid("root route must not have any matchers")
    if route.mute_time_intervals:
        raise _invalid("root route must not have any mute time intervals")
    if route.active_time_intervals:
        raise _invalid("root route must not have any active time intervals")
    if route.continue_:
        raise _invalid("root route must not have continue set")


def _check_names(store: Store, route: Document) -> None:
    nodes = list(references.routes(route))
    missing = sorted(references.named(nodes, references.RECEIVER) - references.receiver_names(store))
    if missing:
        raise _invalid(f"receiver '{missing[0]}' does not exist")
    missing = sorted(references.named(nodes, references.INTERVALS) - references.interval_names(store))
    if missing:
        raise _invalid(f"time interval '{missing[0]}' does not exist")


def _put(call: Call) -> Response:
    command = call.parse(RouteTree)
    stored = call.store.get(POLICY, POLICY_KEY)
    given = provenance.of(call)
    if stored:
        provenance.check_relaxed(stored["provenance"], given)
    _check_root(command)
    try:
        route = normalized(command)
    except ValueError as error:
        raise _invalid(str(error)) from error
    _check_names(call.store, route)
    call.store.put(POLICY, POLICY_KEY, {"tree": route, "provenance": given})
    return answer({"message": "policies updated"}, 202)


def _read(call: Call) -> Response:
    stored = call.store.get(POLICY, POLICY_KEY)
    return answer(
        references.policy_tree(call.store) | provenance.shown(stored["provenance"] if stored else "")
    )


def _reset(call: Call) -> Response:
    call.store.delete(POLICY, POLICY_KEY)
    return answer(DEFAULT_TREE, 202)


ROUTES = (
    get(PATH, _read),
    Route("PUT", PATH, _put),
    Route("DELETE", PATH, _reset),
)
