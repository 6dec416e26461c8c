"""Notification templates."""

from __future__ import annotations

import base64
import hashlib
import re

from starlette.responses import Response

from . import provenance
from .api import Call, Route, answer, empty, get
from .errors import plain, public
from .schemas import TemplateContent
from .store import Document

KIND = "template"
PATH = "/api/v1/provisioning/templates"

_DEFINE = re.compile(r"\{\{\s*define")
"""Grafana's own test for a definition; `{{- define` does not match, so such a text is wrapped."""

_ACTION = re.compile(r"\{\{-?\s*(?:/\*.*?\*/|(\w+)?.*?)\s*-?\}\}", re.DOTALL)
_OPENING = {"define", "if", "range", "with", "block"}


def uid_of(name: str) -> str:
    """The uid of an object that is known by its name: the name in unpadded URL-safe base64."""
    return base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")


def fingerprint(text: str) -> str:
    """A version: 16 hexadecimal digits that change with the text."""
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def normalized(name: str, text: str) -> str:
    """What is stored: trimmed, and wrapped in a definition unless it has one."""
    content = text.strip()
    if _DEFINE.search(content):
        return content
    indented = "\n".join(f"  {line}" for line in content.split("\n"))
    return f'{{{{ define "{name}" }}}}\n{indented}\n{{{{ end }}}}'


def fault(text: str) -> str:
    """What Go's template parser would refuse, as far as blocks and ends go; empty when nothing."""
    depth = 0
    for match in _ACTION.finditer(text):
        word = match[1]
        depth += (word in _OPENING) - (word == "end")
        if depth < 0:
            return "unexpected {{end}}"
    if text.count("{{") != text.count("}}"):
        return "unclosed action"
    return "unexpected EOF" if depth else ""


def _shown(template: Document) -> Document:
    return {
        "uid": uid_of(template["name"]),
        "name": template["name"],
        "template": template["template"],
        "version": fingerprint(template["template"]),
        "kind": "Grafana",
    } | provenance.shown(template["provenance"])


def _put(call: Call) -> Response:
    name = call.params["name"]
    command = call.parse(TemplateContent)
    old = call.store.get(KIND, name)
    if old:
        provenance.check_relaxed(old["provenance"], provenance.of(call))
    if command.version and command.version != (fingerprint(old["template"]) if old else ""):
        raise public(409, "alerting.notifications.conflict", "Conflict")
    if not command.template.strip():
        raise plain(400, "invalid object specification: template must have content")
    text = normalized(name, command.template)
    if reason := fault(text):
        raise plain(400, f"invalid object specification: invalid template: {reason}")
    template = {"name": name, "template": text, "provenance": provenance.of(call)}
    call.store.put(KIND, name, template)
    return answer(_shown(template), 202)


def _read(call: Call) -> Response:
    template = call.store.get(KIND, call.params["name"])
    if template is None:
        raise public(404, "alerting.notifications.templates.notFound", "Not found")
    return answer(_shown(template))


def _list(call: Call) -> Response:
    templates = sorted(call.store.all(KIND), key=lambda template: str(template["name"]))
    return answer([_shown(template) for template in templates])


def _delete(call: Call) -> Response:
    call.store.delete(KIND, call.params["name"])
    return empty()


ROUTES = (
    get(PATH, _list),
    get(f"{PATH}/{{name}}", _read),
    Route("PUT", f"{PATH}/{{name}}", _put),
    Route("DELETE", f"{PATH}/{{name}}", _delete, frozenset({"version"})),
)
