"""Exactly once, whatever happens: random interleavings of everybody who has a hand in a shard.

The steps are the real ones; workers are played move by move, so that any other actor may come between two moves, and
within a step between its read and its write.
"""

from __future__ import annotations

import itertools
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchmill.contracts.workflow import CancelInput, PauseInput, RunInput
from batchmill.domain.batch import BatchStatus
from batchmill.domain.errors import NotPausable
from batchmill.domain.shard import TRANSITIONS, ShardState
from support.simulation import ROWS, Simulation
from support.world import QUEUE, execution_ended


def check(simulation: Simulation) -> None:
    """Every row once, parts never written twice, records only moved as the table allows."""
    world, batch_id = simulation.world, simulation.batch_id
    assert sorted(world.parts_written) == sorted(set(world.parts_written))
    assert len(world.parts_written) == len(simulation.items)
    rows = world.results(batch_id)
    assert len(rows) == ROWS
    assert len({row.custom_id for row in rows}) == ROWS
    texts = sorted(row.output_text for row in rows if row.output_text)
    assert texts == sorted(set(texts))
    assert all(row.ok or row.error_code in ("batch_cancelled", "batch_failed", "batch_expired") for row in rows)
    batch = simulation.batch()
    assert batch.counts.completed == sum(row.ok for row in rows)
    assert batch.counts.total == ROWS
    if batch.status is BatchStatus.COMPLETED:
        assert all(row.ok for row in rows)
    assert batch.notified
    assert {message.channel for message in world.callbacks()} == {"event", "sns"}
    moves = {(before, after) for before, after, _ in TRANSITIONS}
    for history in world.batches.history.values():
        for before, after in itertools.pairwise(history):
            assert before.state == after.state or (before.state, after.state) in moves
            assert (after.dispatch, after.attempt) >= (before.dispatch, before.attempt)
        assert not [shard for shard in history if shard.parked and shard.state is not ShardState.WAITING]
    sent = world.queue.sent.get(QUEUE, [])
    assert len(sent) == len(set(sent))  # one message a dispatch, whoever released the shard how often


# A source of its own, seeded: one whose draws Hypothesis chooses cancels four batches of five before anything happens.
@given(random=st.randoms(use_true_random=True), steps=st.integers(0, 120))
@settings(max_examples=400, deadline=None)
def test_every_row_has_one_outcome_whatever_is_killed_lost_late_or_twice(random: Random, steps: int) -> None:
    simulation = Simulation(random)
    for _ in range(steps):
        simulation.act()
        if simulation.world.callbacks():  # nobody is told before the last part is fixed
            assert simulation.batch().final
            assert len(simulation.world.parts_written) == len(simulation.items)
    late = list(simulation.hands)
    simulation.finish()
    check(simulation)
    final, parts = simulation.batch(), dict.fromkeys(simulation.world.parts_written)
    results = simulation.world.results(simulation.batch_id)
    # A final state stays final: late commits, events, cancels, pauses, sweeps and messages change nothing.
    for hand in late:
        simulation.commit(hand)
    simulation.world.cancel(CancelInput(batch_id=simulation.batch_id))
    for paused in (True, False):
        with pytest.raises(NotPausable):
            simulation.world.pause(PauseInput(batch_id=simulation.batch_id, paused=paused))
    simulation.world.sweep()
    simulation.world.complete(RunInput(batch_id=simulation.batch_id, run=0))
    simulation.world.intake(execution_ended(simulation.name, {"batch_id": simulation.batch_id, "entry": "start"}))
    assert simulation.batch() == final
    assert simulation.world.results(simulation.batch_id) == results
    assert dict.fromkeys(simulation.world.parts_written) == parts
