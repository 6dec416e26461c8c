"""No secret is where others read it: every one of the settings is searched for in all that a stack shows.

It goes through the stack of test_engine.py, at its end: all channels are switched on, with values that stand
nowhere else, by commands whose output, processes and temporary files are watched.
"""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components import topology
from components.docker_host import BUILT
from components.images import USERS, Service
from components.settings import CHANNEL_SECRETS, SCRAPE_PASSWORDS, Secret
from dashboards import DASHBOARDS
from ops.pulumi_cli import ROOT
from ops.stack import load
from tests.support import stack_secrets
from tests.support.containers import run
from tests.support.kept import changed_files, containers, files_of, layers
from tests.support.leaks import NOTING, Keeper, Search, moment
from tests.support.pki import AUTHORITY
from tests.support.platform import Platform, wait_for
from tests.support.secret_values import ADMIN_PASSWORD, ALL_CERTIFICATES, VALUES

pytestmark = [
    pytest.mark.docker,
    pytest.mark.pulumi_cli,
    pytest.mark.usefixtures("cli"),
]

# Nobody listens there.
NOBODY = "127.0.0.1:9"
# Every feature that has a secret. What Telegram and PagerDuty are told goes out to the internet: nothing is.
EVERYTHING: dict[str, Any] = {
    "alerting.routes": {
        "default": ["email"],
        "critical": ["email", "webhook", "slack", "teams", "discord"],
        "info": ["telegram", "pagerduty"],
    },
    "alerting.email": {
        "to": ["oncall@example.com"],
        "from": "monitoring@example.com",
        "smarthost": NOBODY,
        "username": "monitoring",
        "requireTls": False,
    },
    "alerting.slack": {"channel": "#ops"},
    "alerting.telegram": {"chatId": -100123},
    "prometheus.remoteWrite": {"url": f"http://{NOBODY}/api/v1/push", "username": "monitoring"},
    "tls": {"hosts": True, "guests": True, "platform": True},
    "pki": ALL_CERTIFICATES,
    "gateway.tls": {"mode": "own"},
}
# The first one shows what is replaced and made; after a refresh the state has what providers answered.
COMMANDS = (
    ("preview", "--diff"),
    ("up", "--yes", "--skip-preview", "--diff"),
    ("up", "--yes", "--skip-preview", "--refresh", "--json"),
    ("preview", "--refresh", "--json"),
    ("config", "--json"),
)
# What this stack has no use for: it makes nothing on the cluster, signs no certificates, and installs no
# exporters. Those are searched for in the tests of what uses them.
UNUSED_HERE = {
    Secret.PVE_PROVISIONING_TOKEN,
    Secret.TLS_CA_KEY,
    Secret.TLS_HOSTS_KEY,
    Secret.TLS_GUESTS_KEY,
    # The gateway asks for a password of its own instead.
    Secret.OIDC_CLIENT_SECRET,
    # Its hash alone leaves the program.
    Secret.GATEWAY_PASSWORD,
}


# What the program gets by itself, with an administrator's rights in Grafana.
TOKEN = "token of the account in Grafana"
Sought = dict[str, str]


def resources(stack: Platform) -> list[dict[str, Any]]:
    """Resources in the state, with their secrets in the clear."""
    state = stack._run(["stack", "export", "--show-secrets", "--stack", stack.name], stack.directory, {})
    found: list[dict[str, Any]] = json.loads(state.stdout)["deployment"]["resources"]
    return found


@pytest.fixture(scope="module")
def sought(engine: Platform) -> Sought:
    """What is searched for, by the name that is told."""
    (token,) = [r for r in resources(engine) if r["type"].endswith(":ServiceAccountToken")]
    made = json.loads(token["outputs"]["key"]["plaintext"])
    return {**{str(secret): value for secret, value in VALUES.items()}, TOKEN: made}


@pytest.fixture(scope="module")
def watched(engine: Platform, sought: Sought, tmp_path_factory: pytest.TempPathFactory) -> Search:
    """The stack after it got every secret, and what was found on the way."""
    search = Search(sought)
    temporary = engine.directory / "temporary"
    temporary.mkdir()
    notes = tmp_path_factory.mktemp("notes") / "notes"
    noting = {"TMPDIR": str(temporary), "PYTHONPATH": str(NOTING), "NOTES": str(notes)}
    since = moment()
    engine.create_stack()
    engine.write_config(**EVERYTHING, **stack_secrets.encrypted(VALUES))
    with search.watching(temporary):
        for words in COMMANDS:
            result = engine.pulumi(*words, **noting)
            said = result.stdout + result.stderr
            search.look(f"output of pulumi {' '.join(words)}", said)
            assert result.returncode == 0, "what it said holds secrets" if search.within(said) else said
    outputs = engine._run(["stack", "output", "--json", "--stack", engine.name], engine.directory, {})
    search.look("output of pulumi stack output --json", outputs.stdout)
    search.noted(notes)
    search.files("file of the project:", ROOT, since=since, skip=(".venv", ".git", "__pycache__"))
    return search


@pytest.fixture
def stack(engine: Platform, watched: Search) -> Platform:
    """The stack with all secrets in use."""
    del watched
    return engine


@pytest.fixture
def search(sought: Sought) -> Iterator[Search]:
    """For one test, which fails if anything was found."""
    made = Search(sought)
    yield made
    assert made.places, "nothing was searched"
    nothing_in(made)


def nothing_in(search: Search) -> None:
    if search.report:
        # All of it: the list of an assertion would be shortened.
        pytest.fail("\n".join(["secrets were found:", *search.report]), pytrace=False)


def test_every_secret_of_the_settings_is_given() -> None:
    missing = set(Secret) - set(VALUES)
    assert missing == set(), f"give {missing} a value in tests/support/secret_values.py"


def test_every_secret_is_used(stack: Platform) -> None:
    """Else its search would prove nothing."""
    unused = set(Secret) - Search(VALUES).within(json.dumps(resources(stack)))
    assert unused - UNUSED_HERE == set(), "switch on in EVERYTHING what uses them"


def test_none_is_in_what_is_printed_in_processes_and_in_temporary_files(watched: Search) -> None:
    nothing_in(watched)
    assert watched.places["output"] == len(COMMANDS) + 1
    assert watched.places["process"] > 20


def test_none_is_in_the_state_or_beside_the_stack_file(stack: Platform, search: Search) -> None:
    exported = stack._run(["stack", "export", "--stack", stack.name], stack.directory, {})
    assert exported.returncode == 0
    search.look("state, exported", exported.stdout)
    search.files("file beside the stack:", stack.directory)
    assert search.places["file"] > 5


def test_none_is_in_what_docker_inspect_shows(stack: Platform, search: Search) -> None:
    client = stack.client
    made = containers(stack)
    assert len([name for name in made if name.endswith("-writer")]) == len(Service)
    for name, container in made.items():
        search.look(f"container {name}", json.dumps(container.attrs))
    for image in {container.attrs["Image"] for container in made.values()}:
        search.look(f"image {image}", json.dumps(client.images.get(image).attrs))
        search.look(f"history of image {image}", json.dumps(client.images.get(image).history()))
    for network in client.networks.list(names=[f"^{stack.prefix}-"]):
        search.look(f"network {network.name}", json.dumps(network.attrs))
    for volume in client.volumes.list(filters={"name": f"{stack.prefix}-"}):
        search.look(f"volume {volume.name}", json.dumps(volume.attrs))
    assert {"container", "image", "history", "network", "volume"} == set(search.places)


def test_none_is_in_a_log(stack: Platform, search: Search) -> None:
    """Also where something fails: no channel reaches anybody, and the cluster knows none of the tokens."""
    alert = {"labels": {"alertname": "Sought", "severity": "critical", "cluster": "lab"}}
    send(stack, Service.ALERTMANAGER, "/api/v2/alerts", json.dumps([alert]).encode())

    def failed() -> bool:
        log = stack.log(Service.ALERTMANAGER)
        return all(f"integration={name}" in log for name in ("email", "webhook", "slack", "discord"))

    wait_for("the channels failed", failed, 60)
    wait_for("the token failed", lambda: "Authentication failed" in stack.log(Service.DISCOVERY), 60)
    for name, container in containers(stack).items():
        search.look(f"log of {name}", container.logs())


def test_none_stays_in_a_container(stack: Platform, search: Search) -> None:
    """The writers' uploads above all, which a stopped container keeps."""
    for name, container in containers(stack).items():
        assert (container.status == "exited") is name.endswith("-writer")
        for path in changed_files(container):
            content, _ = container.get_archive(path)
            search.archive(f"container {name}, {path}:", b"".join(content))
    assert search.places["container"] > len(Service)


@pytest.mark.parametrize("service", Service)
def test_none_is_in_what_a_service_keeps_in_memory(stack: Platform, search: Search, service: Service) -> None:
    """Its /tmp, which `docker diff` doesn't show."""
    code, content = run(stack.container(service), "find", "/tmp", "-type", "f", "-exec", "cat", "{}", "+")
    assert code == 0, content
    search.look(f"temporary files of {service}", content)


@pytest.mark.parametrize("service", BUILT)
def test_none_is_in_an_image_that_was_built(
    stack: Platform, search: Search, service: Service, tmp_path: Path
) -> None:
    for layer in layers(stack, stack.container(service).attrs["Image"], tmp_path):
        search.archive(f"image of {service}:", layer)
    assert search.places["image"] > 100


CHANNELS = frozenset({*CHANNEL_SECRETS.values(), Secret.SMTP_PASSWORD})
PLATFORM = frozenset({Secret.TLS_PLATFORM_KEY, Secret.SCRAPE_PLATFORM_PASSWORD})
# What whoever breaks into one of them finds, and nothing else.
KNOWN: dict[Service, frozenset[str]] = {
    Service.PROMETHEUS: PLATFORM | {*SCRAPE_PASSWORDS.values(), Secret.REMOTE_WRITE_PASSWORD},
    Service.ALERTMANAGER: PLATFORM | CHANNELS | {Secret.WATCHDOG_URL},
    Service.GRAFANA: PLATFORM | {Secret.GRAFANA_ADMIN_PASSWORD, Secret.SMTP_PASSWORD},
    Service.PVE_EXPORTER: frozenset({Secret.TLS_PLATFORM_KEY, Secret.PVE_EXPORTER_TOKEN}),
    Service.DISCOVERY: PLATFORM | {Secret.PVE_DISCOVERY_TOKEN},
    Service.GATEWAY: PLATFORM | {Secret.TLS_GATEWAY_KEY},
}


def test_in_volumes_they_are_for_their_service_alone(stack: Platform, search: Search) -> None:
    instances, searched = load(stack.name, stack.stack_file).topology.instances, set()
    assert {instance.service for instance in instances} == set(Service)
    for instance in instances:
        owner, _ = USERS[instance.service]
        known = Keeper(owner, 0o400, KNOWN[instance.service])
        # Grafana keeps what it is given; whatever it holds for no secret (a webhook's URL) in clear.
        told = Keeper(owner, 0o640, known.secrets | CHANNELS | {TOKEN})
        keepers = {
            instance.config_volume: known,
            instance.data_volume: told if instance.service is Service.GRAFANA else None,
        }
        for volume, keeper in keepers.items():
            if volume is not None:
                search.archive(f"volume {volume}:", files_of(stack, volume), keeper)
                searched.add(volume)
    volumes = stack.client.volumes.list(filters={"name": f"{stack.prefix}-"})
    assert {volume.name for volume in volumes} == searched


def send(
    stack: Platform, service: Service, path: str, body: bytes | None = None, login: str | None = None
) -> tuple[int, bytes]:
    """Ask a service at its own address, published or not, with TLS or without; status, headers and body."""
    networks = stack.container(service).attrs["NetworkSettings"]["Networks"]
    port = topology.CONTAINER_PORTS[service]
    address = f"{networks[f'{stack.prefix}-net']['IPAddress']}:{port}"
    context = ssl.create_default_context(cadata=AUTHORITY.certificate)
    # The certificate is for names, not for what Docker hands out.
    context.check_hostname = False
    given = login or f"prometheus:{VALUES[Secret.SCRAPE_PLATFORM_PASSWORD]}"
    headers = {"Authorization": f"Basic {b64encode(given.encode()).decode()}"}
    headers |= {"Content-Type": "application/json"} if body is not None else {}
    status, content = 0, b""
    for scheme in ("https", "http"):
        request = urllib.request.Request(f"{scheme}://{address}{path}", body, headers)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=15, context=context) as answer:  # noqa: S310
                return answer.status, str(answer.headers).encode() + answer.read()
        except urllib.error.HTTPError as error:
            status, content = error.code, str(error.headers).encode() + error.read()
        except OSError:
            continue
    return status, content


PAGES: dict[Service, tuple[str, ...]] = {
    Service.PROMETHEUS: (
        *("/metrics", "/config", "/api/v1/status/config", "/api/v1/status/flags"),
        *("/api/v1/status/runtimeinfo", "/api/v1/targets", "/api/v1/rules", "/api/v1/alertmanagers"),
    ),
    Service.ALERTMANAGER: ("/metrics", "/api/v2/status", "/api/v2/receivers", "/api/v2/alerts"),
    Service.DISCOVERY: (
        *("/", "/metrics", "/guests", "/healthz", "/readyz", "/openapi.json"),
        *("/targets", "/targets/windows", "/targets/linux", "/targets/nodes", "/targets/gpu", "/targets/pve"),
    ),
    Service.PVE_EXPORTER: ("/", "/metrics", "/pve?target=pve1.lab"),
    Service.GRAFANA: ("/api/health", "/metrics"),
}
POINTS = "/api/v1/provisioning/contact-points"
FOR_ADMINISTRATORS = (
    POINTS,
    "/api/v1/provisioning/policies",
    "/api/v1/provisioning/templates",
    "/api/v1/provisioning/mute-timings",
    "/api/v1/provisioning/alert-rules/pve-prometheus-unreachable",
    "/api/datasources",
    "/api/serviceaccounts/search",
    "/api/folders",
    *(f"/api/dashboards/uid/{entry.uid}" for entry in DASHBOARDS),
)


@pytest.mark.parametrize("service", Service)
def test_none_is_in_what_a_service_answers(stack: Platform, search: Search, service: Service) -> None:
    answers = {path: send(stack, service, path) for path in PAGES.get(service, ("/", "/metrics"))}
    for path, (status, content) in answers.items():
        search.look(f"answer of {service} to {path} ({status})", content)
    assert 200 in {status for status, _ in answers.values()}, answers


def test_grafana_tells_an_administrator_none_but_the_url_of_a_webhook(
    stack: Platform, search: Search
) -> None:
    """Which it holds for no secret; others are told nothing."""
    login = f"admin:{ADMIN_PASSWORD}"
    for path in FOR_ADMINISTRATORS:
        status, content = send(stack, Service.GRAFANA, path, login=login)
        assert status == 200, (path, status)
        search.look(f"answer of grafana to {path}", content, allowed={Secret.WEBHOOK_URL})
        status, content = send(stack, Service.GRAFANA, path, login="admin:wrong")
        assert status == 401
        search.look(f"refusal of grafana of {path}", content)
    _, points = send(stack, Service.GRAFANA, POINTS, login=login)
    assert b"[REDACTED]" in points


def test_none_is_left_behind(stack: Platform, search: Search) -> None:
    result = stack.pulumi("destroy", "--yes", "--skip-preview", "--diff")
    search.look("output of pulumi destroy --diff", result.stdout + result.stderr)
    assert result.returncode == 0, "pulumi destroy failed"
    client = stack.client
    assert containers(stack) == {}
    assert client.volumes.list(filters={"name": f"{stack.prefix}-"}) == []
    search.files("file beside the stack:", stack.directory)
