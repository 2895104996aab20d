"""One batch under a schedule that a random source draws: workers, the state machine and the weather, move by move."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from batchmill.contracts.plan import PlanDocument, ShardItem
from batchmill.contracts.workflow import CancelInput, CloseInput, DispatchInput, LandInput, RunInput, ShardMessage
from batchmill.domain.batch import Batch, BatchStatus
from batchmill.domain.errors import Cancelled, Conflict, DeadlineExceeded, Transient
from batchmill.domain.request import Outcome
from batchmill.domain.shard import Progress, Shard, ShardKey, claimed, committed, given_back, renewed
from batchmill.steps.shard.checkpoints import Checkpoints
from batchmill.steps.shard.committing import commit
from batchmill.steps.shard.reading import span_rows
from fakes.workflow import Answer
from support.world import DATA, LEASE, QUEUE, World, execution_ended, jsonl

ROWS = 7


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


class Simulation:
    """One batch from drop to its final state, under a schedule that `random` draws."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.world = World()
        self.batch_id = self.world.drop(jsonl(ROWS))
        self.name = self.batch_id
        self.opened = self.world.open(self.batch_id)
        self.documents = self.world.documents(self.batch_id)
        self.items = self.documents.shards()
        self.pending: set[int] = {item.n for item in self.items}
        self.tokens: dict[str, int] = {}
        self.numbers = 0
        self.cuts = 0
        self.hands: list[Hand] = []
        self.lands: list[ShardItem] | None = None
        self.live = True
        self.world.workflow.on_answered = self._answered
        self.world.batches.between = self._between

    # The state machine

    def dispatch(self) -> None:
        if not (self.live and self.pending and self.lands is None):
            return
        n = self.random.choice(sorted(self.pending))
        self.pending.discard(n)
        self.numbers += 1
        token = f"token-{self.numbers}"
        self.tokens[token] = n
        self.world.workflow.wait(token)
        try:
            item = self.items[n]
            self.world.dispatch(DispatchInput(token=token, batch_id=self.batch_id, run=0, shard=item))
        except (Cancelled, DeadlineExceeded):
            self.world.workflow.waiting.discard(token)

    def _answered(self, token: str, answer: Answer) -> None:
        if answer.error == "Rerouted" and self.live:
            self.pending.add(self.tokens[token])

    def abort(self) -> None:
        """The execution is stopped from outside; the event of it starts another, at close."""
        if self.batch().notified or len(self.world.workflow.executions) > 3:
            return
        self.world.workflow.waiting.clear()
        self.world.workflow.end(self.name)
        self.live, self.lands = False, None
        payload = self.world.workflow.executions[self.name]
        self.world.intake(execution_ended(self.name, payload))
        started = [name for name in self.world.workflow.executions if name not in self.world.workflow.ended]
        if started:
            (self.name,) = started
            self.pending.clear()
            self.live = True

    def close(self) -> None:
        """The map has ended (or the execution entered at close): close, then land piece by piece, then complete."""
        waiting = self.world.workflow.waiting
        if not self.live or self.pending or waiting or self.batch().notified:
            return
        if self.lands is None:
            self.world.close(CloseInput(batch_id=self.batch_id, run=0))
            missing = self.world.objects.get(DATA, f"batches/{self.batch_id}/plan/missing.json")
            self.lands = [ShardItem.model_validate(item) for item in json.loads(missing)]
        elif self.lands:
            item = self.lands.pop(self.random.randrange(len(self.lands)))
            self.world.land(LandInput(batch_id=self.batch_id, run=0, shard=item))
        else:
            self._complete()

    def _complete(self) -> None:
        """Cut off, at first, between the final status and its last callback; the machine then tries it again."""
        left = self.random.randrange(3) if self.cuts < 3 else 2
        self.cuts += 1

        def cut(operation: str) -> None:
            nonlocal left
            left -= operation == "send"
            if left < 0:
                raise Transient("cut off")

        self.world.queue.before = cut
        try:
            self.world.complete(RunInput(batch_id=self.batch_id, run=0))
        except Transient:
            return
        finally:
            self.world.queue.before = None

    # Workers

    def receive(self) -> None:
        taken = self.world.queue.receive(QUEUE, 0, int(LEASE))
        if taken is None:
            return
        message = ShardMessage.model_validate_json(taken.body)
        key = ShardKey(message.batch_id, message.run, message.shard)
        name = f"worker-{len(self.hands)}-{self.random.random()}"
        now = self.world.clock.now()
        try:
            shard = self.world.batches.update_shard(key, lambda old: claimed(old, message.dispatch, name, now))
        except Conflict:
            self.world.queue.delete(QUEUE, taken.receipt)
            return
        assert shard is not None
        if shard.holder != name:
            return  # somebody holds it: the message stays hidden, and comes again after a lease
        hand = Hand(name, shard, taken.receipt, self.documents.plan())
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
        if ending:
            self._save(hand)
            if hand in self.hands:
                self.hands.remove(hand)
        else:
            self.world.queue.extend(QUEUE, hand.receipt, int(LEASE))

    def _give_back(self, hand: Hand) -> None:
        self._save(hand)
        if hand in self.hands:
            self.hands.remove(hand)
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

    # The world around

    def event(self) -> None:
        if self.world.events:
            event = self.world.events.pop(self.random.randrange(len(self.world.events)))
            fate = self.random.random()
            if fate < 0.2:
                return  # lost: sweep has to find it
            if fate < 0.4:
                self.world.events.append(event)  # and once more later
            self.world.resume(event)

    def sweep(self) -> None:
        self.world.sweep()

    def time(self) -> None:
        self.world.clock.move(self.random.choice([1.0, LEASE / 2, LEASE * 2, LEASE * 5]))

    def redeliver(self) -> None:
        self.world.queue.again(QUEUE)

    def dead_letter(self) -> None:
        """A message was received too often: it leaves the queue and comes to resume."""
        messages = self.world.queue.messages.get(QUEUE, [])
        if messages:
            self.world.resume(messages.pop(self.random.randrange(len(messages))).body)

    def cancel(self) -> None:
        self.world.cancel(CancelInput(batch_id=self.batch_id))

    def batch(self) -> Batch:
        """The record as it is now."""
        return self.world.batches.get(self.batch_id)

    def _between(self) -> None:
        """Between some step's read and its write, now and then somebody else."""
        if self.random.random() < 0.25:
            actor = self.random.choice([self.receive, self.move, self.event, self.sweep, self.redeliver, self.cancel])
            if actor != self.cancel or self.random.random() < 0.1:
                actor()

    def act(self) -> None:
        often = [self.dispatch, self.receive, self.move, self.move, self.move, self.event]
        sometimes = [self.sweep, self.time, self.redeliver, self.close]
        seldom = [self.cancel, self.abort, self.dead_letter]
        draw = self.random.random()
        self.random.choice(often if draw < 0.75 else sometimes if draw < 0.97 else seldom)()

    def finish(self) -> None:
        """Calm weather: everybody does their part until the batch is final."""
        self.world.batches.between = None
        for _ in range(3000):
            if self.batch().notified:
                return
            self.dispatch()
            self.close()
            self.receive()
            for hand in list(self.hands):
                rows = list(span_rows(self.world.objects, self.world.land.tables, hand.document, hand.shard.span))
                for row in rows:
                    if row.row not in hand.done:
                        self._ask(hand, row.row, str(row.columns["text"]))
                self.commit(hand)
            while self.world.events:
                self.world.resume(self.world.events.pop())
            self.world.sweep()
            self.world.clock.move(LEASE)
        raise AssertionError(f"not final, or not told, after all: {self.batch()}")
