"""Batches that sweep ends because too many of their rows are errors."""

from __future__ import annotations

import pytest

from batchmill.contracts.workflow import CancelInput, CloseInput, LandInput, RunInput
from batchmill.domain.batch import BatchStatus
from batchmill.domain.shard import Progress, renewed
from batchmill.steps.shard.committing import standing_part
from support.shards import Running
from support.world import DATA

HOPELESS = b"endpoint: /v1/embeddings\ninput: '{{ text }}'\nmax_error_ratio: 0.5\n"


def tell(running: Running, n: int, ok: int, errors: int) -> None:
    """A worker's renewal of a shard."""
    now = running.world.clock.now()
    running.world.batches.update_shard(running.key(n), lambda old: renewed(old, 1, Progress(ok, errors), now))


@pytest.mark.parametrize(("ok", "errors", "stopped"), [(50, 50, 0), (49, 51, 1), (0, 99, 0), (0, 100, 1)])
def test_a_batch_of_too_many_errors_is_ended_and_keeps_what_is_done(ok: int, errors: int, stopped: int) -> None:
    running = Running(profile=HOPELESS)
    for n in (0, 1):
        running.dispatch(f"token-{n}", n)
        running.claim(n)
    tell(running, 0, ok, 0)
    tell(running, 1, 0, errors)
    world = running.world
    assert world.sweep().stopped == stopped
    assert [answer.error for answer in world.workflow.answers.values()] == ["Cancelled", "Cancelled"] * stopped
    if stopped:
        running.commit(0)
        closing = world.close(CloseInput(batch_id=running.batch_id, run=0))
        assert closing.missing.count == len(running.items) - 1
        for item in running.items[1:]:
            world.land(LandInput(batch_id=running.batch_id, run=0, shard=item))
        batch = world.complete(RunInput(batch_id=running.batch_id, run=0))
        assert (batch.status, batch.counts.completed) == (BatchStatus.FAILED, len(running.outcomes(0)))
        (problem,) = batch.problems
        assert (problem.code, problem.param) == ("too_many_errors", "max_error_ratio")
        assert f"{errors} of the first {ok + errors} rows" in problem.message


def test_a_batch_that_says_nothing_of_errors_runs_to_its_end() -> None:
    running = Running()
    running.dispatch()
    running.claim()
    tell(running, 0, 0, 1000)
    assert running.world.sweep().stopped == 0


def test_a_batch_that_is_cancelled_meanwhile_stays_so() -> None:
    running = Running(profile=HOPELESS)
    running.dispatch("token-1")
    running.claim()
    tell(running, 0, 0, 1000)
    world = running.world

    def cancel() -> None:
        world.cancel(CancelInput(batch_id=running.batch_id))

    world.batches.between = cancel
    assert world.sweep().stopped == 0
    assert world.batches.get(running.batch_id).status is BatchStatus.CANCELLING


def test_what_no_renewal_told_of_a_shard_its_part_tells() -> None:
    running = Running(profile=HOPELESS)
    running.dispatch("token-1")
    running.claim()
    running.commit()
    part = standing_part(running.world.objects, DATA, running.key())
    assert part is not None
    running.world.sweep.answering.part_stands(running.key(), part)
    assert running.shard().progress.ok == len(running.outcomes())
