from __future__ import annotations

import pytest

from batchmill.contracts.workflow import CancelInput, CloseInput, MachineError, RunInput
from batchmill.domain.batch import BatchStatus
from batchmill.domain.errors import EmptyInput
from support.shards import Running
from support.world import LEASE, World


def close(world: World, batch_id: str, error: str = "") -> int:
    """Close; how many shards are missing."""
    told = MachineError(Error=error, Cause="because") if error else None
    return world.close(CloseInput(batch_id=batch_id, run=0, error=told)).missing.count


def test_with_every_part_there_the_batch_completes() -> None:
    running = Running()
    for item in running.items:
        running.commit(item.n)
    assert close(running.world, running.batch_id) == 0
    assert running.world.batches.get(running.batch_id).ending is BatchStatus.COMPLETED


def test_shards_without_a_part_are_listed() -> None:
    running = Running()
    running.commit(1)
    assert close(running.world, running.batch_id) == len(running.items) - 1


@pytest.mark.parametrize(
    ("cancelled", "seconds", "error", "ending", "code"),
    [
        (True, 0.0, "", BatchStatus.CANCELLED, None),
        (True, 9999.0, "", BatchStatus.CANCELLED, None),
        (False, 3600.0, "", BatchStatus.EXPIRED, None),
        (False, 0.0, "", BatchStatus.FAILED, "shards_lost"),
        (False, 0.0, "States.DataLimitExceeded", BatchStatus.FAILED, "internal_error"),
    ],
)
def test_the_ending_says_what_happened(
    cancelled: bool, seconds: float, error: str, ending: BatchStatus, code: str | None
) -> None:
    running = Running()
    if cancelled:
        running.world.cancel(CancelInput(batch_id=running.batch_id))
    running.world.clock.move(seconds)
    close(running.world, running.batch_id, error)
    batch = running.world.batches.get(running.batch_id)
    assert (batch.status, batch.ending) == (BatchStatus.FINALIZING, ending)
    assert [problem.code for problem in batch.problems] == ([code] if code else [])


def test_workers_that_hold_a_shard_are_given_the_time_of_a_renewal_to_save() -> None:
    running = Running()
    running.dispatch()
    asked = CloseInput(batch_id=running.batch_id, run=0)
    assert running.world.close(asked).grace_seconds == 0
    running.claim()
    assert running.world.close(asked).grace_seconds == LEASE / 3 + 2
    for item in running.items:
        running.commit(item.n)
    assert running.world.close(asked).grace_seconds == 0


def test_a_functions_error_is_told_by_its_message_without_its_stack() -> None:
    running = Running()
    cause = '{"errorMessage": "went wrong", "errorType": "KeyError", "stackTrace": ["File secret"]}'
    told = MachineError(Error="KeyError", Cause=cause)
    running.world.close(CloseInput(batch_id=running.batch_id, run=0, error=told))
    (problem,) = running.world.batches.get(running.batch_id).problems
    assert problem.message == "KeyError: went wrong"


def test_an_ending_once_found_stays() -> None:
    running = Running()
    close(running.world, running.batch_id)
    for item in running.items:
        running.commit(item.n)
    close(running.world, running.batch_id)
    assert running.world.batches.get(running.batch_id).ending is BatchStatus.FAILED


def test_a_batch_whose_plan_failed_has_nothing_to_land_and_keeps_the_plans_own_words() -> None:
    world = World()
    batch_id = world.drop(b"")
    with pytest.raises(EmptyInput):
        world.plan(RunInput(batch_id=batch_id, run=0))
    assert close(world, batch_id, "EmptyInput") == 0
    batch = world.batches.get(batch_id)
    assert batch.ending is BatchStatus.FAILED
    assert [problem.code for problem in batch.problems] == ["empty_file"]
