from __future__ import annotations

import json

import pytest

from batchmill.domain.batch import pausing
from batchmill.domain.errors import Transient
from batchmill.domain.shard import ShardState
from batchmill.steps.shard.releasing import Releasing
from support.shards import Running
from support.world import QUEUE


def parked() -> tuple[Running, Releasing]:
    """A batch that has just been resumed, by its record alone, with one parked shard."""
    running = Running()
    running.pause()
    running.dispatch()
    running.world.batches.change(running.batch_id, lambda old: pausing(old, False, 5.0))
    return running, running.world.pause.releasing


def dispatches(running: Running) -> list[int]:
    """Of which dispatches the queue holds messages, in their order."""
    return [json.loads(message.body)["dispatch"] for message in running.world.queue.messages.get(QUEUE, [])]


def test_a_parked_shard_of_a_batch_that_runs_is_sent_and_its_pool_woken() -> None:
    running, release = parked()
    assert release(running.shard())
    assert (running.shard().state, running.world.queue.depth(QUEUE)) == (ShardState.SENT, 1)
    assert running.world.capacity.desired[("pools", "default")] == 1


@pytest.mark.parametrize(("cut_at", "messages"), [(1, []), (2, [2])])
def test_a_release_that_is_cut_off_is_done_again_and_what_it_sent_is_of_the_past(
    cut_at: int, messages: list[int]
) -> None:
    running, release = parked()
    changes: list[str] = []

    def cut(operation: str) -> None:
        changes.extend([operation] if operation == "update_shard" else [])
        if len(changes) == cut_at:
            raise Transient("cut off")

    running.world.batches.before = cut
    with pytest.raises(Transient):
        release(running.shard())
    running.world.batches.before = None
    assert (running.shard().parked, dispatches(running)) == (True, messages)
    assert release(running.shard())
    current = running.shard().dispatch
    assert (running.shard().state, dispatches(running)) == (ShardState.SENT, [*messages, current])
    assert current not in messages


def test_a_release_that_is_cut_off_before_it_sends_leaves_the_shard_parked() -> None:
    running, release = parked()
    running.world.queue.before = _refusing
    with pytest.raises(Transient):
        release(running.shard())
    running.world.queue.before = None
    assert (running.shard().parked, running.shard().dispatch) == (True, 2)
    assert release(running.shard())
    assert (running.shard().state, dispatches(running)) == (ShardState.SENT, [3])


def _refusing(operation: str) -> None:
    raise Transient(f"no {operation} today")


def test_of_many_that_release_by_an_image_read_earlier_one_sends() -> None:
    running, release = parked()
    image = running.shard()
    assert [release(image) for _ in range(3)] == [True, False, False]
    assert dispatches(running) == [2]


def test_of_two_that_release_between_each_others_moves_one_message_is_not_of_the_past() -> None:
    running, release = parked()
    image = running.shard()
    others = [image]

    def release_too(_: str) -> None:
        if others:
            assert release(others.pop())

    running.world.queue.before = release_too
    assert release(image)
    assert dispatches(running) == [3, 2]
    assert (running.shard().dispatch, running.shard().state) == (3, ShardState.SENT)


def test_a_batch_that_was_paused_again_since_the_shard_was_read_sends_nothing() -> None:
    running, release = parked()
    image = running.shard()
    running.world.batches.change(running.batch_id, lambda old: pausing(old, True, 6.0))
    assert not release(image)
    assert (running.shard(), dispatches(running)) == (image, [])


def test_a_shard_whose_pool_is_no_longer_deployed_is_dispatched_anew() -> None:
    running, release = parked()
    running.world.pools.clear()
    assert release(running.shard())
    answer = running.world.workflow.answers["token-1"]
    assert (answer.error, answer.cause) == ("Rerouted", "pool 'default' is no longer deployed")
    assert running.shard().token is None
    assert running.world.queue.depth(QUEUE) == 0


def test_a_shard_that_no_token_waits_for_stays_where_it_is() -> None:
    running, release = parked()
    running.world.workflow.waiting.clear()
    shard = running.shard()
    release.answering.succeed(shard)
    assert not release(shard)
    assert running.world.queue.depth(QUEUE) == 0
