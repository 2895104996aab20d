from __future__ import annotations

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


def test_a_parked_shard_of_a_batch_that_runs_is_sent_and_its_pool_woken() -> None:
    running, release = parked()
    assert release(running.world.batches.get(running.batch_id), running.shard())
    assert (running.shard().state, running.world.queue.depth(QUEUE)) == (ShardState.SENT, 1)
    assert running.world.capacity.desired[("pools", "default")] == 1


def test_a_message_is_sent_before_that_is_noted_so_that_a_cut_costs_a_message_too_many_at_most() -> None:
    running, release = parked()

    def cut(operation: str) -> None:
        if operation == "update_shard":
            raise Transient("cut off")

    running.world.batches.before = cut
    with pytest.raises(Transient):
        release(running.world.batches.get(running.batch_id), running.shard())
    running.world.batches.before = None
    assert (running.shard().parked, running.world.queue.depth(QUEUE)) == (True, 1)


def test_a_shard_whose_pool_is_no_longer_deployed_is_dispatched_anew() -> None:
    running, release = parked()
    running.world.pools.clear()
    assert release(running.world.batches.get(running.batch_id), running.shard())
    answer = running.world.workflow.answers["token-1"]
    assert (answer.error, answer.cause) == ("Rerouted", "pool 'default' is no longer deployed")
    assert running.shard().token is None
    assert running.world.queue.depth(QUEUE) == 0


def test_a_shard_that_no_token_waits_for_stays_where_it_is() -> None:
    running, release = parked()
    running.world.workflow.waiting.clear()
    batch, shard = running.world.batches.get(running.batch_id), running.shard()
    release.answering.succeed(shard)
    assert not release(batch, running.shard())
    assert running.world.queue.depth(QUEUE) == 0
