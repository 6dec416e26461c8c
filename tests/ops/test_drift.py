"""What is read out of a comparison that failed."""

from __future__ import annotations

import subprocess
from types import SimpleNamespace

import pytest

from ops import commands
from ops.console import OpsError
from ops.drift import how_to_replace, lost_tokens

REASON = "received an HTTP 500 response - Reason: no such token '{}' for user 'watcher@pve'"
# As CLI 3.260 and pulumi-proxmoxve 8.3 say it.
OUTPUT = """\
 ~  proxmoxve:user:Token pve-access-token-exporter refreshing error: [ERROR] error retrieving user token
Diagnostics:
  proxmoxve:user:Token (pve-access-token-exporter):
    error: [ERROR] error retrieving user token: {exporter}: Error reading user token
    error: Preview failed: Error reading user token: error retrieving user token: {exporter}

  proxmoxve:user:Token (pve-access-token-discovery):
    error: [ERROR] error retrieving user token: {discovery}: Error reading user token

  pulumi:pulumi:Stack (pve-monitoring-production):
    warning: something else
    error: preview failed
{more}
Resources:
    2 errored
"""


def output(more: str = "") -> str:
    return OUTPUT.format(exporter=REASON.format("exporter"), discovery=REASON.format("discovery"), more=more)


def test_tokens_that_are_gone_are_found() -> None:
    assert lost_tokens(output()) == ("watcher@pve!discovery", "watcher@pve!exporter")


@pytest.mark.parametrize(
    "said", ["", "Diagnostics:", output("  grafana:\n    error: connection refused"), "error: no such stack"]
)
def test_no_other_error_is_taken_for_it(said: str) -> None:
    assert lost_tokens(said) == ()


def test_what_to_do_names_each_of_them() -> None:
    said = how_to_replace(["a@pve!x", "b@pve!y"])
    assert "\n  pveum user token add a@pve x --privsep 1\n" in said
    assert "\n  pveum user token add b@pve y --privsep 1\n" in said
    assert "raise access.tokenGeneration" in said


class Cli:
    """A CLI whose comparison ends with a code."""

    def __init__(self, code: int, said: str) -> None:
        self._code, self._said = code, said

    def ensure_stack(self, _: str) -> None:
        return None

    def run(self, *_: str) -> int:
        return self._code

    def capture(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(words, self._code, self._said, "")


def compare(monkeypatch: pytest.MonkeyPatch, code: int, said: str = "") -> None:
    monkeypatch.setattr(commands, "docker_daemon", SimpleNamespace(connect=lambda: None))
    monkeypatch.setattr(commands, "prepare_lab", lambda _: None)
    monkeypatch.setattr(commands, "pulumi_cli", SimpleNamespace(require=lambda: Cli(code, said)))
    commands.drift("production")


def test_no_difference_ends_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    compare(monkeypatch, 0)


@pytest.mark.parametrize(("code", "said"), [(7, ""), (1, output())], ids=["engine", "token"])
def test_a_difference_ends_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code: int, said: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        compare(monkeypatch, code, said)
    assert ended.value.code == 2
    assert ("watcher@pve!exporter" in capsys.readouterr().out) is bool(said)


def test_an_error_is_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OpsError, match="the comparison failed"):
        compare(monkeypatch, 1, output("  grafana:\n    error: connection refused"))
