"""At most two calls at a time, and who comes first."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from discovery_fn.gate import Gate


def test_gate_keeps_a_slot_for_those_that_are_not_suspect(kit: Any) -> None:
    async def work() -> None:
        gate = Gate(2)
        order: list[str] = []
        flying = [0]

        async def call(name: str, suspect: bool, seconds: float) -> None:
            await gate.acquire(suspect=suspect)
            flying[0] += 1
            assert flying[0] <= 2
            order.append(name)
            await asyncio.sleep(seconds)
            flying[0] -= 1
            gate.release(suspect=suspect)

        hung = [asyncio.ensure_future(call(f"s{i}", True, 8)) for i in range(4)]
        await asyncio.sleep(0.1)
        assert order == ["s0"]
        await call("good", False, 0.1)
        assert order == ["s0", "good"]
        hung[1].cancel()
        await asyncio.gather(*hung, return_exceptions=True)
        assert order == ["s0", "good", "s2", "s3"]
        assert asyncio.get_running_loop().time() == pytest.approx(1000 + 24, abs=0.1)

    kit.run(work)


def test_a_cancelled_call_gives_its_slot_back(kit: Any) -> None:
    async def work() -> None:
        gate = Gate(1)
        await gate.acquire()
        waiting = asyncio.ensure_future(gate.acquire())
        await asyncio.sleep(0)
        gate.release()  # grants the slot to the waiter, which is cancelled before it runs
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await asyncio.wait_for(gate.acquire(), 1)

    kit.run(work)


def test_suspects_wait_for_those_who_are_still_prepared(kit: Any) -> None:
    async def work() -> None:
        gate = Gate(2)
        leave = await gate.prepare()
        suspect = asyncio.ensure_future(gate.acquire(suspect=True))
        await asyncio.sleep(1)
        assert not suspect.done()
        await gate.acquire()
        leave()
        leave()  # once is enough
        await asyncio.wait_for(suspect, 1)

    kit.run(work)


def test_only_some_are_prepared_at_a_time(kit: Any) -> None:
    async def work() -> None:
        gate = Gate(2, ahead=3)
        leaves = [await gate.prepare() for _ in range(3)]
        fourth = asyncio.ensure_future(gate.prepare())
        fifth = asyncio.ensure_future(gate.prepare())
        await asyncio.sleep(1)
        assert not fourth.done()
        fifth.cancel()
        leaves[0]()
        (await asyncio.wait_for(fourth, 1))()
        leaves[1]()
        leaves[2]()
        await asyncio.wait_for(gate.acquire(suspect=True), 1)  # nobody is coming any more

    kit.run(work)
