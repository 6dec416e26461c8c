"""The control port: state, faults, and what the sinks received."""

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from . import commands
from .faults import KINDS, FaultError
from .page import render
from .proxy import ports
from .sinks import Sinks
from .state import Lab
from .web import Request, Response, json_response

Calls = Counter[tuple[str, str, str, int]]
HOOK = re.compile(r"^/hooks/(?P<name>[A-Za-z0-9_.-]{1,64})$")
FAULT = re.compile(r"^/faults/(?P<id>[A-Za-z0-9]+)$")
GUEST = re.compile(r"^/guests/(?P<guest>[A-Za-z0-9._/-]+)/(?P<verb>migrate|reboot|start|stop)$")
RESERVED = {"kind", "target", "seconds"}


class Control:
    """Answers on the control port (plain HTTP, no authentication: the lab is a network of its own)."""

    def __init__(self, lab: Lab, sinks: Sinks, calls: Calls) -> None:
        self._lab = lab
        self._sinks = sinks
        self._calls = calls
        self._routes: dict[tuple[str, str], Callable[[Request], Response]] = {
            ("GET", "/"): self._page,
            ("GET", "/healthz"): lambda _: json_response({"status": "ok"}),
            ("GET", "/state"): lambda _: json_response(state(lab)),
            ("GET", "/kinds"): lambda _: json_response(kinds()),
            ("GET", "/faults"): self._list_faults,
            ("POST", "/faults"): self._add_fault,
            ("DELETE", "/faults"): lambda _: json_response({"cleared": lab.faults.clear_all(lab.clock())}),
            ("GET", "/hooks"): lambda _: json_response({k: list(v) for k, v in sinks.hooks.items()}),
            ("DELETE", "/hooks"): lambda _: _cleared(sinks.hooks),
            ("GET", "/mail"): lambda _: json_response(list(sinks.mail)),
            ("DELETE", "/mail"): lambda _: _cleared(sinks.mail),
            ("GET", "/calls"): self._list_calls,
            ("DELETE", "/calls"): lambda _: _cleared(calls),
        }

    async def __call__(self, request: Request) -> Response:
        """Answer a request; what the client got wrong is 400 with ``error``."""
        try:
            handler = self._routes.get((request.method, request.path))
            return handler(request) if handler else self._named(request)
        except (FaultError, json.JSONDecodeError, UnicodeDecodeError) as error:
            return json_response({"error": str(error)}, 400)

    def _named(self, request: Request) -> Response:
        if found := HOOK.match(request.path):
            return self._hook(request, found["name"])
        if (found := FAULT.match(request.path)) and request.method == "DELETE":
            if self._lab.faults.clear(found["id"], self._lab.clock()):
                return json_response({"cleared": 1})
            return json_response({"error": f"no active fault {found['id']}"}, 404)
        if (found := GUEST.match(request.path)) and request.method == "POST":
            return self._command(found["guest"], found["verb"], json.loads(request.body or b"{}"))
        named = {"/hooks/{name}", "/faults/{id}", "/guests/{guest}/{migrate|reboot|start|stop}"}
        known = sorted({path for _, path in self._routes} | named)
        return json_response({"error": f"no {request.method} {request.path}", "paths": known}, 404)

    def _command(self, guest: str, verb: str, body: Any) -> Response:
        allowed = {"migrate": {"target", "seconds"}, "reboot": {"seconds"}}.get(verb, set())
        if not isinstance(body, dict) or set(body) - allowed:
            raise FaultError(f"{verb} takes an object with {', '.join(sorted(allowed)) or 'nothing in it'}")
        seconds = _seconds(body.get("seconds"))
        if verb == "start":
            return json_response({"vmid": commands.start(self._lab, guest).vmid})
        if verb == "migrate":
            lasts = commands.MIGRATION_SECONDS if seconds is None else seconds
            move = commands.migrate(self._lab, guest, str(body.get("target", "")), lasts)
            return json_response(asdict(move), 202)
        if verb == "stop":
            fault = commands.stop(self._lab, guest)
        else:
            fault = commands.reboot(self._lab, guest, commands.REBOOT_SECONDS if seconds is None else seconds)
        return json_response({"id": fault.id, "fault": fault.as_json()}, 201)

    def _hook(self, request: Request, name: str) -> Response:
        if request.method == "POST":
            if self._sinks.refuses(name):
                return json_response({"error": "this webhook takes nothing now"}, 500)
            self._sinks.hook(name, json.loads(request.body))
            return json_response({"stored": 1})
        if request.method == "GET":
            return json_response(list(self._sinks.hooks.get(name, ())))
        return json_response({"error": "a hook takes POST and GET"}, 405)

    def _list_faults(self, _: Request) -> Response:
        lab = self._lab
        return json_response([fault.as_json() for fault in lab.faults.active(lab.clock())])

    def _add_fault(self, request: Request) -> Response:
        body = json.loads(request.body)
        if not isinstance(body, dict) or not isinstance(body.get("kind"), str):
            raise FaultError(f"a fault is an object with kind and target; kinds: {', '.join(KINDS)}")
        seconds = _seconds(body.get("seconds"))
        given = {name: value for name, value in body.items() if name not in RESERVED | {"params"}}
        more = body.get("params", {})
        if not isinstance(more, dict):
            raise FaultError("params is an object")
        fault = self._lab.break_(body["kind"], str(body.get("target", "")), seconds, given | more)
        return json_response({"id": fault.id, "fault": fault.as_json()}, 201)

    def _list_calls(self, _: Request) -> Response:
        return json_response([
            {"member": member, "method": method, "path": path, "status": status, "count": count}
            for (member, method, path, status), count in sorted(self._calls.items())
        ])  # fmt: skip

    def _page(self, _: Request) -> Response:
        html = render(state(self._lab), notes(self._sinks))
        return Response(200, html.encode(), "text/html; charset=utf-8")


def _seconds(value: Any) -> float | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise FaultError(f"seconds is a number, not {value!r}")
    return value


def _cleared(store: Any) -> Response:
    count = len(store)
    store.clear()
    return json_response({"cleared": count})


def kinds() -> dict[str, Any]:
    """The kinds of fault: what they do, what they can be aimed at, their parameters and defaults."""
    return {
        name: {"summary": kind.summary, "targets": list(kind.targets), "params": dict(kind.params)}
        for name, kind in KINDS.items()
    }


def state(lab: Lab) -> dict[str, Any]:
    """The cluster now."""
    t = lab.clock()
    cluster, settings = lab.cluster, lab.settings
    return {
        "cluster": cluster.name, "version": settings.version[1], "time": t, "seed": settings.seed,
        "sizes": {"hosts": len(cluster.hosts), "guests": len(cluster.guests)},
        "hosts": [
            {"name": host.name, "address": host.address, "cpus": host.cpus, "memory": host.memory,
             "gpus": len(host.gpus), "online": lab.online(host.name, t), "ports": list(ports(host)),
             "cpu": round(lab.host_rate(host, "cpu", t) / host.cpus, 4),
             "memory_used": round(lab.host_memory_used(host, t) / host.memory, 4)}
            for host in cluster.hosts
        ],
        "guests": [
            {"vmid": guest.vmid, "name": guest.name, "type": guest.kind, "os": guest.os,
             "node": lab.location(guest, t), "address": guest.address, "agent": guest.agent,
             "template": guest.template, "running": lab.running(guest, t), "ports": list(ports(guest)),
             "gpus": len(guest.gpus), "moves": bool(guest.away)}
            for guest in cluster.guests
        ],
        "faults": [fault.as_json() for fault in lab.faults.active(t)],
    }  # fmt: skip


def notes(sinks: Sinks) -> list[tuple[str, str, str]]:
    """The latest 50 notifications, newest first: time, where, what."""
    found = [(item["received"], f"mail to {', '.join(item['to'])}", item["subject"]) for item in sinks.mail]
    for name, items in sinks.hooks.items():
        found += [(item["received"], f"hook {name}", _summary(item["body"])) for item in items]
    found.sort(reverse=True)
    return [
        (datetime.fromtimestamp(when, UTC).strftime("%H:%M:%S"), where, what)
        for when, where, what in found[:50]
    ]


def _summary(body: Any) -> str:
    if not isinstance(body, dict):
        return str(body)[:120]
    names = sorted({str(alert.get("labels", {}).get("alertname", "?")) for alert in body.get("alerts", [])})
    return f"{body.get('status', '')} {', '.join(names)}".strip() or json.dumps(body)[:120]
