"""alertmanager.yml: routes, channels, inhibition and files of secrets, and that Alertmanager accepts it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from components.render import alertmanager as render
from components.settings import SCRAPE_PASSWORDS, TLS_KEYS, Secret
from tests.support.amtool import amtool
from tests.support.examples import EXAMPLES, settings

EVERY_SECRET = frozenset(Secret)


def rendered(name: str, given: frozenset[Secret] = EVERY_SECRET) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(render.alertmanager_yml(settings(EXAMPLES[name]), given))
    return document


def receivers(document: dict[str, Any]) -> dict[str, set[str]]:
    return {r["name"]: set(r) - {"name"} for r in document["receivers"]}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "templates").mkdir()
    (tmp_path / render.TEMPLATE_FILE).write_text(render.templates(), "utf-8")
    tmp_path.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("name", EXAMPLES)
def test_alertmanager_accepts_it(name: str, directory: Path) -> None:
    text = render.alertmanager_yml(settings(EXAMPLES[name]), EVERY_SECRET)
    (directory / "alertmanager.yml").write_text(text, "utf-8")
    result = amtool(
        "check-config",
        "--enable-feature=utf8-strict-mode",
        "/etc/alertmanager/alertmanager.yml",
        directory=directory,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Found:" in result.stdout


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ({"alertname": "HostDown", "severity": "critical"}, "critical"),
        ({"alertname": "GuestMemoryLow", "severity": "warning"}, "warning"),
        ({"alertname": "Backup", "severity": "info"}, "info"),
        ({"alertname": "Odd"}, "default"),
        ({"alertname": "Watchdog", "severity": "none"}, "watchdog"),
    ],
)
def test_routes_by_severity(labels: dict[str, str], receiver: str, directory: Path) -> None:
    text = render.alertmanager_yml(settings(EXAMPLES["all-channels"]), EVERY_SECRET)
    (directory / "alertmanager.yml").write_text(text, "utf-8")
    words = [f"{key}={value}" for key, value in labels.items()]
    result = amtool(
        *("config", "routes", "test", "--config.file=/etc/alertmanager/alertmanager.yml"),
        *words,
        directory=directory,
    )
    assert result.stdout.strip() == receiver, result.stderr


def test_critical_reaches_all_of_its_channels_at_once() -> None:
    found = receivers(rendered("all-channels"))
    assert found["critical"] == {
        *("email_configs", "webhook_configs", "slack_configs", "msteamsv2_configs"),
        *("discord_configs", "telegram_configs", "pagerduty_configs"),
    }
    assert found["default"] == {"email_configs"}
    assert found["warning"] == {"email_configs"}
    assert found["info"] == {"webhook_configs"}


def test_groups_are_by_alert_severity_and_node() -> None:
    assert rendered("minimal")["route"]["group_by"] == ["alertname", "severity", "node"]


def test_repeat_intervals_differ_by_severity() -> None:
    routes = {route["receiver"]: route["repeat_interval"] for route in rendered("minimal")["route"]["routes"]}
    assert routes == {"watchdog": "50s", "critical": "1h", "warning": "4h", "info": "1d"}


def test_a_severity_is_muted_at_its_times_and_the_watchdog_never() -> None:
    document = rendered("all-channels")
    muted = {r["receiver"]: r.get("mute_time_intervals") for r in document["route"]["routes"]}
    assert muted == {
        "watchdog": None,
        "critical": None,
        "warning": ["nights"],
        "info": ["nights", "first-sunday"],
    }
    assert document["time_intervals"] == [
        {
            "name": "nights",
            "time_intervals": [
                {
                    "times": [
                        {"start_time": "22:00", "end_time": "24:00"},
                        {"start_time": "00:00", "end_time": "06:30"},
                    ],
                    "location": "Europe/Berlin",
                }
            ],
        },
        {
            "name": "first-sunday",
            "time_intervals": [{"weekdays": ["sunday"], "days_of_month": ["1:7"], "location": "UTC"}],
        },
    ]


def test_mail_has_our_text_and_no_page_beside_it() -> None:
    (receiver,) = [r for r in rendered("all-channels")["receivers"] if r["name"] == "critical"]
    (email,) = receiver["email_configs"]
    assert (email["text"], email["html"]) == (render.TEXT, "")


def test_the_watchdog_is_sent_only_where_its_url_is_given() -> None:
    assert receivers(rendered("minimal"))["watchdog"] == {"webhook_configs"}
    assert receivers(rendered("minimal", frozenset()))["watchdog"] == set()


def test_no_secret_stands_in_the_text_and_every_file_it_names_is_delivered() -> None:
    made = settings(EXAMPLES["all-channels"])
    text = render.alertmanager_yml(made, EVERY_SECRET)
    named = {
        value.removeprefix(f"{render.CONFIG_DIR}/")
        for receiver in yaml.safe_load(text)["receivers"]
        for configs in receiver.values()
        if isinstance(configs, list)
        for config in configs
        for key, value in config.items()
        if key.endswith("_file")
    }
    assert named == set(render.secret_files(made, EVERY_SECRET))
    assert set(render.secret_files(made, EVERY_SECRET).values()) == set(EVERY_SECRET) - {
        *(Secret.PVE_DISCOVERY_TOKEN, Secret.PVE_EXPORTER_TOKEN, Secret.GRAFANA_ADMIN_PASSWORD),
        *(Secret.REMOTE_WRITE_PASSWORD, Secret.PVE_PROVISIONING_TOKEN, Secret.TLS_CA_KEY),
        *(Secret.TLS_GATEWAY_KEY, Secret.GATEWAY_PASSWORD, Secret.OIDC_CLIENT_SECRET),
        *(*TLS_KEYS.values(), *SCRAPE_PASSWORDS.values()),
    }


def test_inhibition_names_its_sources_and_what_follows() -> None:
    rules = rendered("minimal")["inhibit_rules"]
    assert [(rule["source_matchers"][0], rule["target_matchers"][0]) for rule in rules] == [
        ('alertname="HostDown"', 'scope="guest"'),
        ('alertname="HostDown"', 'scope="host"'),
        ('severity="critical"', 'severity="warning"'),
        ('alertname="ProxmoxApiUnreachable"', 'depends="pve-api"'),
    ]
    assert all("cluster" in rule["equal"] for rule in rules)
    # Of two guests on one node, one critical must not silence the other's warning.
    assert {"alertname", "node", "vm_id"} <= set(rules[2]["equal"])


@pytest.mark.parametrize(
    ("name", "held_back"),
    [("proxmox", ['depends="pve-api"']), ("two-vms", ['depends="pve-api"', 'severity!="critical"'])],
)
def test_an_api_that_one_of_two_hosts_cannot_read_holds_no_critical_alert_back(
    name: str, held_back: list[str]
) -> None:
    document = yaml.safe_load(render.alertmanager_yml(settings(EXAMPLES[name]), frozenset()))
    (rule,) = [r for r in document["inhibit_rules"] if "ProxmoxApiUnreachable" in str(r["source_matchers"])]
    assert rule["target_matchers"] == held_back
