"""The cluster's firewall with the real engine and provider, on a simulated cluster that filters nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.cluster.identities import PROVISIONER
from tests.support.inline_stack import CHANGES, FAILED, NO_CHANGES, PROVISIONING_TOKEN, InlineStack
from tests.support.live_lab import Live, live_lab

pytestmark = [
    pytest.mark.pulumi_cli,
    pytest.mark.usefixtures("cli"),
    pytest.mark.xdist_group("firewall"),
]

SETTINGS: dict[str, Any] = {
    "mode": "proxmox",
    "monitoring": ["192.0.2.10"],
    "admins": ["198.51.100.0/24", "2001:db8:1::/64"],
    "members": ["10.10.0.0/24"],
    "hosts": True,
    "guests": [{"node": "pve1", "vmId": 101}],
}


class Site:
    """A stack of which only the firewall is made, and the cluster that it is made on."""

    def __init__(self, directory: Path, live: Live) -> None:
        self.live = live
        self.settings = dict(SETTINGS)
        environment = {"SSL_CERT_FILE": str(live.ca)}
        self.stack = InlineStack("firewall", directory, "components.firewall:firewall", environment)
        self.configure()

    def configure(self, **changes: Any) -> None:
        """Change settings of the firewall; what was changed before stays so."""
        self.settings.update(changes)
        cluster = {
            "name": "lab",
            "endpoints": [f"https://127.0.0.1:{self.live.running.api_port}"],
            "discoveryTokenId": "discovery@pve!monitoring",
            "exporterTokenId": "exporter@pve!monitoring",
            "caFile": str(self.live.ca),
        }
        self.stack.configure(
            {"cluster": cluster, "firewall": self.settings, "pveProvisioningToken": PROVISIONING_TOKEN}
        )

    def up(self, *, refresh: bool = False) -> None:
        result = self.stack.up(refresh=refresh)
        assert result.code == 0, result.output

    def drift(self) -> int:
        return self.stack.drift().code

    def rules(self, path: str) -> list[tuple[str, str, str]]:
        found = self.live.data(path, token=PROVISIONER)
        return [(rule["action"], rule.get("source", ""), rule.get("dport", "")) for rule in found]

    @property
    def switched_on(self) -> bool:
        return bool(self.live.lab.firewalls.cluster.options.get("enable"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("firewall")
    with live_lab(directory / "tls") as live:
        yield Site(directory, live)


@pytest.fixture(scope="module")
def running(site: Site) -> Site:
    site.up()
    return site


def test_rules_are_made_and_the_switch_is_left_alone(running: Site) -> None:
    exporters = "9100,9182,9835"
    assert running.rules("/cluster/firewall/groups/mon-exporters") == [
        ("ACCEPT", "+monitoring", exporters),
        ("DROP", "", exporters),
    ]
    assert running.rules("/cluster/firewall/groups/mon-hosts") == [
        ("ACCEPT", "198.51.100.0/24", "22,3128,5900:5999,8006"),
        ("ACCEPT", "2001:db8:1::/64", "22,3128,5900:5999,8006"),
        ("ACCEPT", "10.10.0.0/24", ""),
        ("ACCEPT", "+monitoring", "8006"),
    ]
    assert running.rules("/cluster/firewall/rules") == [("mon-hosts", "", ""), ("mon-exporters", "", "")]
    assert running.rules("/nodes/pve1/qemu/101/firewall/rules") == [("mon-exporters", "", "")]
    assert running.live.lab.firewalls.cluster.options == {}


def test_nothing_drifts_by_itself(running: Site) -> None:
    assert running.drift() == NO_CHANGES


@pytest.mark.parametrize(
    ("method", "path", "form"),
    [
        ("DELETE", "/cluster/firewall/groups/mon-exporters/1", None),
        ("PUT", "/cluster/firewall/groups/mon-hosts/0", {"source": "0.0.0.0/0"}),
        ("POST", "/cluster/firewall/ipset/monitoring", {"cidr": "203.0.113.66"}),
        ("DELETE", "/cluster/firewall/rules/1", None),
    ],
)
def test_what_someone_changed_by_hand_is_drift_and_is_repaired(
    running: Site, method: str, path: str, form: dict[str, str] | None
) -> None:
    listed = path.rpartition("/")[0] if method != "POST" else path
    before = running.live.data(listed, token=PROVISIONER)
    answer = running.live.api(path, token=PROVISIONER, method=method, form=form)
    assert answer.status_code == 200, answer.reason
    assert running.drift() == CHANGES
    running.up(refresh=True)
    after = running.live.data(listed, token=PROVISIONER)
    strip = [{key: item[key] for key in item if key != "digest"} for item in after]
    assert strip == [{key: item[key] for key in item if key != "digest"} for item in before]


def test_a_right_that_is_missing_is_named(running: Site) -> None:
    running.configure(admins=["198.51.100.0/25"])
    with running.live.client.fault("permission_lost", PROVISIONER.id, privilege="Sys.Modify"):
        result = running.stack.up()
    assert result.code == FAILED
    assert "Permission check failed (/, Sys.Modify)" in result.output
    assert "firewall-group-hosts" in result.output
    # The provider has noted what it could not write: what is really there is asked for first.
    running.up(refresh=True)
    assert running.rules("/cluster/firewall/groups/mon-hosts")[0][1] == "198.51.100.0/25"


def test_it_is_switched_on_after_the_rules_and_with_others_at_once(running: Site) -> None:
    firewalls = running.live.lab.firewalls
    seen: list[tuple[bool, list[str]]] = []

    class Watching(dict[str, Any]):
        def __setitem__(self, key: str, value: Any) -> None:
            if key == "enable":
                sources = [rule.get("source", "") for rule in firewalls.groups["mon-hosts"].rules]
                seen.append((bool(value), sources))
            super().__setitem__(key, value)

    firewalls.cluster.options = Watching(firewalls.cluster.options)
    running.configure(switch="on", admins=["198.51.100.128/25"], monitoring=["192.0.2.11"])
    running.up()
    assert seen == [(True, ["198.51.100.128/25", "10.10.0.0/24", "+monitoring"])]
    assert running.drift() == NO_CHANGES


def test_the_way_in_stays_while_it_is_on(running: Site) -> None:
    result = running.stack.destroy()
    assert result.code == FAILED
    assert re.search(r"firewall-switch.*\n.*because it is protected", result.output)
    running.configure(switch="leave")
    result = running.stack.up()
    assert result.code == FAILED
    assert "because it is protected" in result.output
    assert running.switched_on
    assert running.rules("/cluster/firewall/rules") == [("mon-hosts", "", ""), ("mon-exporters", "", "")]
    assert running.rules("/cluster/firewall/groups/mon-hosts")[0][1] == "198.51.100.128/25"


def test_after_it_was_switched_off_nothing_is_left_behind(running: Site) -> None:
    running.configure(switch="off")
    running.up()
    assert not running.switched_on
    result = running.stack.destroy()
    assert result.code == 0, result.output
    firewalls = running.live.lab.firewalls
    assert (firewalls.groups, firewalls.ipsets, firewalls.cluster.rules) == ({}, {}, [])
    assert [scope.rules for scope in firewalls.guests.values() if scope.rules] == []


def test_rules_of_somebody_else_are_not_taken_over(site: Site) -> None:
    form = {"type": "in", "action": "ACCEPT", "proto": "tcp", "dport": "443"}
    site.live.api("/cluster/firewall/rules", token=PROVISIONER, method="POST", form=form)
    site.configure(switch="leave")
    result = site.stack.up()
    assert result.code == FAILED
    assert "Existing rules detected" in result.output
    assert site.rules("/cluster/firewall/rules") == [("ACCEPT", "", "443")]
    assert site.stack.destroy().code == 0
