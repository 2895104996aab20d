from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from batchmill.contracts.workflow import CancelInput
from batchmill.domain.errors import EngineDown, Transient
from batchmill.domain.shard import ShardState
from batchmill.ports.engine import Reply
from batchmill.steps.work import Work
from fakes.clock import FakeClock
from fakes.engine import ScriptedEngine
from support.shards import Running
from support.workers import interrupted, take, until, worker
from support.world import DATA, QUEUE


async def test_a_shard_is_done_committed_noted_and_its_message_deleted() -> None:
    running = Running()
    running.dispatch()
    engine = ScriptedEngine()
    await worker(running, engine).take(take(running))
    rows = running.world.results(running.batch_id)
    assert [row.row for row in rows] == list(range(len(rows)))
    assert all(row.ok and row.attempt == 1 and row.backend == "ecs" for row in rows)
    assert json.loads(rows[0].output_json or "") == [2]
    shard = running.shard()
    assert (shard.state, shard.committed_attempt, shard.progress.ok) == (ShardState.COMMITTED, 1, len(rows))
    assert running.world.queue.depth(QUEUE) == 0
    assert shard.token == "token-1"  # workers never answer tokens: resume does


async def test_no_more_requests_are_in_flight_than_the_window_holds() -> None:
    running = Running(rows=2)
    running.dispatch()
    engine = ScriptedEngine()
    await worker(running, engine, window=1).take(take(running))
    assert engine.most_at_once == 1


@pytest.mark.parametrize("state", ["stale", "committed", "unknown", "cancelled"])
async def test_a_message_of_the_past_is_deleted_and_nothing_is_asked(state: str) -> None:
    running = Running()
    running.dispatch("token-1")
    taken = take(running)
    if state == "stale":
        running.dispatch("token-2")
    if state == "committed":
        running.commit()
    if state == "cancelled":
        running.world.cancel(CancelInput(batch_id=running.batch_id))
    if state == "unknown":
        taken = replace(taken, body=json.dumps({"batch_id": "batch_x", "run": 0, "shard": 0, "dispatch": 1}))
    engine = ScriptedEngine()
    await worker(running, engine).take(taken)
    assert sum(engine.asked.values()) == 0
    assert running.world.queue.depth(QUEUE) == (1 if state == "stale" else 0)


async def test_a_message_of_no_known_form_is_left_to_a_worker_that_knows_it() -> None:
    running = Running()
    running.world.queue.send(QUEUE, "{}")
    await worker(running, ScriptedEngine()).take(take(running))
    assert running.world.queue.depth(QUEUE) == 1


async def test_a_stop_saves_what_is_finished_and_gives_the_rest_back_at_once() -> None:
    running, engine = Running(), ScriptedEngine()
    running.dispatch()

    async def stop(work: Work) -> None:
        work.stop.set()

    await interrupted(running, engine, stop)
    assert running.shard().state is ShardState.WAITING
    engine.gate = None
    second = ScriptedEngine()
    await worker(running, second).take(take(running))
    assert dict(second.asked) == {"t0": 1}
    attempts = {row.custom_id: row.attempt for row in running.world.results(running.batch_id)}
    assert sorted(attempts.values()) == [1] * (len(attempts) - 1) + [2]


async def test_an_evicted_attempt_saves_what_it_has_and_leaves_the_message_alone() -> None:
    running, engine = Running(), ScriptedEngine()
    running.dispatch()

    async def evict(_: Work) -> None:
        running.claim()

    await interrupted(running, engine, evict)
    assert running.shard().attempt == 2
    assert running.world.queue.depth(QUEUE) == 1
    assert any("/shards/" in key for key in running.world.objects.keys(DATA))
    assert running.world.parts_written == []


async def test_a_cancelled_batch_makes_its_workers_save_and_stop_without_a_commit() -> None:
    running, engine = Running(), ScriptedEngine()
    running.dispatch()

    async def cancel(_: Work) -> None:
        running.world.cancel(CancelInput(batch_id=running.batch_id))

    await interrupted(running, engine, cancel)
    assert running.world.parts_written == []
    assert any("/shards/" in key for key in running.world.objects.keys(DATA))
    assert running.world.queue.depth(QUEUE) == 0


async def test_a_finished_row_that_was_saved_is_never_asked_again_after_a_kill() -> None:
    running = Running()
    running.dispatch()
    engine = ScriptedEngine(script=lambda text, before: Reply(503, b"", 1) if text == "t0" else None)
    work = worker(running, engine, checkpoint_seconds=0.0)
    work.tools.window._clock = FakeClock(auto=False)
    task = asyncio.create_task(work.take(take(running)))
    rows = len(running.outcomes())
    await until(lambda: sum(engine.answered.values()) >= rows)
    await until(lambda: any("/shards/" in key for key in running.world.objects.keys(DATA)))
    saved = set(engine.answered) - {"t0"}
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    running.world.queue.again(QUEUE)
    second = ScriptedEngine()
    await worker(running, second).take(take(running))
    assert not saved & set(second.asked)
    assert all(row.ok for row in running.world.results(running.batch_id))


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Reply(400, b'{"error": {"message": "too long"}}', 1), "engine_rejected"),
        (Reply(404, b'{"message": "no such model"}', 1), "engine_misconfigured"),
        (Reply(500, b"oops", 1), "engine_unavailable"),
        (Reply(429, b"", 1, retry_after_s=2.0), "engine_unavailable"),
        (Reply(0, b"", 1, error="ServerDisconnectedError"), "engine_unavailable"),
        (Reply(200, b"<html>", 1), "invalid_response"),
        (Reply(200, b'{"data": [1], "choices": [{"finish_reason": "abort", "text": "ha"}]}', 1), "engine_unavailable"),
    ],
)
async def test_a_row_that_gets_no_answer_that_counts_is_a_typed_error(reply: Reply, code: str) -> None:
    running = Running()
    running.dispatch()
    engine = ScriptedEngine(script=lambda text, before: reply if text == "t0" else None)
    await worker(running, engine).take(take(running))
    rows = {row.custom_id: row for row in running.world.results(running.batch_id)}
    assert rows["row-00000-000000"].error_code == code
    assert rows["row-00000-000000"].output_text is None
    assert all(row.ok for name, row in rows.items() if name != "row-00000-000000")
    assert engine.asked["t0"] == (1 if reply.status in (400, 404) else 5)


async def test_a_row_whose_second_try_is_answered_is_a_result() -> None:
    running = Running()
    running.dispatch()
    engine = ScriptedEngine(script=lambda text, before: Reply(0, b"", 1, error="reset") if not before else None)
    await worker(running, engine).take(take(running))
    assert all(row.ok for row in running.world.results(running.batch_id))


async def test_an_engine_that_does_not_come_back_ends_the_worker_with_its_shard_given_back() -> None:
    running = Running()
    running.dispatch()
    engine = ScriptedEngine(script=lambda text, before: Reply(0, b"", 1, error="refused"), is_healthy=False)
    with pytest.raises(EngineDown):
        await worker(running, engine).take(take(running))
    assert running.shard().state is ShardState.WAITING
    assert running.world.queue.receive(QUEUE, 0, 30) is not None


async def test_an_input_that_changed_is_one_error_with_its_bytes_and_no_mixture() -> None:
    running = Running()
    running.dispatch()
    (pinned,) = running.documents.plan().objects
    assert pinned.version_id
    running.world.objects.delete_version("input", pinned.key, pinned.version_id)
    await worker(running, ScriptedEngine()).take(take(running))
    (row,) = running.world.results(running.batch_id)
    assert (row.error_code, row.attempt) == ("input_missing", 1)


async def test_a_commit_whose_answer_was_lost_is_found_by_looking() -> None:
    running = Running()
    running.dispatch()

    def lose(operation: str, bucket: str, key: str) -> None:
        if operation == "create":
            raise Transient("the answer was lost")

    running.world.objects.after = lose
    await worker(running, ScriptedEngine()).take(take(running))
    assert running.shard().committed_attempt == 1
    assert len(running.world.parts_written) == 1


async def test_trouble_of_the_table_gives_the_message_back_and_the_worker_goes_on() -> None:
    running = Running()
    running.dispatch()
    failures = iter([True])

    def trouble(operation: str) -> None:
        if operation == "update_shard" and next(failures, False):
            raise Transient("throttled")

    running.world.batches.before = trouble
    work = worker(running, ScriptedEngine())
    running.world.queue.clock = work.tools.clock
    task = asyncio.create_task(work.run())
    running.world.queue.again(QUEUE)

    def come_again_until_done() -> list[str]:
        running.world.queue.again(QUEUE)
        return running.world.parts_written

    await until(come_again_until_done)
    work.stop.set()
    await asyncio.wait_for(task, 20)
    assert running.shard().state is ShardState.COMMITTED
