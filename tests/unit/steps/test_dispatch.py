from __future__ import annotations

import json

import pytest

from batchmill.contracts.workflow import CancelInput
from batchmill.domain.errors import Cancelled, DeadlineExceeded
from batchmill.domain.shard import ShardState, claimed, parked
from support.shards import Running
from support.world import QUEUE


def test_a_dispatch_stores_the_token_and_sends_ids_only() -> None:
    running = Running()
    running.dispatch("secret-token")
    shard = running.shard()
    assert (shard.state, shard.token, shard.dispatch) == (ShardState.SENT, "secret-token", 1)
    (message,) = running.world.queue.messages[QUEUE]
    assert json.loads(message.body) == {"batch_id": running.batch_id, "run": 0, "shard": 0, "dispatch": 1}


def test_a_dispatch_wakes_the_pool_that_it_sends_to() -> None:
    running = Running()
    running.dispatch()
    assert running.world.capacity.desired == {("pools", "default"): 1}


def test_the_record_is_written_before_anything_is_sent() -> None:
    running = Running()
    states: list[ShardState] = []
    running.world.queue.before = lambda _: states.append(running.shard().state)
    running.dispatch()
    assert states == [ShardState.WAITING]


def test_a_part_that_is_there_answers_the_token_at_once_and_sends_nothing() -> None:
    running = Running()
    running.commit()
    running.dispatch("token-1")
    assert running.world.workflow.answers["token-1"].error is None
    assert running.shard().state is ShardState.COMMITTED
    assert running.world.queue.depth(QUEUE) == 0
    assert running.world.capacity.desired == {("pools", "default"): 0}


def test_a_plan_is_read_once_however_many_of_its_shards_are_sent() -> None:
    running = Running()
    read: list[str] = []
    running.world.objects.before = lambda operation, _, key: read.append(key) if operation == "get" else None
    for n in range(3):
        running.dispatch(f"token-{n}")
    assert [key for key in read if key.endswith("batch.json")] == [f"batches/{running.batch_id}/batch.json"]


def test_a_second_dispatch_makes_the_first_message_stale() -> None:
    running = Running()
    running.dispatch("token-1")
    running.dispatch("token-2")
    assert (running.shard().dispatch, running.shard().token) == (2, "token-2")


def test_a_cancelled_batch_sends_nothing() -> None:
    running = Running()
    running.world.cancel(CancelInput(batch_id=running.batch_id))
    with pytest.raises(Cancelled):
        running.dispatch()
    assert running.world.queue.depth(QUEUE) == 0
    assert running.world.capacity.desired == {("pools", "default"): 0}


def test_a_cancel_that_comes_before_the_token_is_stored_still_ends_the_task() -> None:
    running = Running()

    def between() -> None:
        running.world.cancel(CancelInput(batch_id=running.batch_id))

    running.world.batches.between = between
    with pytest.raises(Cancelled):
        running.dispatch()
    assert running.shard().token is None
    assert running.world.queue.depth(QUEUE) == 0


def test_a_batch_out_of_time_sends_nothing() -> None:
    running = Running()
    running.world.clock.move(3600)
    with pytest.raises(DeadlineExceeded):
        running.dispatch()


def test_a_shard_of_a_paused_batch_is_parked_with_its_token_and_nothing_is_sent() -> None:
    running = Running()
    running.pause()
    running.dispatch()
    shard = running.shard()
    assert (shard.state, shard.parked, shard.token) == (ShardState.WAITING, True, "token-1")
    assert (running.world.workflow.answers, running.world.queue.depth(QUEUE)) == ({}, 0)


def test_a_pause_that_comes_before_the_token_is_stored_still_sends_nothing() -> None:
    running = Running()
    running.world.batches.between = running.pause
    running.dispatch()
    assert (running.shard().parked, running.world.queue.depth(QUEUE)) == (True, 0)


def test_a_worker_that_parks_the_shard_before_it_is_noted_as_sent_is_heard() -> None:
    running = Running()
    moves = [lambda: None, lambda: _parked_by_a_worker(running)]  # at the token, at the note
    running.world.batches.between = lambda: moves.pop(0)() if moves else None
    running.dispatch()
    assert (running.shard().state, running.shard().parked) == (ShardState.WAITING, True)
    running.world.batches.between = None
    running.pause(False)
    assert running.world.queue.depth(QUEUE) == 1


def _parked_by_a_worker(running: Running) -> None:
    """Paused just now, it took the message, parked the shard and deleted the message."""
    running.pause()
    taken = running.world.queue.receive(QUEUE, 0, 30)
    assert taken is not None
    running.world.batches.update_shard(running.key(), lambda old: claimed(old, 1, "m-1", "worker", 1.0))
    running.world.batches.update_shard(running.key(), lambda old: parked(old, 1, 1.0))
    running.world.queue.delete(QUEUE, taken.receipt)
