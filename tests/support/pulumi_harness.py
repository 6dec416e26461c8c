"""Runs a Pulumi program without an engine and keeps every registration for plain assertions.

`pulumi.runtime.mocks` is half private: whatever depends on it stands in this file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import pulumi
from google.protobuf.json_format import MessageToDict
from pulumi.runtime import mocks

from components import preflight
from lab.apply import SECRET_SIGNATURE, SIGNATURE_KEY, unwrap, use_event_loop


@dataclass(frozen=True)
class Registration:
    """One registered resource as the engine would see it."""

    urn: str
    request: Any

    @property
    def type(self) -> str:
        return str(self.request.type)

    @property
    def name(self) -> str:
        return str(self.request.name)

    @property
    def inputs(self) -> dict[str, Any]:
        """Inputs with secrets unwrapped."""
        unwrapped: dict[str, Any] = unwrap(MessageToDict(self.request.object))
        return unwrapped

    @property
    def raw_inputs(self) -> dict[str, Any]:
        """Inputs as sent, secrets still marked."""
        raw: dict[str, Any] = MessageToDict(self.request.object)
        return raw


def secret_texts(value: Any, *, inside: bool = False) -> list[str]:
    """All strings that stand inside a secret."""
    if isinstance(value, dict):
        secret = inside or value.get(SIGNATURE_KEY) == SECRET_SIGNATURE
        return [
            text
            for key, item in value.items()
            if key != SIGNATURE_KEY
            for text in secret_texts(item, inside=secret)
        ]
    if isinstance(value, list):
        return [text for item in value for text in secret_texts(item, inside=inside)]
    return [value] if inside and isinstance(value, str) else []


def plain_texts(value: Any) -> list[str]:
    """All strings that stand outside of any secret."""
    if isinstance(value, dict):
        if value.get(SIGNATURE_KEY) == SECRET_SIGNATURE:
            return []
        return [text for item in value.values() for text in plain_texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in plain_texts(item)]
    return [value] if isinstance(value, str) else []


@dataclass
class Recording:
    """What a program registered."""

    registrations: list[Registration] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)

    def of(self, type_: str) -> list[Registration]:
        return [r for r in self.registrations if r.type == type_]

    def named(self, name: str) -> Registration:
        (found,) = [r for r in self.registrations if r.name == name and r.request.custom]
        return found

    @property
    def custom(self) -> list[Registration]:
        """Resources of providers (no components)."""
        return [r for r in self.registrations if r.request.custom]


class _Mocks(mocks.Mocks):
    def __init__(
        self, outputs: Mapping[str, Mapping[str, Any]], calls: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self._outputs, self._calls = outputs, calls

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        return f"{args.name}-id", {**args.inputs, **self._outputs.get(args.typ, {})}

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        if args.token in self._calls:
            return {**args.args, **self._calls[args.token]}, []
        raise AssertionError(f"the program calls {args.token}: an invoke fails while its provider is unknown")


class _RecordingMonitor(mocks.MockMonitor):
    def __init__(self, mocks_: mocks.Mocks, recording: Recording) -> None:
        super().__init__(mocks_)
        self._recording = recording

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the engine's name
        response = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        self._recording.registrations.append(Registration(response.urn, request))
        return response

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802 - the engine's name
        self._recording.outputs[request.urn] = MessageToDict(request.outputs)
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]


DEFAULT_OUTPUTS: dict[str, dict[str, Any]] = {
    "docker:index/container:Container": {"exitCode": 0, "containerLogs": "wrote 1 files\n"},
    "docker:index/remoteImage:RemoteImage": {"imageId": "sha256:" + "0" * 64},
}


def deploy(
    program: Callable[[], object],
    *,
    config: Mapping[str, object] | None = None,
    secrets: Mapping[str, str] | None = None,
    preview: bool = False,
    outputs: Mapping[str, Mapping[str, Any]] | None = None,
    calls: Mapping[str, Mapping[str, Any]] | None = None,
) -> Recording:
    """Run a program and return what it registered.

    Args:
        program: registers the resources.
        config: plain values by full key; structured ones are turned into JSON as the engine does.
        secrets: secret values by full key.
        preview: outputs that the provider computes stay unknown.
        outputs: further outputs by type token.
        calls: what the functions of providers answer, by their tokens; in a preview none may be called.
    """
    recording = Recording()
    mocks_ = _Mocks({**DEFAULT_OUTPUTS, **(outputs or {})}, {} if preview else calls or {})
    monitor = _RecordingMonitor(mocks_, recording)
    values = {k: v if isinstance(v, str) else json.dumps(v) for k, v in (config or {}).items()}
    pulumi.runtime.set_all_config({**values, **(secrets or {})}, list(secrets or {}))
    use_event_loop()
    pulumi.runtime.set_mocks(mocks_, project="pve-monitoring", stack="test", preview=preview, monitor=monitor)

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def run() -> None:
        program()

    # No cluster is asked: what it would say is tried with a simulated one.
    with patch.object(preflight, "findings", return_value=preflight.Findings()):
        run()
    return recording
