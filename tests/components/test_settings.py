"""Settings: what is accepted, and that all problems are told at once, each with its key and its mend."""

from __future__ import annotations

import asyncio
import copy
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from pydantic.alias_generators import to_camel

from components import settings as configuration
from components.durations import canonical, seconds
from components.pki import issue
from components.settings import (
    ALWAYS_REQUIRED,
    ProxmoxDocker,
    Secret,
    SettingsError,
    StackSettings,
    validate,
)
from components.settings_gateway import certifies
from tests.support.examples import ALL_SECRETS, EXAMPLES, MINIMAL, PROXMOX, ROOT, settings
from tests.support.pki import AUTHORITY, CERTIFICATES


def changed(path: str, value: Any, base: dict[str, Any] = MINIMAL) -> dict[str, Any]:
    """A copy of an example with one value set."""
    result = copy.deepcopy(base)
    *parents, last = path.split(".")
    target = result
    for parent in parents:
        target = target.setdefault(parent, {})
    target[last] = value
    return result


def problems(values: dict[str, Any], secrets: frozenset[str] = ALL_SECRETS) -> dict[str, str]:
    with pytest.raises(SettingsError) as caught:
        validate(values, secrets, ROOT)
    return {problem.key: problem.text for problem in caught.value.problems}


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_is_valid(name: str) -> None:
    assert settings(EXAMPLES[name]).cluster.endpoints


@pytest.mark.parametrize("nothing", [None, ""], ids=["in-the-file", "as-pulumi-reads-it"])
def test_a_key_without_anything_below_it_is_left_out(nothing: object) -> None:
    assert settings({**MINIMAL, "images": nothing}) == settings(MINIMAL)
    assert problems({**MINIMAL, "cluster": nothing}) == {"cluster": "is required and missing"}


def test_defaults_are_those_of_the_documentation() -> None:
    made = settings(MINIMAL)
    assert made.prometheus.scrape_interval == "15s"
    assert made.prometheus.retention_time == "30d"
    assert made.network.bind_address == "127.0.0.1"
    assert made.network.ports.model_dump() == {
        "prometheus": 9090,
        "alertmanager": 9093,
        "grafana": 3000,
        "discovery": 8000,
        "pve_exporter": 9221,
    }
    assert made.scrape.exporter_ports.model_dump() == {
        "node": 9100,
        "windows": 9182,
        "linux": 9100,
        "gpu": 9835,
    }
    assert made.containers.protect_data


def test_settings_are_frozen() -> None:
    made = settings(MINIMAL)
    with pytest.raises(ValueError, match="frozen"):
        made.prometheus.scrape_interval = "1m"  # type: ignore[misc]


def test_all_problems_come_at_once_with_their_keys() -> None:
    values = changed("cluster.endpoints", ["http://pve1.example.com"])
    values = changed("prometheus.scrapeInterval", "15", values)
    values = changed("prometheus.retentionsize", "40GB", values)
    values = changed("network.bindAddress", "localhost", values)
    values = changed("alertmanager", {}, values)
    del values["cluster"]["name"]
    found = problems(values)
    assert found == {
        "cluster.name": "is required and missing",
        "cluster.endpoints[0]": "'http://pve1.example.com' is not an API address; "
        "write https://pve1.example.com:8006",
        "prometheus.scrapeInterval": "'15' is not a duration; write for example 15s, 5m, 1h30m or 30d",
        "prometheus.retentionsize": "is not a known key; remove it or correct its spelling",
        "network.bindAddress": "'localhost' is not an IP address; write 127.0.0.1 (this host only), "
        "the address of one interface, or 0.0.0.0 for all",
        "alertmanager": "is not a known key; remove it or correct its spelling",
    }


@pytest.mark.parametrize(
    ("path", "value", "key", "words"),
    [
        ("network.ports.grafana", None, "network.ports.grafana", "valid integer"),
        (
            "network.ports.grafana",
            70000,
            "network.ports.grafana",
            "less than or equal to 65535, but it is 70000",
        ),
        ("network.ports", {"prometheus": 3000}, "network.ports", "same port"),
        ("cluster.endpoints", [], "cluster.endpoints", "is empty; give at least one"),
        ("cluster.discoveryTokenId", "discovery@pve", "cluster.discoveryTokenId", "user@realm!name"),
        ("docker", {"target": "kubernetes"}, "docker", "'local', 'ssh'"),
        ("docker", {"target": "ssh"}, "docker.host", "required and missing"),
        ("images.prometheus", "prom/prometheus", "images.prometheus", "not pinned"),
        ("images.prometheus", "prom/prometheus:latest", "images.prometheus", "not pinned"),
        ("images.prometheus", "prom/prometheus@sha256:abc", "images.prometheus", "not an image reference"),
        ("prometheus.retentionSize", "40 GB", "prometheus.retentionSize", "whole number and KB"),
        ("prometheus.externalLabels", {"a-b": "x"}, "prometheus.externalLabels.a-b.[key]", "match pattern"),
        ("prometheus.remoteWrite.url", "mimir.example.com", "prometheus.remoteWrite.url", "not a URL"),
        ("scrape.labels", "most", "scrape.labels", "'full' or 'lean'"),
        ("scrape.windowsProcesses", ["sql("], "scrape.windowsProcesses[0]", "not a regular expression: "),
        ("scrape.windowsServices", ["(?!sql).*"], "scrape.windowsServices[0]", "of Prometheus"),
        (
            "scrape.staticHosts",
            [{"name": "nas", "target": "nas"}],
            "scrape.staticHosts[0].target",
            "host:port",
        ),
        ("alerting.routes.critical", ["sms"], "alerting.routes.critical[0]", "'email', 'webhook'"),
        ("alerting.routes.default", ["email"], "alerting", "alerting.email is missing"),
        ("alerting.routes.default", ["slack"], "alerting", "alerting.slack is missing"),
        *(
            ("alerting.muteTimings", [{"name": "n", **timing}], f"alerting.muteTimings[0]{key}", words)
            for timing, key, words in (
                ({}, "", "mutes for ever; give weekdays, daysOfMonth or times"),
                ({"weekdays": ["weekend"]}, ".weekdays[0]", "saturday or monday:friday"),
                (
                    {"weekdays": ["saturday:sunday"]},
                    ".weekdays[0]",
                    "runs backwards: weeks begin with sunday",
                ),
                ({"daysOfMonth": ["32"]}, ".daysOfMonth[0]", "1, 1:7, or -1 for the last"),
                ({"daysOfMonth": ["0"]}, ".daysOfMonth[0]", "1, 1:7, or -1 for the last"),
                ({"times": [{"start": "7:30", "end": "08:00"}]}, ".times[0].start", "for example 07:30"),
                (
                    {"times": [{"start": "22:00", "end": "06:00"}]},
                    ".times[0]",
                    "a night is two spans: 22:00 to 24:00, and 00:00 to 06:00",
                ),
                ({"weekdays": ["monday"], "timeZone": "CEST5"}, ".timeZone", "Europe/Berlin or UTC"),
                ({"weekdays": ["monday"], "severities": []}, ".severities", "is empty"),
            )
        ),
        (
            "alerting.muteTimings",
            [{"name": "n", "weekdays": ["monday"]}, {"name": "n", "weekdays": ["friday"]}],
            "alerting",
            "the same name",
        ),
        ("containers.namePrefix", "My Stack", "containers.namePrefix", "match pattern"),
        ("cluster", {**MINIMAL["cluster"], "caFile": "a.pem", "verifyTls": False}, "cluster", "contradict"),
        ("cluster", {**MINIMAL["cluster"], "fingerprints": ["ab" * 32]}, "cluster", "give caFile too"),
        ("cluster.fingerprints", ["AB:CD"], "cluster.fingerprints[0]", "pve-ssl.pem"),
    ],
)
def test_a_wrong_value_is_named_and_mended(path: str, value: Any, key: str, words: str) -> None:
    found = problems(changed(path, value))
    assert list(found) == [key]
    assert words in found[key]


def test_a_missing_ca_file_is_told_before_anything_is_made() -> None:
    found = problems(changed("cluster.caFile", "no/such/ca.pem"))
    assert "no/such/ca.pem is not a readable file" in found["cluster.caFile"]


def test_ssh_host_on_loopback_needs_a_way_to_grafana() -> None:
    ssh = {"target": "ssh", "host": "monitoring.example.com"}
    assert "grafana.apiUrl" in problems(changed("docker", ssh))["(stack)"]
    given = changed("grafana.apiUrl", "http://127.0.0.1:13000", changed("docker", ssh))
    assert settings(given).grafana.api_url == "http://127.0.0.1:13000"
    assert settings(EXAMPLES["gateway-oidc"]).api_through_gateway


PRIVATE = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("vmId", 99, "greater than or equal to 100"),
        ("address", "192.0.2.10", "write for example 192.0.2.10/24"),
        ("address", "192.0.2.0/24", "write for example 192.0.2.10/24"),
        ("address", "dhcp", "write for example 192.0.2.10/24"),
        ("gateway", "router.example.com", "write for example 192.0.2.1"),
        ("vlan", 4095, "less than or equal to 4094"),
        ("dnsServers", [], "is empty; give at least one"),
        ("dnsServers[0]", ["dns.example.com"], "is not an IPv4 address"),
        (
            "imageUrl",
            "https://cloud.debian.org/images/cloud/trixie/latest/debian-13.qcow2",
            "one dated release",
        ),
        ("imageUrl", "https://cloud-images.ubuntu.com/noble/current/noble.img", "(current)"),
        ("imageUrl", "https://images.example.com/20260112/debian-13.qcow2.xz", "uncompressed"),
        ("imageUrl", "debian-13.qcow2", "is not a URL"),
        ("imageChecksum", "0" * 64, "write sha256: and 64 hex digits, or sha512: and 128"),
        ("imageChecksum", "sha256:" + "0" * 128, "sha256: and 64"),
        ("diskGib", 8, "greater than or equal to 16"),
        ("memoryMib", 512, "greater than or equal to 2048"),
        ("user", "Monitoring User", "write small letters"),
        ("sshPublicKeys", [], "is empty; give at least one"),
        ("sshPublicKeys[0]", ["AAAAC3NzaC1lZDI1NTE5"], "line of the .pub file"),
        ("tags[0]", ["Mon itoring"], "is not a tag"),
    ],
)
def test_a_wrong_value_of_the_vm_is_named_and_mended(key: str, value: Any, words: str) -> None:
    found = problems(changed(f"docker.{key.partition('[')[0]}", value, PROXMOX))
    assert list(found) == [f"docker.{key}"]
    assert words in found[f"docker.{key}"]


@pytest.mark.parametrize("key", ["vmId", "node", "address", "gateway", "dnsServers", "imageUrl"])
def test_what_nobody_can_guess_about_the_vm_is_required(key: str) -> None:
    values = copy.deepcopy(PROXMOX)
    del values["docker"][key]
    assert problems(values) == {f"docker.{key}": "is required and missing"}


def test_a_private_key_in_the_settings_is_refused_and_not_repeated() -> None:
    with pytest.raises(SettingsError, match="is a private key; remove it") as caught:
        validate(changed("docker.sshPublicKeys", [PRIVATE], PROXMOX), ALL_SECRETS, ROOT)
    assert "BEGIN" not in str(caught.value)


@pytest.mark.parametrize("gateway", ["192.0.3.1", "192.0.2.10"])
def test_the_gateway_is_another_address_of_the_vms_network(gateway: str) -> None:
    text = problems(changed("docker.gateway", gateway, PROXMOX))["docker"]
    assert f"gateway {gateway} is not another address in 192.0.2.0/24" in text


@pytest.mark.parametrize("bind", ["127.0.0.1", "192.0.2.11"])
def test_the_platform_listens_on_the_vms_own_address(bind: str) -> None:
    values = changed("network.bindAddress", bind, PROXMOX)
    assert "192.0.2.10 or 0.0.0.0" in problems(values)["(stack)"]
    assert settings(changed("grafana.apiUrl", "http://127.0.0.1:13000", values)).docker.target == "proxmox"


def test_the_vm_needs_its_token_and_its_key_before_anything_is_made() -> None:
    values = changed("docker.identityFile", "no/such/key", PROXMOX)
    found = problems(values, ALL_SECRETS - {Secret.PVE_PROVISIONING_TOKEN.value})
    assert found["pveProvisioningToken"].endswith("pulumi config set --secret pveProvisioningToken")
    assert "no/such/key is not a readable file" in found["docker.identityFile"]
    assert Secret.PVE_PROVISIONING_TOKEN not in settings(MINIMAL).required_secrets()


def test_the_vm_of_the_production_example_is_valid() -> None:
    """The file shows it as a comment, beside the host that it uses."""
    text = (ROOT / "docs" / "examples" / "Pulumi.production.yaml").read_text("utf-8")
    block = text[text.index("  # pve-monitoring:docker:") : text.index("  pve-monitoring:network:")]
    lines = [re.sub(r"^  # ?", "", line) for line in block.splitlines()]
    docker = yaml.safe_load("\n".join(lines))["pve-monitoring:docker"]
    made = settings({**EXAMPLES["production"], "docker": docker}).docker
    assert isinstance(made, ProxmoxDocker)
    # It shows every key.
    assert set(docker) == {to_camel(name) for name in ProxmoxDocker.model_fields} - {
        "identityFile",
        "replica",
    }


def test_missing_secrets_are_listed_with_the_command_that_sets_them() -> None:
    found = problems(EXAMPLES["all-channels"], frozenset())
    assert set(found) == {
        *ALWAYS_REQUIRED,
        *("pveDiscoveryToken", "pveExporterToken"),
        *("smtpPassword", "webhookUrl", "slackUrl", "teamsUrl", "discordUrl", "telegramToken"),
        "pagerdutyRoutingKey",
    }
    assert found["slackUrl"] == "is required and missing; run: pulumi config set --secret slackUrl"


@pytest.mark.parametrize("secret", Secret)
def test_a_secret_in_plain_text_is_refused_and_not_repeated(secret: Secret) -> None:
    with pytest.raises(SettingsError) as caught:
        validate({**MINIMAL, secret.value: "hunter2-in-plain"}, ALL_SECRETS - {secret.value}, ROOT)
    assert [problem.key for problem in caught.value.problems] == [secret.value]
    assert f"pulumi config set --secret {secret}" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_misspelt_secret_is_told() -> None:
    assert "no secret is known by that name" in problems(MINIMAL, ALL_SECRETS | {"slackURL"})["slackURL"]


def test_made_tokens_take_the_provisioning_token_instead_of_their_own() -> None:
    needed = settings(EXAMPLES["managed"]).required_secrets()
    assert Secret.PVE_PROVISIONING_TOKEN in needed
    assert not {Secret.PVE_DISCOVERY_TOKEN, Secret.PVE_EXPORTER_TOKEN} & set(needed)


def test_tokens_are_given_unless_somebody_asks_for_them_to_be_made() -> None:
    made = settings(MINIMAL)
    assert not made.access.manage
    assert Secret.PVE_PROVISIONING_TOKEN not in made.required_secrets()
    # A generation means nothing for tokens that somebody else made.
    other = settings(changed("access.tokenGeneration", 7))
    assert other.discovery_token_id == other.cluster.discovery_token_id


def test_a_generation_is_part_of_the_tokens_names() -> None:
    made = settings(changed("access", {"manage": True}))
    assert (made.discovery_token_id, made.exporter_token_id) == (
        "discovery@pve!monitoring",
        "exporter@pve!monitoring",
    )
    later = settings(changed("access", {"manage": True, "tokenGeneration": 2}))
    assert (later.discovery_token_id, later.exporter_token_id) == (
        "discovery@pve!monitoring-2",
        "exporter@pve!monitoring-2",
    )


@pytest.mark.parametrize(
    ("change", "key", "words"),
    [
        ({"release": 7}, "access.release", "Proxmox VE 7 is not supported"),
        ({"release": 10}, "access.release", "not known here"),
        ({"tokenExpires": "2024-02-29"}, "access", "the tokens expired on 2024-02-29"),
        ({"tokenExpires": "soon"}, "access.tokenExpires", "valid date"),
        ({"tokenGeneration": 0}, "access.tokenGeneration", "greater than 0"),
        ({"pools": ["my pool"]}, "access.pools[0]", "is not a pool"),
    ],
)
def test_what_access_cannot_be_is_told(change: dict[str, Any], key: str, words: str) -> None:
    found = problems(changed("access", {"manage": True, **change}))
    assert list(found) == [key]
    assert words in found[key]


ON = {
    "mode": "proxmox",
    "monitoring": ["192.0.2.10"],
    "admins": ["192.0.2.0/28"],
    "members": ["10.0.0.0/24"],
    "hosts": True,
    "switch": "on",
}


@pytest.mark.parametrize(
    ("change", "key", "words"),
    [
        ({"admins": []}, "firewall", "admins is empty"),
        ({"members": [], "admins": []}, "firewall", "admins, members is empty"),
        ({"hosts": False}, "firewall", "set hosts: true"),
        ({"monitoring": [], "switch": "leave"}, "firewall", "nobody could scrape"),
        ({"mode": "nftables"}, "firewall", "are for mode proxmox"),
        ({"mode": "none"}, "firewall", "are for mode proxmox"),
        ({"admins": ["0.0.0.0/0"]}, "firewall.admins[0]", "is everybody"),
        ({"admins": ["192.0.2.1/24"]}, "firewall.admins[0]", "no bits set beyond the prefix"),
        ({"monitoring": ["monitoring.example.com"]}, "firewall.monitoring[0]", "not an address or a network"),
        ({"switch": "yes"}, "firewall.switch", "'leave', 'on' or 'off'"),
        (
            {"guests": [{"node": "pve1", "vmId": 1}]},
            "firewall.guests[0].vmId",
            "greater than or equal to 100",
        ),
    ],
)
def test_a_firewall_that_would_lock_people_out_is_refused(
    change: dict[str, Any], key: str, words: str
) -> None:
    settings(changed("firewall", ON))
    found = problems(changed("firewall", {**ON, **change}))
    assert list(found) == [key]
    assert words in found[key]


def test_a_firewall_around_the_vm_names_those_who_reach_it() -> None:
    firewall = {"mode": "proxmox", "monitoring": ["192.0.2.10"]}
    assert "the VM would accept nobody" in problems(changed("firewall", firewall, PROXMOX))["(stack)"]
    settings(changed("firewall", firewall))


@pytest.mark.parametrize(("mode", "needed"), [("none", False), ("nftables", False), ("proxmox", True)])
def test_only_the_clusters_own_firewall_takes_a_token(mode: str, *, needed: bool) -> None:
    made = settings(changed("firewall", {"mode": mode, "monitoring": ["192.0.2.10"]}))
    assert (Secret.PVE_PROVISIONING_TOKEN in made.required_secrets()) is needed


def test_addresses_are_written_as_proxmox_ve_stores_them() -> None:
    given = ["192.0.2.10/32", "2001:DB8::1/128", "192.0.2.0/24"]
    made = settings(changed("firewall", {"mode": "proxmox", "monitoring": given}))
    assert made.firewall.monitoring == ("192.0.2.10", "2001:db8::1", "192.0.2.0/24")


@pytest.mark.parametrize(
    ("ident", "words"),
    [("root@pam!monitoring", "only in the realm pve"), ("exporter@pve!monitoring", "different names")],
)
def test_a_token_that_cannot_be_made_is_told(ident: str, words: str) -> None:
    values = changed("cluster.discoveryTokenId", ident, changed("access", {"manage": True}))
    assert words in problems(values)["(stack)"]
    del values["access"]
    settings(values)


@pytest.mark.parametrize(
    ("text", "expected"), [("15s", 15), ("1m30s", 90), ("2h", 7200), ("30d", 2_592_000), ("1y", 31_536_000)]
)
def test_durations_are_read_as_prometheus_reads_them(text: str, expected: int) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90s", "1m30s"), ("24h", "1d"), ("25h", "1d1h"), ("7d", "1w"), ("8d", "8d"), ("90m", "1h30m")],
)
def test_durations_have_one_spelling_to_be_compared_by(text: str, expected: str) -> None:
    assert canonical(text) == expected


@pytest.mark.parametrize("text", ["", "15", "0s", "1.5h", "5m1h", "-5m", "5 m"])
def test_what_prometheus_would_refuse_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        seconds(text)


def test_endpoints_get_the_api_port() -> None:
    made = settings(
        changed("cluster.endpoints", ["https://pve1.example.com", "https://pve2.example.com:443"])
    )
    assert made.cluster.endpoints == ("https://pve1.example.com:8006", "https://pve2.example.com:443")


def test_load_reads_the_stack_config_and_keeps_secrets_closed() -> None:
    plain = {f"pve-monitoring:{k}": json.dumps(v) for k, v in MINIMAL.items()}
    given = (*settings(MINIMAL).required_secrets(), Secret.WEBHOOK_URL)
    secret = {f"pve-monitoring:{k}": f"value-of-{k}" for k in given}
    pulumi.runtime.set_all_config({**plain, **secret}, list(secret))

    async def load() -> tuple[StackSettings, configuration.Secrets, str | None]:
        made, secrets = configuration.load(ROOT)
        values = [await secrets[secret].future() for secret in given]
        assert await secrets[Secret.WEBHOOK_URL].is_secret()
        return made, secrets, values[-1]

    made, secrets, value = asyncio.run(load())
    assert made.cluster.name == "home"
    assert value == "value-of-webhookUrl"
    assert Secret.SLACK_URL not in secrets


def test_the_schema_of_the_project_names_every_key() -> None:
    project = yaml.safe_load((ROOT / "Pulumi.yaml").read_text("utf-8"))
    keys = {to_camel(name) for name in StackSettings.model_fields} | set(ALWAYS_REQUIRED)
    assert set(project["config"]) == keys - {"tls", "pki"}
    assert all(entry["description"] and entry["type"] for entry in project["config"].values())
    secrets = {key for key, entry in project["config"].items() if entry.get("secret")}
    assert secrets == set(ALWAYS_REQUIRED)


def test_the_production_example_uses_every_key_of_the_settings() -> None:
    text = (ROOT / "docs" / "examples" / "Pulumi.production.yaml").read_text("utf-8")
    assert [name for name in StackSettings.model_fields if to_camel(name) not in text] == []


def test_only_one_file_reads_the_config() -> None:
    files = [*Path("components").rglob("*.py"), Path("__main__.py")]
    readers = [str(path) for path in files if "pulumi.Config" in path.read_text("utf-8")]
    assert readers == ["components/settings.py"]


HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGV4YW1wbGUgb2YgYSBwdWJsaWMga2V5IG9mIG9wcw=="
HOSTS: dict[str, Any] = {
    **MINIMAL,
    "hostExporters": {"hosts": {"pve1": {"address": "192.0.2.11", "hostKey": HOST_KEY}}},
}


def test_hosts_are_left_alone_unless_they_are_named() -> None:
    assert settings(MINIMAL).host_exporters.hosts == {}
    assert settings(HOSTS).host_exporters.node_exporter.checksum.startswith("b51d8a76")


@pytest.mark.parametrize(
    ("line", "key"),
    [
        (f"pve1,192.0.2.11 {HOST_KEY} root@pve1", HOST_KEY),
        (f"|1|c2FsdA==|aGFzaA== {HOST_KEY}", HOST_KEY),
        (f"{HOST_KEY}\n", HOST_KEY),
    ],
)
def test_a_host_key_may_be_the_line_of_known_hosts(line: str, key: str) -> None:
    made = settings(changed("hostExporters.hosts.pve1.hostKey", line, HOSTS))
    assert made.host_exporters.hosts["pve1"].host_key == key


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (
            "hosts.pve1.hostKey",
            "SHA256:uNiVztksCsDhcc0u9e8BrrJXVGDETfGHKGFqhNvdFTY",
            "is not an SSH host key",
        ),
        ("hosts.pve1.hostKey", "ssh-rsa " + "A" * 372, "write the line: ssh-ed25519"),
        ("hosts.pve1.address", "192.0.2.11:22", "write its name or address alone"),
        ("hosts.pve1.address", "https://pve1", "write its name or address alone"),
        ("hosts.pve1.listenAddress", "eth0", "is not an IP address"),
        ("hosts.pve1.user", "Root", "is not a user name"),
        ("hosts.pve1.identityFile", "/nowhere", "is not a readable file; give the path of a private key"),
        ("identityFile", "/nowhere", "is not a readable file; give the path of a private key"),
        ("nodeExporter.version", "v1.12.1", "write three numbers without a v"),
        ("nodeExporter.sha256", "b51d8a76", "is not a SHA-256 checksum"),
        (
            "nodeExporter.file",
            "/nowhere",
            "give the path of the archive node_exporter-1.12.1.linux-amd64.tar.gz",
        ),
        ("nodeExporter", {"version": "1.99.0"}, "releases/download/v1.99.0/sha256sums.txt gives for it"),
        ("gpuExporter", {}, "nvidia_gpu_exporter/releases/download/v1.14.0/checksums.txt"),
        ("", {"gpuExporter": {"sha256": "0" * 64, "hosts": ["pve9"]}}, "names pve9, which hosts doesn't"),
        ("downloadBaseUrl", "ftp://x", "is not a URL"),
        ("textfileCollectors", ["weather"], "but it is 'weather'"),
    ],
)
def test_a_wrong_value_of_the_exporters_is_named_and_mended(path: str, value: Any, words: str) -> None:
    key = f"hostExporters.{path}".rstrip(".")
    values = changed(key, {**HOSTS["hostExporters"], **value} if not path else value, HOSTS)
    ((found, text),) = problems(values).items()
    assert found.startswith(key)
    assert words in text


# --- exporters in guests -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("monitoringAddresses", ["prometheus"], "is not an address or a network"),
        ("monitoringAddresses", ["0.0.0.0/0"], "is everybody"),
        ("windows.version", "v0.31.8", "write three numbers without a v"),
        ("windows.version", "0.32.0", "the checksum of windows_exporter-0.32.0-amd64.msi isn't known here"),
        ("windows.sha256", "AB" * 32, "is not a SHA-256 checksum"),
        ("windows.msi", "server/share/a.msi", r"write a URL, \\server\share\name.msi or C:\folder\name.msi"),
        ("windows.msi", "https://example.com/ü.msi", "printable ASCII"),
        ("windows.processInclude", "sql(", "not a regular expression: "),
        ("windows.processExclude", "(?!sql).*", "of Prometheus"),
        ("windows.webConfigFile", "web.yml", r"write for example C:\folder\web.yml"),
        ("linux.webConfigFile", "/etc/a b.yml", "is not a path of a Linux guest"),
        ("linux.downloadBaseUrl", "mirror", "is not a URL"),
    ],
)
def test_what_an_installer_cannot_hold_is_refused(path: str, value: Any, words: str) -> None:
    found = problems(changed(f"guestExporters.{path}", value))
    assert len(found) == 1
    assert words in next(iter(found.values()))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, ()),
        ({"network": {"bindAddress": "192.0.2.7"}}, ("192.0.2.7",)),
        ({"docker": {"target": "ssh", "host": "192.0.2.8"}, "network": {"bindAddress": "0.0.0.0"}},  # noqa: S104
         ("192.0.2.8",)),
        ({"docker": PROXMOX["docker"], "network": PROXMOX["network"]}, ("192.0.2.10",)),
        ({"guestExporters": {"monitoringAddresses": ["192.0.2.9/32", "192.0.2.16/28"]}},
         ("192.0.2.9", "192.0.2.16/28")),
    ],
)  # fmt: skip
def test_guests_let_in_what_is_given_or_the_docker_host(
    change: dict[str, Any], expected: tuple[str, ...]
) -> None:
    assert settings({**MINIMAL, **change}).monitoring_addresses == expected


GATEWAY = {"host": "monitoring.example.com"}


def gateway_problem(**values: Any) -> str:
    """What is said of a gateway that differs from the examples'."""
    made = {**MINIMAL, "pki": CERTIFICATES, "gateway": {**GATEWAY, **values}}
    (text,) = problems(made).values()
    return text


def test_the_gateway_is_on_unless_somebody_says_otherwise_and_needs_a_name() -> None:
    without = {key: value for key, value in MINIMAL.items() if key != "gateway"}
    assert "the gateway is on and has no name; give gateway.host" in problems(without)["(stack)"]
    assert settings({**MINIMAL, "pki": CERTIFICATES, "gateway": GATEWAY}).gateway.port == 443
    assert settings(MINIMAL).gateway_url is None


def test_the_gateways_secrets_are_those_of_its_modes() -> None:
    def needed(name: str) -> set[str]:
        kinds = (Secret.TLS_GATEWAY_KEY, Secret.GATEWAY_PASSWORD, Secret.OIDC_CLIENT_SECRET)
        return {secret for secret in settings(EXAMPLES[name]).required_secrets() if secret in kinds}

    assert needed("minimal") == needed("gateway-acme") == set()
    assert needed("production") == {Secret.TLS_GATEWAY_KEY, Secret.GATEWAY_PASSWORD}
    assert needed("gateway-oidc") == {Secret.TLS_GATEWAY_KEY, Secret.OIDC_CLIENT_SECRET}
    assert needed("dev") == {Secret.GATEWAY_PASSWORD}
    found = problems(EXAMPLES["production"], ALL_SECRETS - {"gatewayPassword"})
    assert found["gatewayPassword"].endswith("run: pulumi config set --secret gatewayPassword")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {"host": "other.example.com"},
            "isn't made out to gateway.host, other.example.com; run: python -m ops pki",
        ),
        ({"port": 9090}, "gateway and network.ports.prometheus both want port 9090"),
        ({"httpPort": 443}, "port and httpPort are both 443"),
        ({"tls": {"mode": "acme"}}, "is required and missing"),
        (
            {"tls": {"mode": "acme", "email": "a@example.com"}, "port": 8443},
            "set port to 443 or httpPort to 80",
        ),
        ({"tls": {"mode": "acme", "email": "a@b"}, "host": "192.0.2.1"}, "certifies names of the DNS"),
        ({"tls": {"mode": "given", "certificateFile": "no.pem"}}, "no.pem is not a readable file"),
        ({"auth": {"mode": "basic", "user": "a:b"}}, "'a:b' is not a user name"),
        ({"auth": {"mode": "forward", "url": "auth.example.com"}}, "is not a URL"),
        (
            {"auth": {"mode": "forward", "url": "https://a.example.com", "headers": ["Cookie"]}},
            "name another header",
        ),
    ],
)
def test_mistakes_at_the_gateway_say_what_to_do(values: dict[str, Any], said: str) -> None:
    assert said in gateway_problem(**values)


def test_a_gateway_without_a_certificate_is_told_how_to_get_one() -> None:
    text = problems({**MINIMAL, "gateway": GATEWAY})["pki"]
    assert "the gateway needs a certificate; run: python -m ops pki, or give gateway.tls another mode" in text
    without = {key: value for key, value in CERTIFICATES.items() if key != "gateway"}
    found = problems({**MINIMAL, "pki": without, "gateway": GATEWAY})
    assert "run: python -m ops pki, or give gateway.tls another mode" in found["pki.gateway"]


def test_a_given_certificate_must_be_one_and_for_the_gateway(tmp_path: Path) -> None:
    path = tmp_path / "gateway.pem"
    tls = {"mode": "given", "certificateFile": str(path)}
    path.write_text("nonsense")
    assert "is not a certificate in PEM" in gateway_problem(tls=tls)
    path.write_text(CERTIFICATES["platform"])
    assert "is not for gateway.host, monitoring.example.com" in gateway_problem(tls=tls)
    path.write_text(CERTIFICATES["gateway"])
    assert settings({**MINIMAL, "gateway": {**GATEWAY, "tls": tls}}).gateway.tls.mode == "given"


def test_a_star_certifies_one_label() -> None:
    now = datetime.now(UTC)
    star = issue(AUTHORITY, ["*.example.com", "192.0.2.1"], now).certificate
    assert [certifies(star, h) for h in ("a.example.com", "A.Example.com", "192.0.2.1")] == [True] * 3
    assert [certifies(star, h) for h in ("a.b.example.com", "example.com", "192.0.2.2")] == [False] * 3


def test_an_authority_that_nobody_knows_is_none_for_the_way_to_another_machine() -> None:
    values = {**MINIMAL, "docker": {"target": "ssh", "host": "192.0.2.10"}}
    values["gateway"] = {**GATEWAY, "tls": {"mode": "internal"}}
    assert "gateway.tls is internal" in problems(values)["(stack)"]
