"""The catalogue of discovery against what its code exposes."""

from __future__ import annotations

import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from discovery_fn.metrics import Metrics, Status, StatusCollector
from discovery_fn.model import EndpointView, GuestView, Inventory, NodeView
from tests.support.promql import RULES

GUEST = GuestView(
    vmid=101, name="web01", node="pve1", kind="qemu", status="running", template=False, os="linux", vcpus="4",
    memory_gb="8", disk_type="scsi", tags=",web,", pool="", address="192.0.2.101", source="agent",
    target="192.0.2.101:9100", gpu_target="", reason="", agent="", stopped_unexpectedly=True,
)  # fmt: skip


def _exposed() -> dict[str, tuple[str, frozenset[str]]]:
    """Series that a discovery with one of everything exposes: type and labels by name."""
    metrics = Metrics()
    inventory = Inventory(
        cluster="lab",
        guests=(GUEST,),
        nodes=(NodeView("pve1", online=True, address="192.0.2.11", target="192.0.2.11:9100", gpu_target=""),),
        endpoints=(EndpointView("192.0.2.11:8006", "192.0.2.11:8006", "pve1", active=True, up=True),),
        complete=True,
    )
    status = Status(
        inventory,
        age=1,
        success_at=1,
        fresh=True,
        authenticated=True,
        missing={"VM.Audit": False},
        pve_version="9.2",
    )
    metrics.registry.register(StatusCollector(lambda: status))
    metrics.call("/cluster/resources", "200", 0.1)
    metrics.denied("VM.Audit")
    found: dict[str, tuple[str, frozenset[str]]] = {}
    for family in text_string_to_metric_families(generate_latest(metrics.registry).decode()):
        for sample in family.samples:
            kind = "gauge" if family.type == "gauge" else "counter"
            found[sample.name] = (kind, frozenset(sample.labels))
    return {name: what for name, what in found.items() if not name.endswith("_created")}


def test_catalogue_is_what_discovery_exposes() -> None:
    document = yaml.safe_load((RULES / "catalogue" / "discovery.yml").read_text("utf-8"))
    catalogue = {
        name: (entry["type"], frozenset(entry.get("labels", ())))
        for name, entry in document["metrics"].items()
    }
    assert catalogue == _exposed()
