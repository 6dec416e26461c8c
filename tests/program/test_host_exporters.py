"""Exporters on hosts without an engine: what is registered for them, under which names, in which order."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

from components.render.tls import Server
from components.settings import PROJECT
from tests.support.examples import MINIMAL
from tests.support.pki import CERTIFICATES
from tests.support.pulumi_harness import Recording, deploy, plain_texts, secret_texts

from .test_program import SECRETS, program

# A class beside the one that is used says at its import that it is deprecated.
pytestmark = pytest.mark.filterwarnings(
    "ignore:This resource is deprecated:DeprecationWarning:pulumi_command.remote.copy_file"
)

COMMAND = "command:remote:Command"
UPLOAD = "command:remote:CopyToRemote"
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGV4YW1wbGUgb2YgYSBwdWJsaWMga2V5IG9mIG9wcw=="


def values(**changes: Any) -> dict[str, Any]:
    result = copy.deepcopy(MINIMAL)
    result["hostExporters"] = {
        "hosts": {
            "pve2": {"address": "192.0.2.12", "hostKey": f"pve2 {HOST_KEY}", "user": "ops", "port": 2222},
            "pve1": {"address": "192.0.2.11", "hostKey": HOST_KEY},
        },
        "gpuExporter": {"sha256": "0" * 64, "hosts": ["pve1"]},
        **changes,
    }
    return result


def deployed(*, preview: bool = False, **changes: Any) -> Recording:
    config = {f"{PROJECT}:{key}": value for key, value in values(**changes).items()}
    return deploy(program, config=config, secrets=SECRETS, preview=preview)


@pytest.mark.parametrize("preview", [False, True], ids=["update", "preview"])
def test_each_host_is_a_component_with_a_command_for_each_exporter(*, preview: bool) -> None:
    recording = deployed(preview=preview)
    parents = {c.name: c.request.parent.rpartition("::")[2] for c in recording.of(COMMAND)}
    assert parents == {
        "host-exporters-pve1-node-exporter": "host-exporters-pve1",
        "host-exporters-pve1-gpu-exporter": "host-exporters-pve1",
        "host-exporters-pve2-node-exporter": "host-exporters-pve2",
    }
    hosts = recording.of("pve-monitoring:components:ExportersOfHost")
    assert {host.request.parent.rpartition("::")[2] for host in hosts} == {"host-exporters"}


def test_hosts_do_not_wait_for_each_other_and_nothing_waits_for_them() -> None:
    recording = deployed()
    node, gpu = (recording.named(f"host-exporters-pve1-{kind}-exporter") for kind in ("node", "gpu"))
    commands = {command.urn for command in recording.of(COMMAND)}
    needed = {r.name: commands & set(r.request.dependencies) for r in recording.registrations}
    assert {name: urns for name, urns in needed.items() if urns} == {gpu.name: {node.urn}}


def test_without_hosts_nothing_is_registered() -> None:
    config = {f"{PROJECT}:{key}": value for key, value in MINIMAL.items()}
    assert [
        r.name for r in deploy(program, config=config, secrets=SECRETS).registrations if "host-exp" in r.name
    ] == []


def test_the_script_comes_through_standard_input_and_its_digest_shows_in_the_order() -> None:
    recording = deployed()
    pve1 = recording.named("host-exporters-pve1-node-exporter").inputs
    pve2 = recording.named("host-exporters-pve2-node-exporter").inputs
    assert pve1["create"] == pve1["update"]
    assert pve1["create"].startswith("bash -s install ")
    assert pve1["delete"] == "bash -s remove"
    assert pve2["create"].startswith("sudo -n bash -s install ")
    assert pve2["delete"] == "sudo -n bash -s remove"
    assert pve1["stdin"].startswith("#!/usr/bin/env bash\n")
    assert pve1["addPreviousOutputInEnv"] is False
    assert "environment" not in pve1
    again = deployed().named("host-exporters-pve1-node-exporter").inputs
    other = deployed(textfileCollectors=[]).named("host-exporters-pve1-node-exporter").inputs
    assert again["create"] == pve1["create"] != other["create"]


def test_a_change_never_removes_what_it_has_just_installed() -> None:
    for command in deployed().of(COMMAND):
        # The provider replaces a resource whose triggers change.
        assert "triggers" not in command.inputs
        assert command.request.deleteBeforeReplace
        assert command.request.customTimeouts.create == "10m"


def test_hosts_are_known_by_their_keys_and_given_up_on_soon() -> None:
    recording = deployed()
    one = recording.named("host-exporters-pve2-node-exporter").inputs["connection"]
    assert (one["host"], one["port"], one["user"], one["hostKey"]) == ("192.0.2.12", 2222, "ops", HOST_KEY)
    assert (one["dialErrorLimit"], one["perDialTimeout"]) == (3, 15)
    assert "privateKey" not in one


def test_private_keys_are_secrets_and_each_host_may_have_its_own(tmp_path: Path) -> None:
    for name in ("all", "own"):
        (tmp_path / name).write_text(f"the-key-of-{name}", "utf-8")
    hosts = values()["hostExporters"]["hosts"]
    hosts["pve1"]["identityFile"] = str(tmp_path / "own")
    recording = deployed(hosts=hosts, identityFile=str(tmp_path / "all"))
    for host, name in (("pve1", "own"), ("pve2", "all")):
        command = recording.named(f"host-exporters-{host}-node-exporter")
        assert f"the-key-of-{name}" in secret_texts(command.raw_inputs)
        assert not any("the-key-of" in text for text in plain_texts(command.raw_inputs))


def test_an_archive_is_uploaded_before_it_is_installed(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(b"x")
    recording = deployed(nodeExporter={"file": str(archive)})
    upload = recording.named("host-exporters-pve1-node-archive")
    assert upload.inputs["remotePath"] == "pve-monitoring-node_exporter-1.12.1.linux-amd64.tar.gz"
    command = recording.named("host-exporters-pve1-node-exporter")
    assert upload.urn in command.request.dependencies
    assert len(recording.of(UPLOAD)) == 2


def encrypted(secrets: dict[str, str] = SECRETS, **tls: Any) -> Recording:
    config = {f"{PROJECT}:{key}": value for key, value in values().items()}
    config |= {f"{PROJECT}:tls": {"platform": False, **tls}, f"{PROJECT}:pki": CERTIFICATES}
    return deploy(program, config=config, secrets=secrets)


def test_key_and_password_stay_secrets_and_only_standard_input_carries_them() -> None:
    recording = encrypted()
    key, password = (SECRETS[f"{PROJECT}:{name}"] for name in ("tlsHostsKey", "scrapeHostsPassword"))
    (hashed,) = yaml.safe_load(Server(certificate="", key="", passwords=password).web_config("", ""))[
        "basic_auth_users"
    ].values()
    commands = recording.of(COMMAND)
    assert len(commands) == 3
    for command in commands:
        for secret in (key, hashed):
            assert secret in command.inputs["stdin"]
            assert not any(secret in text for text in plain_texts(command.raw_inputs))
            others = {name: value for name, value in command.inputs.items() if name != "stdin"}
            assert secret not in str(others)
        assert password not in str(command.inputs).replace(key, "")
        # A preview shows that it changes.
        assert command.raw_inputs["create"] == command.inputs["create"]
    assert encrypted(hosts=False).named("host-exporters-pve1-node-exporter").inputs["stdin"].count(key) == 0


def test_prometheus_knows_what_is_new_before_an_exporter_shows_it_or_forgets_what_was() -> None:
    recording = encrypted()
    container = recording.named("prometheus-a")
    writer = recording.named("prometheus-a-config-writer")
    assert writer.urn in container.request.dependencies
    for command in recording.of(COMMAND):
        needed = set(command.request.dependencies)
        others = {one.urn for one in recording.of(COMMAND)}
        assert container.urn in needed or needed & others
    plain = encrypted(hosts=False).named("host-exporters-pve1-node-exporter")
    assert plain.request.dependencies == []


def test_a_new_key_or_password_is_an_update() -> None:
    name = "host-exporters-pve1-node-exporter"
    before = encrypted().named(name).inputs["create"]
    again = encrypted().named(name).inputs["create"]
    changed = {**SECRETS, f"{PROJECT}:scrapeHostsPassword": "another"}
    assert again == before != encrypted(changed).named(name).inputs["create"]


def test_a_key_of_another_certificate_reaches_no_host() -> None:
    changed = {**SECRETS, f"{PROJECT}:tlsHostsKey": SECRETS[f"{PROJECT}:tlsGuestsKey"]}
    with pytest.raises(pulumi.RunError, match="tlsHostsKey doesn't belong to the certificate"):
        encrypted(changed)
