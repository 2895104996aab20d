from __future__ import annotations

import json

import pytest

from batchmill.contracts.pools import Pool
from batchmill.domain.errors import SpecInvalid, Transient
from batchmill.domain.shard import Shard, ShardState, given_back
from batchmill.steps.shard.sending import Sending
from support.shards import Running
from support.world import QUEUE

DEFAULT = ("pools", "default")


def waiting() -> tuple[Running, Sending, Shard]:
    """A shard that waits without a message while its pool sleeps, and what sends it."""
    running = Running()
    running.dispatch()
    running.claim()
    shard = running.world.batches.update_shard(running.key(), lambda old: given_back(old, 1, 0.0))
    assert shard is not None
    running.world.queue.messages.clear()
    running.world.capacity.desired[DEFAULT] = 0
    return running, running.world.sending, shard


def test_the_message_names_the_current_dispatch_and_the_record_says_sent() -> None:
    running, sending, shard = waiting()
    sending(shard)
    (message,) = running.world.queue.messages[QUEUE]
    assert json.loads(message.body) == {"batch_id": running.batch_id, "run": 0, "shard": 0, "dispatch": 1}
    assert running.shard().state is ShardState.SENT


def test_the_pool_is_woken_when_there_is_something_for_it_to_do() -> None:
    running, sending, shard = waiting()
    seen: list[tuple[int, ShardState]] = []
    running.world.capacity.before = lambda: seen.append((running.world.queue.depth(QUEUE), running.shard().state))
    sending(shard)
    assert seen == [(1, ShardState.SENT)]
    assert running.world.capacity.desired[DEFAULT] == 1


def test_a_message_that_was_not_taken_wakes_nobody() -> None:
    running, sending, shard = waiting()

    def refuse(_: str) -> None:
        raise Transient("busy")

    running.world.queue.before = refuse
    with pytest.raises(Transient):
        sending(shard)
    assert running.world.capacity.desired[DEFAULT] == 0
    assert running.shard().state is ShardState.WAITING


def test_a_shard_that_was_claimed_meanwhile_stays_its_holders() -> None:
    running, sending, shard = waiting()
    running.claim()
    sending(shard)
    assert running.shard().state is ShardState.RUNNING


def test_a_pool_that_is_no_longer_deployed_is_named() -> None:
    running, sending, _ = waiting()
    gone = Sending(sending.batches, sending.queue, sending.capacity, sending.clock, {"other": Pool(queue_url="other")})
    with pytest.raises(SpecInvalid, match="'default' is no longer deployed"):
        gone(running.shard())
