"""Exactly once across lives of an embedded stack: its executions, tokens and pool messages die, its folder does not."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from batchmill.contracts.workflow import MachineInput
from batchmill.domain import ids
from batchmill.domain.errors import Cancelled, DeadlineExceeded
from batchmill.local.keeping.continuing import entry
from property.test_protocol import check
from support.simulation import Simulation
from support.world import QUEUE


class Lives(Simulation):
    """A stack that is killed now and then. Some of its workers outlive it for a while, and meet the next one's."""

    def killed(self) -> None:
        """All but objects, records and callbacks is gone, and the batch goes on as `continue_batches` would have it."""
        world = self.world
        world.workflow.waiting.clear()
        world.workflow.executions.clear()
        world.workflow.ended.clear()
        world.queue.messages.pop(QUEUE, None)
        world.events.clear()
        self.pending.clear()
        self.lands = None
        self.hands = [hand for hand in self.hands if self.random.random() < 0.3]
        batch = self.batch()
        self.live = not (batch.final and batch.notified)
        if not self.live:
            return
        told = MachineInput(batch_id=batch.batch_id, run=batch.run, entry=entry(batch))
        self.name = ids.execution_name(batch.batch_id, batch.run, batch.closings)
        assert world.workflow.start(self.name, told.model_dump())
        if told.entry == "start":
            self._start()

    def _start(self) -> None:
        if self.random.random() < 0.5:
            self.world.sweep()  # over the tokens of the dead, before any shard has another
        try:
            assert self.world.open(self.batch_id).shards == self.opened.shards
        except (Cancelled, DeadlineExceeded):
            return
        self.pending = {item.n for item in self.items}


@given(random=st.randoms(use_true_random=False), steps=st.integers(0, 80))
@settings(max_examples=100, deadline=None)
def test_every_row_has_one_outcome_however_often_the_stack_is_killed(random: Random, steps: int) -> None:
    lives = Lives(random)
    for _ in range(steps):
        if random.random() < 0.06:
            lives.killed()
        else:
            lives.act()
    lives.killed()
    lives.finish()
    check(lives)


@given(random=st.randoms(use_true_random=False), steps=st.integers(0, 40))
@settings(max_examples=50, deadline=None)
def test_rows_that_were_saved_are_not_asked_again(random: Random, steps: int) -> None:
    lives = Lives(random)
    for _ in range(steps):
        lives.random.choice([lives.dispatch, lives.receive, lives.move, lives.move, lives.sweep])()
    saved = {
        (key.rsplit("/", 1)[0], outcome.row): outcome.attempt
        for info in lives.world.objects.list("data", f"batches/{lives.batch_id}/shards/")
        for key in [info.key]
        for outcome in lives.world.parts.decode(lives.world.objects.get("data", key))
    }
    lives.hands.clear()
    lives.killed()
    lives.finish()
    check(lives)
    fates = {(row.shard, row.row): row.attempt for row in lives.world.results(lives.batch_id)}
    for (folder, row), attempt in saved.items():
        shard = int(folder.split("/shards/")[1].split("/")[0])
        assert fates[shard, row] <= attempt
