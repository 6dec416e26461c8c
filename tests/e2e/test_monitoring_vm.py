"""The VM on the cluster with the real engine; the API is simulated, and a container stands for what boots."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from docker.errors import DockerException

from components.settings import Secret
from lab.cluster.identities import PROVISIONER
from tests.support import ssh_machine, stack_secrets
from tests.support.examples import ROOT
from tests.support.platform import Platform, wait_for
from tests.support.secret_values import ALL_CERTIFICATES, VALUES

pytestmark = [
    pytest.mark.docker,
    pytest.mark.pulumi_cli,
    pytest.mark.usefixtures("cli", "docker_ready"),
    pytest.mark.xdist_group("monitoring-vm"),
]

OFFSET = 15_000
API, SSH = 8006 + OFFSET, 22 + OFFSET
NO_CHANGES, CHANGES = 0, 7
WATCHER = "watcher@pve"
MACHINE = 900

# The simulated cluster's token (lab/cluster/identities.py), encrypted as the dev stack's secrets are.
TOKEN = {
    "secure": "v1:RSG2dnFTCktVxUcI:"
    "HZsF8kh70We+PwP/+u/T9m8NmIf2Qgi2Aoxb43FmszVp9pm2KnC0AP3WQj4776EEEWSKkQuLwrARMztffT4ftYAAZtGBxHip07K2Cg=="
}


class Site:
    """A stack in a VM, the cluster that the VM is on, and what boots in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        private, self.public_key = ssh_machine.key_pair(str(directory))
        self.identity = directory / "id_ed25519"
        self.identity.write_bytes(private)
        self.identity.chmod(0o600)
        self.platform = Platform("vm", directory, OFFSET)
        self.settings: dict[str, Any] = {
            "cluster.endpoints": [f"https://127.0.0.1:{API}"],
            "cluster.caFile": str(self.authority),
            "network.extraNetworks": [],
            "containers.protectData": True,
            "pveProvisioningToken": TOKEN,
            # The whole chain: rights and rules on the cluster besides the VM.
            "cluster.discoveryTokenId": f"{WATCHER}!discovery",
            "cluster.exporterTokenId": f"{WATCHER}!exporter",
            "access": {"manage": True},
            "firewall": {"mode": "proxmox", "monitoring": ["127.0.0.1"], "admins": ["127.0.0.0/8"]},
            # Grafana's API is reached through it.
            "gateway.tls": {"mode": "own"},
            "pki": ALL_CERTIFICATES,
            **stack_secrets.encrypted({Secret.TLS_GATEWAY_KEY: VALUES[Secret.TLS_GATEWAY_KEY]}),
            "docker": {
                "target": "proxmox",
                "node": "pve1",
                "vmId": MACHINE,
                "address": "127.0.0.1/8",
                "gateway": "127.0.0.2",
                "dnsServers": ["127.0.0.53"],
                "port": SSH,
                "imageUrl": "https://images.example.com/20260112/debian-13-genericcloud-amd64.qcow2",
                "imageChecksum": "sha256:" + "0123456789abcdef" * 4,
                "memoryMib": 4096,
                "sshPublicKeys": [self.public_key],
                "identityFile": str(self.identity),
            },
        }
        self.configure()

    def configure(self, **changes: Any) -> None:
        """Change settings, by dotted key; what was changed before stays so."""
        self.settings.update(changes)
        self.platform.write_config(**self.settings)

    @property
    def authority(self) -> Path:
        return self.directory / "tls" / "ca.pem"

    def start_cluster(self) -> subprocess.Popen[bytes]:
        """The simulated cluster as a process: the provider reaches its API by loopback."""
        ports = {"API": 8006, "PROXY": 3128, "CONTROL": 18080, "SMTP": 2525}
        listen = {f"LAB_{name}_PORT": str(port + OFFSET) for name, port in ports.items()}
        return subprocess.Popen(
            [sys.executable, "-m", "lab.cluster"],
            cwd=ROOT,
            env={
                **os.environ,
                **listen,
                "LAB_LISTEN": "127.0.0.1",
                "LAB_TLS_DIR": str(self.authority.parent),
            },
            stdout=subprocess.DEVNULL,
        )

    def call(self, method: str, path: str, form: dict[str, str] | None = None) -> Any:
        response = requests.request(
            method,
            f"https://127.0.0.1:{API}/api2/json{path}",
            headers={"Authorization": f"PVEAPIToken={PROVISIONER.id}={PROVISIONER.secret}"},
            data=form,
            verify=str(self.authority),
            timeout=10,
        )
        response.raise_for_status()
        return response.json()["data"]

    @property
    def machines(self) -> list[dict[str, Any]]:
        """What the cluster lists that it wasn't built with."""
        return [entry for entry in self.call("GET", "/cluster/resources?type=vm") if entry["vmid"] >= MACHINE]

    @property
    def machine(self) -> dict[str, Any]:
        config: dict[str, Any] = self.call("GET", f"/nodes/pve1/qemu/{MACHINE}/config")
        return config


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if not ssh_machine.SOCKET.is_socket():
        pytest.skip(f"Docker doesn't listen at {ssh_machine.SOCKET}, which the machine of this test needs")
    made = Site(tmp_path_factory.mktemp("vm"))
    try:
        ssh_machine.build(made.platform.client)
    except DockerException as error:
        pytest.skip(f"the machine of this test can't be built (is a Debian mirror reached?): {error}")
    made.platform.destroy()
    cluster = made.start_cluster()
    with pytest.MonkeyPatch.context() as patch:
        # What docs/examples/Pulumi.production.yaml says: the provider takes no CA file of its own.
        patch.setenv("SSL_CERT_FILE", str(made.authority))
        try:
            wait_for("the simulated cluster's certificate", made.authority.is_file, 30)
            wait_for("the simulated cluster", lambda: made.call("GET", "/version"), 30)
            assert cluster.poll() is None, f"the simulated cluster ended; is port {API} taken?"
            yield made
        finally:
            made.platform.destroy()
            cluster.terminate()
            cluster.wait(10)


@pytest.fixture(scope="module")
def first_preview(site: Site) -> subprocess.CompletedProcess[str]:
    """The very first preview: neither the VM nor anything at its address is there."""
    site.platform.create_stack()
    return site.platform.pulumi("preview")


@pytest.fixture(scope="module")
def running(site: Site, first_preview: subprocess.CompletedProcess[str]) -> Iterator[Site]:
    """The stack after its first up. What boots comes a little late, as a VM does."""
    del first_preview
    container = ssh_machine.start(site.platform.client, "pve-monitoring-ssh-machine-vm", SSH, site.public_key)
    try:
        result = site.platform.up_with_cli()
        assert result.returncode == 0, result.stdout + result.stderr
        yield site
        # Before the container goes: what a failed test left is removed through it.
        if site.platform.state():
            site.configure(**{"containers.protectData": False})
            site.platform.up_with_cli()
            site.platform.pulumi("destroy", "--yes", "--skip-preview")
    finally:
        container.remove(force=True, v=True)


def summary(output: str) -> str:
    """The `Resources:` part of the CLI's output, on one line."""
    match = re.search(r"Resources:\n((?:[ ]+.*\n)+)", output)
    return " ".join(match[1].split()) if match else output


def test_the_first_preview_needs_no_vm(first_preview: subprocess.CompletedProcess[str], site: Site) -> None:
    assert first_preview.returncode == 0, first_preview.stdout + first_preview.stderr
    assert re.fullmatch(r"\+ \d+ to create", summary(first_preview.stdout))
    assert site.machines == []


def test_what_can_not_be_is_told_before_anything_is_made(
    first_preview: subprocess.CompletedProcess[str], site: Site
) -> None:
    del first_preview
    site.configure(**{"docker.vmId": 101, "docker.imageDatastore": "local-lvm"})
    result = site.platform.up_with_cli()
    site.configure(**{"docker.vmId": MACHINE, "docker.imageDatastore": "local"})
    output = result.stdout + result.stderr
    assert result.returncode != 0
    assert "the cluster isn't ready for this; nothing was made on it:" in output
    assert "docker.vmId: 101 is win-dc01 on pve1; give a free one" in output
    assert (
        "docker.imageDatastore: local-lvm is of type lvmthin, which can't hold import; local would do"
        in output
    )
    assert site.machines == []
    assert site.call("GET", "/nodes/pve1/storage/local/content") == []


def test_one_up_makes_the_vm_and_everything_in_it(running: Site) -> None:
    (entry,) = running.machines
    assert (entry["vmid"], entry["node"], entry["status"]) == (MACHINE, "pve1", "running")
    config = running.machine
    assert config["scsi0"].startswith("local-lvm:vm-900-disk-0,")
    assert "size=64G" in config["scsi0"]
    assert config["ipconfig0"] == "gw=127.0.0.2,ip=127.0.0.1/8"
    assert (config["ciuser"], config["protection"], config["onboot"]) == ("monitoring", 1, 1)
    for token in ("discovery", "exporter"):
        assert running.call("GET", f"/access/users/{WATCHER}/token/{token}")["privsep"] == 1
    rules = running.call("GET", f"/nodes/pve1/qemu/{MACHINE}/firewall/rules")
    assert [rule["action"] for rule in rules] == ["mon-platform", "mon-exporters"]
    names = {c.name for c in running.platform.client.containers.list(filters={"name": "pve-monitoring-vm-"})}
    assert names == {
        f"pve-monitoring-vm-{service}-a"
        for service in ("prometheus", "alertmanager", "grafana", "discovery", "pve-exporter", "gateway")
    }


def test_a_second_run_changes_nothing_and_nothing_drifts_by_itself(running: Site) -> None:
    for more in ([], ["--refresh"]):
        result = running.platform.pulumi("preview", "--expect-no-changes", *more)
        assert result.returncode == NO_CHANGES, result.stdout + result.stderr


def test_what_the_vm_has_changes_in_place_and_reboots_nothing(running: Site) -> None:
    started = running.call("GET", f"/nodes/pve1/qemu/{MACHINE}/status/current")
    second = ssh_machine.key_pair("a second person")[1]
    inside = {
        "docker.cores": 4,
        "docker.memoryMib": 6144,
        "docker.sshPublicKeys": [running.public_key, second],
    }
    # One after the other: the provider grows no disk beside what waits for a reboot.
    for changes in (inside, {"docker.diskGib": 80}):
        running.configure(**changes)
        result = running.platform.up_with_cli()
        assert result.returncode == 0, result.stdout + result.stderr
        assert re.fullmatch(r"~ 1 updated \d+ unchanged", summary(result.stdout)), result.stdout
    config = running.machine
    assert (config["memory"], config["cores"]) == ("6144", 4)
    assert "size=80G" in config["scsi0"]
    assert config["sshkeys"].count("ssh-ed25519") == 2
    assert running.platform.pulumi("preview", "--expect-no-changes").returncode == NO_CHANGES
    # Still with what it was started with: when it may reboot is for people to say.
    status = running.call("GET", f"/nodes/pve1/qemu/{MACHINE}/status/current")
    assert (status["maxmem"], status["status"]) == (started["maxmem"], "running")


def test_what_someone_changed_by_hand_is_drift_and_is_repaired(running: Site) -> None:
    running.call("PUT", f"/nodes/pve1/qemu/{MACHINE}/config", {"cores": "1", "onboot": "0"})
    result = running.platform.pulumi("preview", "--refresh", "--expect-no-changes")
    assert result.returncode == CHANGES, (result.returncode, result.stdout + result.stderr)
    assert running.platform.up_with_cli("--refresh").returncode == 0
    assert (running.machine["cores"], running.machine["onboot"]) == (4, 1)


def test_a_newer_image_is_for_the_next_vm(running: Site) -> None:
    before = running.machine["scsi0"]
    running.configure(**{"docker.imageChecksum": "sha256:" + "f" * 64})
    result = running.platform.up_with_cli()
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.fullmatch(r"\+-1 replaced \d+ unchanged", summary(result.stdout)), result.stdout
    assert running.machine["scsi0"] == before


def test_a_change_that_would_replace_the_vm_is_refused(running: Site) -> None:
    running.configure(**{"docker.vmId": MACHINE + 1})
    result = running.platform.pulumi("preview")
    assert result.returncode == 1
    assert "unable to replace resource" in result.stdout + result.stderr
    assert "currently marked for protection" in result.stdout + result.stderr
    assert running.platform.up_with_cli().returncode == 1
    assert [entry["vmid"] for entry in running.machines] == [MACHINE]
    running.configure(**{"docker.vmId": MACHINE})


def test_it_goes_only_after_its_protection_is_lifted(running: Site) -> None:
    result = running.platform.pulumi("destroy", "--yes", "--skip-preview")
    assert result.returncode == 1
    assert "because it is protected" in result.stdout + result.stderr
    assert [entry["vmid"] for entry in running.machines] == [MACHINE]
    running.configure(**{"containers.protectData": False})
    assert running.platform.up_with_cli().returncode == 0
    result = running.platform.pulumi("destroy", "--yes", "--skip-preview")
    assert result.returncode == 0, result.stdout + result.stderr
    assert running.machines == []
    assert running.call("GET", "/nodes/pve1/storage/local/content") == []
    assert running.call("GET", "/cluster/firewall/groups") == []
    with pytest.raises(requests.HTTPError):
        running.call("GET", f"/access/users/{WATCHER}")
