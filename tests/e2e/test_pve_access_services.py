"""Discovery and pve-exporter with tokens that are made, replaced, and outlive an upgrade of the cluster."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from components.images import Service
from lab.cluster.identities import ROLES, TOKENS
from tests.support.examples import ROOT
from tests.support.inline_stack import PROVISIONING_TOKEN
from tests.support.live_lab import Live, live_lab
from tests.support.platform import Platform, wait_for

pytestmark = [
    pytest.mark.docker,
    pytest.mark.pulumi_cli,
    pytest.mark.usefixtures("cli", "docker_ready"),
    pytest.mark.xdist_group("pve-access-services"),
]

# Between the others: what this one publishes is published by no other stack of these tests.
OFFSET = 16_500
API = 8006 + OFFSET
# Not one of the names that a stack's own networks have: it is there before the stack and after it.
NETWORK = "cluster-of-the-access-test"
USER = "watcher@pve"


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
            "pveProvisioningToken": PROVISIONING_TOKEN,
            # Not needed, and wrong: nothing may come from them.
            "pveDiscoveryToken": PROVISIONING_TOKEN,
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


def token(live: Live, name: str) -> str:
    """A made token, whole, as the cluster knows it."""
    ident = f"{USER}!{name}"
    return f"{ident}={live.lab.directory.tokens[ident].secret}"


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


def test_new_tokens_come_before_the_old_ones_go(running: Site, live: Live) -> None:
    old = token(live, "discovery")
    live.client.clear_calls()
    running.configure(**{"access.tokenGeneration": 2})
    running.up()
    wait_for("discovery and pve-exporter", running.watches, 60)
    # Between the first and the last moment nobody was refused.
    assert refusals(live) == Counter()
    assert set(live.lab.directory.tokens) - set(TOKENS) == {f"{USER}!discovery-2", f"{USER}!exporter-2"}
    assert live.api("/version", token=old).status_code == 401
    assert live.data("/version", token=token(live, "discovery-2"))


def test_the_upgrade_to_9_is_one_up_and_nobody_is_refused(running: Site, live: Live) -> None:
    live.client.clear_calls()
    live.upgrade()
    wait_for("discovery and pve-exporter after the cluster's upgrade", running.watches, 60)
    running.configure(**{"access.release": 9})
    assert re.fullmatch(r"- 3 deleted \d+ unchanged", running.up())
    wait_for("discovery and pve-exporter", running.watches, 60)
    assert refusals(live) == Counter()


def test_nothing_is_left_behind(running: Site, live: Live) -> None:
    result = running.platform.pulumi("destroy", "--yes", "--skip-preview")
    assert result.returncode == 0, result.stdout + result.stderr
    directory = live.lab.directory
    assert USER not in directory.users
    assert set(directory.tokens) == set(TOKENS)
    assert {entry.who.partition("!")[0] for entry in directory.acl} <= {t.user for t in TOKENS.values()}
    assert set(directory.roles) == set(ROLES)
