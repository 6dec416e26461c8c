"""Jobs for exporters with and without TLS: who is asked how, and under which labels."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from components.render import prometheus as render
from components.topology import plan
from lab.preview.recording.jobs import Groups, Target, targets
from tests.support.examples import ENCRYPTED, settings

SECURE = {
    "scheme": "https",
    "tls_config": {"ca_file": "/etc/prometheus/tls/ca.pem", "server_name": "hosts.pve-monitoring.internal"},
    "basic_auth": {
        "username_file": "/etc/prometheus/secrets/scrape_hosts_user",
        "password_file": "/etc/prometheus/secrets/scrape_hosts_password",
    },
    "follow_redirects": False,
}
ACCESS = ("scheme", "tls_config", "basic_auth", "authorization", "http_headers")


def jobs(**changes: Any) -> dict[str, dict[str, Any]]:
    made = settings({**ENCRYPTED, **changes})
    document = yaml.safe_load(render.prometheus_yml(made, plan(made)))
    return {job["job_name"]: job for job in document["scrape_configs"]}


def discovered(path: str) -> Groups:
    """Two guests, of which 102 doesn't speak TLS yet, and a host; two of the three have a GPU."""

    def guest(vmid: int, tags: str) -> dict[str, Any]:
        labels = {"cluster": "lab", "vm_id": str(vmid), "vm_name": "a", "__meta_pve_tags": tags}
        return {"targets": [f"192.0.2.{vmid}:1"], "labels": labels}

    host = {"targets": ["192.0.2.11:1"], "labels": {"cluster": "lab", "node": "pve1"}}
    guests = [guest(101, ",not-plain-metrics,"), guest(102, ",a,plain-metrics,web,")]
    return {"nodes": [host], "gpu": [host, *guests], "windows": guests, "linux": guests}.get(path, [])


def asked(**changes: Any) -> dict[str, list[Target]]:
    return {name: targets([job], discovered) for name, job in jobs(**changes).items()}


def test_hosts_and_guests_have_passwords_of_their_own() -> None:
    found = jobs()
    for name in ("node", "node-static", "gpu"):
        assert {key: found[name][key] for key in SECURE} == SECURE
    guests = yaml.safe_load(yaml.safe_dump(SECURE).replace("hosts", "guests"))
    for name in ("windows", "linux", "gpu-guests"):
        assert {key: found[name][key] for key in SECURE} == guests


def test_guests_that_do_not_speak_tls_yet_get_no_password() -> None:
    found = jobs()
    for name in ("windows-plain", "linux-plain", "gpu-guests-plain"):
        assert not set(ACCESS) & found[name].keys()
        twin = found[name.removesuffix("-plain")]
        differs = {*ACCESS, "job_name", "relabel_configs", "follow_redirects"}
        assert {k: v for k, v in twin.items() if k not in differs} == {
            k: v for k, v in found[name].items() if k not in differs
        }


@pytest.mark.parametrize("labels", ["full", "lean"])
def test_each_guest_is_asked_by_one_of_two_jobs_under_the_same_labels(labels: str) -> None:
    found = asked(scrape={"labels": labels})
    for name in ("windows", "linux"):
        (encrypted,), (plain,) = found[name], found[f"{name}-plain"]
        assert (encrypted.address, plain.address) == ("192.0.2.101:1", "192.0.2.102:1")
        assert encrypted.job == plain.job == name
        assert dict(encrypted.labels).keys() == {"job", "instance", "cluster", "vm_id", "vm_name"}
        assert dict(encrypted.labels).keys() == dict(plain.labels).keys()
        assert dict(plain.labels)["job"] == name


@pytest.mark.parametrize("labels", ["full", "lean"])
def test_gpus_of_hosts_and_guests_are_told_apart(labels: str) -> None:
    found = asked(scrape={"labels": labels})
    (host,), (guest,), (plain,) = found["gpu"], found["gpu-guests"], found["gpu-guests-plain"]
    assert [one.address[-5:] for one in (host, guest, plain)] == [".11:1", "101:1", "102:1"]
    assert {one.job for one in (host, guest, plain)} == {"gpu"}
    assert dict(host.labels) == {
        "job": "gpu",
        "instance": "192.0.2.11:1",
        "cluster": "lab",
        "node": "pve1",
    }


@pytest.mark.parametrize(
    ("tls", "secured"),
    [
        ("off", set()),
        ({"hosts": False, "platform": False}, {"gpu-guests", "windows", "linux"}),
        ({"guests": False, "platform": False}, {"node", "node-static", "gpu"}),
        ({"platform": False}, {"node", "node-static", "gpu", "gpu-guests", "windows", "linux"}),
    ],
)
def test_each_group_can_be_switched_off(tls: Any, secured: set[str]) -> None:
    found = jobs(tls=tls)
    assert {name for name, job in found.items() if "basic_auth" in job} == secured
    assert {name for name, job in found.items() if job.get("scheme") == "https"} == secured


def test_without_tls_a_job_is_what_it_was() -> None:
    assert jobs(tls="off")["gpu"].get("relabel_configs") is None
    assert "gpu-guests" not in jobs(tls="off")
    assert not [name for name in jobs(tls="off") if name.endswith("-plain")]
    assert not [name for name in jobs(tls={}) if name.endswith("-plain")]


def test_a_machine_outside_may_speak_plainly() -> None:
    hosts = [
        {"name": "nas", "target": "nas.example.com:9100", "tls": False},
        {"name": "backup", "target": "backup.example.com:9100"},
    ]
    found = jobs(scrape={"staticHosts": hosts})
    assert found["node-static"]["scheme"] == "https"
    assert [g["targets"] for g in found["node-static"]["static_configs"]] == [["backup.example.com:9100"]]
    assert not set(ACCESS) & found["node-static-plain"].keys()
    (group,) = found["node-static-plain"]["static_configs"]
    assert group["labels"] == {"job": "node", "cluster": "home", "node": "nas"}
    assert "node-static" not in jobs(scrape={"staticHosts": hosts[:1]})


def test_a_tag_is_taken_as_it_is() -> None:
    (rule, *_) = jobs(tls={"plainTag": "a.b+c"})["windows"]["relabel_configs"]
    assert rule["regex"] == r".*,a\.b\+c,.*"


def test_the_proxy_is_for_all_of_them() -> None:
    names = [name for name, job in jobs().items() if "proxy_url" in job]
    assert names == [
        *("node", "gpu", "gpu-guests", "gpu-guests-plain"),
        *("windows", "windows-plain", "linux", "linux-plain"),
    ]
