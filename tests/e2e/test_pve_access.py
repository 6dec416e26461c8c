"""Users and tokens that are made by the real engine and provider: no Docker is needed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import apply as without_cli
from lab.apply import ApplyError
from lab.cluster.identities import PROVISIONER, ROLES, TOKENS
from lab.stack_config import StackConfig
from ops.drift import how_to_replace, lost_tokens
from tests.lab.cluster.test_provisioning import WRITES
from tests.support.examples import MANAGED, ROOT
from tests.support.inline_stack import CHANGES, FAILED, NO_CHANGES, PROVISIONING_TOKEN, InlineStack
from tests.support.live_lab import Live, live_lab

pytestmark = [
    pytest.mark.pulumi_cli,
    pytest.mark.usefixtures("cli"),
    pytest.mark.xdist_group("pve-access"),
]

USER = "watcher@pve"
EXEC = ("POST", "/nodes/pve1/qemu/101/agent/exec", {"command": "cmd.exe"})


class Site:
    """A stack of which only users and tokens are made, and the cluster that they are made on."""

    def __init__(self, directory: Path, live: Live) -> None:
        self.live = live
        self.access: dict[str, Any] = {"manage": True, "release": 8, "guestAgent": True}
        environment = {"SSL_CERT_FILE": str(live.ca)}
        self.stack = InlineStack("access", directory, "components.pve_access:with_tokens", environment)
        self.configure()

    def configure(self, **changes: Any) -> None:
        """Change settings of the access; what was changed before stays so."""
        self.access.update(changes)
        cluster = {
            "name": "lab",
            "endpoints": [f"https://127.0.0.1:{self.live.running.api_port}"],
            "discoveryTokenId": f"{USER}!discovery",
            "exporterTokenId": f"{USER}!exporter",
            "caFile": str(self.live.ca),
        }
        self.stack.configure(
            {"cluster": cluster, "access": self.access, "pveProvisioningToken": PROVISIONING_TOKEN}
        )

    def up(self, *, refresh: bool = False) -> str:
        result = self.stack.up(refresh=refresh)
        assert result.code == 0, result.output
        match = re.search(r"Resources:\n((?:[ ]+.*\n)+)", result.output)
        return " ".join(match[1].split()) if match else result.output

    def token(self, name: str) -> str:
        """A made token, whole, as the cluster knows it."""
        ident = f"{USER}!{name}"
        return f"{ident}={self.live.lab.directory.tokens[ident].secret}"

    def works(self, name: str) -> bool:
        """Whether a made token reads hosts and guests."""
        guests = self.live.data("/cluster/resources?type=vm", token=self.token(name))
        return bool(self.live.data("/cluster/status", token=self.token(name)) and guests)

    @property
    def made(self) -> set[str]:
        return set(self.live.lab.directory.tokens) - set(TOKENS)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("access")
    with live_lab(directory / "tls", pve_release=8) as live:
        yield Site(directory, live)


@pytest.fixture(scope="module")
def running(site: Site) -> Site:
    site.up()
    return site


def test_a_preview_asks_nobody_and_says_what_8_costs(site: Site) -> None:
    with site.live.client.fault("api_down", "all"):
        result = site.stack.preview()
    assert result.code == 0, result.output
    assert "can run commands in" in " ".join(result.output.split())


def test_both_tokens_read_what_they_are_for(running: Site) -> None:
    assert running.made == {f"{USER}!discovery", f"{USER}!exporter"}
    assert running.works("discovery")
    assert running.works("exporter")
    agent = "/nodes/pve1/qemu/101/agent/network-get-interfaces"
    assert running.live.data(agent, token=running.token("discovery"))["result"]


def test_nothing_drifts_by_itself(running: Site) -> None:
    result = running.stack.drift()
    assert result.code == NO_CHANGES, result.output


@pytest.mark.parametrize(("name", "status"), [("discovery", 200), ("exporter", 403)])
def test_a_token_changes_nothing(running: Site, name: str, status: int) -> None:
    made, live = running.token(name), running.live
    for method, path, form, lacking in WRITES:
        answer = live.api(path, token=made, method=method, form=form)
        assert (answer.status_code, answer.reason) == (403, f"Permission check failed ({lacking})")
    # What the warning of the preview is about; who asks no agents doesn't get it.
    method, path, form = EXEC
    assert live.api(path, token=made, method=method, form=form).status_code == status


def test_the_state_holds_no_token_in_plain(running: Site) -> None:
    secret = running.token("discovery").rpartition("=")[2]
    state = running.stack.state()
    assert f"{USER}!discovery" in state
    assert secret not in state


@pytest.mark.parametrize(
    ("method", "path", "form"),
    [
        (
            "PUT",
            "/access/acl",
            {"path": "/", "roles": "PVEAuditor", "tokens": f"{USER}!exporter", "delete": "1"},
        ),
        ("PUT", f"/access/users/{USER}", {"enable": "0"}),
        ("PUT", f"/access/users/{USER}/token/exporter", {"privsep": "0"}),
        ("PUT", "/access/roles/pve-monitoring-dev-guest-agent", {"privs": "VM.Monitor,VM.PowerMgmt"}),
    ],
)
def test_what_someone_changed_by_hand_is_drift_and_is_repaired(
    running: Site, method: str, path: str, form: dict[str, str]
) -> None:
    answer = running.live.api(path, token=PROVISIONER, method=method, form=form)
    assert answer.status_code == 200, answer.reason
    result = running.stack.drift()
    assert result.code == CHANGES, result.output
    running.up(refresh=True)
    assert running.stack.drift().code == NO_CHANGES
    assert running.works("exporter")


def test_a_day_on_which_they_end_is_set_on_the_same_tokens(running: Site) -> None:
    before = running.token("discovery")
    running.configure(tokenExpires="2999-12-31")
    assert re.fullmatch(r"~ 2 updated \d+ unchanged", running.up())
    assert running.live.lab.directory.tokens[f"{USER}!discovery"].options["expire"] == 32503593600
    assert running.token("discovery") == before


def test_new_tokens_take_the_place_of_the_old_ones(running: Site) -> None:
    old = running.token("discovery")
    running.configure(tokenGeneration=2)
    running.up()
    assert running.made == {f"{USER}!discovery-2", f"{USER}!exporter-2"}
    assert running.works("discovery-2")
    assert running.live.api("/version", token=old).status_code == 401


def test_the_upgrade_to_9_is_one_up_that_takes_away(running: Site) -> None:
    running.live.upgrade()
    assert running.works("discovery-2")
    running.configure(release=9)
    assert re.fullmatch(r"- 3 deleted \d+ unchanged", running.up())
    assert running.works("discovery-2")
    assert running.works("exporter-2")
    method, path, form = EXEC
    answer = running.live.api(path, token=running.token("discovery-2"), method=method, form=form)
    assert answer.reason == "Permission check failed (/vms/101, VM.GuestAgent.Unrestricted)"


@pytest.mark.parametrize(
    ("generation", "privilege", "text"),
    [
        (3, "User.Modify", "Permission check failed (/access/groups, User.Modify)"),
        (4, "Permissions.Modify", "Permission check failed (/, Permissions.Modify)"),
    ],
)
def test_a_right_that_is_missing_is_named(running: Site, generation: int, privilege: str, text: str) -> None:
    before = running.made
    running.configure(tokenGeneration=generation)
    with running.live.client.fault("permission_lost", PROVISIONER.id, privilege=privilege):
        result = running.stack.up()
    assert result.code == FAILED
    assert text in result.output
    assert re.search(r"pve-access-token-(discovery|exporter)", result.output)
    # What runs went on with the old ones, and the next `up` goes on from there.
    assert before <= running.made
    assert running.works(f"discovery-{generation - 1}")
    running.up()
    assert running.made == {f"{USER}!discovery-{generation}", f"{USER}!exporter-{generation}"}
    assert running.works(f"discovery-{generation}")


def test_a_provisioning_token_that_ended_is_told(running: Site) -> None:
    with running.live.client.fault("token_revoked", PROVISIONER.id):
        result = running.stack.drift()
    assert result.code == FAILED
    assert "401" in result.output
    assert "Authentication failed!" in result.output


def test_a_pool_that_does_not_exist_is_told_before_anything_changes(running: Site) -> None:
    running.configure(pools=["nope"])
    result = running.stack.up()
    assert result.code == FAILED
    assert "pool 'nope' does not exist" in result.output
    assert "Correct its name" in result.output
    assert running.works("discovery-4")


def test_a_pool_shows_its_guests_only_and_all_hosts(running: Site) -> None:
    running.configure(pools=["windows"])
    running.up()
    live, made = running.live, running.token("discovery-4")
    every = {guest["vmid"]: guest.get("pool") for guest in live.data("/cluster/resources?type=vm")}
    seen = {guest["vmid"] for guest in live.data("/cluster/resources?type=vm", token=made)}
    assert seen == {vmid for vmid, pool in every.items() if pool == "windows"}
    assert live.data("/nodes/pve1/status", token=made)
    assert running.stack.drift().code == NO_CHANGES


def test_a_token_that_was_deleted_by_hand_is_told_and_replaced(running: Site) -> None:
    gone = f"{USER}!exporter-4"
    path = f"/access/users/{USER}/token/exporter-4"
    assert running.live.api(path, token=PROVISIONER, method="DELETE").status_code == 200
    result = running.stack.drift()
    # The provider can't tell it; `make drift` reads it from its words, and says what to do.
    assert result.code == FAILED
    assert lost_tokens(result.output) == (gone,)
    assert f"pveum user token add {USER} exporter-4 --privsep 1" in how_to_replace([gone])
    form = {"privsep": "1"}
    assert running.live.api(path, token=PROVISIONER, method="POST", form=form).status_code == 200
    running.configure(tokenGeneration=5)
    running.up(refresh=True)
    assert running.made == {f"{USER}!discovery-5", f"{USER}!exporter-5"}
    assert running.works("exporter-5")
    assert running.stack.drift().code == NO_CHANGES


def test_nothing_is_left_behind(running: Site) -> None:
    result = running.stack.destroy()
    assert result.code == 0, result.output
    directory = running.live.lab.directory
    assert USER not in directory.users
    assert running.made == set()
    assert {entry.who.partition("!")[0] for entry in directory.acl} <= {t.user for t in TOKENS.values()}
    assert set(directory.roles) == set(ROLES)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"access": MANAGED["access"]}, r"takes the Pulumi CLI.*access\.manage to false"),
        (
            {"firewall": {"mode": "proxmox", "monitoring": ["192.0.2.10"]}},
            r"takes the Pulumi CLI.*firewall\.mode to nftables",
        ),
    ],
)
def test_without_the_cli_it_says_what_to_do_before_anything_is_made(
    values: dict[str, Any], words: str
) -> None:
    plain = {**MANAGED, "access": {}, **values}
    names = (
        "pveDiscoveryToken",
        "pveExporterToken",
        "pveProvisioningToken",
        "grafanaAdminPassword",
        "webhookUrl",
    )
    config = StackConfig(
        {f"pve-monitoring:{key}": json.dumps(value) for key, value in plain.items()},
        {f"pve-monitoring:{name}": "x" for name in names},
    )
    # No Docker is asked.
    with pytest.raises(ApplyError, match=words):
        without_cli.apply(ROOT, "none", config, None, lambda _: None)  # type: ignore[arg-type]
