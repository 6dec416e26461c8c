"""The service against a cluster in memory, in virtual time."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest


def test_first_refresh_finds_everyone(kit: Any) -> None:
    async def work() -> None:
        cluster = kit.FakeCluster().add(
            kit.Vm(101, "pve1", ostype="win11", tags="web;prod"),
            kit.Vm(102, "pve2"),
            kit.Vm(200, "pve3", kind="lxc"),
            kit.Vm(105, "pve2", status="stopped"),
            kit.Vm(900, "pve1", status="stopped", template=1),
        )
        service = kit.build(cluster).start()
        await service.run(1)
        assert service.refresher.inventory.complete
        assert service.targets() == {101: "10.0.0.102:9182", 102: "10.0.0.103:9100", 200: "10.0.0.201:9100"}
        assert service.groups()[0]["labels"] == {
            "vm_id": "101",
            "vm_name": "vm101",
            "node": "pve1",
            "vcpus": "4",
            "memory_gb": "8",
            "disk_type": "scsi/lvmthin",
            "tags": ",prod,web,",
            "__meta_pve_tags": ",prod,web,",
            "os": "windows",
            "cluster": "lab",
        }
        await service.stop()

    kit.run(work)


def hundred(kit: Any, nodes: int = 5, guests: int = 100) -> Any:
    cluster = kit.FakeCluster(nodes)
    return cluster.add(*(kit.Vm(100 + i, f"pve{i % nodes + 1}") for i in range(guests)))


def test_cold_refresh_of_a_hundred_guests_is_close_to_the_floor(kit: Any) -> None:
    async def work() -> None:
        service = kit.build(hundred(kit)).start()
        took = await service.until(lambda: service.refresher.inventory.complete)
        # 20 guests on each node, two at a time, 100 ms each: 1.0 s
        assert 1.0 <= took <= 1.2 * 1.15
        assert len(service.targets()) == 100
        assert max(service.cluster.most_flying.values()) == 2
        await service.stop()

    kit.run(work)


def test_steady_state_needs_at_most_ten_calls_a_minute(kit: Any) -> None:
    async def work() -> None:
        service = kit.build(hundred(kit)).start()
        await service.run(60)
        minutes = []
        for _ in range(180):
            before = len(service.cluster.calls)
            await service.run(60)
            minutes.append(len(service.cluster.calls) - before)
        assert sum(minutes) / len(minutes) <= 10
        assert max(minutes) <= 15
        asked = {path for _, _, path in service.cluster.calls[-20 * 60 :] if "agent" in path}
        assert len(asked) == 100
        await service.stop()

    kit.run(work)


def test_dead_and_hung_agents_hold_up_nobody_for_long(kit: Any) -> None:
    async def work() -> None:
        cluster = hundred(kit)
        bad = {101 + 7 * i: (3.0, "QEMU guest agent is not running") for i in range(10)}
        bad |= {
            104 + 20 * i: (8.0, "VM 1 qga command 'guest-network-get-interfaces' failed - got timeout")
            for i in range(4)
        }
        for vmid, (delay, text) in bad.items():
            cluster.vms[vmid].delay, cluster.vms[vmid].error = delay, (500, text)
        service = kit.build(cluster).start()
        healthy = set(cluster.vms) - set(bad)
        await service.until(lambda: "all" in service.refresher.bodies)
        assert not service.refresher.inventory.complete
        await service.until(lambda: set(service.targets()) >= healthy, limit=40)
        await service.until(lambda: service.refresher.inventory.complete, limit=40)
        assert service.reasons() == dict.fromkeys(bad, "agent_dead")
        assert max(cluster.most_flying.values()) == 2
        # a guest that starts now doesn't wait behind them
        cluster.add(kit.Vm(999, "pve2", started=service.loop.now))
        assert await service.until(lambda: 999 in service.targets()) <= 20
        await service.stop()

    kit.run(work)


def test_a_guest_whose_agent_dies_stays_a_target(kit: Any) -> None:
    async def work() -> None:
        service = kit.build(kit.FakeCluster().add(kit.Vm(101))).start()
        await service.run(10)
        service.cluster.vms[101].error = (500, "QEMU guest agent is not running")
        await service.run(3 * 3600)
        assert 101 in service.targets()
        assert service.metric("guests_unconfirmed", reason="agent_dead") == 1
        assert (service.metric("agent_failures_total", reason="agent_dead") or 0) >= 6
        service.cluster.vms[101].error = None
        await service.run(700)
        assert service.metric("guests_unconfirmed", reason="agent_dead") == 0
        await service.stop()

    kit.run(work)


@pytest.mark.parametrize("change", ["gone", "stopped", "template", "mon-off"])
def test_who_leaves_leaves(kit: Any, change: str) -> None:
    async def work() -> None:
        service = kit.build(kit.FakeCluster().add(kit.Vm(101), kit.Vm(102))).start()
        await service.run(10)
        assert set(service.targets()) == {101, 102}
        if change == "gone":
            del service.cluster.vms[101]
        elif change == "stopped":
            service.cluster.vms[101].status = "stopped"
        elif change == "template":
            service.cluster.vms[101].template = 1
        else:
            service.cluster.vms[101].tags = "mon-off"
        await service.run(20)
        assert set(service.targets()) == {102}
        await service.stop()

    kit.run(work)


def failure(kit: Any, kind: str, cluster: Any) -> None:
    if kind == "unreachable":
        cluster.down = {"pve1.example.com", "pve2.example.com"}
    elif kind == "unauthorized":
        cluster.secret = "another"
    elif kind == "empty":
        cluster.override["cluster/resources"] = lambda: kit.data([])
    elif kind == "cut":
        cluster.override["cluster/resources"] = lambda: httpx.Response(200, content=b'{"data":[{"type":"qe')
    elif kind == "error":
        cluster.override["cluster/resources"] = lambda: kit.error(
            500, "ipcc_send_rec failed: Connection refused"
        )
    elif kind == "partial":
        cluster.override["cluster/resources"] = lambda: kit.data([{"type": "qemu", "vmid": None}, 7])
    elif kind == "permissions":
        cluster.permissions = {"/": {"Sys.Audit": 1}, "/vms/101": {"VM.Audit": 1}}


@pytest.mark.parametrize(
    ("kind", "result"),
    [
        ("unreachable", "unreachable"),
        ("unauthorized", "unauthorized"),
        ("empty", "empty"),
        ("cut", "invalid"),
        ("error", "error"),
        ("partial", "empty"),
        ("permissions", "partial"),
    ],
)
def test_no_failure_removes_a_target_and_its_age_shows(kit: Any, kind: str, result: str) -> None:
    async def work() -> None:
        service = kit.build(kit.FakeCluster().add(*(kit.Vm(101 + i) for i in range(5)))).start()
        await service.run(20)
        before = dict(service.refresher.bodies)
        failure(kit, kind, service.cluster)
        await service.run(540)
        assert service.targets() == {
            int(g["labels"]["vm_id"]): g["targets"][0] for g in json.loads(before["all"].content)
        }
        assert (service.metric("refreshes_total", result=result) or 0) >= 5
        assert (service.metric("inventory_age_seconds") or 0) > 500
        assert service.metric("inventory_fresh") == 0
        assert service.refresher.inventory.complete
        assert service.metric("authentication_ok") == (0 if kind == "unauthorized" else 1)
        # and it recovers
        service.cluster.down = set()
        service.cluster.secret = kit.SECRET
        service.cluster.override.clear()
        service.cluster.permissions = {
            "/": dict.fromkeys(("VM.Audit", "VM.GuestAgent.Audit", "Sys.Audit"), 1)
        }
        await service.run(70)
        assert service.metric("inventory_fresh") == 1
        assert service.metric("authentication_ok") == 1
        assert len(service.targets()) == 5
        await service.stop()

    kit.run(work)


def test_nothing_is_served_before_anything_is_known(kit: Any) -> None:
    async def work() -> None:
        cluster = kit.FakeCluster().add(kit.Vm(101))
        cluster.permissions = {"/": {"Sys.Audit": 1}}  # a list without guests, and no error
        service = kit.build(cluster).start()
        await service.run(60)
        # The members alone, which come from the settings.
        assert set(service.refresher.bodies) == {"pve"}
        assert not service.refresher.inventory.complete
        assert service.metric("missing_privileges", privilege="VM.Audit") == 1
        await service.stop()

    kit.run(work)


def test_an_empty_cluster_is_an_empty_list(kit: Any) -> None:
    async def work() -> None:
        service = kit.build(kit.FakeCluster()).start()
        await service.run(5)
        assert service.groups() == []
        assert service.refresher.inventory.complete
        assert len(service.groups("nodes")) == 3
        await service.stop()

    kit.run(work)


def test_a_cluster_that_stays_empty_is_believed_in_the_end(kit: Any) -> None:
    async def work() -> None:
        service = kit.build(kit.FakeCluster().add(kit.Vm(101))).start()
        await service.run(20)
        service.cluster.vms.clear()
        await service.run(590)
        assert len(service.targets()) == 1
        await service.run(60)
        assert service.targets() == {}
        await service.stop()

    kit.run(work)


def test_a_token_that_loses_sight_of_some_guests_keeps_exactly_those(kit: Any) -> None:
    async def work() -> None:
        cluster = kit.FakeCluster().add(kit.Vm(101, pool="a"), kit.Vm(102, pool="b"), kit.Vm(103, pool="a"))
        cluster.permissions = {
            "/": {"Sys.Audit": 1},
            "/pool/a": {"VM.Audit": 1, "VM.GuestAgent.Audit": 1},
            "/pool/b": {"VM.Audit": 1, "VM.GuestAgent.Audit": 1},
        }
        service = kit.build(cluster).start()
        await service.run(20)
        assert set(service.targets()) == {101, 102, 103}
        del cluster.permissions["/pool/b"]
        del cluster.vms[103]
        await service.run(60)
        assert set(service.targets()) == {101, 102}
        assert service.metric("guests_held") == 1
        await service.stop()

    kit.run(work)


def test_failover_moves_the_pve_target_too_and_is_sticky(kit: Any) -> None:
    async def work() -> None:
        service = kit.build(kit.FakeCluster().add(kit.Vm(101))).start()
        await service.run(20)

        def active() -> dict[str, str]:
            return {
                g["labels"]["__meta_pve_node"]: g["labels"]["__meta_pve_endpoint_active"]
                for g in service.groups("pve")
            }

        assert active() == {"pve1": "true", "pve2": "false"}
        service.cluster.down = {"pve1.example.com"}
        await service.run(20)
        assert active() == {"pve1": "false", "pve2": "true"}
        assert service.metric("endpoint_up", endpoint="pve1.example.com:8006") == 0
        assert service.metric("endpoint_active", endpoint="pve2.example.com:8006") == 1
        assert service.metric("inventory_fresh") == 1
        service.cluster.down = set()
        await service.run(900)
        assert active() == {"pve1": "false", "pve2": "true"}
        assert service.metric("endpoint_up", endpoint="pve1.example.com:8006") == 1
        await service.stop()

    kit.run(work)


def test_an_offline_node_is_left_alone_and_its_guests_stay(kit: Any) -> None:
    async def work() -> None:
        cluster = kit.FakeCluster().add(kit.Vm(101, "pve1"), kit.Vm(102, "pve3", tags="web"))
        service = kit.build(cluster).start()
        await service.run(20)
        before = service.groups()
        cluster.nodes["pve3"] = False
        mark = service.loop.now
        await service.run(3 * 3600)
        assert service.groups() == before
        assert cluster.count("nodes/pve3/", since=mark) == 0
        assert len(service.groups("nodes")) == 3
        assert service.metric("nodes", state="offline") == 1
        await service.stop()

    kit.run(work)


def test_a_guest_first_seen_on_an_offline_node_is_no_target(kit: Any) -> None:
    async def work() -> None:
        cluster = kit.FakeCluster().add(kit.Vm(101, "pve1"), kit.Vm(102, "pve3"))
        cluster.nodes["pve3"] = False
        service = kit.build(cluster).start()
        await service.run(20)
        assert service.refresher.inventory.complete
        assert service.reasons() == {102: "node_offline"}
        cluster.nodes["pve3"] = True
        await service.run(20)
        assert set(service.targets()) == {101, 102}
        await service.stop()

    kit.run(work)


def test_migration_is_relabelled_within_20_seconds_and_keeps_its_target(kit: Any) -> None:
    async def work() -> None:
        service = kit.build(kit.FakeCluster().add(kit.Vm(101))).start()
        await service.run(20)
        service.cluster.vms[101].node = "pve2"
        mark = service.loop.now
        await service.until(lambda: service.groups()[0]["labels"]["node"] == "pve2", limit=20)
        assert service.targets() == {101: "10.0.0.102:9100"}
        await service.run(1)
        assert service.cluster.count("nodes/pve2/qemu/101/agent", since=mark) == 1
        await service.stop()

    kit.run(work)


def test_migration_between_list_and_question_is_asked_again_at_once(kit: Any) -> None:
    async def work() -> None:
        cluster = kit.FakeCluster().add(kit.Vm(101))
        row = cluster.vms[101].row(0)
        cluster.vms[101].node = "pve2"
        cluster.override["cluster/resources"] = lambda: kit.data(
            [row, {"type": "node", "node": "pve1", "status": "online"}]
        )
        service = kit.build(cluster).start()
        await service.run(1)
        assert service.reasons() == {101: "moved"}
        cluster.override.clear()
        assert await service.until(lambda: 101 in service.targets()) < 5
        await service.stop()

    kit.run(work)


def test_release_8_without_vm_monitor_works_from_static_addresses(kit: Any) -> None:
    async def work() -> None:
        cluster = kit.FakeCluster().add(
            kit.Vm(101, config={"ipconfig0": "ip=192.0.2.50/24,gw=192.0.2.1"}),
            *(kit.Vm(vmid) for vmid in range(102, 122)),
            kit.Vm(200, kind="lxc"),
        )
        cluster.release = "8.4"
        cluster.permissions = {
            "/": dict.fromkeys(("VM.Audit", "Sys.Audit", "Datastore.Audit", "Pool.Audit"), 1)
        }
        service = kit.build(cluster).start()
        await service.run(3600)
        assert service.targets() == {101: "192.0.2.50:9100", 200: "10.0.0.201:9100"}
        assert service.reasons() == dict.fromkeys(range(102, 122), "agent_denied")
        assert service.metric("missing_privileges", privilege="VM.Monitor") == 1
        assert cluster.count("agent") == 0
        cluster.permissions["/"]["VM.Monitor"] = 1
        # what the token may do is read every ten minutes, and then nobody waits for a back-off
        await service.until(
            lambda: service.metric("missing_privileges", privilege="VM.Monitor") == 0, limit=620
        )
        await service.run(5)
        assert set(service.targets()) == {101, 200, *range(102, 122)}
        assert service.metric("missing_privileges", privilege="VM.Monitor") == 0
        await service.stop()

    kit.run(work)


def test_refusals_are_counted_by_privilege(kit: Any) -> None:
    async def work() -> None:
        cluster = kit.FakeCluster().add(kit.Vm(101), kit.Vm(102))
        cluster.permissions = {"/": {"VM.Audit": 1}}
        cluster.override["access/permissions"] = lambda: kit.error(500, "broken")
        service = kit.build(cluster).start()
        await service.run(5)
        assert service.reasons() == {101: "agent_denied", 102: "agent_denied"}
        refused = service.metric(
            "permission_denied_total", privilege="VM.GuestAgent.Audit|VM.GuestAgent.Unrestricted"
        )
        assert refused == 2
        assert service.metric("permission_denied_total", privilege="Sys.Audit") == 1
        await service.stop()

    kit.run(work)


def test_reasons_of_guests_that_are_no_targets(kit: Any) -> None:
    async def work() -> None:
        unsupported = {"error": {"class": "Unsupported", "desc": "not supported"}}
        apipa = [{"name": "Ethernet", "ip-addresses": [{"ip-address": "169.254.1.1"}]}]
        cluster = kit.FakeCluster().add(
            kit.Vm(101, config={"agent": None}),
            kit.Vm(102, interfaces=unsupported),
            kit.Vm(103, interfaces=apipa),
            kit.Vm(104, ostype="other", osinfo={"id": "freebsd", "name": "FreeBSD"}),
            kit.Vm(105, ostype="other", osinfo={"id": "mswindows", "name": "Microsoft Windows"}),
            kit.Vm(106, tags="mon-off"),
        )
        service = kit.build(cluster).start()
        await service.run(10)
        assert service.reasons() == {
            101: "no_agent",
            102: "agent_unsupported",
            103: "no_address",
            104: "unknown_os",
            106: "excluded",
        }
        assert service.targets() == {105: "10.0.0.106:9182"}
        assert cluster.count("/106/") == 0
        assert service.metric("guests_unmonitored", reason="no_agent") == 1
        assert service.metric("guests", state="unmonitored") == 5
        await service.stop()

    kit.run(work)


def test_a_changed_configuration_makes_the_agent_be_asked(kit: Any) -> None:
    async def work() -> None:
        cluster = kit.FakeCluster().add(kit.Vm(101))
        service = kit.build(cluster).start()
        await service.run(20)
        vm = cluster.vms[101]
        vm.config["net0"], vm.cores = "virtio=BC:24:11:FF:FF:FF,bridge=vmbr0", 8
        vm.interfaces = [
            {
                "name": "e",
                "hardware-address": "bc:24:11:ff:ff:ff",
                "ip-addresses": [{"ip-address": "10.9.9.9"}],
            }
        ]
        await service.run(20)
        assert service.targets() == {101: "10.9.9.9:9100"}
        assert service.groups()[0]["labels"]["vcpus"] == "8"
        await service.stop()

    kit.run(work)


def test_state_survives_a_restart_and_known_bad_agents_come_last(kit: Any, tmp_path: Any) -> None:
    async def work() -> None:
        cluster = hundred(kit)
        bad = set(range(105, 200, 10))
        for vmid in bad:
            cluster.vms[vmid].error, cluster.vms[vmid].delay = (500, "QEMU guest agent is not running"), 3.0
        service = kit.build(cluster, discovery_state_dir=str(tmp_path)).start()
        await service.until(lambda: service.refresher.inventory.complete)
        before = service.groups()
        await service.run(2000)
        await service.stop()

        mark = service.loop.now
        again = kit.build(cluster, discovery_state_dir=str(tmp_path))
        again.refresher.load()
        assert again.groups() == before
        assert again.refresher.inventory.complete
        await service.run(3600)
        again.start()
        await again.run(60)
        asked = [path for at, _, path in cluster.calls if at > mark and "agent" in path]
        order = [int(path.split("/")[3]) in bad for path in asked if "/pve1/" in path]
        assert True in order
        assert order.index(True) >= 2
        assert again.groups() == before
        await again.stop()

    kit.run(work)


def test_a_restart_asks_nobody_who_was_just_asked(kit: Any, tmp_path: Any) -> None:
    async def work() -> None:
        cluster = hundred(kit)
        service = kit.build(cluster, discovery_state_dir=str(tmp_path)).start()
        await service.run(5)
        await service.stop()
        mark = service.loop.now
        again = kit.build(cluster, discovery_state_dir=str(tmp_path)).start()
        await again.run(10)
        assert cluster.count("agent", since=mark) <= 3
        await again.stop()

    kit.run(work)


def test_another_cluster_of_the_same_numbers_inherits_no_addresses(kit: Any, tmp_path: Any) -> None:
    async def work() -> None:
        first = kit.build(
            kit.FakeCluster().add(kit.Vm(101, ip="10.1.1.1")), discovery_state_dir=str(tmp_path)
        ).start()
        await first.run(5)
        await first.stop()
        other = kit.FakeCluster().add(kit.Vm(101, ip="10.2.2.2"))
        other.name = "other"
        second = kit.build(other, discovery_state_dir=str(tmp_path)).start()
        await second.run(5)
        assert second.targets() == {101: "10.2.2.2:9100"}
        await second.stop()

    kit.run(work)


def test_a_clock_that_jumps_changes_nothing(kit: Any) -> None:
    async def work() -> None:
        jump = [0.0]
        service = kit.build(hundred(kit), wall=lambda: 1_700_000_000 + jump[0]).start()
        await service.run(30)
        before, calls = service.groups(), len(service.cluster.calls)
        for jump[0] in (86400.0, -86400.0):
            await service.run(60)
        assert service.groups() == before
        assert len(service.cluster.calls) - calls <= 30
        await service.stop()

    kit.run(work)


def test_a_rotated_secret_is_found(kit: Any, tmp_path: Any) -> None:
    async def work() -> None:
        file = tmp_path / "token"
        file.write_text(kit.SECRET)
        service = kit.build(kit.FakeCluster().add(kit.Vm(101)), pve_token_secret_file=str(file)).start()
        await service.run(20)
        service.cluster.secret = "rotated"
        await service.run(30)
        assert service.metric("authentication_ok") == 0
        file.write_text("rotated")
        await service.run(150)
        assert service.metric("authentication_ok") == 1
        await service.stop()

    kit.run(work)


def test_conditions_are_logged_once_with_advice_and_never_the_secret(kit: Any, caplog: Any) -> None:
    async def work() -> None:
        cluster = kit.FakeCluster().add(kit.Vm(101))
        cluster.secret = "another"
        service = kit.build(cluster).start()
        await service.run(1800)
        await service.stop()

    with caplog.at_level("DEBUG"):
        kit.run(work)
    found = [record for record in caplog.records if "refuses the token" in record.getMessage()]
    assert len(found) == 1
    assert "PVE_TOKEN_ID" in found[0].getMessage()
    assert kit.SECRET not in "".join(str(record.__dict__) for record in caplog.records)


@pytest.mark.parametrize(("release", "told"), [("7.4", True), ("8.4", False), ("9.1", False)])
def test_a_release_that_is_too_old_is_told(kit: Any, caplog: Any, release: str, *, told: bool) -> None:
    async def work() -> None:
        cluster = kit.FakeCluster().add(kit.Vm(101))
        cluster.release = release
        service = kit.build(cluster).start()
        await service.run(1800)
        await service.stop()

    with caplog.at_level("DEBUG"):
        kit.run(work)
    found = [r for r in caplog.records if f"runs Proxmox VE {release}" in r.getMessage()]
    assert len(found) == told
    assert all("upgrade it to 8" in record.fields["advice"] for record in found)


def test_a_refused_token_is_not_tried_at_full_speed(kit: Any) -> None:
    async def work() -> None:
        cluster = kit.FakeCluster().add(kit.Vm(101))
        cluster.secret = "another"
        service = kit.build(cluster).start()
        await service.run(1800)
        assert cluster.count("cluster/resources") <= 2 * (1800 / 60 + 5)
        await service.stop()

    kit.run(work)


def test_two_guests_with_one_address_are_counted(kit: Any) -> None:
    async def work() -> None:
        service = kit.build(
            kit.FakeCluster().add(kit.Vm(101, ip="10.5.5.5"), kit.Vm(102, ip="10.5.5.5"))
        ).start()
        await service.run(5)
        assert service.metric("address_conflicts") == 1
        assert len(service.targets()) == 2
        await service.stop()

    kit.run(work)


def test_gpus_of_nodes_and_guests_are_found(kit: Any) -> None:
    async def work() -> None:
        cluster = kit.FakeCluster().add(
            kit.Vm(101, "pve1", config={"hostpci0": "0000:41:00,pcie=1"}),
            kit.Vm(102, "pve2", config={"hostpci0": "mapping=acc,pcie=1"}),
            kit.Vm(103, "pve3", config={"hostpci0": "0000:03:00"}),
        )
        gpu = {"vendor": "0x10de", "class": "0x030200"}
        cluster.pci = {
            "pve1": [gpu | {"id": "0000:41:00.0"}, gpu | {"id": "0000:42:00.0"}],
            "pve2": [gpu | {"id": "0000:81:00.0"}],
        }
        cluster.mappings = [{"id": "acc", "map": ["id=10de:2204,node=pve2,path=0000:81:00.0"]}]
        service = kit.build(cluster).start()
        await service.run(60)
        found = [group["targets"][0] for group in service.groups("gpu")]
        assert found == ["192.0.2.1:9835", "10.0.0.102:9835", "10.0.0.103:9835"]
        assert service.groups("gpu")[0]["labels"] == {"cluster": "lab", "node": "pve1"}
        assert cluster.count("hardware/pci") == 3
        await service.stop()

    kit.run(work)


def test_a_container_of_an_old_release_is_asked_of_its_own_node(kit: Any) -> None:
    async def work() -> None:
        cluster = kit.FakeCluster().add(kit.Vm(200, "pve2", kind="lxc"))
        route = cluster._node

        async def unproxied(node: str, rest: list[str]) -> Any:
            host = cluster.calls[-1][1]
            if rest[-1] == "interfaces" and not host.startswith(node):
                return kit.error(500, f"Configuration file 'nodes/pve1/lxc/{rest[1]}.conf' does not exist")
            return await route(node, rest)

        cluster._node = unproxied
        service = kit.build(cluster).start()
        await service.run(60)
        assert service.targets() == {200: "10.0.0.201:9100"}
        await service.stop()

    kit.run(work)


def test_static_container_needs_no_question(kit: Any) -> None:
    async def work() -> None:
        entry = "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:00:09,ip=192.0.2.9/24,type=veth"
        service = kit.build(kit.FakeCluster().add(kit.Vm(200, kind="lxc", config={"net0": entry}))).start()
        await service.run(60)
        assert service.targets() == {200: "192.0.2.9:9100"}
        assert service.cluster.count("interfaces") == 0
        await service.stop()

    kit.run(work)


def test_every_metric_of_the_readme_exists_and_the_other_way_round(kit: Any) -> None:
    async def work() -> None:
        cluster = hundred(kit)
        service = kit.build(cluster).start()
        await service.run(40)
        next(iter(cluster.vms.values())).status = "stopped"
        await service.run(20)
        names = {
            sample.name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count")
            for family in service.registry.collect()
            for sample in family.samples
            if not sample.name.endswith("_created")
        }
        readme = (Path(__file__).parents[2] / "discovery_fn" / "README.md").read_text(encoding="utf-8")
        listed = set(re.findall(r"^\| `(pve_discovery_\w+)`", readme, re.MULTILINE))
        assert names - {"pve_discovery_permission_denied_total"} <= listed
        assert listed <= names | {"pve_discovery_permission_denied_total"}
        await service.stop()

    kit.run(work)
