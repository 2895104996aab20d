from __future__ import annotations

import pytest

from batchmill.contracts.workflow import CancelInput, CloseInput, PauseInput, RunInput
from batchmill.domain import ids
from batchmill.domain.batch import pausing
from batchmill.domain.errors import Transient
from batchmill.domain.shard import Progress, ShardState, given_back, renewed, rerouted
from batchmill.steps.sweep import OVERDUE_SECONDS
from support.shards import Running
from support.world import DATA, LEASE, QUEUE

DEAD = LEASE * 3 + 1


def test_a_part_whose_event_was_lost_is_answered_when_its_worker_has_noted_it() -> None:
    running = Running()
    running.dispatch("token-1")
    running.commit()
    running.world.events.clear()
    running.claim()
    running.world.sweep()
    running.world.clock.move(DEAD)
    assert running.world.sweep().answered == 1
    assert running.world.workflow.answers["token-1"].error is None


def test_a_worker_that_is_silent_for_too_long_loses_its_shard() -> None:
    running = Running()
    running.dispatch("token-1")
    running.claim()
    assert running.world.sweep().rerouted == 0
    running.world.clock.move(DEAD)
    assert running.world.sweep().rerouted == 1
    assert running.world.workflow.answers["token-1"].error == "Rerouted"
    assert running.shard().state is ShardState.WAITING


def test_a_worker_that_renews_keeps_its_shard_whatever_its_clock_says() -> None:
    running = Running()
    running.dispatch()
    running.claim()
    for _ in range(5):
        running.world.sweep()
        running.world.clock.move(DEAD)
        wrong = running.world.clock.now() - 600
        running.world.batches.update_shard(running.key(), lambda old, at=wrong: renewed(old, 1, Progress(), at))  # type: ignore[misc]
    assert running.world.workflow.answers == {}


def test_a_shard_that_waits_in_the_queue_is_never_rerouted() -> None:
    running = Running()
    running.dispatch()
    for _ in range(10):
        running.world.clock.move(300)
        assert running.world.sweep().rerouted == 0
    assert running.shard().state is ShardState.SENT


def woken_by_sweep(running: Running) -> bool:
    """Whether a sweep wakes the pool, which something has put to sleep since the shard was sent."""
    running.world.capacity.desired["pools", "default"] = 0
    running.world.sweep()
    return running.world.capacity.desired["pools", "default"] == 1


def test_a_pool_whose_wake_came_to_nothing_is_woken_again_while_a_shard_waits() -> None:
    running = Running()
    running.dispatch()
    assert woken_by_sweep(running)


def test_a_shard_that_a_stopping_worker_gave_back_wakes_the_pool() -> None:
    running = Running()
    running.dispatch()
    running.claim()
    running.world.batches.update_shard(running.key(), lambda old: given_back(old, 1, 0.0))
    assert woken_by_sweep(running)


def test_a_shard_that_somebody_works_at_wakes_nobody() -> None:
    running = Running()
    running.dispatch()
    running.claim()
    assert not woken_by_sweep(running)


def test_a_batch_that_is_paused_wakes_nobody() -> None:
    running = Running()
    running.dispatch()
    running.world.pause(PauseInput(batch_id=running.batch_id, paused=True))
    assert not woken_by_sweep(running)


def test_a_shard_of_a_pool_that_is_no_longer_deployed_wakes_nobody_and_is_no_trouble() -> None:
    running = Running()
    running.dispatch()
    running.world.pools.clear()
    assert not woken_by_sweep(running)


def test_a_shard_past_the_deadline_is_ended() -> None:
    running = Running()
    running.dispatch("token-1")
    running.world.clock.move(3600)
    assert running.world.sweep().ended == 1
    assert running.world.workflow.answers["token-1"].error == "DeadlineExceeded"


def test_a_token_that_a_cancel_missed_is_failed() -> None:
    running = Running()
    running.dispatch("token-1")
    running.world.workflow.before = None
    batches = running.world.batches
    batches.shards = lambda batch_id, run: iter(())  # type: ignore[method-assign]
    running.world.cancel(CancelInput(batch_id=running.batch_id))
    assert running.world.workflow.answers == {}
    running.world.sweep()
    assert running.world.workflow.answers["token-1"].error == "Cancelled"


def test_a_reroute_that_was_cut_off_before_the_token_was_failed_is_completed() -> None:
    running = Running()
    running.dispatch("token-1")
    running.claim()
    running.world.batches.update_shard(running.key(), lambda old: rerouted(old, running.world.clock.now()))
    running.world.sweep()
    assert running.world.workflow.answers["token-1"].error == "Rerouted"


def test_a_sweep_reports_how_old_the_oldest_open_shard_is() -> None:
    running = Running()
    running.dispatch()
    running.world.clock.move(90)
    swept = running.world.sweep()
    assert (swept.open, swept.oldest_seconds) == (1, 90)


OVERDUE = 3600.0 + OVERDUE_SECONDS


def test_a_batch_long_past_its_deadline_is_closed_and_again_while_it_takes() -> None:
    running = Running()
    running.world.clock.move(OVERDUE - 1)
    assert running.world.sweep().closed == 0
    running.world.clock.move(1)
    assert running.world.sweep().closed == 1
    assert running.world.sweep().closed == 0
    running.world.clock.move(OVERDUE_SECONDS)
    assert running.world.sweep().closed == 1
    names = list(running.world.workflow.executions)
    assert names == [running.batch_id, f"{running.batch_id}-c1", f"{running.batch_id}-c2"]
    assert running.world.workflow.executions[names[1]]["entry"] == "close"


def test_a_final_batch_is_not_closed_again() -> None:
    running = Running()
    for item in running.items:
        running.commit(item.n)
    running.world.close(CloseInput(batch_id=running.batch_id, run=0))
    running.world.complete(RunInput(batch_id=running.batch_id, run=0))
    running.world.clock.move(10 * OVERDUE)
    assert running.world.sweep().closed == 0


def test_trouble_with_one_shard_hides_no_other() -> None:
    running = Running()
    for n in (0, 1):
        running.dispatch(f"token-{n}", n)
        running.claim(n)
    running.world.sweep()
    strange = ids.part_key(running.batch_id, 0, 0)
    running.world.objects.put(DATA, strange, b"somebody else's")
    running.world.clock.move(DEAD)
    with pytest.raises(Transient, match="1 of a sweep's looks failed"):
        running.world.sweep()
    assert running.world.workflow.answers["token-1"].error == "Rerouted"


def test_a_worker_that_renewed_between_the_look_and_the_reroute_keeps_its_shard() -> None:
    running = Running()
    running.dispatch("token-1")
    running.claim()
    running.world.sweep()
    running.world.clock.move(DEAD)

    def renew() -> None:
        now = running.world.clock.now()
        running.world.batches.update_shard(running.key(), lambda old: renewed(old, 1, Progress(), now))

    running.world.batches.between = renew
    assert running.world.sweep().rerouted == 0
    assert running.world.workflow.answers == {}


def test_a_parked_shard_stays_parked_however_long_its_batch_is_paused_and_does_not_count_as_old() -> None:
    running = Running()
    running.pause()
    running.dispatch()
    for _ in range(5):
        running.world.clock.move(600)
        swept = running.world.sweep()
        assert (swept.open, swept.released, swept.rerouted, swept.ended, swept.oldest_seconds) == (1, 0, 0, 0, 0)
    assert (running.shard().parked, running.world.queue.depth(QUEUE)) == (True, 0)


def test_a_paused_batchs_shards_do_not_count_as_old_and_a_resumed_ones_count_from_then() -> None:
    running = Running()
    running.dispatch()
    running.world.clock.move(600)
    running.pause()
    running.world.clock.move(600)
    assert not running.shard().parked  # no worker has seen it yet
    assert running.world.sweep().oldest_seconds == 0
    running.pause(False)
    running.world.clock.move(90)
    assert running.world.sweep().oldest_seconds == 90


def test_a_parked_shard_that_a_resume_missed_is_sent_once() -> None:
    running = Running()
    running.pause()
    running.dispatch()
    running.world.batches.change(running.batch_id, lambda old: pausing(old, False, 5.0))
    assert [running.world.sweep().released for _ in range(3)] == [1, 0, 0]
    assert (running.shard().state, running.world.queue.depth(QUEUE)) == (ShardState.SENT, 1)


def test_a_paused_batch_ends_at_its_deadline_all_the_same() -> None:
    running = Running()
    running.pause()
    running.dispatch()
    running.world.clock.move(3600)
    assert running.world.sweep().ended == 1
    assert running.world.workflow.answers["token-1"].error == "DeadlineExceeded"
