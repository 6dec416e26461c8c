"""Every GET answer against the official schema of its release, where a copy of it is at hand."""

import gzip
import json
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from lab.cluster.api.agent import Agent
from lab.cluster.api.routes import routes
from lab.cluster.api.shell import CONTENT_LIMIT
from lab.cluster.api.stats import Stats
from lab.cluster.identities import ENROLLER, PROVISIONER
from lab.cluster.state import Lab

from .conftest import Live
from .test_firewalls import RULES, fill
from .test_provisioning import make

ROOT = Path(__file__).resolve().parents[3]
FOLDER = Path(os.environ.get("PVE_MONITORING_REFERENCE", ROOT.parent / "shared" / "reference")) / "pve"
SCHEMAS = {8: "apidata-8.4.2.json.gz", 9: "apidata-9.1.3.json.gz"}
KINDS: dict[Any, Any] = {
    "integer": (int,), "number": (int, float), "string": (str,), "boolean": (int, bool), "array": (list,),
    "object": (dict,), "any": (), "null": (type(None),),
}  # fmt: skip
# Ints that the real API gives as strings, and the other way round; the schema says otherwise.
LENIENT = ("memory", "cpu", "saved")


@cache
def schema(release: int) -> dict[str, Any]:
    file = FOLDER / SCHEMAS[release]
    if not file.exists():
        pytest.skip(f"the API schema of Proxmox VE {release} isn't here (PVE_MONITORING_REFERENCE)")
    found: dict[str, Any] = {}

    def walk(nodes: list[dict[str, Any]]) -> None:
        for node in nodes:
            found[node["path"]] = node.get("info", {})
            walk(node.get("children") or [])

    walk(json.loads(gzip.decompress(file.read_bytes())))
    return found


def problems(value: Any, wanted: dict[str, Any], where: str) -> list[str]:
    """What ``value`` has or lacks against ``wanted``."""
    kind = wanted.get("type")
    if value is None or kind not in KINDS or kind == "any":
        return []
    if not isinstance(value, KINDS[kind]):
        return [f"{where}: {value!r} is no {kind}"]
    if kind == "array":
        items = wanted.get("items", {})
        return [text for i, item in enumerate(value) for text in problems(item, items, f"{where}[{i}]")]
    if kind == "object":
        return _object(value, wanted.get("properties") or {}, where)
    if "enum" in wanted and value not in wanted["enum"]:
        return [f"{where}: {value!r} is none of {wanted['enum']}"]
    return []


def _object(value: dict[str, Any], properties: dict[str, Any], where: str) -> list[str]:
    missing = [
        f"{where}: lacks {name}"
        for name, wanted in properties.items()
        if not wanted.get("optional") and name not in value
    ]
    for name, item in value.items():
        if name in properties and name not in LENIENT:
            missing += problems(item, properties[name], f"{where}.{name}")
    return missing


PATHS = [
    "/version", "/access/permissions", "/cluster/status", "/cluster/resources", "/cluster/resources?type=vm",
    "/cluster/backup-info/not-backed-up", "/cluster/config/qdevice", "/cluster/ha/status/current",
    "/cluster/tasks", "/cluster/metrics/export", "/storage", "/nodes", "/nodes/pve1/status",
    "/nodes/pve1/version", "/nodes/pve1/subscription", "/nodes/pve1/storage", "/nodes/pve1/replication",
    "/nodes/pve1/replication/101-0/status", "/nodes/pve1/certificates/info", "/nodes/pve1/qemu",
    "/nodes/pve2/lxc", "/nodes/pve2/lxc/106/interfaces", "/nodes/pve2/lxc/106/config",
    "/nodes/pve2/lxc/106/status/current", "/nodes/pve1/qemu/101/config", "/nodes/pve1/qemu/112/config",
    "/nodes/pve3/qemu/111/config", "/nodes/pve1/qemu/101/status/current",
    "/nodes/pve3/qemu/109/status/current", "/nodes/pve1/qemu/101/agent/network-get-interfaces",
    "/nodes/pve1/qemu/101/agent/get-osinfo", "/nodes/pve1/qemu/101/agent/get-host-name",
    "/nodes/pve1/qemu/101/agent/get-fsinfo", "/nodes/pve1/qemu/101/agent/info", "/pools",
    "/pools?poolid=windows", "/nodes/pve3/hardware/pci", "/nodes/pve1/hardware/pci?verbose=0",
    "/cluster/mapping/pci", "/cluster/mapping/pci?check-node=pve2", "/cluster/mapping/pci/l40s",
]  # fmt: skip

# What is there only after somebody made it, or is shown to those who may change it.
MADE = [
    "/cluster/resources?type=vm", "/nodes/pve1/qemu", "/nodes/pve1/qemu/900/config",
    "/nodes/pve1/qemu/900/status/current", "/nodes/pve1/storage/local/content",
    "/nodes/pve1/storage/local-lvm/content", "/nodes/pve1/query-url-metadata?url=https://example.com/a.img",
    "/nodes/pve1/storage/local/content/local:import%2Fdebian.qcow2",
    "/nodes/pve1/storage/local-lvm/content/vm-900-disk-0", "/access/acl", "/access/users/discovery@pve",
    "/access/users/discovery@pve/token/monitoring", "/access/roles/PVEAuditor", "/cluster/firewall/groups",
    "/cluster/firewall/groups/grp", "/cluster/firewall/ipset", "/cluster/firewall/ipset/set",
    "/cluster/firewall/rules", "/cluster/firewall/options", "/nodes/pve1/firewall/rules",
    "/nodes/pve1/firewall/options", "/nodes/pve1/qemu/900/firewall/rules",
    "/nodes/pve1/qemu/900/firewall/options",
]  # fmt: skip


# The name of a part in the schema, and the part before it.
NAMES = (
    ("node", "nodes"), ("vmid", "qemu"), ("vmid", "lxc"), ("id", "replication"), ("storage", "storage"),
    ("volume", "content"), ("upid", "tasks"), ("id", "pci"),
    ("group", "groups"), ("name", "ipset"), ("userid", "users"), ("tokenid", "token"), ("roleid", "roles"),
)  # fmt: skip


def template(path: str) -> str:
    parts = path.partition("?")[0].split("/")
    for name, before in NAMES:
        for i in range(len(parts) - 1):
            if parts[i] == before:
                parts[i + 1] = f"{{{name}}}"
    return "/".join(parts)


@pytest.mark.parametrize("path", PATHS)
def test_9_answers_as_its_schema_says(live: Live, path: str) -> None:
    wanted = schema(9)[template(path)]["GET"]["returns"]
    assert problems(live.data(path), wanted, path) == []


@pytest.mark.parametrize("path", PATHS)
def test_8_answers_as_its_schema_says(live8: Live, path: str) -> None:
    wanted = schema(8)[template(path)]["GET"]["returns"]
    assert problems(live8.data(path), wanted, path) == []


TASKS = "/nodes/{node}/tasks/{upid}"


@pytest.mark.parametrize("release", [8, 9])
def test_what_was_made_is_shown_as_the_schema_says(start_lab: Callable[..., Live], release: int) -> None:
    live, known = start_lab(pve_release=release), schema(release)
    upid = make(live)
    fill(live)
    for path in [*MADE, f"/nodes/pve1/tasks/{upid}/status", f"/nodes/pve1/tasks/{upid}/log"]:
        wanted = known[template(path)]["GET"]["returns"]
        assert problems(live.data(path, token=PROVISIONER), wanted, path) == []


@pytest.mark.parametrize("release", [8, 9])
def test_every_route_and_parameter_exists(lab: Lab, release: int) -> None:
    known = schema(release)
    for route in routes(Stats(lab), Agent()):
        info = known[route.template][route.method]
        parameters = info.get("parameters", {}).get("properties", {})
        late = {"node-list"} if release == 8 else set()
        assert route.query - late <= set(parameters), route.template


EXEC_STATUS = "/nodes/{node}/qemu/{vmid}/agent/exec-status"


@pytest.mark.parametrize("release", [8, 9])
def test_what_runs_in_a_guest_is_told_as_the_schema_says(
    start_lab: Callable[..., Live], release: int
) -> None:
    live, wanted = start_lab(pve_release=release), schema(release)[EXEC_STATUS]["GET"]["returns"]
    agent, form = "/nodes/pve1/qemu/101/agent", {"command": ["powershell.exe", "-File", "C:\\a.ps1"]}
    pid = live.data(f"{agent}/exec", token=ENROLLER, method="POST", form=form)["pid"]
    answer = live.data(f"{agent}/exec-status?pid={pid}", token=ENROLLER)
    assert answer["exitcode"] == 1
    assert problems(answer, wanted, EXEC_STATUS) == []
    parameters = schema(release)[EXEC_STATUS.replace("exec-status", "file-write")]["POST"]["parameters"]
    assert parameters["properties"]["content"]["maxLength"] == CONTENT_LIMIT


def test_every_get_route_is_asked(lab: Lab) -> None:
    asked = {template(path) for path in PATHS + MADE} | {f"{TASKS}/status", f"{TASKS}/log"} | {EXEC_STATUS}
    # Single rules tell their position as text where the schema says a number: tests of their own.
    asked |= {f"{template(path)}/{{pos}}" for path in RULES}
    gets = {route.template for route in routes(Stats(lab), Agent()) if route.method == "GET"}
    assert gets == asked


def test_a_wrong_answer_would_be_found() -> None:
    wanted = {"type": "array", "items": {"properties": {"id": {"type": "string"}}, "type": "object"}}
    assert problems([{"id": 3}, {}], wanted, "x") == ["x[0].id: 3 is no string", "x[1]: lacks id"]
