"""Whether somebody stopped a guest, or it went down by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from discovery_fn.model import Guest, Task
from discovery_fn.stops import explained

WALL = 1_700_000_000.0
GUEST = Guest(101, "qemu", "pve1", "stopped", "web")
STOP = Task("qmstop", 101, "pve1", WALL)


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        (STOP, True),
        (replace(STOP, kind="qmshutdown"), True),
        (replace(STOP, kind="hastop"), True),
        (replace(STOP, kind="qmigrate"), True),
        (replace(STOP, kind="vzdump"), True),
        (replace(STOP, kind="qmstart"), False),
        (replace(STOP, kind="vncproxy"), False),
        (replace(STOP, vmid=102), False),
        (replace(STOP, start=WALL - 10), False),
        (Task("stopall", 0, "pve1", WALL), True),
        (Task("stopall", 0, "pve2", WALL), False),
        (Task("vzdump", 0, "pve1", WALL), True),
        (Task("aptupdate", 0, "pve1", WALL), False),
    ],
)
def test_tasks_that_end_a_guest(task: Task, *, expected: bool) -> None:
    assert explained(GUEST, [task], not_before=WALL - 5) is expected


def task(vmid: int, kind: str, at: float) -> dict[str, Any]:
    return {"type": kind, "id": str(vmid), "node": "pve1", "starttime": int(at), "user": "root@pam"}


def unexpected(service: Any) -> set[int]:
    return {g.vmid for g in service.refresher.inventory.guests if g.stopped_unexpectedly}


def test_the_log_is_read_once_when_someone_went_down(kit: Any) -> None:
    async def work() -> None:
        cluster = kit.FakeCluster().add(*(kit.Vm(100 + i) for i in range(6)))
        service = kit.build(cluster).start()
        await service.run(40)
        assert cluster.count("cluster/tasks") == 0
        for vmid in (101, 102, 103):
            cluster.vms[vmid].status = "stopped"
        cluster.vms[103].tags = "mon-off"
        cluster.tasks = [task(102, "qmshutdown", WALL + service.loop.now - 100)]
        await service.run(20)
        assert cluster.count("cluster/tasks") == 1
        assert unexpected(service) == {101}
        cluster.vms[101].status = "running"
        cluster.vms[101].started = service.loop.now
        await service.run(20)
        assert unexpected(service) == set()
        assert cluster.count("cluster/tasks") == 1
        await service.stop()

    kit.run(work)


def test_a_log_that_fails_is_read_again(kit: Any) -> None:
    async def work() -> None:
        cluster = kit.FakeCluster().add(kit.Vm(101), kit.Vm(102))
        service = kit.build(cluster).start()
        await service.run(20)
        cluster.vms[101].status = "stopped"
        cluster.override["cluster/tasks"] = lambda: kit.error(500, "got timeout")
        await service.run(60)
        assert unexpected(service) == set()
        del cluster.override["cluster/tasks"]
        await service.run(20)
        assert unexpected(service) == {101}
        await service.stop()

    kit.run(work)


def test_without_sys_audit_nobody_is_suspected(kit: Any) -> None:
    async def work() -> None:
        cluster = kit.FakeCluster().add(kit.Vm(101), kit.Vm(102))
        cluster.permissions = {"/vms": {"VM.Audit": 1, "VM.GuestAgent.Audit": 1}}
        service = kit.build(cluster, discovery_cluster="lab").start()
        await service.run(20)
        cluster.vms[101].status = "stopped"
        await service.run(60)
        assert unexpected(service) == set()
        assert cluster.count("cluster/tasks") == 0
        await service.stop()

    kit.run(work)


def test_templates_and_guests_first_seen_stopped_are_no_news(kit: Any) -> None:
    async def work() -> None:
        cluster = kit.FakeCluster().add(kit.Vm(101, status="stopped"), kit.Vm(102), kit.Vm(103))
        service = kit.build(cluster).start()
        await service.run(20)
        cluster.vms[102].status, cluster.vms[102].template = "stopped", 1
        await service.run(20)
        assert unexpected(service) == set()
        assert cluster.count("cluster/tasks") == 0
        await service.stop()

    kit.run(work)


@pytest.mark.parametrize(("away", "found"), [(60, {101}), (7200, set())])
def test_it_is_noticed_after_a_short_absence_only(
    kit: Any, tmp_path: Any, away: float, found: set[int]
) -> None:
    async def work() -> None:
        cluster = kit.FakeCluster().add(kit.Vm(101), kit.Vm(102))
        before = kit.build(cluster, discovery_state_dir=str(tmp_path)).start()
        await before.run(40)
        await before.stop()
        cluster.vms[101].status = "stopped"
        await before.run(away)
        after = kit.build(cluster, discovery_state_dir=str(tmp_path)).start()
        await after.run(20)
        assert unexpected(after) == found
        await after.stop()

    kit.run(work)


def test_a_host_that_crashed_took_its_guests_down(kit: Any) -> None:
    async def work() -> None:
        cluster = kit.FakeCluster().add(kit.Vm(101, "pve2"), kit.Vm(102, "pve1"))
        service = kit.build(cluster).start()
        await service.run(20)
        cluster.nodes["pve2"] = False
        await service.run(120)
        assert unexpected(service) == set()  # nobody knows yet
        cluster.nodes["pve2"] = True
        cluster.vms[101].status = "stopped"
        await service.run(20)
        assert unexpected(service) == {101}
        await service.stop()

    kit.run(work)
