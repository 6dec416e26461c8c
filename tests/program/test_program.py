"""The whole program without an engine: what it registers for every example, in update and in preview."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components.settings import PROJECT, Secret, SettingsError
from tests.support.examples import ALL_SECRETS, EXAMPLES, ROOT
from tests.support.pki import KEYS
from tests.support.pulumi_harness import Recording, deploy, plain_texts, secret_texts

CONTAINER = "docker:index/container:Container"
VOLUME = "docker:index/volume:Volume"

# What the mocks answer for a token, as the provider does: the id, and the secret after the equals sign.
TOKEN = {"proxmoxve:user/token:Token": {"value": "u@pve!t=secret-value-of-a-made-token"}}
POOL = {"proxmoxve:index/getPoolLegacy:getPoolLegacy": {"comment": "", "members": []}}
TWO = ("two-vms", "two-hosts")
SECRETS = {f"{PROJECT}:{secret}": KEYS.get(secret, f"secret-value-of-{secret}") for secret in Secret}


def program() -> None:
    runpy.run_path(str(ROOT / "__main__.py"))


@cache
def run(name: str, *, preview: bool = False) -> Recording:
    config = {f"{PROJECT}:{key}": value for key, value in EXAMPLES[name].items()}
    return deploy(program, config=config, secrets=SECRETS, preview=preview, outputs=TOKEN, calls=POOL)


def services(recording: Recording) -> list[Any]:
    """Containers that stay; the writers of configuration end by themselves."""
    return [c for c in recording.of(CONTAINER) if not c.inputs.get("attach")]


def writers(recording: Recording) -> list[Any]:
    return [c for c in recording.of(CONTAINER) if c.inputs.get("attach")]


def gateways(name: str) -> int:
    """How many gateways an example has."""
    return int(EXAMPLES[name]["gateway"].get("enabled", True))


@pytest.mark.parametrize("preview", [False, True], ids=["update", "preview"])
@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_deploys(name: str, *, preview: bool) -> None:
    recording = run(name, preview=preview)
    # Five services and the gateway, of which a second host has all but Grafana, each with its writer.
    wanted = (9 if name in TWO else 5) + gateways(name)
    assert len(services(recording)) == len(writers(recording)) == wanted
    assert len(recording.of("grafana:oss/dashboard:Dashboard")) >= 3


@pytest.mark.parametrize("name", EXAMPLES)
class TestInvariants:
    """What holds for every configuration."""

    def test_no_resource_uses_a_default_provider(self, name: str) -> None:
        missing = [
            r.name
            for r in run(name).custom
            if not r.type.startswith("pulumi:providers:") and not r.request.provider
        ]
        assert missing == []

    def test_every_resource_has_a_component_as_parent(self, name: str) -> None:
        assert [
            r.name for r in run(name).custom if "pulumi:pulumi:Stack" in r.request.parent.split("$")[-1]
        ] == []

    def test_urns_are_unique(self, name: str) -> None:
        urns = [r.urn for r in run(name).registrations]
        assert len(set(urns)) == len(urns)

    def test_every_component_registers_its_outputs(self, name: str) -> None:
        recording = run(name)
        components = {r.urn for r in recording.registrations if r.type.startswith(f"{PROJECT}:components:")}
        assert components == {
            urn for urn in recording.outputs if f"{PROJECT}:components:" in urn.split("::")[2].split("$")[-1]
        }

    def test_every_service_is_limited_hardened_and_watched(self, name: str) -> None:
        for container in services(run(name)):
            inputs = container.inputs
            assert inputs["healthcheck"]["tests"][0] == "CMD"
            assert inputs["memory"] == inputs["memorySwap"] > 0
            assert inputs["restart"] == "unless-stopped"
            assert inputs["logOpts"] == {"max-size": "10m", "max-file": "3"}
            assert inputs["capabilities"] == {"drops": ["ALL"]}
            assert inputs["securityOpts"] == ["no-new-privileges:true"]
            assert inputs["init"] is True
            assert inputs["user"].split(":")[0] not in ("", "0", "root")
            assert inputs["wait"] is True
            assert set(container.request.replaceOnChanges) == {"healthcheck", "tmpfs"}
            assert container.request.deleteBeforeReplace

    def test_root_file_systems_are_read_only_but_grafanas(self, name: str) -> None:
        writable = [c.name for c in services(run(name)) if not c.inputs["readOnly"]]
        assert writable == ["grafana-a"]

    def test_ports_are_published_on_the_bind_address_only(self, name: str) -> None:
        bind = EXAMPLES[name].get("network", {}).get("bindAddress", "127.0.0.1")
        addresses = {"a": bind, "b": "192.0.2.20"}
        opened = EXAMPLES[name]["gateway"].get("bindAddress", "0.0.0.0")  # noqa: S104 - compared, not bound
        ports = [(c.name, port["ip"]) for c in services(run(name)) for port in c.inputs.get("ports") or []]
        assert {address for host, address in ports if host.startswith("gateway")} <= {opened}
        others = [(host[-1], address) for host, address in ports if not host.startswith("gateway")]
        assert {host for host, _ in others} == ({"a", "b"} if name in TWO else {"a"})
        assert all(address == addresses[host] for host, address in others)

    def test_only_the_gateway_listens_for_others_where_there_is_one(self, name: str) -> None:
        if gateways(name) and name not in TWO:
            assert EXAMPLES[name].get("network", {}).get("bindAddress", "127.0.0.1") == "127.0.0.1"

    def test_history_is_protected_as_the_settings_say(self, name: str) -> None:
        wanted = EXAMPLES[name].get("containers", {}).get("protectData", True)
        data = [v for v in run(name).of(VOLUME) if v.name.endswith("-data")]
        # A gateway that makes or gets its certificates keeps them.
        keeps = EXAMPLES[name]["gateway"].get("tls", {}).get("mode") in ("acme", "internal")
        assert len(data) == (7 if name in TWO else 4) + keeps
        for volume in data:
            assert volume.request.protect is wanted
            assert volume.request.retainOnDelete is wanted
            assert set(volume.request.ignoreChanges) >= {"labels", "driverOpts"}

    def test_images_are_used_by_id(self, name: str) -> None:
        for container in services(run(name)):
            # Those that are built here have tags that follow their content.
            built = container.name.startswith(("discovery", "gateway"))
            assert container.inputs["image"].startswith("sha256:") or built

    def test_no_secret_leaves_in_plain(self, name: str) -> None:
        for registration in run(name).custom:
            leaked = [t for t in plain_texts(registration.raw_inputs) if "secret-value-of-" in t]
            assert leaked == [], registration.name
        shown = [t for outputs in run(name).outputs.values() for t in plain_texts(outputs)]
        assert [t for t in shown if "secret-value-of-" in t] == []

    def test_no_secret_is_in_an_environment_a_command_or_a_label(self, name: str) -> None:
        for container in run(name).of(CONTAINER):
            for key in ("envs", "command", "entrypoints", "labels", "healthcheck"):
                assert "secret-value-of-" not in json.dumps(container.inputs.get(key))

    def test_secrets_are_delivered_below_the_directory_of_mode_0400(self, name: str) -> None:
        for writer in writers(run(name)):
            for upload in writer.raw_inputs["uploads"]:
                if any("secret-value-of-" in text for text in secret_texts(upload["content"])):
                    assert upload["file"].startswith("/payload/secrets/")
                    assert upload["permissions"] == "0400"

    def test_services_wait_for_their_configuration(self, name: str) -> None:
        recording = run(name)
        for container in services(recording):
            writer = recording.named(f"{container.name}-config-writer")
            assert writer.urn in container.request.dependencies

    def test_a_changed_configuration_restarts_only_what_reads_it_once(self, name: str) -> None:
        configuration = "org.pve-monitoring.configuration"
        labels = {c.name: {item["label"] for item in c.inputs["labels"]} for c in services(run(name))}
        bound = {container for container, given in labels.items() if configuration in given}
        more = {"pve-exporter-b", "discovery-b"} if name in TWO else set()
        assert bound == {"pve-exporter-a", "discovery-a", "grafana-a"} | more

    def test_content_comes_after_the_server_and_dashboards_after_their_data(self, name: str) -> None:
        recording = run(name)
        server = recording.named("grafana-a").urn
        for registration in recording.custom:
            if registration.type.startswith("grafana:"):
                assert server in registration.request.dependencies, registration.name
        source = recording.named("datasource-prometheus").urn
        for dashboard in recording.of("grafana:oss/dashboard:Dashboard"):
            assert source in dashboard.request.dependencies

    def test_content_goes_with_the_servers_data(self, name: str) -> None:
        recording = run(name)
        kept = EXAMPLES[name].get("containers", {}).get("protectData", True)
        # Not with the container: with a new one all would be made again that is still there.
        data = "" if kept else recording.named("grafana-a-data").urn
        content = [r for r in recording.custom if r.type.startswith("grafana:")]
        assert {r.request.deletedWith for r in content} == {data}

    def test_inputs_of_providers_are_known_in_a_preview(self, name: str) -> None:
        providers = [r for r in run(name, preview=True).custom if r.type.startswith("pulumi:providers:")]
        vm = {"proxmoxve", "command"}
        more = {"proxmox": vm, "two-vms": vm, "filtered": vm, "managed": {"proxmoxve"}}.get(name, set())
        more |= {"command"} if EXAMPLES[name].get("hostExporters") else set()
        assert {p.type.rsplit(":", 1)[1] for p in providers} == {"docker", "grafana"} | more
        unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
        # The token is made by the same `up`; the engine leaves its provider alone until it is known.
        assert [p.name for p in providers if unknown in json.dumps(p.raw_inputs)] == [
            "grafana-account-provider"
        ]


@pytest.mark.parametrize(("name", "there"), [("encrypted", True), ("minimal", False)])
def test_prometheus_is_told_when_certificates_end(name: str, *, there: bool) -> None:
    uploads = run(name).named("prometheus-a-config-writer").inputs["uploads"]
    assert ("/payload/rules/recording_certificates.yml" in {one["file"] for one in uploads}) is there


def test_a_second_run_registers_the_same() -> None:
    config = {f"{PROJECT}:{key}": value for key, value in EXAMPLES["dev"].items()}
    first, second = (deploy(program, config=config, secrets=SECRETS) for _ in range(2))
    assert {r.urn: r.inputs for r in first.custom} == {r.urn: r.inputs for r in second.custom}


def test_dashboards_name_data_sources_that_are_created() -> None:
    recording = run("dev")
    sources = {r.inputs["uid"] for r in recording.of("grafana:oss/dataSource:DataSource")}
    for dashboard in recording.of("grafana:oss/dashboard:Dashboard"):
        used = set(_datasource_uids(json.loads(dashboard.inputs["configJson"])))
        # "-- Grafana --" holds annotations, variables stand for one of ours.
        assert {uid for uid in used if not uid.startswith(("$", "-"))} <= sources | {"grafana"}, (
            dashboard.name
        )


def _datasource_uids(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = value.get("datasource")
        here = [own["uid"]] if isinstance(own, dict) and own.get("uid") else []
        return here + [uid for item in value.values() for uid in _datasource_uids(item)]
    return [uid for item in value for uid in _datasource_uids(item)] if isinstance(value, list) else []


@pytest.mark.parametrize("name", TWO)
class TestTwoHosts:
    """What holds where there are two Docker hosts."""

    def test_what_is_on_a_host_uses_the_docker_of_that_host(self, name: str) -> None:
        recording = run(name)
        for registration in recording.custom:
            if registration.type.startswith("docker:"):
                host = "b" if "b" in registration.name.split("-") else "a"
                assert f"::host-{host}-docker::" in registration.request.provider, registration.name

    def test_a_service_of_the_second_host_starts_when_the_firsts_is_well(self, name: str) -> None:
        recording = run(name)
        for container in services(recording):
            waits = {urn.rpartition("::")[2] for urn in container.request.dependencies}
            other = f"{container.name[:-1]}a"
            assert (other in waits) is (container.name[-1] == "b"), container.name

    def test_every_port_but_grafanas_is_published_on_both(self, name: str) -> None:
        published: dict[str, set[int]] = {"a": set(), "b": set()}
        for container in services(run(name)):
            published[container.name[-1]] |= {p["external"] for p in container.inputs.get("ports") or []}
        assert published["a"] - published["b"] == {3000}
        assert published["b"] < published["a"]

    def test_each_prometheus_is_told_what_its_own_host_sees(self, name: str) -> None:
        for own, other in (("a", "b"), ("b", "a")):
            uploads = run(name).named(f"prometheus-{own}-config-writer").inputs["uploads"]
            (text,) = [u["content"] for u in uploads if u["file"] == "/payload/prometheus.yml"]
            assert f"replica: {own}\n" in text
            assert f"https://discovery-{own}:8000/" in text
            assert f"discovery-{other}:" not in text

    def test_both_alertmanagers_speak_to_each_other(self, name: str) -> None:
        recording = run(name)
        for own, other in (("a", "b"), ("b", "a")):
            container = recording.named(f"alertmanager-{own}")
            options = dict(
                option.split("=", 1)
                for option in container.inputs["command"]
                if option.startswith("--cluster")
            )
            peer = recording.named(f"alertmanager-{other}").inputs["command"]
            assert f"--cluster.advertise-address={options['--cluster.peer']}" in peer
            internal = {port["internal"] for port in container.inputs["ports"]}
            assert internal == {9093, 9094}
            uploads = recording.named(f"alertmanager-{own}-config-writer").inputs["uploads"]
            assert "/payload/tls/gossip.yml" in {upload["file"] for upload in uploads}

    def test_grafana_reads_both_prometheus_and_begins_with_its_own(self, name: str) -> None:
        sources = {r.name: r.inputs for r in run(name).of("grafana:oss/dataSource:DataSource")}
        assert set(sources) == {"datasource-prometheus", "datasource-prometheus-b", "datasource-alertmanager"}
        first, second = sources["datasource-prometheus"], sources["datasource-prometheus-b"]
        port = EXAMPLES[name]["network"].get("ports", {}).get("prometheus", 9090)
        assert (first["url"], first["isDefault"]) == ("https://prometheus-a:9090", True)
        assert (second["url"], second["isDefault"]) == (f"https://192.0.2.20:{port}", False)
        assert (first["uid"], second["uid"]) == ("prometheus", "prometheus-b")

    def test_links_in_alerts_lead_to_the_prometheus_that_raised_them(self, name: str) -> None:
        for host, address in (("a", "192.0.2.10"), ("b", "192.0.2.20")):
            port = EXAMPLES[name]["network"].get("ports", {}).get("prometheus", 9090)
            command = run(name).named(f"prometheus-{host}").inputs["command"]
            assert f"--web.external-url=https://{address}:{port}" in command


def test_the_writers_failure_fails_the_deployment_with_what_it_said() -> None:
    config = {f"{PROJECT}:{key}": value for key, value in EXAMPLES["minimal"].items()}
    said = {CONTAINER: {"exitCode": 1, "containerLogs": "cp: write error: No space left on device\n"}}
    with pytest.raises(pulumi.RunError, match="No space left on device") as caught:
        deploy(program, config=config, secrets=SECRETS, outputs=said)
    assert "pulumi up --replace 'urn:pulumi:test::pve-monitoring::" in str(caught.value)


def _mistakes() -> dict[str, Callable[[dict[str, Any]], None]]:
    return {
        "unknown key": lambda config: config.update({"nonsense": 1}),
        "missing cluster": lambda config: config.pop("cluster"),
        "wrong type": lambda config: config.update({"prometheus": ["15s"]}),
        "plain secret": lambda config: config.update({"grafanaAdminPassword": "hunter2"}),
    }


@pytest.mark.parametrize("mistake", _mistakes())
def test_bad_settings_register_nothing(mistake: str) -> None:
    values = dict(EXAMPLES["minimal"])
    _mistakes()[mistake](values)
    config = {f"{PROJECT}:{key}": value for key, value in values.items()}
    secrets = {key: value for key, value in SECRETS.items() if key not in config}
    registered: list[str] = []

    def recorded() -> None:
        program()
        registered.append("the program went on")

    with pytest.raises(SettingsError) as caught:
        deploy(recorded, config=config, secrets=secrets)
    assert registered == []
    assert caught.value.problems
    assert "hunter2" not in str(caught.value)


def test_the_program_is_about_a_page() -> None:
    lines = Path("__main__.py").read_text("utf-8").splitlines()
    assert len(lines) <= 75
    assert len(ALL_SECRETS) == len(Secret)
