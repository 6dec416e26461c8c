"""Contact points: a name with one or more integrations, each an object of its own in the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from . import provenance, references
from .api import Call, Route, answer, get, new_uid
from .errors import ApiError, plain, public, refuse
from .references import CONTACT_POINT
from .schemas import ContactPoint
from .store import Document, Store

PATH = "/api/v1/provisioning/contact-points"
REDACTED = "[REDACTED]"

DEFAULT: Document = {
    "uid": "",
    "name": references.DEFAULT_RECEIVER,
    "type": "email",
    "settings": {"addresses": "<example@email.com>"},
    "disableResolveMessage": False,
}
"""The contact point that a fresh Grafana has."""

_REQUIRED: dict[str, tuple[tuple[str, ...], str]] = {
    "email": (("addresses",), "could not find addresses in settings"),
    "webhook": (("url",), "required field 'url' is not specified"),
    "slack": (("url", "token"), "token must be specified when using the Slack chat API"),
    "teams": (("url",), "could not find url property in settings"),
    "discord": (("url",), "could not find webhook url property in settings"),
    "googlechat": (("url",), "could not find url property in settings"),
    "telegram": (("bottoken",), "could not find Bot Token in settings"),
    "pagerduty": (("integrationKey",), "could not find integration key property in settings"),
    "pushover": (("userKey",), "user key not found"),
    "opsgenie": (("apiKey",), "could not find api key property in settings"),
}
"""By type: one of these settings must be there, else this error."""

_SECRETS: dict[str, frozenset[str]] = {
    "webhook": frozenset({"password", "authorization_credentials"}),
    "slack": frozenset({"url", "token"}),
    "teams": frozenset({"url"}),
    "discord": frozenset({"url"}),
    "googlechat": frozenset({"url"}),
    "telegram": frozenset({"bottoken"}),
    "pagerduty": frozenset({"integrationKey"}),
    "pushover": frozenset({"apiToken", "userKey"}),
    "opsgenie": frozenset({"apiKey"}),
}
"""By type: settings that are answered as [REDACTED]; a webhook's url is none of them."""


def _shown(point: Document) -> Document:
    secret = _SECRETS.get(point["type"], frozenset())
    settings = {
        key: REDACTED if key in secret and value else value for key, value in point["settings"].items()
    }
    return {
        "uid": point["uid"],
        "name": point["name"],
        "type": point["type"],
        "settings": settings,
        "disableResolveMessage": point["disableResolveMessage"],
    } | provenance.shown(point["provenance"])


def _invalid(reason: str) -> ApiError:
    return plain(400, f"invalid object specification: {reason}")


def _check(command: ContactPoint) -> None:
    if command.type not in _REQUIRED:
        known = ", ".join(sorted(_REQUIRED))
        raise refuse(400, f"this stand-in knows no contact point of type {command.type!r}, only {known}")
    required, fault = _REQUIRED[command.type]
    if not any(command.settings.get(key) for key in required):
        raise _invalid(
            f"failed to validate integration {command.name!r} (UID {command.uid}) of type "
            f'"{command.type}": {fault}'
        )
    if command.type == "telegram" and not command.settings.get("chatid"):
        raise _invalid("could not find Chat Id in settings")
    if (
        command.type == "webhook"
        and command.settings.get("authorization_scheme", "")
        and (command.settings.get("username") or command.settings.get("password"))
    ):
        raise _invalid("both HTTP Basic Authentication and Authorization Header are set, only 1 is permitted")


def _document(command: ContactPoint, uid: str, settings: Mapping[str, Any], origin: str) -> Document:
    return {
        "uid": uid,
        "name": command.name,
        "type": command.type,
        "settings": dict(settings),
        "disableResolveMessage": command.disable_resolve_message,
        "provenance": origin,
    }


def _create(call: Call) -> Response:
    command = call.parse(ContactPoint)
    _check(command)
    taken = call.store.get(CONTACT_POINT, command.uid)
    if taken:
        raise public(
            409,
            "alerting.notifications.contact-points.uidInUse",
            f"Receiver configuration with UID '{command.uid}' already exists in contact point "
            f"'{taken['name']}'. Please use unique identifiers for receivers across all contact points.",
        )
    point = _document(command, command.uid or new_uid(), command.settings, provenance.of(call))
    call.store.put(CONTACT_POINT, point["uid"], point)
    return answer(_shown(point), 202)


def _update(call: Call) -> Response:
    old = call.store.get(CONTACT_POINT, call.params["uid"])
    if old is None:
        raise public(404, "alerting.notifications.receivers.notFound", "Receiver not found")
    command = call.parse(ContactPoint)
    _check(command)
    if (command.name, command.type) != (old["name"], old["type"]):
        raise refuse(400, "this stand-in changes neither name nor type of a contact point's integration")
    given = provenance.of(call)
    if old["provenance"] == provenance.API and given == provenance.NONE:
        raise plain(500, "cannot change provenance from 'api' to ''")
    settings = {
        key: old["settings"].get(key, value) if value == REDACTED else value
        for key, value in command.settings.items()
    }
    point = _document(command, old["uid"], settings, given)
    call.store.put(CONTACT_POINT, point["uid"], point)
    return answer({"message": "contactpoint updated"}, 202)


def _list(call: Call) -> Response:
    wanted = call.one("name")
    points = [DEFAULT, *map(_shown, call.store.all(CONTACT_POINT))]
    return answer(
        sorted(
            (point for point in points if wanted is None or point["name"] == wanted),
            key=lambda point: str(point["name"]),
        )
    )


def _delete(call: Call) -> Response:
    point = call.store.get(CONTACT_POINT, call.params["uid"])
    if point and not _others(call.store, point):
        _check_unused(call.store, point["name"])
    call.store.delete(CONTACT_POINT, call.params["uid"])
    return answer({"message": "contactpoint deleted"}, 202)


def _others(store: Store, point: Document) -> bool:
    return any(
        other["name"] == point["name"] and other["uid"] != point["uid"] for other in store.all(CONTACT_POINT)
    )


def _check_unused(store: Store, name: str) -> None:
    if name in references.used_in_policies(store, references.RECEIVER):
        raise public(
            409,
            "alerting.notifications.contact-points.referenced",
            "Contact point is currently referenced by a notification policy.",
        )
    if name in references.used_in_rules(store, references.RECEIVER):
        raise public(
            409,
            "alerting.notifications.contact-points.used-by-rule",
            "Contact point is currently used in the notification settings of one or many alert rules.",
        )


ROUTES = (
    get(PATH, _list, "name"),
    Route("POST", PATH, _create),
    Route("PUT", f"{PATH}/{{uid}}", _update),
    Route("DELETE", f"{PATH}/{{uid}}", _delete),
)
