"""Users, tokens, roles and ACL entries that are made through the API, and that what they say holds."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from lab.cluster.identities import GOVERNING, PROVISIONER

from .conftest import Live
from .test_provisioning import refused, send

USER, TOKEN = "/access/users/new@pve", "/access/users/new@pve/token/reader"
AGENT = "/nodes/pve1/qemu/101/agent/network-get-interfaces"


@pytest.fixture
def fresh(start_lab: Callable[..., Live]) -> Live:
    """A lab of one test: what is made stays."""
    return start_lab()


def made(live: Live, path: str = "/", role: str = "PVEAuditor", **options: Any) -> str:
    """A user with a token and the same role for both; the whole token."""
    send(live, "POST", "/access/users", {"userid": "new@pve", "comment": "by a test"})
    answer = send(live, "POST", TOKEN, options)
    grant(live, path, role)
    return f"{answer['full-tokenid']}={answer['value']}"


def grant(live: Live, path: str, role: str, **more: str) -> None:
    for who in ({"users": "new@pve"}, {"tokens": "new@pve!reader"}):
        send(live, "PUT", "/access/acl", {"path": path, "roles": role, **who, **more})


def vmids(live: Live, token: str) -> set[int]:
    return {guest["vmid"] for guest in live.data("/cluster/resources?type=vm", token=token)}


def test_a_token_that_was_made_reads_what_its_role_says(fresh: Live) -> None:
    token = made(fresh)
    assert vmids(fresh, token) == vmids(fresh, f"{PROVISIONER.id}={PROVISIONER.secret}")
    assert fresh.data("/cluster/status", token=token)
    assert fresh.data(AGENT, token=token)["result"]
    assert "VM.GuestAgent.Audit" in fresh.data("/access/permissions", token=token)["/"]


def test_a_token_may_only_what_its_user_may_as_well(fresh: Live) -> None:
    token = made(fresh)
    send(fresh, "PUT", "/access/acl", {"path": "/", "roles": "Administrator", "tokens": "new@pve!reader"})
    answer = fresh.api("/access/roles", token=token, method="POST", form={"roleid": "mine"})
    assert answer.reason == "Permission check failed (/access, Sys.Modify)"
    send(fresh, "PUT", "/access/acl", {"path": "/", "roles": "PVEAuditor", "users": "new@pve", "delete": "1"})
    assert vmids(fresh, token) == set()
    assert fresh.api("/cluster/status", token=token).reason == "Permission check failed (/, Sys.Audit)"


def test_without_privilege_separation_a_token_is_its_user(fresh: Live) -> None:
    token = made(fresh, privsep="0")
    send(
        fresh,
        "PUT",
        "/access/acl",
        {"path": "/", "roles": "PVEAuditor", "tokens": "new@pve!reader", "delete": "1"},
    )
    assert fresh.data("/cluster/status", token=token)


def test_what_stands_deeper_replaces_what_is_inherited(fresh: Live) -> None:
    token = made(fresh)
    grant(fresh, "/vms/101", "NoAccess")
    assert 101 not in vmids(fresh, token)
    assert 103 in vmids(fresh, token)
    send(fresh, "POST", "/access/roles", {"roleid": "storages", "privs": "Datastore.Audit"})
    grant(fresh, "/vms", "storages")
    # What is inherited by a pool comes by the pool.
    every = {guest["vmid"]: guest.get("pool") for guest in fresh.data("/cluster/resources?type=vm")}
    assert vmids(fresh, token) == {vmid for vmid, pool in every.items() if pool and vmid != 101}
    grant(fresh, "/pool", "storages")
    assert vmids(fresh, token) == set()
    assert fresh.api("/nodes/pve1/qemu/103/config", token=token).status_code == 403


def test_what_does_not_propagate_holds_at_its_own_path_only(fresh: Live) -> None:
    token = made(fresh, path="/nodes")
    grant(fresh, "/", "PVEAuditor", propagate="0")
    assert fresh.data("/cluster/status", token=token)
    assert vmids(fresh, token) == set()
    assert fresh.data("/nodes/pve1/status", token=token)
    found = fresh.data("/access/permissions", token=token)
    assert found["/"]["Sys.Audit"] == 0
    assert found["/nodes"]["Sys.Audit"] == 1
    assert "/vms" not in found


def test_a_pool_shows_its_guests_and_no_others(fresh: Live) -> None:
    token = made(fresh, path="/pool/windows")
    every = fresh.data("/cluster/resources?type=vm")
    wanted = {guest["vmid"] for guest in every if guest.get("pool") == "windows"}
    assert vmids(fresh, token) == wanted
    assert wanted
    assert {pool["poolid"] for pool in fresh.data("/pools", token=token)} == {"windows"}
    assert fresh.data(f"/access/permissions?path=/vms/{min(wanted)}", token=token)
    kinds = {entry["type"] for entry in fresh.data("/cluster/resources", token=token)}
    assert kinds == {"qemu", "pool", "node"}


def test_roles_on_one_path_add_up(start_lab: Callable[..., Live]) -> None:
    live = start_lab(pve_release=8)
    token = made(live, path="/pool/windows")
    assert live.api(AGENT, token=token).reason == "Permission check failed (/vms/101, VM.Monitor)"
    send(live, "POST", "/access/roles", {"roleid": "agents", "privs": "VM.Monitor"})
    grant(live, "/pool/windows", "agents")
    assert live.data(AGENT, token=token)["result"]
    assert live.data("/nodes/pve1/qemu/101/config", token=token)


@pytest.mark.parametrize(
    ("release", "privilege"), [(8, "VM.GuestAgent.Audit"), (9, "VM.Monitor"), (9, "VM.Everything")]
)
def test_a_privilege_of_another_release_is_refused(
    start_lab: Callable[..., Live], release: int, privilege: str
) -> None:
    live = start_lab(pve_release=release)
    text = refused(live, "POST", "/access/roles", {"roleid": "x", "privs": f"VM.Audit,{privilege}"})
    assert f"invalid privilege '{privilege}'" in text


def test_after_the_upgrade_a_role_lacks_what_9_does_not_know(start_lab: Callable[..., Live]) -> None:
    live = start_lab(pve_release=8)
    send(live, "POST", "/access/roles", {"roleid": "agents", "privs": "VM.Monitor,VM.Audit"})
    token = made(live, role="agents")
    live.lab.directory.release = 9
    live.lab.directory.version += 1
    assert live.data("/access/roles/agents", token=PROVISIONER) == {"VM.Audit": 1}
    assert set(live.data("/access/permissions", token=token)["/"]) == {"VM.Audit"}


@pytest.fixture
def late(start_lab: Callable[..., Live]) -> Live:
    return start_lab(pve_release=8)


def test_a_token_ends_on_its_day_and_goes_on_when_it_is_prolonged(late: Live) -> None:
    token = made(late, expire="1000000000")
    answer = late.api("/version", token=token)
    assert (answer.status_code, answer.reason) == (401, "token 'reader' access expired")
    send(late, "PUT", TOKEN, {"expire": "4000000000"})
    assert late.data("/version", token=token)
    assert late.data(TOKEN, token=PROVISIONER) == {"expire": 4000000000, "privsep": 1}


def test_a_user_that_is_off_and_one_that_is_gone(late: Live) -> None:
    token = made(late)
    send(late, "PUT", USER, {"enable": "0"})
    assert late.api("/version", token=token).status_code == 401
    send(late, "PUT", USER, {"enable": "1"})
    assert late.data("/version", token=token)
    send(late, "DELETE", USER)
    assert late.api("/version", token=token).reason == "no such user ('new@pve')"
    listed = late.data("/access/acl", token=PROVISIONER)
    assert not [entry for entry in listed if "new@pve" in entry["ugid"]]


def test_a_token_is_deleted_with_its_rights(late: Live) -> None:
    token = made(late)
    assert set(late.data(USER, token=PROVISIONER)["tokens"]) == {"reader"}
    send(late, "DELETE", TOKEN)
    assert late.api("/version", token=token).reason == "no such token 'reader' for user 'new@pve'"
    assert refused(late, "GET", TOKEN) == "500 no such token 'reader' for user 'new@pve'"
    again = send(late, "POST", TOKEN)
    assert f"{again['full-tokenid']}={again['value']}" != token
    assert vmids(late, f"{again['full-tokenid']}={again['value']}") == set()


def test_what_cannot_be_is_refused_in_proxmox_ves_words(fresh: Live) -> None:
    made(fresh)
    acl = {"path": "/", "roles": "PVEAuditor", "users": "new@pve"}
    for method, path, form, text in (
        ("POST", "/access/users", {"userid": "new@pve"}, "user 'new@pve' already exists"),
        ("POST", "/access/users", {"userid": "new"}, "does not look like a valid user name"),
        ("POST", "/access/users", {"userid": "a@ldap"}, "domain 'ldap' does not exist"),
        ("POST", "/access/users", {"userid": "a@pve", "expire": "x"}, "type check ('integer') failed"),
        ("POST", "/access/users", {"userid": "a@pve", "nonsense": "1"}, "not defined in schema"),
        ("GET", "/access/users/none@pve", None, "no such user ('none@pve')"),
        ("POST", TOKEN, None, "Token already exists."),
        ("POST", "/access/users/new@pve/token/9", None, "does not match the regex pattern"),
        ("POST", "/access/users/none@pve/token/ab", None, "no such user ('none@pve')"),
        ("POST", "/access/roles", {"roleid": "PVEAuditor"}, "role 'PVEAuditor' already exists"),
        ("PUT", "/access/roles/PVEAuditor", {"privs": "VM.Audit"}, "auto-generated role"),
        ("GET", "/access/roles/none", None, "role 'none' does not exist"),
        ("PUT", "/access/acl", acl | {"path": "/nonsense"}, "invalid ACL path '/nonsense'"),
        ("PUT", "/access/acl", acl | {"roles": "none"}, "role 'none' does not exist"),
        ("PUT", "/access/acl", acl | {"users": "none@pve"}, "user 'none@pve' does not exist"),
        ("PUT", "/access/acl", {"path": "/", "roles": "PVEAuditor"}, "is required"),
    ):
        assert text in refused(fresh, method, path, form), path


GOVERN: dict[str, tuple[str, str, dict[str, str]]] = {
    "Realm.AllocateUser": ("POST", "/access/users", {"userid": "a@pve"}),
    "User.Modify": ("POST", "/access/users/discovery@pve/token/ab", {}),
    "Permissions.Modify": ("PUT", "/access/acl", {"path": "/", "roles": "PVEAuditor", "users": "x@pve"}),
    "Sys.Modify": ("POST", "/access/roles", {"roleid": "x"}),
    "Pool.Audit": ("GET", "/pools?poolid=windows", {}),
}


@pytest.mark.parametrize("privilege", sorted(GOVERNING))
def test_every_privilege_that_governs_is_needed(live: Live, privilege: str) -> None:
    method, path, form = GOVERN[privilege]
    with live.client.fault("permission_lost", PROVISIONER.id, privilege=privilege):
        assert privilege in refused(live, method, path, form)


def test_a_fault_can_be_aimed_at_a_token_that_was_made(fresh: Live) -> None:
    token = made(fresh)
    with fresh.client.fault("permission_lost", "new@pve!reader", privilege="Sys.Audit"):
        assert fresh.api("/cluster/status", token=token).status_code == 403
    assert fresh.data("/cluster/status", token=token)
    with fresh.client.fault("token_revoked", "new@pve!reader"):
        assert fresh.api("/version", token=token).status_code == 401


def test_who_may_not_modify_permissions_sees_none(live: Live) -> None:
    assert live.data("/access/acl") == []
    assert isinstance(live.data("/access/acl", token=PROVISIONER), list)
    answer: requests.Response = live.api("/access/permissions?userid=exporter@pve")
    assert answer.status_code == 403


EXAMPLE = Path(__file__).resolve().parents[3] / "docs" / "examples" / "Pulumi.production.yaml"


def test_the_rights_of_the_production_example_are_enough_and_none_is_for_nothing(
    start_lab: Callable[..., Live],
) -> None:
    """What its comment tells the operator to run, then every call that users and rights take."""
    text = EXAMPLE.read_text("utf-8").replace("  #", "")
    commands = text[text.index("pveum role add MonitoringUsers") : text.index("An entry on a deeper path")]
    roles = dict(re.findall(r'pveum role add (\w+) --privs "([^"]+)"', commands))
    places = re.findall(r"pveum acl modify (\S+) \$who --roles (\w+)", commands)
    assert {role for _, role in places} == set(roles)
    live = start_lab(pve_release=8)
    for role, privileges in roles.items():
        send(live, "POST", "/access/roles", {"roleid": role, "privs": privileges})
    token = made(live, path="/vms", role="NoAccess")
    for path, role in places:
        grant(live, path, role)

    user = "/access/users/watcher@pve"
    steps: list[tuple[str, str, dict[str, str]]] = [
        ("GET", "/pools?poolid=windows", {}),
        ("POST", "/access/users", {"userid": "watcher@pve"}),
        ("PUT", user, {"comment": "c"}),
        ("GET", user, {}),
        ("POST", f"{user}/token/ab", {}),
        ("GET", f"{user}/token/ab", {}),
        ("PUT", f"{user}/token/ab", {"expire": "0"}),
        ("POST", "/access/roles", {"roleid": "agents", "privs": "VM.Monitor"}),
        ("PUT", "/access/roles/agents", {"privs": "VM.Monitor"}),
        *[
            ("PUT", "/access/acl", {"path": path, "roles": "PVEAuditor", "users": "watcher@pve"})
            for path in ("/", "/nodes", "/storage", "/pool/windows")
        ],
        ("DELETE", "/access/roles/agents", {}),
        ("DELETE", f"{user}/token/ab", {}),
        ("DELETE", user, {}),
    ]
    for method, path, form in steps:
        send(live, method, path, form, token=token)
    assert live.data("/access/acl", token=token)
    # Each of the privileges is among those that some call is refused without.
    assert {privilege for given in roles.values() for privilege in given.split()} == set(GOVERN)
