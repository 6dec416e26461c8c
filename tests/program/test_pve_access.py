"""Users, tokens and ACL entries without an engine: who gets what, in which order, and what stays secret."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from components.pve_access import AUDITOR, asking_agents, auditing
from components.settings import PROJECT, Access
from tests.support.examples import EXAMPLES, MANAGED
from tests.support.pulumi_harness import Recording, Registration, deploy, plain_texts, secret_texts

from .test_program import POOL, SECRETS, TOKEN, program, run

# A class beside the one that is used says at its import that it is deprecated.
pytestmark = pytest.mark.filterwarnings(
    "ignore:This resource is deprecated:DeprecationWarning:pulumi_command.remote.copy_file"
)

ACL = "proxmoxve:index/acl:Acl"
USER = "proxmoxve:index/userLegacy:UserLegacy"
ROLE = "proxmoxve:index/roleLegacy:RoleLegacy"
API_TOKEN = "proxmoxve:user/token:Token"
SECRET = "secret-value-of-a-made-token"


def deployed(access: dict[str, Any], **more: Any) -> Recording:
    values = {**copy.deepcopy(MANAGED), "access": {"manage": True, **access}, **more}
    config = {f"{PROJECT}:{key}": value for key, value in values.items()}
    return deploy(program, config=config, secrets=SECRETS, outputs=TOKEN, calls=POOL)


def entries(recording: Recording) -> set[tuple[str, str, bool]]:
    """Path, role and whether it propagates."""
    return {(r.inputs["path"], r.inputs["roleId"], r.inputs["propagate"]) for r in recording.of(ACL)}


def test_by_default_nothing_is_made_on_the_cluster() -> None:
    for name in EXAMPLES:
        if name != "managed":
            assert [r.name for r in run(name).custom if r.name.startswith("pve-access")] == []


@pytest.mark.parametrize("release", [8, 9])
def test_without_agents_everybody_audits_and_nothing_more(release: int) -> None:
    recording = deployed({"release": release})
    assert entries(recording) == {("/", AUDITOR, True)}
    assert recording.of(ROLE) == []
    assert len(recording.of(ACL)) == 3


def test_9_needs_no_role_for_agents() -> None:
    assert deployed({"release": 9, "guestAgent": True}).of(ROLE) == []


def test_8_gets_one_where_it_is_asked_for_and_a_warning_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, *_: said.append(text))
    recording = deployed({"release": 8, "guestAgent": True})
    (role,) = recording.of(ROLE)
    assert role.inputs["privileges"] == ["VM.Monitor"]
    assert entries(recording) == {("/", AUDITOR, True), ("/", role.inputs["roleId"], True)}
    assert any("run commands in guests" in text for text in said)
    for entry in recording.of(ACL):
        assert role.urn in entry.request.dependencies
    # Who asks no agents gets none of it.
    having = {e.name for e in recording.of(ACL) if e.inputs["roleId"] == role.inputs["roleId"]}
    assert having == {"pve-access-user-monitoring@pve-agent", "pve-access-token-discovery-agent"}


def test_pools_show_their_guests_and_all_hosts_and_storages() -> None:
    agents = "pve-monitoring-guest-agent"
    assert entries(run("managed")) == {
        ("/", AUDITOR, False),
        ("/nodes", AUDITOR, True),
        ("/storage", AUDITOR, True),
        *{
            (f"/pool/{pool}", role, True)
            for pool in ("windows", "tenants/acme")
            for role in (AUDITOR, agents)
        },
    }


def test_the_upgrade_from_8_to_9_takes_away_and_changes_nothing_else() -> None:
    before, after = (
        {r.urn: r.inputs for r in deployed({"release": release, "guestAgent": True}).custom}
        for release in (8, 9)
    )
    assert {urn: before[urn] for urn in after} == after
    gone = {urn.rpartition("::")[2] for urn in set(before) - set(after)}
    assert gone == {
        "pve-access-role-agent",
        *{f"pve-access-{who}-agent" for who in ("user-monitoring@pve", "token-discovery")},
    }


def test_a_token_is_held_to_its_own_entries_and_its_user_has_them_too() -> None:
    recording = run("managed")
    tokens = {t.inputs["tokenName"]: t for t in recording.of(API_TOKEN)}
    assert set(tokens) == {"discovery-2", "exporter-2"}
    for token in tokens.values():
        assert token.inputs["privilegesSeparation"] is True
        assert token.inputs["expirationDate"] == "2999-12-31T00:00:00Z"
    by: dict[str, list[Any]] = {}
    for entry in recording.of(ACL):
        whose = entry.inputs.get("userId") or entry.inputs["tokenId"]
        by.setdefault(whose, []).append((entry.inputs["path"], entry.inputs["roleId"]))
    assert set(by) == {"monitoring@pve", "pve-access-token-discovery-id", "pve-access-token-exporter-id"}
    discovery, exporter = (sorted(by[f"pve-access-token-{name}-id"]) for name in ("discovery", "exporter"))
    assert sorted(by["monitoring@pve"]) == discovery
    assert exporter == [entry for entry in discovery if entry[1] == AUDITOR]


def test_two_tokens_of_one_user_make_it_once_and_of_two_both() -> None:
    assert [u.inputs["userId"] for u in run("managed").of(USER)] == ["monitoring@pve"]
    two = deployed({}, cluster={**MANAGED["cluster"], "exporterTokenId": "other@pve!xy"})
    assert {u.inputs["userId"] for u in two.of(USER)} == {"monitoring@pve", "other@pve"}
    assert all("password" not in u.inputs for u in two.of(USER))


def writer(recording: Recording, service: str) -> Registration:
    return recording.named(f"{service}-a-config-writer")


@pytest.mark.parametrize("service", ["discovery", "pve-exporter"])
def test_who_uses_a_token_waits_until_it_may_do_what_it_is_for(service: str) -> None:
    recording = run("managed")
    consumer = service.removeprefix("pve-")
    needed = {f"pve-access-token-{consumer}"} | {
        r.name
        for r in recording.of(ACL)
        if r.name.startswith((f"pve-access-token-{consumer}-", "pve-access-user-"))
    }
    # The token, five entries of an auditor, two of who asks agents; the same for the user.
    assert len(needed) == {"discovery": 15, "pve-exporter": 13}[service]
    dependencies = {urn.rpartition("::")[2] for urn in writer(recording, service).request.dependencies}
    assert needed <= dependencies


@pytest.mark.parametrize("service", ["discovery", "pve-exporter"])
def test_the_made_token_reaches_its_service_as_a_secret(service: str) -> None:
    raw = writer(run("managed"), service).raw_inputs
    assert [text for text in plain_texts(raw) if SECRET in text] == []
    given = [text for text in secret_texts(raw) if SECRET in text]
    assert len(given) == 1
    # The secret part only, not the whole of what the provider tells.
    assert "u@pve!t=" not in given[0]


def test_a_rotation_has_another_name_on_the_cluster_and_the_same_in_pulumi() -> None:
    first, second = (deployed({"tokenGeneration": number}) for number in (1, 2))
    assert {r.urn for r in first.custom} == {r.urn for r in second.custom}
    names = [{t.inputs["tokenName"] for t in made.of(API_TOKEN)} for made in (first, second)]
    assert names == [{"discovery", "exporter"}, {"discovery-2", "exporter-2"}]
    # Made before the old one goes, and never in its place.
    changing = [*second.of(API_TOKEN), *second.of(ACL)]
    assert not any(r.request.deleteBeforeReplace for r in changing)
    environment = second.named("discovery-a").inputs["envs"]
    assert "PVE_TOKEN_ID=monitoring@pve!discovery-2" in environment


def test_an_unknown_pool_is_told_before_anything_is_made() -> None:
    def answer(pool: str) -> Callable[..., Any]:
        raise ValueError(f"pool '{pool}' does not exist")

    values = {**copy.deepcopy(MANAGED), "access": {"manage": True, "pools": ["nope"]}}
    config = {f"{PROJECT}:{key}": value for key, value in values.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pulumi_proxmoxve.get_pool_legacy", lambda pool_id, **_: answer(pool_id))
        with pytest.raises(pulumi.RunError, match="pool 'nope' does not exist\nCorrect its name"):
            deploy(program, config=config, secrets=SECRETS, outputs=TOKEN)


def test_nobody_gets_a_role_that_writes() -> None:
    for release in (8, 9):
        for pools in ((), ("a", "b")):
            for agent in (True, False):
                access = Access(release=release, pools=pools, guest_agent=agent)
                audit, agents = auditing(access), asking_agents(access, "agents")
                assert {grant.role for grant in audit} == {AUDITOR}
                assert {grant.role for grant in agents} == ({"agents"} if agent and release == 8 else set())
                # Roles add up on the same path only: the agents' never stands alone.
                assert {grant.path for grant in agents} <= {grant.path for grant in audit}
                keys = [grant.key for grant in (*audit, *agents)]
                assert len(set(keys)) == len(keys)
