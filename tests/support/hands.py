"""The workers of a simulation, played move by move: between two of them anybody else may come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from batchmill.contracts.plan import PlanDocument
from batchmill.contracts.workflow import ShardMessage
from batchmill.domain.batch import Batch, BatchStatus
from batchmill.domain.errors import Conflict
from batchmill.domain.request import Outcome
from batchmill.domain.shard import Progress, Shard, ShardKey, claimed, committed, given_back, parked, renewed
from batchmill.steps.shard.checkpoints import Checkpoints
from batchmill.steps.shard.committing import commit
from batchmill.steps.shard.reading import span_rows
from support.world import DATA, LEASE, QUEUE, World


@dataclass
class Hand:
    """One attempt of one worker, as far as it has come. It never looks at a clock, and knows nothing of the others."""

    name: str
    shard: Shard
    receipt: str
    document: PlanDocument
    done: dict[int, Outcome] = field(default_factory=dict)
    fresh: list[Outcome] = field(default_factory=list)
    seq: int = 0


class Workers:
    """Those of one batch."""

    def __init__(self, random: Random, world: World, batch_id: str) -> None:
        self.random, self.world, self.batch_id = random, world, batch_id
        self.documents = world.documents(batch_id)
        self.hands: list[Hand] = []

    def batch(self) -> Batch:
        """The record as it is now."""
        return self.world.batches.get(self.batch_id)

    def receive(self) -> None:
        taken = self.world.queue.receive(QUEUE, 0, int(LEASE))
        if taken is None:
            return
        message = ShardMessage.model_validate_json(taken.body)
        key = ShardKey(message.batch_id, message.run, message.shard)
        name = f"worker-{len(self.hands)}-{self.random.random()}"
        now = self.world.clock.now()
        try:
            shard = self.world.batches.update_shard(
                key, lambda old: claimed(old, message.dispatch, taken.message_id, name, now)
            )
        except Conflict:
            self.world.queue.delete(QUEUE, taken.receipt)
            return
        assert shard is not None
        if shard.holder != name:
            return  # somebody holds it: the message stays hidden, and comes again after a lease
        hand = Hand(name, shard, taken.receipt, self.documents.plan())
        if self.batch().paused:
            self._park(hand)
            return
        hand.done = dict(self._checkpoints(hand).load())
        self.hands.append(hand)

    def _checkpoints(self, hand: Hand) -> Checkpoints:
        return Checkpoints(self.world.objects, self.world.parts, DATA, hand.shard.key, hand.document)

    def move(self) -> None:
        """Some worker makes one move: asks for a row, saves, renews, gives back, commits, or is killed."""
        if not self.hands:
            return
        hand = self.random.choice(self.hands)
        rows = list(span_rows(self.world.objects, self.world.land.tables, hand.document, hand.shard.span))
        left = [row for row in rows if row.row not in hand.done]
        moves: list[Callable[[], None]] = [lambda: self._save(hand), lambda: self._renew(hand)]
        if left:
            moves += [lambda: self._ask(hand, left[0].row, str(left[0].columns["text"]))] * 3
        else:
            moves += [lambda: self.commit(hand)] * 3
        moves += [lambda: self._give_back(hand), lambda: self.hands.remove(hand)]
        self.random.choice(moves)()

    def _ask(self, hand: Hand, row: int, text: str) -> None:
        n = hand.shard.key.shard
        attempt = hand.shard.attempt
        outcome = Outcome(f"row-{n:05d}-{row:06d}", n, row, "ok", output_text=text, attempt=attempt)
        hand.done[row] = outcome
        hand.fresh.append(outcome)

    def _save(self, hand: Hand) -> None:
        if hand.fresh:
            hand.seq += 1
            self._checkpoints(hand).save(hand.shard.attempt, hand.seq, hand.fresh)
            hand.fresh = []

    def _renew(self, hand: Hand) -> None:
        batch = self.batch()
        try:
            self.world.batches.update_shard(
                hand.shard.key, lambda old: renewed(old, hand.shard.attempt, Progress(), self.world.clock.now())
            )
            ending = batch.status is not BatchStatus.IN_PROGRESS
        except Conflict:
            ending = True
        # A worker that learns of its end saves and stops; but some are too slow to look before they commit.
        if ending or batch.paused:
            self._leave(hand)
            if not ending:
                self._park(hand)
        else:
            self.world.queue.extend(QUEUE, hand.receipt, int(LEASE))

    def _leave(self, hand: Hand) -> None:
        self._save(hand)
        if hand in self.hands:
            self.hands.remove(hand)

    def _park(self, hand: Hand) -> None:
        now = self.world.clock.now()
        try:
            self.world.batches.update_shard(hand.shard.key, lambda old: parked(old, hand.shard.attempt, now))
        except Conflict:
            return
        if self.random.random() < 0.8:  # else killed before it could delete the message
            self.world.queue.delete(QUEUE, hand.receipt)

    def _give_back(self, hand: Hand) -> None:
        self._leave(hand)
        try:
            self.world.batches.update_shard(
                hand.shard.key, lambda old: given_back(old, hand.shard.attempt, self.world.clock.now())
            )
        except Conflict:
            return
        self.world.queue.extend(QUEUE, hand.receipt, 0)

    def commit(self, hand: Hand) -> None:
        """The worker commits what it has, without another look at anything."""
        if hand in self.hands:
            self.hands.remove(hand)
        standing = commit(
            self.world.objects,
            self.world.parts,
            DATA,
            hand.shard.key,
            hand.document,
            hand.shard.span,
            list(hand.done.values()),
            hand.shard.attempt,
            hand.name,
        )
        if self.random.random() < 0.3:
            return  # killed between the commit and the bookkeeping
        attempt, now = standing.metadata.attempt, self.world.clock.now()
        self.world.batches.update_shard(hand.shard.key, lambda old: committed(old, attempt, now))
        self.world.queue.delete(QUEUE, hand.receipt)
