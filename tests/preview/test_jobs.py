from __future__ import annotations

from typing import Any

import pytest

from lab.preview.recording.jobs import Groups, UnknownRelabeling, targets

PVE: dict[str, Any] = {
    "job_name": "pve-cluster",
    "params": {"module": ["default"]},
    "http_sd_configs": [{"url": "http://discovery-a:8000/targets/pve", "refresh_interval": "15s"}],
    "relabel_configs": [
        {"source_labels": ["__meta_active"], "regex": "true", "action": "keep"},
        {"source_labels": ["cluster"], "target_label": "instance"},
        {"source_labels": ["__address__"], "target_label": "__param_target"},
        {"target_label": "__address__", "replacement": "pve-exporter-a:9221"},
    ],
}


def pve(name: str) -> Groups:
    assert name == "pve"
    return [
        {"targets": [f"pve{number}.lab"], "labels": {"__meta_active": active, "cluster": "lab"}}
        for number, active in ((1, "false"), (2, "true"))
    ]


def test_targets_are_found_kept_and_relabelled() -> None:
    (target,) = targets([PVE], pve)
    assert (target.job, target.address) == ("pve-cluster", "pve-exporter-a:9221")
    assert dict(target.params) == {"module": "default", "target": "pve2.lab"}
    assert dict(target.labels) == {"job": "pve-cluster", "cluster": "lab", "instance": "lab"}


def test_static_targets_may_have_another_job_and_get_an_instance() -> None:
    job = {
        "job_name": "node-static",
        "static_configs": [{"targets": ["nas:9100"], "labels": {"job": "node"}}],
    }
    (target,) = targets([job], pve)
    assert dict(target.labels) == {"job": "node", "instance": "nas:9100"}


def test_labels_are_dropped_by_their_whole_name() -> None:
    labels = {"vm_id": "101", "vcpus": "4", "vcpus_max": "8", "empty": ""}
    job = {
        "job_name": "windows",
        "static_configs": [{"targets": ["x:1"], "labels": labels}],
        "relabel_configs": [{"action": "labeldrop", "regex": "vcpus|tags"}],
    }
    (target,) = targets([job], pve)
    assert set(dict(target.labels)) == {"job", "instance", "vm_id", "vcpus_max"}


def test_parts_of_a_match_can_be_put_in() -> None:
    rule = {"source_labels": ["a", "b"], "regex": "(.*);(.*)", "target_label": "c", "replacement": "${2}-$1"}
    static = [{"targets": ["x:1"], "labels": {"a": "1", "b": "2"}}]
    (target,) = targets([{"job_name": "j", "static_configs": static, "relabel_configs": [rule]}], pve)
    assert dict(target.labels)["c"] == "2-1"


def test_an_unknown_action_is_refused() -> None:
    static = [{"targets": ["x:1"]}]
    job = {"job_name": "j", "static_configs": static, "relabel_configs": [{"action": "hashmod"}]}
    with pytest.raises(UnknownRelabeling, match="hashmod"):
        targets([job], pve)
