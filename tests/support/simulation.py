"""One batch under a schedule that a random source draws: workers, the state machine and the weather, move by move."""

from __future__ import annotations

import contextlib
import json
from random import Random

from batchmill.contracts.plan import ShardItem
from batchmill.contracts.workflow import CancelInput, CloseInput, DispatchInput, LandInput, PauseInput, RunInput
from batchmill.domain.batch import pausing
from batchmill.domain.errors import Cancelled, DeadlineExceeded, NotPausable, Transient
from batchmill.steps.shard.reading import span_rows
from fakes.workflow import Answer
from support.hands import Workers
from support.world import DATA, LEASE, PROFILE, QUEUE, World, execution_ended, jsonl

ROWS = 7
WINDOWS = ("1h", "24h")
"""A short window may well end meanwhile; in a long one nobody may have to wait for its end."""
CALM = 60
"""Rounds, each a lease long, in which a batch must end once nothing more goes wrong."""


class Simulation(Workers):
    """One batch from drop to its final state, under a schedule that `random` draws."""

    def __init__(self, random: Random) -> None:
        world = World()
        profile = PROFILE.replace(b"1h", random.choice(WINDOWS).encode())
        super().__init__(random, world, world.drop(jsonl(ROWS), profile=profile))
        self.name = self.batch_id
        self.opened = self.world.open(self.batch_id)
        self.items = self.documents.shards()
        self.pending: set[int] = {item.n for item in self.items}
        self.tokens: dict[str, int] = {}
        self.numbers = 0
        self.cuts = 0
        self.lands: list[ShardItem] | None = None
        self.live = True
        self.world.workflow.on_answered = self._answered
        self.busy = False
        self.world.batches.between = self._between
        self.world.queue.before = self._sending

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

        before, self.world.queue.before = self.world.queue.before, cut
        try:
            self.world.complete(RunInput(batch_id=self.batch_id, run=0))
        except Transient:
            return
        finally:
            self.world.queue.before = before

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

    def pause(self) -> None:
        self._pause(True)

    def resume(self) -> None:
        self._pause(False)

    def _pause(self, paused: bool) -> None:
        """By the step, or by the API's note in the record, its call of the function lost."""
        with contextlib.suppress(NotPausable):
            if self.random.random() < 0.7:
                self.world.pause(PauseInput(batch_id=self.batch_id, paused=paused))
            else:
                now = self.world.clock.now()
                self.world.batches.change(self.batch_id, lambda old: pausing(old, paused, now))

    def _between(self) -> None:
        """Between some step's read and its write, or its look and its message, now and then somebody else."""
        if self.busy or self.random.random() >= 0.25:
            return
        self.busy = True
        try:
            others = [self.receive, self.move, self.event, self.sweep, self.redeliver, self.pause, self.resume]
            self.random.choice(others)()
            if self.random.random() < 0.02:
                self.cancel()
        finally:
            self.busy = False

    def _sending(self, operation: str) -> None:
        if operation == "send":
            self._between()

    def act(self) -> None:
        often = [self.dispatch, self.receive, self.move, self.move, self.move, self.event]
        sometimes = [self.sweep, self.time, self.redeliver, self.close, self.pause, self.resume]
        seldom = [self.cancel, self.abort, self.dead_letter]
        draw = self.random.random()
        self.random.choice(often if draw < 0.75 else sometimes if draw < 0.97 else seldom)()

    def finish(self) -> None:
        """Calm weather: everybody does their part until the batch is final, and a paused one is resumed."""
        self.world.batches.between = self.world.queue.before = None
        self.resume()
        for _ in range(CALM):
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
