from __future__ import annotations

import json

import pytest

from batchmill.contracts.workflow import CancelInput, PauseInput
from batchmill.domain.batch import BatchStatus, pausing
from batchmill.domain.errors import BatchNotFound, NotPausable, Transient
from batchmill.domain.shard import ShardState
from batchmill.steps.pause import WAITED_FOR_SECONDS
from support.shards import Running
from support.world import QUEUE


def states(running: Running) -> list[tuple[ShardState, bool]]:
    shards = running.world.batches.shards(running.batch_id, 0)
    return [(shard.state, shard.parked) for shard in shards]


def test_a_pause_is_noted_in_the_record_and_sends_nothing() -> None:
    running = Running()
    running.dispatch()
    batch = running.world.pause(PauseInput(batch_id=running.batch_id, paused=True))
    assert (batch.paused, batch.status) == (True, BatchStatus.IN_PROGRESS)
    assert running.world.batches.get(running.batch_id) == batch
    assert running.world.queue.depth(QUEUE) == 1


def test_a_resume_sends_every_parked_shard_again_by_its_own_dispatch() -> None:
    running = Running()
    running.pause()
    for n in (0, 1):
        running.dispatch(f"token-{n}", n)
    assert states(running) == [(ShardState.WAITING, True)] * 2
    running.pause(False)
    assert states(running) == [(ShardState.SENT, False)] * 2
    bodies = [json.loads(message.body) for message in running.world.queue.messages[QUEUE]]
    assert [(body["shard"], body["dispatch"]) for body in bodies] == [(0, 2), (1, 2)]
    assert running.world.workflow.answers == {}


def test_a_resume_that_the_record_says_already_sends_what_is_parked_still() -> None:
    running = Running()
    running.pause()
    running.dispatch()
    running.world.batches.change(running.batch_id, lambda old: pausing(old, False, 5.0))
    running.world.pause(PauseInput(batch_id=running.batch_id))
    assert states(running) == [(ShardState.SENT, False)]


def test_a_call_that_comes_after_another_pause_does_not_undo_it() -> None:
    running = Running()
    running.pause()
    running.dispatch()
    batch = running.world.pause(PauseInput(batch_id=running.batch_id))
    assert batch.paused
    assert running.world.queue.depth(QUEUE) == 0


def test_a_call_that_is_tried_again_after_another_pause_does_not_undo_it() -> None:
    running = Running()
    running.pause()
    running.dispatch()
    seen = running.world.batches.get(running.batch_id).pausings
    resume = PauseInput(batch_id=running.batch_id, paused=False, seen=seen)
    assert not running.world.pause(resume).paused
    running.pause()
    before = running.world.batches.get(running.batch_id)
    assert running.world.pause(resume) == before
    assert (before.paused, before.pausings) == (True, 3)


def test_a_call_that_is_tried_again_because_it_took_long_sends_what_is_parked_still() -> None:
    running = Running()
    running.pause()
    running.dispatch()
    resume = PauseInput(batch_id=running.batch_id, paused=False, seen=1)
    running.world.queue.before = _refusing
    with pytest.raises(Transient):
        running.world.pause(resume)
    running.world.queue.before = None
    running.world.pause(resume)
    assert states(running) == [(ShardState.SENT, False)]
    assert running.world.batches.get(running.batch_id).pausings == 2


def _refusing(operation: str) -> None:
    raise Transient(f"no {operation} today")


@pytest.mark.parametrize(("waited_for", "sent"), [(True, 2), (False, 3)])
def test_a_call_that_somebody_waits_for_leaves_to_sweep_what_would_take_too_long(waited_for: bool, sent: int) -> None:
    running = Running()
    running.pause()
    for n in range(3):
        running.dispatch(f"token-{n}", n)
    running.world.queue.before = lambda _: running.world.clock.move(WAITED_FOR_SECONDS / 2)
    if not waited_for:
        running.world.batches.change(running.batch_id, lambda old: pausing(old, False, 5.0))
    running.world.pause(PauseInput(batch_id=running.batch_id, paused=False if waited_for else None))
    assert states(running).count((ShardState.SENT, False)) == sent
    assert running.world.sweep().released == 3 - sent
    assert states(running) == [(ShardState.SENT, False)] * 3


def test_pausing_and_resuming_twice_is_the_same_as_once() -> None:
    running = Running()
    running.dispatch()
    for paused in (True, True, False, False):
        running.pause(paused)
    times = running.world.batches.get(running.batch_id).times
    assert {"paused", "resumed"} <= set(times)
    assert running.world.queue.depth(QUEUE) == 1


def test_a_batch_is_paused_before_its_shards_are_planned() -> None:
    running = Running()
    world = running.world
    batch_id = world.drop(b'{"text": "a"}\n', "embed/early.jsonl")
    world.pause(PauseInput(batch_id=batch_id, paused=True))
    world.open(batch_id)
    assert (world.batches.get(batch_id).status, world.batches.get(batch_id).paused) == (BatchStatus.IN_PROGRESS, True)


@pytest.mark.parametrize("paused", [True, False])
def test_a_batch_that_is_ending_is_refused(paused: bool) -> None:
    running = Running()
    running.world.cancel(CancelInput(batch_id=running.batch_id))
    with pytest.raises(NotPausable, match="a batch with status 'cancelling'"):
        running.pause(paused)


def test_a_paused_batch_is_cancelled_as_any_other() -> None:
    running = Running()
    running.pause()
    running.dispatch()
    batch = running.world.cancel(CancelInput(batch_id=running.batch_id))
    assert (batch.status, batch.paused) == (BatchStatus.CANCELLING, False)
    assert running.world.workflow.answers["token-1"].error == "Cancelled"
    running.world.sweep()
    assert running.world.queue.depth(QUEUE) == 0


def test_a_batch_that_nobody_knows_is_said_so() -> None:
    with pytest.raises(BatchNotFound, match="batch_nobody"):
        Running().world.pause(PauseInput(batch_id="batch_nobody", paused=True))
