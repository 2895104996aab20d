"""Work, where something of ours or of the queue goes wrong."""

from __future__ import annotations

import asyncio

from batchmill.domain import ids
from batchmill.domain.shard import ShardState
from batchmill.ports.engine import Reply
from batchmill.steps.shard.checkpoints import Checkpoints
from fakes.clock import FakeClock
from fakes.engine import ScriptedEngine
from support.shards import Running
from support.workers import take, until, worker
from support.world import DATA, QUEUE


async def test_a_shard_that_makes_us_fail_costs_no_other_and_ends_as_an_error() -> None:
    running = Running()
    running.dispatch()
    work = worker(running, ScriptedEngine())

    def broken(*_: object) -> bytes:
        raise RuntimeError("a defect of ours")

    encode = running.world.parts.encode
    running.world.parts.encode = broken  # type: ignore[method-assign, assignment]
    for failures in (1, 2, 3):
        await work.take(take(running))
        assert (running.shard().state, running.shard().failures) == (ShardState.WAITING, failures)
        running.world.queue.again(QUEUE)
    running.world.parts.encode = encode  # type: ignore[method-assign]
    await work.take(take(running))
    (row,) = running.world.results(running.batch_id)
    assert row.error_code == "shard_failed"


async def test_a_pool_that_serves_something_else_by_now_does_not_touch_the_shard() -> None:
    running, engine = Running(), ScriptedEngine()
    running.dispatch()
    work = worker(running, engine)
    work.pool = work.pool.model_copy(update={"revision": "another"})
    await work.take(take(running))
    assert sum(engine.asked.values()) == 0
    assert running.shard().failures == 1


async def test_a_message_that_comes_twice_evicts_nobody_who_renews() -> None:
    running, engine = Running(), ScriptedEngine()
    running.dispatch()
    running.claim()
    await worker(running, engine).take(take(running))
    assert (sum(engine.asked.values()), running.shard().attempt, running.shard().holder) == (0, 1, "worker")
    assert running.world.queue.depth(QUEUE) == 1


async def test_an_undecodable_checkpoint_is_left_out() -> None:
    running = Running()
    running.dispatch()
    plan = running.documents.plan()
    running.world.objects.put(DATA, ids.checkpoint_key(running.batch_id, 0, 0, plan.fingerprint, 1, 1), b"torn")
    await worker(running, ScriptedEngine()).take(take(running))
    assert all(row.ok for row in running.world.results(running.batch_id))


async def test_where_two_checkpoints_hold_a_row_the_lowest_attempts_stands() -> None:
    running = Running()
    running.dispatch()
    made = Checkpoints(running.world.objects, running.world.parts, DATA, running.key(), running.documents.plan())
    for attempt in (2, 1):
        made.save(attempt, 1, running.outcomes(0, attempt))
    assert {outcome.attempt for outcome in made.load().values()} == {1}


async def test_a_renewal_keeps_the_message_hidden() -> None:
    running, engine = Running(), ScriptedEngine()
    running.dispatch()
    engine.gate = asyncio.Event()
    extended: list[str] = []
    running.world.queue.before = lambda operation: extended.append(operation)
    task = asyncio.create_task(worker(running, engine).take(take(running)))
    await until(lambda: "extend" in extended)
    engine.gate.set()
    await asyncio.wait_for(task, 10)


async def test_what_is_finished_is_saved_in_time_though_no_further_answer_comes() -> None:
    running = Running()
    running.dispatch()
    answers = iter([True])
    engine = ScriptedEngine(script=lambda text, before: None if next(answers, False) else Reply(503, b"", 1))
    work = worker(running, engine, checkpoint_seconds=0.05)
    work.tools.window._clock = FakeClock(auto=False)
    task = asyncio.create_task(work.take(take(running)))
    await until(lambda: any("/shards/" in key for key in running.world.objects.keys(DATA)))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
