"""What only the real engine can show: an empty second run, reloads without restarts, drift and its repair."""

from __future__ import annotations

import itertools
import re
import time
from typing import Any

import pytest
import requests

from components.images import Service
from tests.support import secret_values
from tests.support.platform import Platform, wait_for

pytestmark = [
    pytest.mark.docker,
    pytest.mark.pulumi_cli,
    pytest.mark.usefixtures("cli"),
]

NO_CHANGES = 0
CHANGES = 7


@pytest.fixture(scope="module")
def platform(engine: Platform) -> Platform:
    """A stack whose settings these tests change."""
    return engine


def started(platform: Platform, service: Service) -> str:
    return str(platform.container(service).attrs["State"]["StartedAt"])


def summary(output: str) -> str:
    """The `Resources:` part of the CLI's output, on one line."""
    match = re.search(r"Resources:\n((?:[ ]+.*\n)+)", output)
    return " ".join(match[1].split()) if match else output


def test_a_second_up_changes_nothing(platform: Platform) -> None:
    result = platform.pulumi("preview", "--expect-no-changes")
    assert result.returncode == NO_CHANGES, result.stdout + result.stderr
    result = platform.up_with_cli()
    assert result.returncode == 0
    assert re.fullmatch(r"\d+ unchanged", summary(result.stdout)), result.stdout


def test_nothing_drifts_by_itself(platform: Platform) -> None:
    result = platform.pulumi("preview", "--refresh", "--expect-no-changes")
    assert result.returncode == NO_CHANGES, result.stdout + result.stderr


def test_a_changed_setting_replaces_the_writer_alone_and_is_live_without_a_restart(
    platform: Platform,
) -> None:
    before = started(platform, Service.PROMETHEUS)
    platform.write_config(**{"prometheus.externalLabels": {"site": "test"}})
    preview = platform.pulumi("preview")
    assert re.search(r"\+-1 to replace \d+ unchanged", summary(preview.stdout)), preview.stdout
    result = platform.up_with_cli()
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"\+-1 replaced \d+ unchanged", summary(result.stdout)), result.stdout

    def live() -> bool:
        return "site: test" in platform.get(Service.PROMETHEUS, "/api/v1/status/config")["data"]["yaml"]

    wait_for("the new configuration is live", live, 60)
    assert started(platform, Service.PROMETHEUS) == before


def test_no_scrape_is_missed_over_a_change(platform: Platform) -> None:
    interval = 5.0
    moment = time.time()
    platform.write_config(**{"alerting.runbookBaseUrl": "https://git.example.com/other"})
    assert platform.up_with_cli().returncode == 0

    def live() -> bool:
        rules = platform.get(Service.PROMETHEUS, "/api/v1/rules", type="alert")
        return "git.example.com/other" in str(rules)

    wait_for("the changed rules are live", live, 60)
    end = time.time() + 3 * interval
    wait_for("three more scrapes", lambda: time.time() > end, 60)
    span = int(end - moment) + 15
    for series in platform.query(f'up{{job!~"pve-.*"}}[{span}s]'):
        times = [float(t) for t, _ in series["values"]]
        gaps = [later - sooner for sooner, later in itertools.pairwise(times)]
        assert max(gaps) < 2 * interval - 0.5, (series["metric"], gaps)


def test_alertmanager_is_reloaded_without_a_restart(platform: Platform) -> None:
    before = started(platform, Service.ALERTMANAGER)
    platform.write_config(**{"alerting.repeatIntervals": {"critical": "17m"}})
    assert platform.up_with_cli().returncode == 0

    def live() -> bool:
        return "17m" in platform.get(Service.ALERTMANAGER, "/api/v2/status")["config"]["original"]

    wait_for("the new routes are live", live, 30)
    assert started(platform, Service.ALERTMANAGER) == before


PROVISIONING = "/api/v1/provisioning"


def _grafana(platform: Platform, method: str, path: str, body: Any = None) -> Any:
    response = requests.request(
        method,
        f"{platform.url(Service.GRAFANA)}{path}",
        json=body,
        auth=("admin", secret_values.ADMIN_PASSWORD),
        timeout=15,
    )
    response.raise_for_status()
    return response.json() if response.content else None


def _alerting(platform: Platform) -> dict[str, Any]:
    """What Grafana tells people, and how, as its API answers it."""
    paths = {
        "points": f"{PROVISIONING}/contact-points",
        "policy": f"{PROVISIONING}/policies",
        "template": f"{PROVISIONING}/templates/pve_monitoring",
        "timing": f"{PROVISIONING}/mute-timings/nights",
        "rule": f"{PROVISIONING}/alert-rules/pve-prometheus-unreachable",
    }
    found = {name: _grafana(platform, "GET", path) for name, path in paths.items()}
    # An integration that is put right is a new one, in another place; and versions count.
    points = [{k: v for k, v in point.items() if k != "uid"} for point in found["points"]]
    found["points"] = sorted(points, key=lambda point: (point["name"], point["type"]))
    found["template"].pop("version", None)
    found["timing"].pop("version", None)
    found["rule"].pop("updated")
    found["rule"].pop("id")
    return found


def test_alerting_of_grafana_is_watched_for_drift_and_repaired(platform: Platform) -> None:
    night = {"name": "nights", "times": [{"start": "00:00", "end": "06:30"}], "timeZone": "Europe/Berlin"}
    platform.write_config(**{"alerting.muteTimings": [night]})
    assert platform.up_with_cli().returncode == 0
    assert platform.pulumi("preview", "--refresh", "--expect-no-changes").returncode == NO_CHANGES
    declared = _alerting(platform)
    assert {p["name"] for p in declared["points"]} >= {"default", "critical", "warning", "info"}

    (mail,) = [
        point
        for point in _grafana(platform, "GET", f"{PROVISIONING}/contact-points?name=critical")
        if point["type"] == "email"
    ]
    mail["settings"]["addresses"] = "nobody@example.com"
    policy = declared["policy"]
    fewer = {**policy, "routes": policy["routes"][:1]}
    paused = {**_grafana(platform, "GET", f"{PROVISIONING}/alert-rules/pve-prometheus-unreachable")}
    for method, path, body in (
        ("PUT", f"{PROVISIONING}/contact-points/{mail['uid']}", mail),
        ("PUT", f"{PROVISIONING}/policies", fewer),
        ("PUT", f"{PROVISIONING}/templates/pve_monitoring", {"template": '{{ define "x" }}x{{ end }}'}),
        ("PUT", f"{PROVISIONING}/alert-rules/{paused['uid']}", {**paused, "isPaused": True}),
    ):
        _grafana(platform, method, path, {k: v for k, v in body.items() if k not in _READ_ONLY})
    assert _alerting(platform) != declared

    assert platform.pulumi("preview", "--refresh", "--expect-no-changes").returncode == CHANGES
    assert platform.up_with_cli("--refresh").returncode == 0
    assert _alerting(platform) == declared
    assert platform.pulumi("preview", "--refresh", "--expect-no-changes").returncode == NO_CHANGES


# Answered by Grafana, not taken by it.
_READ_ONLY = ("provenance", "updated", "id")


def test_a_new_token_is_in_use_before_the_former_one_goes(platform: Platform) -> None:
    (account,) = _grafana(platform, "GET", "/api/serviceaccounts/search?query=pulumi")["serviceAccounts"]
    tokens = f"/api/serviceaccounts/{account['id']}/tokens"
    assert [token["name"] for token in _grafana(platform, "GET", tokens)] == ["pulumi-1"]
    platform.write_config(**{"grafana.tokenGeneration": 2, "grafana.timeZone": "Europe/Berlin"})
    assert platform.up_with_cli().returncode == 0
    assert [token["name"] for token in _grafana(platform, "GET", tokens)] == ["pulumi-2"]
    assert _grafana(platform, "GET", "/api/org/preferences")["timezone"] == "Europe/Berlin"
    assert platform.pulumi("preview", "--refresh", "--expect-no-changes").returncode == NO_CHANGES


def test_what_someone_changed_by_hand_is_drift_and_is_repaired(platform: Platform) -> None:
    platform.container(Service.PVE_EXPORTER).remove(force=True)
    result = platform.pulumi("preview", "--refresh", "--expect-no-changes")
    # 7 is a difference; 1 would be an error, which must not be taken for one.
    assert result.returncode == CHANGES, (result.returncode, result.stdout + result.stderr)
    assert platform.up_with_cli("--refresh").returncode == 0
    assert platform.container(Service.PVE_EXPORTER).status == "running"
    assert platform.pulumi("preview", "--refresh", "--expect-no-changes").returncode == NO_CHANGES
