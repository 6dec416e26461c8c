"""Replays what the provider was seen to send and compares every answer with the recorded one."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).parents[3]
VARIABLE = "PVE_MONITORING_REFERENCE"

TIMES = {"created", "updated", "createdAt", "updatedAt"}
MADE_BY_SERVER = {"key", "version", "avatarUrl"}
"""Values that only the server knows how to make; numeric versions are compared."""


def recorded_calls() -> list[dict[str, Any]]:
    directory = Path(os.environ.get(VARIABLE, ROOT.parent / "shared" / "reference"))
    path = directory / "grafana_calls.jsonl"
    if not path.exists():
        pytest.skip(f"no recorded calls at {path}; name their directory in {VARIABLE}")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def normalized(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: normalized(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [normalized(item, key) for item in value]
    if key in TIMES:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", value) or value.startswith("0001-01-01")
        return "a time" if not value.startswith("0001") else value
    if key in MADE_BY_SERVER and isinstance(value, str):
        return f"{key} of {len(value)}" if key != "avatarUrl" else "/avatar/"
    return value


class Uids:
    """Uids that the recorded server made, and those made here in their place."""

    def __init__(self) -> None:
        self.here: dict[str, str] = {}

    def learn(self, recorded: Any, answered: Any) -> None:
        if not (isinstance(recorded, dict) and isinstance(answered, dict)):
            return
        old, new = recorded.get("uid"), answered.get("uid")
        if old and new and old != new:
            assert re.fullmatch(r"[0-9a-z]{14}", old)
            assert re.fullmatch(r"[0-9a-z]{14}", new)
            self.here[old] = new

    def translate(self, text: str) -> str:
        for old, new in self.here.items():
            text = text.replace(old, new)
        return text


def send(client: httpx.Client, call: dict[str, Any], uids: Uids) -> httpx.Response:
    path = uids.translate(call["path"]) + (f"?{call['query']}" if call["query"] else "")
    headers = {key: value for key, value in call["headers"].items() if key != "Authorization"}
    content = None if call["body"] is None else json.dumps(call["body"])
    return client.request(call["method"], path, content=content, headers=headers)


def test_every_recorded_answer_is_given_again(grafana: httpx.Client) -> None:
    calls = recorded_calls()
    assert len(calls) == 89
    uids = Uids()
    for number, call in enumerate(calls):
        where = f"call {number}, {call['phase']}: {call['method']} {call['path']}"
        response = send(grafana, call, uids)
        assert response.status_code == call["status"], f"{where}: {response.text}"
        answered = response.json() if response.content else None
        if call["method"] == "POST":
            uids.learn(call["answer"], answered)
        expected = json.loads(uids.translate(json.dumps(call["answer"])))
        assert normalized(answered) == normalized(expected), where
    assert grafana.get("/__double/refusals").json()["refusals"] == []
    assert len(grafana.get("/__double/calls").json()["calls"]) == len(calls)
