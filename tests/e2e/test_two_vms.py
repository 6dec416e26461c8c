"""Two monitoring VMs with the real engine: both watch, people are told once, and either does it alone.

The API is simulated, and both VMs are containers that lead to this machine's Docker; what is on one of them
reaches the other by one of two addresses of this machine.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from docker.errors import DockerException
from docker.types import IPAMConfig, IPAMPool

from components import pki
from components.images import Service
from components.render import tls
from components.settings import TLS_KEYS, Group, Secret
from components.topology import CONTAINER_PORTS
from lab import environment, trust
from lab.cluster.identities import PROVISIONER
from tests.support import ssh_machine
from tests.support.inline_stack import PROVISIONING_TOKEN
from tests.support.pki import AUTHORITY, CERTIFICATES
from tests.support.platform import PATIENCE, Platform, wait_for
from tests.support.stack_secrets import encrypted

pytestmark = [
    pytest.mark.docker,
    pytest.mark.pulumi_cli,
    pytest.mark.usefixtures("cli", "docker_ready"),
    pytest.mark.xdist_group("two-vms"),
]

OFFSET = 15_500
API, SSH, GOSSIP = 18006 + OFFSET, 22 + OFFSET, 9094 + OFFSET
# Addresses of this machine that its containers reach, in networks that nobody routes (RFC 2544).
HOSTS = {"a": "198.18.213.1", "b": "198.18.214.1"}
NODES = {"a": ("pve1", 900), "b": ("pve2", 901)}
WATCHDOG = 'ALERTS{alertname="Watchdog"}'
# The alert of a node that is down, as `told` counts it.
DOWN = ("HostDown", "pve3")
# What stands for a VM: a container of no stack.
MACHINE = "machine-{}-of-the-two-vms-test"
PASSWORD = "a-password-of-the-platform"


def settings(directory: Path, public_key: str) -> dict[str, Any]:
    """What differs from the development stack."""
    names = [Group.PLATFORM.server_name, "localhost", "127.0.0.1", *HOSTS.values()]
    pair = pki.issue(AUTHORITY, names, datetime.now(UTC))
    gateway = pki.issue(AUTHORITY, names[1:], datetime.now(UTC))
    secrets = {
        TLS_KEYS[Group.PLATFORM]: pair.key,
        Secret.TLS_GATEWAY_KEY: gateway.key,
        Secret.SCRAPE_PLATFORM_PASSWORD: PASSWORD,
    }
    (node, number), (other_node, other_number) = NODES.values()
    return {
        # The provider reaches the first, discovery the others.
        "cluster.endpoints": [f"https://127.0.0.1:{API}", *(f"https://pve{n}.lab:8006" for n in (1, 2, 3))],
        # Nothing is in them that is watched as a guest.
        "discovery.exclude": ["vmid:900-901"],
        "network.bindAddress": HOSTS["a"],
        "tls": {"hosts": False, "guests": False, "platform": True},
        "pki": {**CERTIFICATES, "platform": pair.certificate, "gateway": gateway.certificate},
        "gateway.tls": {"mode": "own"},
        "gateway.bindAddress": HOSTS["a"],
        **encrypted(secrets),
        "pveProvisioningToken": PROVISIONING_TOKEN,
        # The shortest that two Alertmanagers go with; what is over is told that much later.
        "alerting.groupInterval": "30s",
        "docker": {
            "target": "proxmox",
            "node": node,
            "vmId": number,
            "address": f"{HOSTS['a']}/15",
            "gateway": "198.18.0.1",
            "dnsServers": ["127.0.0.53"],
            "port": SSH,
            "imageUrl": "https://images.example.com/20260112/debian-13-genericcloud-amd64.qcow2",
            "imageChecksum": "sha256:" + "0123456789abcdef" * 4,
            "sshPublicKeys": [public_key],
            "identityFile": str(directory / "id_ed25519"),
            "replica": {
                "node": other_node,
                "vmId": other_number,
                "address": f"{HOSTS['b']}/15",
                "gossipPort": GOSSIP,
            },
        },
    }


class Pair:
    """The stack, and what is asked of either of its two hosts."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.session = trust.session(AUTHORITY.certificate)
        self.session.auth = (tls.USER, PASSWORD)
        self.control = platform.control

    def get(self, host: str, service: Service, path: str, **parameters: Any) -> Any:
        url = f"https://{HOSTS[host]}:{CONTAINER_PORTS[service] + OFFSET}{path}"
        response = self.session.get(url, params=parameters, timeout=15)
        response.raise_for_status()
        return response.json()

    def query(self, host: str, expression: str) -> list[dict[str, Any]]:
        answer = self.get(host, Service.PROMETHEUS, "/api/v1/query", query=expression)
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def scraped(self, host: str) -> bool:
        """Whether a Prometheus scrapes all there is; each node's own part of the API comes late."""
        answer = self.get(host, Service.PROMETHEUS, "/api/v1/targets", state="active")
        targets = answer["data"]["activeTargets"]
        # The provider's way to the API isn't the containers'.
        targets = [t for t in targets if "127.0.0.1" not in t["scrapeUrl"]]
        bad = [(t["scrapePool"], t["lastError"]) for t in targets if t["health"] == "down"]
        assert not bad, bad
        late = [
            t["scrapePool"] for t in targets if t["health"] == "unknown" and t["scrapePool"] != "pve-node"
        ]
        assert not late, late
        return len(targets) >= 18

    def down(self, host: str) -> bool:
        """Whether the Alertmanager of a host has the alert that a node is down."""
        alerts = self.get(host, Service.ALERTMANAGER, "/api/v2/alerts")
        return any(found["labels"]["alertname"] == "HostDown" for found in alerts)

    def calm(self) -> bool:
        """Whether neither knows of a node that is down.

        What one Prometheus has resolved is fired once more by the other, which scrapes a little later.
        """
        raised = [self.query(host, 'ALERTS{alertname="HostDown"}') for host in HOSTS]
        return not any(raised) and not any(self.down(host) for host in HOSTS)

    def clustered(self, host: str) -> bool:
        """Whether the Alertmanager of a host sees both."""
        found = self.get(host, Service.ALERTMANAGER, "/api/v2/status")["cluster"]
        assert found["status"] == "ready", found
        return len(found["peers"]) == 2

    def retention(self, host: str) -> str:
        """How long the Prometheus of a host keeps what it has."""
        text = self.get(host, Service.PROMETHEUS, "/api/v1/status/config")["data"]["yaml"]
        return str(yaml.safe_load(text)["storage"]["tsdb"]["retention"]["time"])

    def messages(self) -> list[tuple[tuple[str, str], str]]:
        """What people were told, in order: an alert by its name and node or instance, and its state."""
        return [
            ((labels["alertname"], labels.get("node") or labels.get("instance", "")), alert["status"])
            for hook in self.control.hooks("alerts")
            for alert in hook["body"]["alerts"]
            for labels in [alert["labels"]]
        ]

    def told(self) -> Counter[tuple[str, str]]:
        """How often people were told that an alert fires."""
        return Counter(alert for alert, state in self.messages() if state == "firing")

    def told_as_over(self) -> bool:
        """Whether the last that people were told of the node, if anything, is that it is back."""
        return [state for alert, state in self.messages() if alert == DOWN][-1:] != ["firing"]

    def containers(self, host: str) -> list[Any]:
        filters: dict[str, Any] = {"name": f"^/{self.platform.prefix}-.*-{host}$"}
        return list(self.platform.client.containers.list(all=True, filters=filters))

    def machines(self) -> list[tuple[str, int, str]]:
        """Node, number and state of the VMs that the cluster wasn't built with."""
        response = requests.get(
            f"https://127.0.0.1:{API}/api2/json/cluster/resources?type=vm",
            headers={"Authorization": f"PVEAPIToken={PROVISIONER.id}={PROVISIONER.secret}"},
            verify=str(environment.CERTIFICATES / "ca.pem"),
            timeout=10,
        )
        response.raise_for_status()
        return sorted(
            (e["node"], e["vmid"], e["status"]) for e in response.json()["data"] if e["vmid"] >= 900
        )


def _answers(address: str) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((address, 22)) == 0


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """The stack after its first up."""
    if not ssh_machine.SOCKET.is_socket():
        pytest.skip(f"Docker doesn't listen at {ssh_machine.SOCKET}, which the machines of this test need")
    directory = tmp_path_factory.mktemp("two-vms")
    private, public_key = ssh_machine.key_pair(str(directory))
    (directory / "id_ed25519").write_bytes(private)
    (directory / "id_ed25519").chmod(0o600)
    platform = Platform("two-vms", directory, OFFSET, settings(directory, public_key))
    try:
        ssh_machine.build(platform.client)
    except DockerException as error:
        pytest.skip(f"the machines of this test can't be built (is a Debian mirror reached?): {error}")
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        _addresses(platform, stack)
        if _answers(HOSTS["a"]):
            pytest.skip(
                "SSH of this machine answers on every address: no VM can be told that it has one here"
            )
        platform.destroy()
        stack.callback(platform.destroy)
        platform.start_lab()
        patch.setenv("SSL_CERT_FILE", str(environment.CERTIFICATES / "ca.pem"))
        for host, address in HOSTS.items():
            name = MACHINE.format(host)
            machine = ssh_machine.start(platform.client, name, SSH, public_key, address)
            stack.callback(machine.remove, force=True, v=True)
        result = platform.up_with_cli()
        assert result.returncode == 0, result.stdout + result.stderr
        yield Pair(platform)


def _addresses(platform: Platform, stack: ExitStack) -> None:
    """Give this machine the addresses of both, as the gateways of two networks."""
    for host, address in HOSTS.items():
        name = f"address-{host}-of-the-two-vms-test"
        for left in platform.client.networks.list(names=[f"^{name}$"]):
            left.remove()
        pool = IPAMPool(subnet=f"{address}/24".replace(".1/", ".0/"), gateway=address)
        network = platform.client.networks.create(name, ipam=IPAMConfig(pool_configs=[pool]))
        stack.callback(network.remove)


def test_one_up_makes_both_and_a_second_changes_nothing(pair: Pair) -> None:
    assert pair.machines() == [("pve1", 900, "running"), ("pve2", 901, "running")]
    assert [len(pair.containers(host)) for host in HOSTS] == [6, 5]
    result = pair.platform.pulumi("preview", "--refresh", "--expect-no-changes")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("host", HOSTS)
def test_either_watches_everything_the_other_too(pair: Pair, host: str) -> None:
    wait_for("all targets up", partial(pair.scraped, host), 120)
    (watchdog,) = wait_for("rules", partial(pair.query, host, WATCHDOG), 30)
    assert "replica" not in watchdog["metric"]
    watched = pair.query(host, 'up{job=~"prometheus|alertmanager|grafana|discovery|pve-exporter"}')
    assert {found["metric"]["instance"].split(":")[0] for found in watched} == {
        *(f"{service}-{key}" for service in ("prometheus", "alertmanager") for key in HOSTS),
        "grafana-a",
        f"discovery-{host}",
        f"pve-exporter-{host}",
    }
    config = pair.get(host, Service.PROMETHEUS, "/api/v1/status/config")["data"]["yaml"]
    assert f"replica: {host}\n" in config


@pytest.mark.parametrize("host", HOSTS)
def test_either_alertmanager_sees_the_other(pair: Pair, host: str) -> None:
    wait_for("the cluster", partial(pair.clustered, host), 60)


def test_an_alert_of_both_is_told_once(pair: Pair) -> None:
    pair.control.clear_hooks()
    with pair.control.fault("host_down", "pve3"):
        for host in HOSTS:
            wait_for("both have the alert", partial(pair.down, host), 150)
        wait_for("the message", lambda: pair.told()[DOWN], 60)
        # The second one waits 15 s for the first, and then would have told it by itself.
        with pytest.raises(AssertionError, match="a second message"):
            wait_for("a second message", lambda: pair.told()[DOWN] > 1, 30 / PATIENCE)
    assert pair.told()[DOWN] == 1


def test_the_other_tells_alone_what_is_down_and_that_the_first_is(pair: Pair) -> None:
    wait_for("the node is back", pair.calm, 120)
    wait_for("the message that it is", pair.told_as_over, 60)
    pair.control.clear_hooks()
    lost = {("TargetDown", f"{s}-a:{CONTAINER_PORTS[s]}") for s in (Service.PROMETHEUS, Service.ALERTMANAGER)}
    for container in pair.containers("a"):
        container.stop(timeout=2)
    try:
        with pair.control.fault("host_down", "pve3"):
            wait_for("the message", lambda: pair.told()[DOWN], 180)
            wait_for("that the other is gone", lambda: lost <= set(pair.told()), 180)
        assert pair.told()[DOWN] == 1
    finally:
        for container in pair.containers("a"):
            container.start()


def test_the_other_is_changed_alone_while_the_first_is_gone(pair: Pair) -> None:
    platform = pair.platform
    first = platform.client.containers.get(MACHINE.format("a"))
    first.stop(timeout=1)
    platform.write_config(**{**platform.changes, "prometheus.retentionTime": "3d"})
    result = platform.up_with_cli()
    assert result.returncode == 1, result.stdout + result.stderr
    result = platform.up_with_cli("--target", "**-b**")
    assert result.returncode == 0, result.stdout + result.stderr
    wait_for("the second's new retention", lambda: pair.retention("b") == "3d", 60)
    assert pair.retention("a") == "2d"
    first.start()
    result = platform.up_with_cli()
    assert result.returncode == 0, result.stdout + result.stderr
    wait_for("the first's new retention", lambda: pair.retention("a") == "3d", 60)


def test_nothing_is_left_of_either(pair: Pair) -> None:
    result = pair.platform.pulumi("destroy", "--yes", "--skip-preview")
    assert result.returncode == 0, result.stdout + result.stderr
    assert pair.machines() == []
    client, prefix = pair.platform.client, pair.platform.prefix
    assert client.containers.list(all=True, filters={"name": f"^/{prefix}-"}) == []
    assert client.volumes.list(filters={"name": f"{prefix}-"}) == []
    assert client.networks.list(names=[f"^{prefix}-"]) == []
