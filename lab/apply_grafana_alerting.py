"""Creates Grafana's contact points, templates, mute timings, policy and rules through its HTTP API."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import requests

from lab.apply_docker import Note

_PATH = "/api/v1/provisioning"
_REDACTED = "[REDACTED]"

# Grafana's type of each argument of a contact point.
_TYPES = {
    "emails": "email",
    "webhooks": "webhook",
    "slacks": "slack",
    "teams": "teams",
    "discords": "discord",
    "telegrams": "telegram",
    "pagerduties": "pagerduty",
}
# Settings that Grafana spells in its own way, by type; all others are spelled alike.
_SPELLINGS: Mapping[str, Mapping[str, str]] = {
    "telegram": {"token": "bottoken", "chatId": "chatid", "parseMode": "parse_mode"},
}

_JSON = dict[str, Any]
Call = Callable[..., requests.Response]
Must = Callable[..., Any]


def _integration(name: str, kind: str, given: _JSON) -> _JSON:
    spelling = _SPELLINGS.get(kind, {})
    settings = {spelling.get(k, k): v for k, v in given.items() if k != "disableResolveMessage"}
    if "addresses" in settings:
        settings["addresses"] = ";".join(settings["addresses"])
    return {
        "name": name,
        "type": kind,
        "settings": settings,
        "disableResolveMessage": given["disableResolveMessage"],
    }


def _same(wanted: _JSON, stored: _JSON) -> bool:
    """Whether a stored integration is the wanted one, as far as Grafana tells: secrets it doesn't."""
    told = {k: v for k, v in stored["settings"].items() if v != _REDACTED}
    comparable = {k: v for k, v in wanted["settings"].items() if stored["settings"].get(k) != _REDACTED}
    return (told, wanted["disableResolveMessage"]) == (comparable, stored["disableResolveMessage"])


def _interval(given: _JSON) -> _JSON:
    times = [{"start_time": span["start"], "end_time": span["end"]} for span in given.get("times", ())]
    return {
        "times": times,
        "weekdays": given.get("weekdays", []),
        "days_of_month": given.get("daysOfMonths", []),
        "months": [],
        "years": [],
        "location": given["location"],
    }


def _route(given: _JSON) -> _JSON:
    route = {
        "receiver": given["contactPoint"],
        "group_by": given.get("groupBies"),
        "object_matchers": [[m["label"], m["match"], m["value"]] for m in given.get("matchers", ())],
        "mute_time_intervals": given.get("muteTimings"),
        "group_wait": given.get("groupWait"),
        "group_interval": given.get("groupInterval"),
        "repeat_interval": given.get("repeatInterval"),
        "routes": [_route(child) for child in given.get("policies", ())],
    }
    return {key: value for key, value in route.items() if value}


def _rule(group: _JSON, given: _JSON) -> _JSON:
    return {
        "uid": given["uid"],
        "title": given["name"],
        "condition": given["condition"],
        "for": given["for"],
        "keep_firing_for": given["keepFiringFor"],
        "isPaused": given["isPaused"],
        "noDataState": given["noDataState"],
        "execErrState": given["execErrState"],
        "labels": given["labels"],
        "annotations": given["annotations"],
        "folderUID": group["folderUid"],
        "ruleGroup": group["name"],
        "orgID": 1,
        "data": [
            {
                "refId": step["refId"],
                "datasourceUid": step["datasourceUid"],
                "queryType": step["queryType"],
                "relativeTimeRange": step["relativeTimeRange"],
                "model": json.loads(step["model"]),
            }
            for step in given["datas"]
        ],
    }


def _covers(stored: Any, wanted: Any) -> bool:
    """Whether a stored value holds all of the wanted one: Grafana adds keys of its own to queries."""
    if isinstance(wanted, dict):
        return isinstance(stored, dict) and all(_covers(stored.get(k), v) for k, v in wanted.items())
    if isinstance(wanted, list):
        same_length = isinstance(stored, list) and len(stored) == len(wanted)
        return same_length and all(_covers(s, w) for s, w in zip(stored, wanted, strict=True))
    return bool(stored == wanted)


class AlertingApplier:
    """Handlers for grafana.alerting.*, for GrafanaApplier."""

    def __init__(self, note: Note, call: Call, must: Must) -> None:
        self._note, self._call, self._must = note, call, must
        self.handlers = {
            "grafana:alerting/contactPoint:ContactPoint": self._contact_point,
            "grafana:alerting/messageTemplate:MessageTemplate": self._template,
            "grafana:alerting/muteTiming:MuteTiming": self._mute_timing,
            "grafana:alerting/notificationPolicy:NotificationPolicy": self._policy,
            "grafana:alerting/ruleGroup:RuleGroup": self._rule_group,
        }

    def _contact_point(self, name: str, inputs: _JSON) -> _JSON:
        title = inputs["name"]
        wanted = {
            kind: _integration(title, kind, inputs[option][0])
            for option, kind in _TYPES.items()
            if inputs.get(option)
        }
        path = f"{_PATH}/contact-points"
        stored = {point["type"]: point for point in self._must("GET", f"{path}?name={quote(title)}")}
        changed = False
        for kind, integration in wanted.items():
            old = stored.pop(kind, None)
            if old is None:
                self._must("POST", path, integration)
            elif not _same(integration, old):
                self._must("PUT", f"{path}/{old['uid']}", integration)
            else:
                continue
            changed = True
        for old in stored.values():
            self._must("DELETE", f"{path}/{old['uid']}")
        self._note(name, changed=changed or bool(stored))
        return {"id": title, "name": title}

    def _put(self, name: str, path: str, wanted: _JSON, *, told: _JSON | None = None, new: str = "") -> None:
        """Write an object that is replaced as a whole, if it isn't so yet.

        Args:
            name: of the resource.
            path: of the object.
            wanted: the object.
            told: the object as Grafana answers it, where it doesn't answer all of it.
            new: path where one that isn't there yet is posted; else it is put too.
        """
        exists = self._call("GET", path)
        same = exists.ok and _covers(exists.json(), told or wanted)
        if not same:
            post = new and not exists.ok
            self._must("POST" if post else "PUT", new if post else path, wanted)
        self._note(name, changed=not same)

    def _template(self, name: str, inputs: _JSON) -> _JSON:
        self._put(name, f"{_PATH}/templates/{inputs['name']}", {"template": inputs["template"]})
        return {"id": inputs["name"]}

    def _mute_timing(self, name: str, inputs: _JSON) -> _JSON:
        title = inputs["name"]
        wanted = {"name": title, "time_intervals": [_interval(i) for i in inputs["intervals"]]}
        path = f"{_PATH}/mute-timings"
        self._put(name, f"{path}/{title}", wanted, told=_told(wanted), new=path)
        return {"id": title, "name": title}

    def _policy(self, name: str, inputs: _JSON) -> _JSON:
        self._put(name, f"{_PATH}/policies", _route(inputs))
        return {"id": "policy"}

    def _rule_group(self, name: str, inputs: _JSON) -> _JSON:
        folder, group = inputs["folderUid"], inputs["name"]
        wanted = {
            "title": group,
            "folderUid": folder,
            "interval": inputs["intervalSeconds"],
            "rules": [_rule(inputs, rule) for rule in inputs["rules"]],
        }
        self._put(name, f"{_PATH}/folder/{folder}/rule-groups/{quote(group, safe='')}", wanted)
        return {"id": group}


def _told(timing: _JSON) -> _JSON:
    """A mute timing as Grafana answers it: empty lists are left out."""
    intervals = [{k: v for k, v in interval.items() if v} for interval in timing["time_intervals"]]
    return {**timing, "time_intervals": intervals}
