"""The shared pieces of PromQL, evaluated by Prometheus: with lean labels, and across a migration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from dashboards.queries import EVERY_TAG, TAG_LEFT_OUT, busiest, first_of_host, of_host, of_proxmox, on_hosts
from tests.support.promtool import promtool

# A target with lean labels says nothing of the node: vm:guest:info alone knows that 101 moved at minute 5.
_SERIES = {
    'vm:guest:info{cluster="lab", vm_id="101", vm_name="web01", node="pve1"}': "1x4 stale",
    'vm:guest:info{cluster="lab", vm_id="101", vm_name="web01", node="pve2"}': "_x5 1x5",
    'vm:guest:info{cluster="lab", vm_id="102", vm_name="db01", node="pve2"}': "1x10",
    'vm:disk_read_bytes:rate5m{cluster="lab", vm_id="101", vm_name="web01"}': "7x10",
    'vm:disk_read_bytes:rate5m{cluster="lab", vm_id="102", vm_name="db01"}': "9x10",
    'node_vm:disk_read_bytes:rate5m{cluster="lab", vm_id="101", vm_name="web01", node="pve1"}': "7x4 stale",
    'node_vm:disk_read_bytes:rate5m{cluster="lab", vm_id="101", vm_name="web01", node="pve2"}': "_x5 3x5",
    'node_vm:disk_read_bytes:rate5m{cluster="lab", vm_id="102", vm_name="db01", node="pve2"}': "9x10",
    'pve_cpu_usage_limit{cluster="lab", id="qemu/101"}': "4x10",
    'pve_cpu_usage_limit{cluster="lab", id="lxc/102"}': "2x10",
    'pve_cpu_usage_limit{cluster="lab", id="node/pve1"}': "32x10",
    'pve_discovery_guest_info{cluster="lab", vm_id="101", tags=",prod,web,"}': "1x10",
    'pve_discovery_guest_info{cluster="lab", vm_id="102", tags=",nonprod,"}': "1x10",
    'pve_discovery_guest_info{cluster="lab", vm_id="103", tags=""}': "1x10",
}
_READ = "vm:disk_read_bytes:rate5m"


def _expect(expression: str, minute: int, *found: tuple[str, float], **chosen: str) -> dict[str, Any]:
    for name, value in {"cluster": ".*", "node": ".*", "tag": ".*", "__range": "10m", **chosen}.items():
        expression = expression.replace(f"${name}", value)
    samples = [{"labels": f"{{{labels}}}", "value": value} for labels, value in found]
    return {"expr": expression, "eval_time": f"{minute}m", "exp_samples": samples}


def _check(folder: Path, *expected: dict[str, Any]) -> None:
    test = {
        "interval": "1m",
        "input_series": [{"series": series, "values": values} for series, values in _SERIES.items()],
        "promql_expr_test": list(expected),
    }
    (folder / "queries_test.yml").write_text(yaml.safe_dump({"evaluation_interval": "1m", "tests": [test]}))
    folder.chmod(0o755)  # promtool may run in a container, as another user
    result = promtool("test", "rules", "queries_test.yml", directory=folder)
    assert result.returncode == 0, result.stdout + result.stderr


def test_guest_counts_on_the_host_that_it_is_on_at_the_time(tmp_path: Path) -> None:
    web, db = 'cluster="lab", vm_id="101", vm_name="web01"', 'cluster="lab", vm_id="102", vm_name="db01"'
    _check(
        tmp_path,
        _expect(on_hosts(_READ), 4, (f'{web}, node="pve1"', 7), (f'{db}, node="pve2"', 9), node="pve.*"),
        _expect(on_hosts(_READ), 4, (f'{web}, node="pve1"', 7), node="pve1"),
        _expect(on_hosts(_READ), 8, node="pve1"),
        _expect(on_hosts(_READ), 8, (f'{web}, node="pve2"', 7), (f'{db}, node="pve2"', 9), node="pve2"),
    )


def test_guest_that_has_left_keeps_its_place_in_the_ranking(tmp_path: Path) -> None:
    web, db = 'cluster="lab", vm_id="101"', 'cluster="lab", vm_id="102"'
    ranking = first_of_host("disk_read_bytes:rate5m")
    _check(
        tmp_path,
        _expect(ranking, 8, (web, 7), node="pve1"),
        _expect(ranking, 8, (web, 3), (db, 9), node="pve2"),
    )


def test_guest_of_a_host_is_the_one_that_was_there(tmp_path: Path) -> None:
    web = 'cluster="lab", vm_id="101", vm_name="web01"'
    found = of_host("disk_read_bytes:rate5m")
    _check(
        tmp_path,
        _expect(found, 4, (f'{web}, node="pve1"', 7), node="pve1"),
        _expect(found, 8, node="pve1"),
    )


def test_busiest_are_those_that_are_it_at_the_end(tmp_path: Path) -> None:
    web, db = 'cluster="lab", vm_id="101", vm_name="web01"', 'cluster="lab", vm_id="102", vm_name="db01"'
    _check(
        tmp_path,
        _expect(busiest(_READ), 8, (web, 7), (db, 9), node="pve2"),
        _expect(busiest(_READ), 8, node="pve1"),
    )


def test_metric_of_the_exporter_of_the_api_gets_the_vmid(tmp_path: Path) -> None:
    found = ('cluster="lab", vm_id="101"', 4.0), ('cluster="lab", vm_id="102"', 2.0)
    _check(tmp_path, _expect(of_proxmox("pve_cpu_usage_limit"), 8, *found))


def test_tags(tmp_path: Path) -> None:
    """A tag is a whole word between commas; All leaves out nobody, not even a guest without tags.

    What has no such tag is a series without the label, which the variable does not show.
    """
    left_out = f"count by (vm_id) (pve_discovery_guest_info{{{TAG_LEFT_OUT}}})"
    _check(
        tmp_path,
        _expect(EVERY_TAG, 8, ('tag="prod"', 1), ('tag="web"', 1), ('tag="nonprod"', 1), ("", 3)),
        _expect(left_out, 8),
        _expect(left_out, 8, ('vm_id="102"', 1), ('vm_id="103"', 1), tag="prod"),
        _expect(left_out, 8, ('vm_id="103"', 1), tag="(web|nonprod)"),
    )
