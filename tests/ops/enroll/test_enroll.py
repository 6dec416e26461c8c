"""Guests of a simulated cluster get exporters: the whole way by the API, and all that is in the way."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from components.pve_api import Token
from lab.cluster.identities import DISCOVERY, EXPORTER
from lab.cluster.settings import Settings
from ops.console import OpsError
from ops.enroll import command
from ops.enroll.choice import Choice, choose
from ops.enroll.cluster import Guest
from ops.enroll.command import enroll
from ops.enroll.work import Plan, Result, Worker

from .conftest import TOKEN, Site

CHANGES = {"exec", "file-write"}


@pytest.mark.parametrize("vmid", [103, 105])
def test_an_exporter_that_is_missing_is_installed(
    site: Site, capsys: pytest.CaptureFixture[str], vmid: int
) -> None:
    site.client.add("exporter_gone", str(vmid))
    assert enroll(site.order(vmid)) == 0
    assert site.answers(vmid)
    said = capsys.readouterr().out
    assert "✓" in said
    assert ("windows_exporter installed" if vmid == 103 else "node_exporter installed") in said
    assert "pveum user token remove enroll@pve once" in said
    # Nothing of the installer stays, and the token stands nowhere.
    assert site.files == {}
    assert TOKEN.secret not in said


def test_one_that_answers_is_left_alone_unless_it_is_asked_for(site: Site) -> None:
    assert enroll(site.order(103)) == 0
    assert not site.posts() & CHANGES
    assert enroll(site.order(choice=Choice((103,), again=True))) == 0
    assert site.posts() >= CHANGES


def test_missing_are_those_that_run_without_an_answer(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.client.add("exporter_gone", "102")
    site.client.add("exporter_gone", "106")
    # 107's agent is dead, 106 is a container, 108 is left out, 109 is off, 112 a template.
    assert enroll(site.order(choice=Choice(missing=True))) == 1
    said = capsys.readouterr().out
    assert site.answers(102)
    assert "106 ct-dns01" in said
    assert "pct exec 106" in said.replace("\n", "")
    for other in ("108 ", "109 ", "112 ", "101 "):
        assert f"{other}win" not in said
        assert f"{other}lnx" not in said
        assert f"{other}tmpl" not in said


def test_a_dry_run_changes_nothing(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    with site.client.fault("exporter_gone", "103"):
        assert enroll(site.order(choice=Choice(tags=("SQL",)), dry_run=True)) == 0
        assert not site.posts() & CHANGES
        assert not site.answers(103)
    assert "install windows_exporter as SYSTEM (Windows Server 2022 Datacenter)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("vmid", "fault", "words"),
    [
        (107, None, "the agent doesn't answer: install or start qemu-guest-agent"),
        (108, None, "the agent is switched off: qm set 108 --agent 1"),
        (109, None, "is off: start it first"),
        (112, None, "is a template"),
        (103, "agent_hung", "the agent hangs: restart the service qemu-guest-agent"),
        (103, "exec_forbidden", "allow guest-exec, guest-exec-status"),
        (103, "download_blocked", "can't be read: timed out"),
    ],
)
def test_what_is_in_the_way_is_said(
    site: Site, capsys: pytest.CaptureFixture[str], vmid: int, fault: str | None, words: str
) -> None:
    if fault is not None:
        site.client.add("exporter_gone", str(vmid))
        site.client.add(fault, str(vmid))
    order = site.order(choice=Choice((vmid,), again=True))
    assert enroll(order) == 1
    assert words in " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert site.files == {}


def test_one_that_fails_does_not_keep_others_from_theirs(site: Site) -> None:
    for vmid in ("101", "102", "103", "110"):
        site.client.add("exporter_gone", vmid)
    site.client.add("download_blocked", "102")
    assert enroll(site.order(101, 102, 103, 110)) == 1
    assert [site.answers(vmid) for vmid in (101, 102, 103, 110)] == [True, False, True, True]


def test_at_most_two_are_worked_on_at_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    running, most, lock = [0], [0], threading.Lock()
    before = Worker.enroll

    def counted(worker: Worker, wanted: Plan) -> Result:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        try:
            return before(worker, wanted)
        finally:
            with lock:
                running[0] -= 1

    monkeypatch.setattr(Worker, "enroll", counted)
    assert enroll(site.order(choice=Choice((101, 102, 103, 105), again=True))) == 0
    assert most[0] == 2


def test_an_exporter_that_prometheus_does_not_see_is_no_success(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(site.watch), "up", lambda _: {103: False})
    assert enroll(site.order(103, patience=0.3)) == 1
    assert "not up after 0 s" in capsys.readouterr().out


def test_large_installers_go_in_pieces(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Worker, "chunk", 4000)
    for vmid in (103, 105):
        site.client.add("exporter_gone", str(vmid))
    assert enroll(site.order(103, 105)) == 0
    assert site.files == {}


def test_a_guest_that_moved_is_found_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.client.add("exporter_gone", "110")
    known = choose

    def stale(*args: Any) -> list[Guest]:
        return [replace(guest, node="pve1") for guest in known(*args)]

    monkeypatch.setattr(command, "choose", stale)
    assert enroll(site.order(110)) == 0


def test_ctrl_c_brings_every_guest_to_a_known_state(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    object.__setattr__(site.running.lab.settings, "install_seconds", 1.5)
    for vmid in (101, 102, 103):
        site.client.add("exporter_gone", str(vmid))
    # Ctrl-C, as soon as installers run.
    main = threading.main_thread().ident
    assert main is not None

    def press() -> None:
        until = time.monotonic() + 10
        while "exec" not in site.posts() and time.monotonic() < until:
            time.sleep(0.02)
        signal.pthread_kill(main, signal.SIGINT)

    presser = threading.Thread(target=press)
    # A shell that starts tests in the background has them ignore it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    presser.start()
    try:
        assert enroll(site.order(101, 102, 103)) == 130
    finally:
        presser.join()
        signal.signal(signal.SIGINT, before)
        object.__setattr__(site.running.lab.settings, "install_seconds", 0.3)
    said = " ".join(capsys.readouterr().out.split())
    assert "the installer goes on by itself in the guest" in said
    assert "103 win-sql01: interrupted: nothing was changed in the guest" in said
    assert site.files == {}


# --- before it begins ----------------------------------------------------------------------------


def test_a_token_without_the_privilege_is_told_before_anything(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.client.add("permission_lost", TOKEN.id, privilege="VM.GuestAgent.Unrestricted")
    assert enroll(site.order(choice=Choice((103,), again=True))) == 1
    assert "the token lacks VM.GuestAgent.Unrestricted on /vms/103" in " ".join(
        capsys.readouterr().out.replace("│", " ").split()
    )
    assert not site.posts() & CHANGES


def test_on_8_it_takes_another_privilege(
    start_site: Callable[..., Site], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops.enroll.work.POLL_SECONDS", 0.05)
    site = start_site(pve_release=8)
    site.client.add("exporter_gone", "103")
    assert enroll(site.order(103)) == 0
    assert "needs VM.Monitor on each guest" in capsys.readouterr().out


@pytest.mark.parametrize("other", [DISCOVERY, EXPORTER])
def test_the_tokens_of_the_stack_are_refused(site: Site, other: Token) -> None:
    with pytest.raises(OpsError, match="only reads"):
        enroll(site.order(103, token=Token.parse(f"{other.id}={other.secret}")))


def test_a_token_that_is_not_accepted_is_told_once(site: Site) -> None:
    site.client.add("token_revoked", TOKEN.id)
    with pytest.raises(OpsError, match=r"^the token enroll@pve!once isn't accepted"):
        enroll(site.order(103))


def test_7_is_refused_with_the_reason(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Settings, "version", property(lambda _: ("7.4", "7.4-17", "513c62be")))
    with pytest.raises(OpsError, match="runs Proxmox VE 7, which has had no update since July 2024"):
        enroll(site.order(103))
    assert not site.posts() & CHANGES


def test_a_cluster_that_nobody_trusts_or_reaches_is_told(site: Site) -> None:
    order = site.order(103)
    nowhere = replace(order, endpoints=["https://127.0.0.1:1"])
    with pytest.raises(OpsError, match=r"no member of the cluster answers:\n  https://.*: no answer"):
        enroll(nowhere)
    settings = site.stack.settings
    stranger = settings.model_copy(update={"cluster": settings.cluster.model_copy(update={"ca_file": None})})
    with pytest.raises(OpsError, match=r"its certificate isn't trusted .*caFile"):
        enroll(replace(order, stack=replace(site.stack, settings=stranger)))


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (Choice(), "which guests"),
        (Choice((103, 4711, 815)), "no guest 815, 4711"),
    ],
)
def test_a_choice_that_cannot_be_is_told(site: Site, choice: Choice, words: str) -> None:
    with pytest.raises(OpsError, match=words):
        enroll(site.order(choice=choice))


def test_without_prometheus_nobody_knows_who_is_missing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(site.watch), "up", lambda _: None)
    with pytest.raises(OpsError, match="give its address with --prometheus"):
        enroll(site.order(choice=Choice(missing=True)))
    # Named guests are enrolled, and nobody waits.
    assert enroll(site.order(103)) == 0


def test_without_a_terminal_only_yes_is_an_answer(site: Site) -> None:
    site.client.add("exporter_gone", "103")
    with pytest.raises(OpsError, match="add --yes"):
        enroll(site.order(103, yes=False))
    assert not site.posts() & CHANGES
