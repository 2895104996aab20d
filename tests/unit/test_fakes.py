"""The hooks of the fakes, which simulations rest on."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial

import pytest

from batchmill.domain.batch import Batch, BatchStatus
from batchmill.domain.errors import Transient
from batchmill.domain.shard import ShardKey
from batchmill.domain.span import Span
from batchmill.ports.objects import ObjectInfo
from fakes.batches import MemoryBatches
from fakes.clock import FakeClock
from fakes.objects import MemoryObjects

KEY = ShardKey("batch_1", 0, 0)


def test_another_writer_may_come_between_a_read_and_its_write() -> None:
    batches = MemoryBatches()
    batches.create(Batch("batch_1", BatchStatus.VALIDATING, {}, (), 0.0, 1.0))
    rivals = [1]

    def rival() -> None:
        if rivals:
            rivals.pop()
            batches.change("batch_1", lambda found: replace(found, shards=found.shards + 1))

    batches.between = rival
    changed = batches.change("batch_1", lambda found: replace(found, shards=found.shards + 10))
    assert (changed.shards, batches.conflicts) == (11, 1)
    assert [each.shards for each in batches.batch_history["batch_1"]] == [0, 1, 11]


def test_the_history_has_every_state_of_a_shard() -> None:
    batches = MemoryBatches()
    for attempt in (1, 1, 2):
        batches.change_shard(KEY, Span(0, 0, 1), partial(replace, attempt=attempt))
    assert [shard.attempt for shard in batches.history[KEY]] == [1, 2]


def test_an_answer_may_be_lost_after_the_write() -> None:
    def lose(operation: str, bucket: str, key: str) -> None:
        if operation == "create":
            raise Transient("the answer was lost")

    told: list[ObjectInfo] = []
    objects = MemoryObjects(on_created=told.append, after=lose)
    with pytest.raises(Transient):
        objects.create("out", "part", b"x", {"attempt": "1"})
    assert objects.head("out", "part") == told[0]


async def test_an_automatic_clock_passes_as_fast_as_it_is_slept() -> None:
    clock = FakeClock(now=100.0)
    await asyncio.gather(clock.sleep(5), clock.sleep(7))
    assert (clock.now(), clock.slept) == (112.0, [5, 7])


async def test_a_held_clock_wakes_sleepers_in_the_order_of_their_times() -> None:
    clock, woken = FakeClock(now=0.0, auto=False), list[tuple[str, float]]()

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.now()))

    async with asyncio.TaskGroup() as group:
        for name, seconds in (("late", 9.0), ("early", 2.0), ("last", 20.0)):
            group.create_task(sleeper(name, seconds))
        await asyncio.sleep(0)
        await clock.advance(10)
        assert woken == [("early", 2.0), ("late", 9.0)]
        assert clock.now() == 10.0
        await clock.advance(10)
    assert woken[-1] == ("last", 20.0)
