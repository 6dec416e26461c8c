from __future__ import annotations

from typing import Any

import httpx
import pytest

from lab.images.grafana.grafana_double.templates import fault

BASE = "/api/v1/provisioning"
BY_HAND = {"X-Disable-Provenance": "disabled"}
EMAIL = {"name": "mail", "type": "email", "settings": {"addresses": "a@example.com"}}


def contact(grafana: httpx.Client, **changed: Any) -> httpx.Response:
    return grafana.post(f"{BASE}/contact-points", json={**EMAIL, **changed})


def points(grafana: httpx.Client, name: str) -> list[dict[str, Any]]:
    listed = grafana.get(f"{BASE}/contact-points", params={"name": name}).json()
    assert isinstance(listed, list)
    return listed


def policy(grafana: httpx.Client, headers: dict[str, str] | None = None, **tree: Any) -> httpx.Response:
    body = {"receiver": "grafana-default-email", **tree}
    return grafana.put(f"{BASE}/policies", json=body, headers=headers)


def mute(grafana: httpx.Client, *intervals: dict[str, Any], name: str = "quiet") -> httpx.Response:
    return grafana.post(f"{BASE}/mute-timings", json={"name": name, "time_intervals": list(intervals)})


def rule(**changed: Any) -> dict[str, Any]:
    query = {
        "refId": "A",
        "datasourceUid": "prom",
        "relativeTimeRange": {"from": 600},
        "model": {"refId": "A"},
    }
    return {
        "title": "Down",
        "condition": "A",
        "data": [query],
        "for": "5m0s",
        "noDataState": "NoData",
        "execErrState": "Error",
        "folderUID": "f",
        "ruleGroup": "g",
        "orgID": 1,
        **changed,
    }


def group(
    grafana: httpx.Client, *rules: dict[str, Any], interval: int = 60, headers: dict[str, str] | None = None
) -> httpx.Response:
    grafana.post("/api/folders", json={"uid": "f", "title": "F"})
    body = {"title": "g", "folderUid": "f", "interval": interval, "rules": list(rules)}
    return grafana.put(f"{BASE}/folder/f/rule-groups/g", json=body, headers=headers)


# Contact points


def test_secrets_are_redacted_and_kept_by_the_word(grafana: httpx.Client) -> None:
    settings = {"url": "https://hooks.example.com/secret", "token": "t", "recipient": "#a"}
    made = contact(grafana, type="slack", settings=settings).json()
    assert made["settings"] == {"url": "[REDACTED]", "token": "[REDACTED]", "recipient": "#a"}
    path = f"{BASE}/contact-points/{made['uid']}"
    kept = {**EMAIL, "type": "slack", "settings": {"url": "[REDACTED]", "recipient": "#b"}}
    assert grafana.put(path, json=kept).status_code == 202
    assert points(grafana, "mail")[0]["settings"] == {"url": "[REDACTED]", "recipient": "#b"}
    # The kept secret is the real one: a slack contact point without any is refused.
    none = grafana.put(path, json={**kept, "settings": {"recipient": "#b"}})
    assert none.status_code == 400
    assert "token must be specified" in none.json()["message"]


def test_a_webhook_url_is_no_secret(grafana: httpx.Client) -> None:
    settings = {"url": "https://hooks.example.com", "username": "u", "password": "p"}
    made = contact(grafana, type="webhook", settings=settings).json()
    assert made["settings"] == {**settings, "password": "[REDACTED]"}


def test_the_same_name_adds_an_integration(grafana: httpx.Client) -> None:
    contact(grafana)
    contact(grafana, type="webhook", settings={"url": "https://hooks.example.com"})
    contact(grafana, name="a first one")
    assert [point["type"] for point in points(grafana, "mail")] == ["email", "webhook"]
    everything = grafana.get(f"{BASE}/contact-points").json()
    assert [point["name"] for point in everything] == ["a first one", "grafana-default-email", "mail", "mail"]


def test_uids_of_contact_points(grafana: httpx.Client) -> None:
    assert contact(grafana, uid="one").json()["uid"] == "one"
    taken = contact(grafana, uid="one", name="other")
    assert (taken.status_code, taken.json()["messageId"]) == (
        409,
        "alerting.notifications.contact-points.uidInUse",
    )
    assert grafana.put(f"{BASE}/contact-points/none", json=EMAIL).status_code == 404
    assert grafana.delete(f"{BASE}/contact-points/none").status_code == 202


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("email", {}, "could not find addresses in settings"),
        ("webhook", {}, "'url' is not specified"),
        ("telegram", {"bottoken": "t"}, "could not find Chat Id in settings"),
        (
            "webhook",
            {"url": "https://example.com", "username": "u", "authorization_scheme": "Bearer"},
            "only 1 is permitted",
        ),
    ],
)
def test_settings_that_a_type_needs(
    grafana: httpx.Client, kind: str, settings: dict[str, Any], message: str
) -> None:
    response = contact(grafana, type=kind, settings=settings)
    assert response.status_code == 400
    assert response.json()["message"].startswith("invalid object specification: ")
    assert message in response.json()["message"]


def test_a_used_contact_point_keeps_its_last_integration(grafana: httpx.Client) -> None:
    first, second = (contact(grafana).json()["uid"] for _ in range(2))
    assert policy(grafana, routes=[{"receiver": "mail"}]).status_code == 202
    assert grafana.delete(f"{BASE}/contact-points/{first}").status_code == 202
    refused = grafana.delete(f"{BASE}/contact-points/{second}")
    assert (refused.status_code, refused.json()["messageId"]) == (
        409,
        "alerting.notifications.contact-points.referenced",
    )
    grafana.delete(f"{BASE}/policies")
    group(grafana, rule(notification_settings={"receiver": "mail"}))
    refused = grafana.delete(f"{BASE}/contact-points/{second}")
    assert refused.json()["messageId"] == "alerting.notifications.contact-points.used-by-rule"
    grafana.delete("/api/folders/f?forceDeleteRules=true")
    assert grafana.delete(f"{BASE}/contact-points/{second}").status_code == 202
    assert points(grafana, "mail") == []


# Provenance


def test_provenance_is_taken_but_not_given_back(grafana: httpx.Client) -> None:
    uid = grafana.post(f"{BASE}/contact-points", json=EMAIL, headers=BY_HAND).json()["uid"]
    assert "provenance" not in points(grafana, "mail")[0]
    path = f"{BASE}/contact-points/{uid}"
    assert grafana.put(path, json=EMAIL).status_code == 202
    assert points(grafana, "mail")[0]["provenance"] == "api"
    assert grafana.put(path, json=EMAIL, headers=BY_HAND).status_code == 500

    assert policy(grafana).status_code == 202
    refused = policy(grafana, headers=BY_HAND)
    assert (refused.status_code, refused.json()["messageId"]) == (403, "alerting.provenanceMismatch")
    grafana.delete(f"{BASE}/policies")
    assert policy(grafana, headers=BY_HAND).status_code == 202
    assert "provenance" not in grafana.get(f"{BASE}/policies").json()

    template = {"template": '{{ define "t" }}{{ end }}'}
    grafana.put(f"{BASE}/templates/t", json=template)
    assert grafana.put(f"{BASE}/templates/t", json=template, headers=BY_HAND).status_code == 403

    mute(grafana)
    body = {"name": "quiet", "time_intervals": []}
    assert grafana.put(f"{BASE}/mute-timings/quiet", json=body, headers=BY_HAND).status_code == 403

    group(grafana, rule(uid="r"))
    refused = group(grafana, rule(uid="r"), headers=BY_HAND)
    assert (refused.status_code, refused.json()["messageId"]) == (409, "alerting.provenanceMismatch")


# Policies


@pytest.mark.parametrize(
    ("tree", "reason"),
    [
        ({"receiver": ""}, "root route must specify a default receiver"),
        ({"object_matchers": [["a", "=", "b"]]}, "root route must not have any matchers"),
        ({"mute_time_intervals": ["quiet"]}, "root route must not have any mute time intervals"),
        ({"receiver": "nobody"}, "receiver 'nobody' does not exist"),
        ({"routes": [{"routes": [{"receiver": "nobody"}]}]}, "receiver 'nobody' does not exist"),
        ({"routes": [{"mute_time_intervals": ["never"]}]}, "time interval 'never' does not exist"),
        ({"routes": [{"active_time_intervals": ["never"]}]}, "time interval 'never' does not exist"),
        ({"routes": [{"object_matchers": [["a", "==", "b"]]}]}, "unsupported match type == in matcher"),
        ({"routes": [{"object_matchers": [["a", "=~", "("]]}]}, "invalid regular expression in the matcher"),
        ({"group_wait": "5"}, 'not a valid duration string: "5"'),
        ({"repeat_interval": "0s"}, "repeat_interval cannot be zero"),
        ({"group_by": ["...", "a"]}, "cannot have wildcard group_by"),
        ({"group_by": ["a", "a"]}, "duplicated label in group_by"),
    ],
)
def test_trees_that_are_refused(grafana: httpx.Client, tree: dict[str, Any], reason: str) -> None:
    response = policy(grafana, **tree)
    assert response.status_code == 400
    assert response.json()["messageId"] == "alerting.notifications.routes.invalidFormat"
    assert reason in response.json()["message"]
    assert grafana.get(f"{BASE}/policies").json()["group_by"] == ["grafana_folder", "alertname"]


def test_a_tree_is_normalized(grafana: httpx.Client) -> None:
    matchers = [["b", "=", "1"], ["a", "=~", "2"], ["a", "!=", "1"]]
    routes = [{"object_matchers": matchers, "repeat_interval": "24h", "group_by": [], "continue": False}]
    assert policy(grafana, group_wait="90s", group_by=None, routes=routes).status_code == 202
    assert grafana.get(f"{BASE}/policies").json() == {
        "receiver": "grafana-default-email",
        "group_wait": "1m30s",
        "routes": [
            {
                "object_matchers": [["a", "!=", "1"], ["a", "=~", "2"], ["b", "=", "1"]],
                "repeat_interval": "1d",
            }
        ],
        "provenance": "api",
    }


# Templates


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ('  {{ define "t" }}x{{ end }}\n', '{{ define "t" }}x{{ end }}'),
        ("a\nb", '{{ define "t" }}\n  a\n  b\n{{ end }}'),
        (
            '{{- define "t" -}}x{{- end }}',
            '{{ define "t" }}\n  {{- define "t" -}}x{{- end }}\n{{ end }}',
        ),
    ],
)
def test_template_text(grafana: httpx.Client, given: str, stored: str) -> None:
    made = grafana.put(f"{BASE}/templates/t", json={"template": given})
    assert (made.status_code, made.json()["template"]) == (202, stored)
    assert grafana.get(f"{BASE}/templates/t").json() == made.json()
    assert grafana.get(f"{BASE}/templates").json() == [made.json()]


def test_template_versions_and_deletion(grafana: httpx.Client) -> None:
    path = f"{BASE}/templates/a%2Fb%20%C3%BC"
    version = grafana.put(path, json={"template": "x"}).json()["version"]
    assert grafana.get(path).json()["name"] == "a/b ü"
    assert grafana.put(path, json={"template": "y", "version": "0000"}).status_code == 409
    assert grafana.put(path, json={"template": "y", "version": version}).json()["version"] != version
    assert grafana.put(path, json={"template": " "}).status_code == 400
    assert grafana.delete(path).status_code == 204
    assert grafana.delete(path).status_code == 204
    assert grafana.get(path).status_code == 404


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{{ define "a" }}{{ if .X }}x{{ else }}y{{ end }}{{/* end */}}{{ end }}', ""),
        ('{{ define "a" }}{{ range .X }}{{ end }}', "unexpected EOF"),
        ('{{ define "a" }}{{ end }}{{ end }}', "unexpected {{end}}"),
        ('{{ define "a" }}{{ .X {{ end }}', "unclosed action"),
    ],
)
def test_template_syntax(text: str, expected: str) -> None:
    assert fault(text) == expected


# Mute timings


def test_intervals_are_normalized(grafana: httpx.Client) -> None:
    made = mute(
        grafana,
        {
            "weekdays": ["Monday:Friday", "SUNDAY"],
            "months": ["january:march", "12"],
            "days_of_month": ["1:5", "-3:-1"],
            "years": [],
            "times": [{"start_time": "09:00", "end_time": "24:00"}],
            "location": "Europe/Berlin",
        },
    )
    assert made.status_code == 201
    assert made.json()["time_intervals"] == [
        {
            "times": [{"start_time": "09:00", "end_time": "24:00"}],
            "weekdays": ["monday:friday", "sunday"],
            "days_of_month": ["1:5", "-3:-1"],
            "months": ["1:3", "12"],
            "location": "Europe/Berlin",
        }
    ]


@pytest.mark.parametrize(
    "interval",
    [
        {"weekdays": ["someday"]},
        {"weekdays": ["friday:monday"]},
        {"weekdays": ["friday:sunday"]},
        {"months": ["13"]},
        {"months": ["april:march"]},
        {"days_of_month": ["0"]},
        {"days_of_month": ["5:1"]},
        {"days_of_month": ["-1:5"]},
        {"days_of_month": ["1:2:3"]},
        {"years": ["MMXX"]},
        {"times": [{"start_time": "10:00", "end_time": "09:00"}]},
        {"times": [{"start_time": "9:00", "end_time": "10:00"}]},
        {"location": "Mars/Olympus"},
    ],
)
def test_intervals_that_are_refused(grafana: httpx.Client, interval: dict[str, Any]) -> None:
    response = mute(grafana, interval)
    assert response.status_code == 400
    assert response.json()["messageId"] == "alerting.notifications.time-intervals.invalidFormat"


def test_mute_timings_in_use_and_missing(grafana: httpx.Client) -> None:
    mute(grafana)
    same = mute(grafana)
    assert (same.status_code, same.json()["messageId"]) == (
        400,
        "alerting.notifications.time-intervals.nameExists",
    )
    path = f"{BASE}/mute-timings/quiet"
    policy(grafana, routes=[{"mute_time_intervals": ["quiet"]}])
    used = grafana.delete(path)
    assert (used.status_code, used.json()["messageId"]) == (409, "alerting.notifications.time-intervals.used")
    grafana.delete(f"{BASE}/policies")
    settings = {"receiver": "grafana-default-email", "mute_time_intervals": ["quiet"]}
    group(grafana, rule(uid="r", notification_settings=settings))
    assert grafana.delete(path).status_code == 409
    # What the provider does then: it takes the mute timing out of the rule.
    body = {
        key: value for key, value in grafana.get(f"{BASE}/alert-rules/r").json().items() if key != "record"
    }
    body["notification_settings"] = {"receiver": "grafana-default-email"}
    assert grafana.put(f"{BASE}/alert-rules/r", json=body).status_code == 200
    changed = {"name": "quiet", "time_intervals": [{"years": ["2030"]}]}
    assert grafana.put(path, json=changed).status_code == 202
    assert grafana.get(path).json()["time_intervals"] == [{"years": ["2030"]}]
    assert grafana.delete(path).status_code == 204
    assert grafana.delete(path).status_code == 204
    assert grafana.get(path).status_code == 404
    assert grafana.put(path, json=changed).status_code == 404


# Rules


def test_rules_get_what_the_server_adds(grafana: httpx.Client) -> None:
    body = rule(labels={"a": "b"})
    body["data"][0]["model"] = {"refId": "A", "expr": "up", "queryType": "instant", "maxDataPoints": 5}
    echoed = group(grafana, body).json()
    assert echoed["rules"] == [body]
    (stored,) = grafana.get(f"{BASE}/folder/f/rule-groups/g").json()["rules"]
    assert stored["data"] == [
        {
            "refId": "A",
            "queryType": "instant",
            "relativeTimeRange": {"from": 600, "to": 0},
            "datasourceUid": "prom",
            "model": {
                "refId": "A",
                "expr": "up",
                "queryType": "instant",
                "intervalMs": 1000,
                "maxDataPoints": 5,
            },
        }
    ]
    assert len(stored["uid"]) == 14
    assert (stored["for"], stored["keep_firing_for"], stored["isPaused"]) == ("5m", "0s", False)
    assert "annotations" not in stored
    assert not [key for key in stored if key.startswith("_")]


def test_a_group_is_replaced_in_the_order_of_the_body(grafana: httpx.Client) -> None:
    group(grafana, rule(uid="a", title="A"), rule(uid="b", title="B"), interval=60)
    before = grafana.get(f"{BASE}/alert-rules/b").json()
    group(grafana, rule(uid="c", title="C"), rule(uid="b", title="B"), interval=120)
    read = grafana.get(f"{BASE}/folder/f/rule-groups/g").json()
    assert read["interval"] == 120
    assert [one["uid"] for one in read["rules"]] == ["c", "b"]
    assert read["rules"][1] == before
    missing = grafana.get(f"{BASE}/alert-rules/a")
    assert (missing.status_code, missing.content) == (404, b"")


@pytest.mark.parametrize(
    ("rules", "interval", "status", "message"),
    [
        ([rule(condition="B")], 60, 400, "Condition B does not exist, must be one of [A]"),
        (
            [rule()],
            15,
            400,
            "interval (15s) should be non-zero and divided exactly by scheduler interval: 10",
        ),
        ([rule()], 0, 400, "interval (0s) should be non-zero"),
        ([rule(**{"for": "soon"})], 60, 400, "not a valid duration string"),
        ([rule(), rule()], 60, 409, "rule title under the same organisation and folder should be unique"),
        ([rule(uid="a"), rule(uid="a", title="B")], 60, 400, "a rule uid stands twice"),
        ([rule(noDataState="Maybe")], 60, 400, "rules.0.noDataState: Input should be"),
        ([rule(notification_settings={"receiver": "x"})], 60, 400, "receiver x does not exist"),
        ([rule(ruleGroup="other")], 60, 400, "differ from those in the path"),
        ([], 60, 400, "a group without rules"),
    ],
)
def test_groups_that_are_refused(
    grafana: httpx.Client, rules: list[dict[str, Any]], interval: int, status: int, message: str
) -> None:
    response = group(grafana, *rules, interval=interval)
    assert response.status_code == status
    assert message in response.json()["message"]


def test_ranges_and_references_of_queries(grafana: httpx.Client) -> None:
    empty_range = rule()
    empty_range["data"] = [{**empty_range["data"][0], "relativeTimeRange": {}}]
    refused = group(grafana, empty_range)
    assert refused.json()["messageId"] == "alerting.alert-rule.invalidRelativeTime"
    twice = rule()
    twice["data"] = twice["data"] * 2
    assert group(grafana, twice).status_code == 400


def test_rules_of_a_missing_folder_and_of_a_deleted_one(grafana: httpx.Client) -> None:
    body = {"interval": 60, "rules": [rule(folderUID="none")]}
    missing = grafana.put(f"{BASE}/folder/none/rule-groups/g", json=body)
    assert (missing.status_code, missing.json()["message"]) == (
        400,
        "invalid alert rule: folder does not exist",
    )
    group(grafana, rule(uid="a"))
    assert grafana.delete("/api/folders/f").status_code == 400
    assert grafana.delete(f"{BASE}/alert-rules/a").status_code == 204
    assert grafana.delete(f"{BASE}/alert-rules/a").status_code == 204
    assert grafana.get(f"{BASE}/folder/f/rule-groups/g").status_code == 404
    assert grafana.delete("/api/folders/f").status_code == 200


def test_group_names_are_matched_before_they_are_decoded(grafana: httpx.Client) -> None:
    grafana.post("/api/folders", json={"uid": "f", "title": "F"})
    body = {"interval": 60, "rules": [rule(ruleGroup="a/b c")]}
    assert grafana.put(f"{BASE}/folder/f/rule-groups/a%2Fb%20c", json=body).status_code == 200
    assert grafana.get(f"{BASE}/folder/f/rule-groups/a%2Fb%20c").json()["title"] == "a/b c"


def test_single_rules_stay_where_they_are(grafana: httpx.Client) -> None:
    group(grafana, rule(uid="a"))
    path = f"{BASE}/alert-rules/a"
    assert grafana.put(path, json=rule(isPaused=True)).json()["isPaused"] is True
    assert grafana.put(path, json=rule(uid="b")).status_code == 400
    assert grafana.put(path, json=rule(ruleGroup="other")).status_code == 400
    assert grafana.put(f"{BASE}/alert-rules/none", json=rule()).status_code == 404
