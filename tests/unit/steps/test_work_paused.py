"""Work, where the batch is paused: what it finished stays, and nothing more is asked until it is resumed."""

from __future__ import annotations

import json

from batchmill.domain.shard import ShardState, claimed
from batchmill.ports.queue import Received
from batchmill.steps.work import Work
from fakes.engine import ScriptedEngine
from support.shards import Running
from support.workers import interrupted, take, worker
from support.world import DATA, QUEUE


async def _paused(running: Running, engine: ScriptedEngine) -> None:
    """A worker has every row of the shard but one when its batch is paused."""

    async def pause(_: Work) -> None:
        running.pause()

    await interrupted(running, engine, pause)


async def test_a_worker_saves_what_is_finished_parks_its_shard_and_lets_the_message_go() -> None:
    running, engine = Running(), ScriptedEngine()
    running.dispatch()
    await _paused(running, engine)
    shard = running.shard()
    assert (shard.state, shard.parked, shard.holder) == (ShardState.WAITING, True, "")
    assert shard.progress.ok == len(running.outcomes()) - 1
    assert any("/shards/" in key for key in running.world.objects.keys(DATA))
    assert (running.world.parts_written, running.world.queue.depth(QUEUE)) == ([], 0)
    assert running.world.workflow.answers == {}


async def test_a_resumed_batch_asks_for_what_was_not_finished_and_nothing_else() -> None:
    running, engine = Running(), ScriptedEngine()
    running.dispatch()
    await _paused(running, engine)
    running.pause(False)
    second = ScriptedEngine()
    await worker(running, second).take(take(running))
    assert dict(second.asked) == {"t0": 1}
    attempts = sorted(row.attempt for row in running.world.results(running.batch_id))
    assert attempts == [1] * (len(attempts) - 1) + [2]
    assert (running.shard().state, running.shard().parked) == (ShardState.COMMITTED, False)


async def test_a_message_of_a_paused_batch_is_parked_and_nothing_is_asked() -> None:
    running, engine = Running(), ScriptedEngine()
    running.dispatch()
    running.pause()
    await worker(running, engine).take(take(running))
    assert (running.shard().state, running.shard().parked) == (ShardState.WAITING, True)
    assert (sum(engine.asked.values()), running.world.queue.depth(QUEUE)) == (0, 0)


async def test_a_part_that_stands_is_noted_though_the_batch_is_paused() -> None:
    running = Running()
    running.dispatch()
    running.commit()
    running.pause()
    await worker(running, ScriptedEngine()).take(take(running))
    assert running.shard().state is ShardState.COMMITTED


async def test_a_second_message_of_a_shard_that_is_held_leaves_its_holder_to_learn_of_the_pause() -> None:
    running, engine = Running(), ScriptedEngine()
    running.dispatch()
    running.claim()
    running.pause()
    await worker(running, engine).take(take(running))
    assert (running.shard().state, running.shard().holder) == (ShardState.RUNNING, "worker")
    assert running.world.queue.depth(QUEUE) == 1


async def test_a_worker_that_lost_its_shard_before_it_could_park_it_leaves_the_message_alone() -> None:
    running, engine = Running(), ScriptedEngine()
    running.dispatch()
    running.pause()
    taken = take(running)
    moves = [lambda: None, lambda: _taken_over(running)]  # at the claim, at the parking
    running.world.batches.between = lambda: moves.pop(0)() if moves else None
    await worker(running, engine).take(taken)
    assert (running.shard().holder, running.shard().parked) == ("another", False)
    assert running.world.queue.depth(QUEUE) == 1


def _taken_over(running: Running) -> None:
    while running.shard().holder != "another":
        running.world.batches.update_shard(running.key(), lambda old: claimed(old, 1, "m-1", "another", 1.0))


async def test_a_message_too_many_as_a_release_may_send_it_costs_nothing() -> None:
    running, engine = Running(), ScriptedEngine()
    running.dispatch()
    body = json.dumps({"batch_id": running.batch_id, "run": 0, "shard": 0, "dispatch": 1})
    running.world.queue.send(QUEUE, body)
    work = worker(running, engine)
    for _ in range(2):
        taken = take(running)
        assert isinstance(taken, Received)
        await work.take(taken)
    assert len(running.world.parts_written) == 1
    assert set(engine.asked.values()) == {1}
    assert running.world.queue.depth(QUEUE) == 0
