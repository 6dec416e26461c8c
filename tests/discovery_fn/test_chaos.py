"""Everything goes wrong at once, for hours; what must never happen doesn't."""

from __future__ import annotations

import random
from typing import Any

import httpx
import pytest

from discovery_fn.metrics import RESULTS
from tests.support import hypothesis_profile


class Trouble:
    """Stands between service and cluster: cuts, refuses, delays; moves and restarts guests."""

    def __init__(self, cluster: Any, seed: int, kit: Any) -> None:
        self.cluster = cluster
        self.chance = random.Random(seed)  # noqa: S311
        self.kit = kit
        self.rate = 0.0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        dice = self.chance.random()
        if dice < self.rate:
            raise self.chance.choice(
                [httpx.ConnectError("refused"), httpx.ReadError("reset"), httpx.RemoteProtocolError("cut")]
            )
        answer: httpx.Response = await self.cluster(request)
        if dice < 2 * self.rate:
            return httpx.Response(
                200, content=answer.content[: self.chance.randrange(len(answer.content) + 1)]
            )
        if dice < 3 * self.rate:
            status = self.chance.choice([401, 403, 500, 503, 595, 596])
            text = "Permission check failed (/, VM.Audit)" if status == 403 else "something is wrong"
            found: httpx.Response = self.kit.error(status, text)
            return found
        return answer

    def shake(self) -> None:
        for vm in self.chance.sample(sorted(self.cluster.vms.values(), key=lambda vm: vm.vmid), 3):
            vm.node = self.chance.choice(sorted(self.cluster.nodes))
            vm.error = self.chance.choice([None, None, (500, "QEMU guest agent is not running")])
            vm.delay = self.chance.choice([0.1, 3.0, 8.0, 30.0])
            vm.lock = self.chance.choice(["", "backup", "migrate"])
        node = self.chance.choice(sorted(self.cluster.nodes))
        self.cluster.nodes[node] = self.chance.random() < 0.7


@pytest.mark.parametrize("seed", range(hypothesis_profile.much(3, 12)))
def test_no_running_guest_is_ever_lost_and_no_address_ever_wrong(kit: Any, seed: int) -> None:
    async def work() -> None:
        cluster = kit.FakeCluster(4).add(*(kit.Vm(100 + i, f"pve{i % 4 + 1}") for i in range(40)))
        trouble = Trouble(cluster, seed, kit)
        service = kit.build(cluster, handler=trouble).start()
        await service.until(lambda: service.refresher.inventory.complete)
        expected = service.targets()
        assert len(expected) == 40
        trouble.rate = 0.05
        for _ in range(240):
            trouble.shake()
            await service.run(30)
            assert service.targets() == expected
            assert max(cluster.most_flying.values()) <= 2
        failed = [
            service.metric("refreshes_total", result=result) or 0 for result in RESULTS if result != "success"
        ]
        assert sum(failed) > 5
        assert (service.metric("agent_failures_total", reason="agent_dead") or 0) > 0
        trouble.rate = 0.0
        for node in cluster.nodes:
            cluster.nodes[node] = True
        for vm in cluster.vms.values():
            vm.error, vm.delay, vm.lock = None, None, ""
        await service.run(700)
        assert service.metric("inventory_fresh") == 1
        assert service.metric("guests_held") == 0
        assert {group["labels"]["node"] for group in service.groups()} <= set(cluster.nodes)
        by_node = {int(group["labels"]["vm_id"]): group["labels"]["node"] for group in service.groups()}
        assert by_node == {vm.vmid: vm.node for vm in cluster.vms.values()}
        await service.stop()

    kit.run(work)


@pytest.mark.parametrize("seed", range(3))
def test_one_in_a_hundred_answers_cut_off_from_the_start(kit: Any, seed: int) -> None:
    async def work() -> None:
        cluster = kit.FakeCluster(5).add(*(kit.Vm(100 + i, f"pve{i % 5 + 1}") for i in range(100)))
        trouble = Trouble(cluster, seed, kit)
        trouble.rate = 0.01
        service = kit.build(cluster, handler=trouble).start()
        await service.run(120)
        assert len(service.targets()) == 100
        await service.stop()

    kit.run(work)
