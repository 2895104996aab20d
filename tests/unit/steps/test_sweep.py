from __future__ import annotations

from batchmill.contracts.workflow import CancelInput
from batchmill.domain.shard import Progress, ShardState, renewed, rerouted
from support.shards import Running
from support.world import LEASE

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
