"""The firewall of the VM with the platform, by the real engine, with the documented rights and no others."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.settings import Secret
from lab.cluster.directory import ApiToken, Entry
from lab.cluster.firewalls import Firewalls, Scope
from lab.cluster.identities import PROVISIONER
from tests.support import stack_secrets
from tests.support.examples import FILTERED
from tests.support.inline_stack import CHANGES, FAILED, NO_CHANGES, InlineStack, Result
from tests.support.live_lab import Live, live_lab

pytestmark = [
    pytest.mark.pulumi_cli,
    pytest.mark.usefixtures("cli"),
    pytest.mark.xdist_group("platform-firewall"),
]

# Guests of the simulated cluster: one with exporters, and one that stands for the VM with the platform.
GUEST, VM = 101, 102
USER = "filtering@pve"
# docs/examples/Pulumi.production.yaml, at `firewall`.
DOCUMENTED = {
    "/": frozenset({"Sys.Modify", "Sys.Audit"}),
    f"/vms/{GUEST}": frozenset({"VM.Config.Network", "VM.Audit"}),
    f"/vms/{VM}": frozenset({"VM.Config.Network", "VM.Audit"}),
}
GROUP = "/cluster/firewall/groups/mon-platform"
RULES = f"/nodes/pve1/qemu/{VM}/firewall/rules"
OPTIONS = f"/nodes/pve1/qemu/{VM}/firewall/options"


class Site:
    """A stack of which only the firewall is made, with a token that may do just that."""

    def __init__(self, directory: Path, live: Live) -> None:
        self.live = live
        self._secret = str(uuid.uuid4())
        environment = {"SSL_CERT_FILE": str(live.ca)}
        self.stack = InlineStack("filter", directory, "components.firewall:firewall", environment)
        self.configure()

    def configure(self, **changes: Any) -> None:
        """Write the settings, with other values for some of the firewall's."""
        cluster = {
            "name": "lab",
            "endpoints": [f"https://127.0.0.1:{self.live.running.api_port}"],
            "discoveryTokenId": "discovery@pve!monitoring",
            "exporterTokenId": "exporter@pve!monitoring",
            "caFile": str(self.live.ca),
        }
        wanted = {
            **FILTERED["firewall"],
            "hosts": False,
            "switch": "leave",
            "guests": [{"node": "pve1", "vmId": GUEST}],
        }
        self.stack.configure(
            {
                "cluster": cluster,
                "docker": {**FILTERED["docker"], "vmId": VM},
                "network": FILTERED["network"],
                "firewall": {**wanted, **changes},
                **stack_secrets.encrypted({Secret.PVE_PROVISIONING_TOKEN: f"{USER}!pulumi={self._secret}"}),
            }
        )

    def grant(self, rights: dict[str, frozenset[str]]) -> None:
        """Give the user and its token these rights, and no others."""
        directory = self.live.lab.directory
        directory.users[USER] = {"enable": 1}
        directory.tokens[f"{USER}!pulumi"] = ApiToken(self._secret, {"expire": 0, "privsep": 1})
        directory.acl = {entry: value for entry, value in directory.acl.items() if USER not in entry.who}
        for number, (path, privileges) in enumerate(rights.items()):
            role = f"Filtering{number}"
            directory.roles[role] = privileges
            for kind, who in (("user", USER), ("token", f"{USER}!pulumi")):
                # Not propagated: on what lies below nothing is needed.
                directory.acl[Entry(path, kind, who, role)] = False
        directory.version += 1

    def up(self, *, refresh: bool = False) -> Result:
        result = self.stack.up(refresh=refresh)
        assert result.code == 0, result.output
        return result

    def data(self, path: str) -> Any:
        return self.live.data(path, token=PROVISIONER)

    def rules(self, path: str) -> list[tuple[str, str, str]]:
        return [(rule["action"], rule.get("source", ""), rule.get("dport", "")) for rule in self.data(path)]


class Watching(dict[str, Any]):
    """Options of a firewall, which note what rules there are when it is switched on."""

    def __init__(self, firewalls: Firewalls) -> None:
        super().__init__()
        self._firewalls = firewalls
        self.seen: list[tuple[list[str], int]] = []

    def __setitem__(self, key: str, value: Any) -> None:
        if key == "enable" and value:
            attached = [rule["action"] for rule in self._firewalls.guests[str(VM)].rules]
            self.seen.append((attached, len(self._firewalls.groups["mon-platform"].rules)))
        super().__setitem__(key, value)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with live_lab(tmp_path_factory.mktemp("filter-tls")) as running:
        yield running


@pytest.fixture(scope="module")
def site(live: Live, tmp_path_factory: pytest.TempPathFactory) -> Site:
    made = Site(tmp_path_factory.mktemp("filter"), live)
    made.grant(DOCUMENTED)
    return made


@pytest.fixture(scope="module")
def options(site: Site) -> Watching:
    """Of the VM, after the first up."""
    firewalls = site.live.lab.firewalls
    watching = Watching(firewalls)
    firewalls.guests[str(VM)] = Scope(options=watching)
    result = site.up()
    # Nothing of what is said before anything is made: the rights suffice.
    assert "lacks" not in result.output
    return watching


def test_the_documented_rights_suffice_for_all_rules(site: Site, options: Watching) -> None:
    ports = "3000,8000,8443,9090,9093,9221"
    assert site.rules(GROUP) == [
        ("ACCEPT", "192.0.2.200,198.51.100.0/24", "22"),
        ("ACCEPT", "2001:db8:1::/64", "22"),
        ("ACCEPT", "192.0.2.200,198.51.100.0/24,203.0.113.7", ports),
        ("ACCEPT", "2001:db8:1::/64", ports),
        ("DROP", "", ports),
    ]
    assert site.rules(RULES) == [("mon-platform", "", ""), ("mon-exporters", "", "")]
    assert (options["enable"], options["policy_in"], options["policy_out"]) == (1, "DROP", "ACCEPT")
    # Without it the VM would lose IPv6.
    assert (options["ndp"], options["radv"]) == (1, 0)


def test_it_is_switched_on_after_its_rules(options: Watching) -> None:
    assert options.seen
    assert {(tuple(attached), count) for attached, count in options.seen} == {
        (("mon-platform", "mon-exporters"), 5)
    }


def test_a_second_run_changes_nothing_and_nothing_drifts(site: Site, options: Watching) -> None:
    del options
    assert "created" not in site.up().output
    result = site.stack.drift()
    assert result.code == NO_CHANGES, result.output


@pytest.mark.parametrize(
    ("method", "path", "form"),
    [
        ("PUT", f"{GROUP}/2", {"source": "0.0.0.0/0"}),
        ("DELETE", f"{RULES}/0", None),
        ("PUT", OPTIONS, {"enable": "0"}),
    ],
)
def test_what_someone_changed_by_hand_is_drift_and_is_repaired(
    site: Site, options: Watching, method: str, path: str, form: dict[str, str] | None
) -> None:
    def all_of_it() -> Any:
        return site.rules(GROUP), site.rules(RULES), dict(options)

    before = all_of_it()
    answer = site.live.api(path, token=PROVISIONER, method=method, form=form)
    assert answer.status_code == 200, answer.reason
    assert all_of_it() != before
    assert site.stack.drift().code == CHANGES
    site.up(refresh=True)
    assert all_of_it() == before


def test_destroy_removes_the_rules(site: Site, options: Watching) -> None:
    result = site.stack.destroy()
    assert result.code == 0, result.output
    firewalls = site.live.lab.firewalls
    assert (firewalls.groups, firewalls.ipsets) == ({}, {})
    assert [scope.rules for scope in firewalls.guests.values() if scope.rules] == []
    # The provider leaves options as they are. They go with the VM; without it, its card has lost the mark
    # that makes them hold.
    assert (options["enable"], options["policy_in"]) == (1, "DROP")


@pytest.mark.parametrize(
    ("path", "privilege", "call"),
    [
        ("/", "Sys.Modify", "POST /cluster/firewall/groups"),
        ("/", "Sys.Audit", "POST /cluster/firewall/groups"),
        (f"/vms/{VM}", "VM.Config.Network", f"POST {RULES}"),
        (f"/vms/{VM}", "VM.Audit", f"POST {RULES}"),
    ],
)
def test_a_right_that_is_missing_is_named_with_its_path_and_call(
    live: Live, tmp_path: Path, path: str, privilege: str, call: str
) -> None:
    live.lab.firewalls = Firewalls()
    site = Site(tmp_path, live)
    site.grant({**DOCUMENTED, path: DOCUMENTED[path] - {privilege}})
    result = site.stack.up()
    assert result.code == FAILED
    said = " ".join(result.output.split())
    assert f"{privilege} on {path}, for {call}" in said
    # And by Proxmox VE itself, beside the resource that it stops.
    assert f"Permission check failed ({path}, {privilege})" in said
