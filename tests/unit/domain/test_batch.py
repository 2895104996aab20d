from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchmill.domain.batch import (
    FINAL,
    OUTCOMES_SEEN,
    PAUSABLE,
    TRANSITIONS,
    Batch,
    BatchStatus,
    Problem,
    hopeless,
    moved,
    pausing,
    with_problem,
)
from batchmill.domain.errors import NotPausable


def batch(status: BatchStatus) -> Batch:
    return Batch("batch_1", status, {}, (), 0.0, 10.0)


@given(start=st.sampled_from(list(BatchStatus)), path=st.lists(st.sampled_from(list(BatchStatus)), max_size=8))
def test_a_final_status_stays_whatever_is_asked(start: BatchStatus, path: list[BatchStatus]) -> None:
    now = batch(start)
    for i, status in enumerate(path):
        after = moved(now, status, float(i))
        assert after.status in {now.status} | TRANSITIONS[now.status]
        if now.status in FINAL:
            assert after == now
        now = after


@pytest.mark.parametrize("status", [status for status in BatchStatus if status not in FINAL])
def test_every_status_that_is_not_final_leads_to_a_final_one(status: BatchStatus) -> None:
    seen: set[BatchStatus] = set()
    reach = {status}
    while reach - seen:
        step = (reach - seen).pop()
        seen.add(step)
        reach |= TRANSITIONS[step]
    assert reach & FINAL


def test_a_move_notes_its_time_and_a_refused_one_nothing() -> None:
    running = moved(batch(BatchStatus.VALIDATING), BatchStatus.IN_PROGRESS, 3.0)
    assert running.times == {"in_progress": 3.0}
    assert moved(running, BatchStatus.COMPLETED, 4.0) is running


def test_a_problem_is_noted_once() -> None:
    problem = Problem("empty_file", "no rows")
    once = with_problem(batch(BatchStatus.VALIDATING), problem)
    assert with_problem(once, problem) is once
    assert once.problems == (problem,)


@pytest.mark.parametrize("status", sorted(PAUSABLE))
def test_a_batch_that_is_not_ending_is_paused_and_resumed_and_keeps_its_status(status: BatchStatus) -> None:
    held = pausing(batch(status), True, 3.0)
    assert (held.paused, held.status, held.times) == (True, status, {"paused": 3.0})
    assert pausing(held, True, 4.0) is held
    going = pausing(held, False, 5.0)
    assert (going.paused, going.status, going.times) == (False, status, {"paused": 3.0, "resumed": 5.0})
    assert pausing(going, False, 6.0) is going


@pytest.mark.parametrize(("paused", "verb"), [(True, "pause"), (False, "resume")])
@pytest.mark.parametrize("status", sorted(set(BatchStatus) - PAUSABLE))
def test_a_batch_that_is_ending_or_final_is_neither_paused_nor_resumed(
    status: BatchStatus, paused: bool, verb: str
) -> None:
    with pytest.raises(NotPausable, match=f"cannot {verb} a batch with status '{status}'"):
        pausing(batch(status), paused, 3.0)


def test_a_paused_batch_stays_so_when_its_shards_are_planned_and_no_longer_when_it_ends() -> None:
    held = pausing(batch(BatchStatus.VALIDATING), True, 1.0)
    planned = moved(held, BatchStatus.IN_PROGRESS, 2.0)
    assert planned.paused
    assert not moved(planned, BatchStatus.CANCELLING, 3.0).paused
    assert not moved(planned, BatchStatus.FINALIZING, 3.0).paused


@given(
    status=st.sampled_from(list(BatchStatus)),
    ratio=st.none() | st.floats(0, 1),
    ok=st.integers(0, 300),
    errors=st.integers(0, 300),
)
def test_a_batch_ends_for_its_errors_only_while_it_runs_and_above_its_own_share_of_enough(
    status: BatchStatus, ratio: float | None, ok: int, errors: int
) -> None:
    before = replace(batch(status), spec={"max_error_ratio": ratio} if ratio is not None else {})
    after = hopeless(before, ok, errors, 5.0)
    seen = ok + errors
    ends = status is BatchStatus.IN_PROGRESS and ratio is not None and seen >= OUTCOMES_SEEN and errors > ratio * seen
    if ends:
        assert (after.status, after.ending) == (BatchStatus.FINALIZING, BatchStatus.FAILED)
        assert [problem.code for problem in after.problems] == ["too_many_errors"]
        assert hopeless(after, ok, errors, 6.0) is after
    else:
        assert after is before
