"""Users and tokens that are made by the real engine and provider, on a simulated cluster that is upgraded."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from components.images import Service
from lab.apply import ApplyError
from lab.cluster.identities import PROVISIONER, TOKENS
from tests.lab.cluster.test_provisioning import WRITES
from tests.support.examples import ROOT
from tests.support.live_lab import Live, live_lab
from tests.support.platform import Platform, wait_for

pytestmark = [
    pytest.mark.docker,
    pytest.mark.pulumi_cli,
    pytest.mark.usefixtures("cli", "docker_ready"),
    pytest.mark.xdist_group("pve-access"),
]

OFFSET = 16_000
API = 8006 + OFFSET
NO_CHANGES, CHANGES = 0, 7
# Not one of the names that a stack's own networks have: it is there before the stack and after it.
NETWORK = "cluster-of-the-access-test"
USER = "watcher@pve"
EXEC = ("POST", "/nodes/pve1/qemu/101/agent/exec", {"command": "whoami"})
# The simulated cluster's token (lab/cluster/identities.py), encrypted as the dev stack's secrets are.
TOKEN = {
    "secure": "v1:RSG2dnFTCktVxUcI:"
    "HZsF8kh70We+PwP/+u/T9m8NmIf2Qgi2Aoxb43FmszVp9pm2KnC0AP3WQj4776EEEWSKkQuLwrARMztffT4ftYAAZtGBxHip07K2Cg=="
}


class Site:
    """A stack that makes its own tokens, and the cluster that it makes them on."""

    def __init__(self, directory: Path, gateway: str) -> None:
        self.directory = directory
        self.platform = Platform("access", directory, OFFSET)
        self.settings: dict[str, Any] = {
            # Provider and containers reach the same address: this machine's, in a network of its own.
            "cluster": {
                "name": "lab",
                "endpoints": [f"https://{gateway}:{API}"],
                "verifyTls": False,
                "discoveryTokenId": f"{USER}!discovery",
                "exporterTokenId": f"{USER}!exporter",
            },
            "network.extraNetworks": [NETWORK],
            "pveProvisioningToken": TOKEN,
            # Not needed, and wrong: nothing may come from them.
            "pveDiscoveryToken": TOKEN,
            "access": {"manage": True, "release": 8, "guestAgent": True},
        }
        self.configure()

    def configure(self, **changes: Any) -> None:
        """Change settings, by dotted key; what was changed before stays so."""
        self.settings.update(changes)
        self.platform.write_config(**self.settings)

    def up(self, *words: str) -> str:
        result = self.platform.up_with_cli(*words)
        assert result.returncode == 0, result.stdout + result.stderr
        return summary(result.stdout)

    def token(self, name: str) -> str:
        """A made token as its service has it, whole."""
        service = {"discovery": Service.DISCOVERY, "exporter": Service.PVE_EXPORTER}[name.partition("-")[0]]
        file = {
            Service.DISCOVERY: "/etc/discovery/secrets/token",
            Service.PVE_EXPORTER: "/etc/pve-exporter/secrets/pve.yml",
        }[service]
        output = self.platform.container(service).exec_run(["cat", file]).output
        assert isinstance(output, bytes)
        text = output.decode()
        secret = re.search(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text)
        assert secret, text
        return f"{USER}!{name}={secret[0]}"

    def watches(self) -> bool:
        """Whether discovery and pve-exporter get what they ask for."""
        found = metrics(self.platform, Service.DISCOVERY, "/metrics")
        assert "pve_discovery_authentication_ok 1.0" in found
        missing = re.findall(r'pve_discovery_missing_privileges\{privilege="(.+)"\} 1\.0', found)
        assert missing == []
        address = self.settings["cluster"]["endpoints"][0].removeprefix("https://")
        scraped = metrics(self.platform, Service.PVE_EXPORTER, f"/pve?target={address}&cluster=1&node=0")
        assert "pve_guest_info{" in scraped
        return True


def metrics(platform: Platform, service: Service, path: str) -> str:
    response = requests.get(f"{platform.url(service)}{path}", timeout=30)
    response.raise_for_status()
    return response.text


def summary(output: str) -> str:
    """The `Resources:` part of the CLI's output, on one line."""
    match = re.search(r"Resources:\n((?:[ ]+.*\n)+)", output)
    return " ".join(match[1].split()) if match else output


def refusals(live: Live) -> Counter[str]:
    """Calls that the API refused, by path."""
    found: Counter[str] = Counter()
    for call in live.client.calls():
        if call["status"] in (401, 403):
            found[call["path"]] += call["count"]
    return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("access")
    made = Platform("access", directory, OFFSET)
    with ExitStack() as stack:
        for left in made.client.networks.list(names=[f"^{NETWORK}$"]):
            left.remove()
        network = made.client.networks.create(NETWORK)
        stack.callback(network.remove)
        network.reload()
        site_ = Site(directory, network.attrs["IPAM"]["Config"][0]["Gateway"])
        site_.platform.destroy()
        stack.callback(site_.platform.destroy)
        assert made.client.networks.list(names=[f"^{NETWORK}$"])
        yield site_


@pytest.fixture(scope="module")
def first_preview(site: Site) -> subprocess.CompletedProcess[str]:
    """The very first preview, while no cluster answers."""
    shutil.copy(ROOT / "Pulumi.yaml", site.platform.directory)
    site.platform._run(["stack", "select", "--create", site.platform.name], site.platform.directory, {})
    return site.platform.pulumi("preview")


@pytest.fixture(scope="module")
def live(site: Site, first_preview: subprocess.CompletedProcess[str]) -> Iterator[Live]:
    """The cluster: Proxmox VE 8 at first."""
    # Containers reach it through their bridge, the test by loopback.
    everywhere = "0.0.0.0"  # noqa: S104
    with live_lab(site.directory / "tls", listen=everywhere, api_port=API, pve_release=8) as made:
        yield made


@pytest.fixture(scope="module")
def running(site: Site, live: Live) -> Site:
    """The stack after its first up."""
    site.up()
    return site


def test_a_preview_needs_no_cluster_and_says_what_8_costs(
    first_preview: subprocess.CompletedProcess[str],
) -> None:
    assert first_preview.returncode == 0, first_preview.stdout + first_preview.stderr
    assert re.fullmatch(r"\+ \d+ to create", summary(first_preview.stdout))
    assert "can run commands in guests" in " ".join(first_preview.stdout.split())


def test_services_work_with_the_tokens_that_were_made(running: Site, live: Live) -> None:
    wait_for("discovery and pve-exporter", running.watches, 60)
    assert set(live.lab.directory.tokens) - set(TOKENS) == {f"{USER}!discovery", f"{USER}!exporter"}


def test_nothing_changes_the_second_time_and_nothing_drifts_by_itself(running: Site) -> None:
    for more in ([], ["--refresh"]):
        result = running.platform.pulumi("preview", "--expect-no-changes", *more)
        assert result.returncode == NO_CHANGES, result.stdout + result.stderr


@pytest.mark.parametrize("name", ["discovery", "exporter"])
def test_a_token_changes_nothing(running: Site, live: Live, name: str) -> None:
    token = running.token(name)
    for method, path, form, lacking in WRITES:
        answer = live.api(path, token=token, method=method, form=form)
        assert (answer.status_code, answer.reason) == (403, f"Permission check failed ({lacking})")
    assert live.data("/cluster/status", token=token)
    # What the warning of the preview is about; who asks no agents doesn't get it.
    method, path, form = EXEC
    status = live.api(path, token=token, method=method, form=form).status_code
    assert status == {"discovery": 200, "exporter": 403}[name]


def test_state_and_outputs_hold_no_token_in_plain(running: Site) -> None:
    secret = running.token("discovery").rpartition("=")[2]
    assert secret not in str(running.platform.state())


def test_an_entry_that_was_taken_away_is_drift_and_is_repaired(running: Site, live: Live) -> None:
    form = {"path": "/", "roles": "PVEAuditor", "tokens": f"{USER}!exporter", "delete": "1"}
    answer = live.api("/access/acl", token=PROVISIONER, method="PUT", form=form)
    assert answer.status_code == 200
    result = running.platform.pulumi("preview", "--refresh", "--expect-no-changes")
    assert result.returncode == CHANGES, (result.returncode, result.stdout + result.stderr)
    assert "pve-access-token-exporter-audit" in result.stdout
    running.up("--refresh")
    wait_for("discovery and pve-exporter", running.watches, 60)


def test_new_tokens_come_before_the_old_ones_go(running: Site, live: Live) -> None:
    old = running.token("discovery")
    live.client.clear_calls()
    running.configure(**{"access.tokenGeneration": 2})
    running.up()
    wait_for("discovery and pve-exporter", running.watches, 60)
    # Between the first and the last moment nobody was refused.
    assert refusals(live) == Counter()
    assert set(live.lab.directory.tokens) - set(TOKENS) == {f"{USER}!discovery-2", f"{USER}!exporter-2"}
    assert live.api("/version", token=old).status_code == 401
    assert live.data("/version", token=running.token("discovery-2"))


def test_a_day_on_which_they_end_is_set_on_the_same_tokens(running: Site, live: Live) -> None:
    before = running.token("discovery-2")
    running.configure(**{"access.tokenExpires": "2999-12-31"})
    assert re.fullmatch(r"~ 2 updated \d+ unchanged", running.up())
    assert live.lab.directory.tokens[f"{USER}!discovery-2"].options["expire"] == 32503593600
    assert running.token("discovery-2") == before


def test_the_upgrade_to_9_is_one_up_and_nobody_is_refused(running: Site, live: Live) -> None:
    live.client.clear_calls()
    live.lab.settings = replace(live.lab.settings, pve_release=9)
    live.lab.directory.release = 9
    live.lab.directory.version += 1
    wait_for("discovery and pve-exporter after the cluster's upgrade", running.watches, 60)
    running.configure(**{"access.release": 9})
    assert re.fullmatch(r"- 3 deleted \d+ unchanged", running.up())
    wait_for("discovery and pve-exporter", running.watches, 60)
    assert refusals(live) == Counter()
    for name in ("discovery-2", "exporter-2"):
        method, path, form = EXEC
        answer = live.api(path, token=running.token(name), method=method, form=form)
        assert answer.reason == "Permission check failed (/vms/101, VM.GuestAgent.Unrestricted)"


@pytest.mark.parametrize(
    ("privilege", "text"),
    [
        ("User.Modify", "Permission check failed (/access/groups, User.Modify)"),
        ("Permissions.Modify", "Permission check failed (/, Permissions.Modify)"),
    ],
)
def test_a_right_that_is_missing_is_named(running: Site, live: Live, privilege: str, text: str) -> None:
    before = running.settings["access.tokenGeneration"]
    running.configure(**{"access.tokenGeneration": 3})
    with live.client.fault("permission_lost", PROVISIONER.id, privilege=privilege):
        result = running.platform.up_with_cli()
    running.configure(**{"access.tokenGeneration": before})
    assert result.returncode == 1
    assert text in result.stdout
    assert re.search(r"pve-access-token-(discovery|exporter)", result.stdout)
    # What was begun is taken back, and what runs went on.
    running.up()
    assert running.watches()


def test_a_pool_that_does_not_exist_is_told_before_anything_changes(running: Site) -> None:
    running.configure(**{"access.pools": ["nope"]})
    result = running.platform.up_with_cli()
    running.configure(**{"access.pools": []})
    assert result.returncode == 1
    assert "pool 'nope' does not exist" in result.stdout
    assert "Correct its name" in result.stdout


def test_without_the_cli_it_says_what_to_do(running: Site) -> None:
    with pytest.raises(ApplyError, match=r"takes the Pulumi CLI.*access\.manage to false"):
        running.platform.up_without_cli()


def test_nothing_is_left_behind(running: Site, live: Live) -> None:
    result = running.platform.pulumi("destroy", "--yes", "--skip-preview")
    assert result.returncode == 0, result.stdout + result.stderr
    directory = live.lab.directory
    assert USER not in directory.users
    assert set(directory.tokens) == set(TOKENS)
    assert {entry.who.partition("!")[0] for entry in directory.acl} <= {t.user for t in TOKENS.values()}
    assert set(directory.roles) == {"GuestAgent", "Provisioning"}
