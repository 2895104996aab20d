"""dispatch: sends one shard to a backend, having stored the token that waits for it first."""

from __future__ import annotations

from dataclasses import dataclass, field

from batchmill.contracts.workflow import DispatchInput
from batchmill.domain.batch import Batch, BatchStatus
from batchmill.domain.errors import Cancelled, DeadlineExceeded
from batchmill.domain.shard import Placement, Shard, ShardKey, answered, dispatched, held_back
from batchmill.ports.batches import Batches
from batchmill.ports.clock import Clock
from batchmill.ports.objects import Objects
from batchmill.steps.shard.answering import Answering
from batchmill.steps.shard.committing import standing_part
from batchmill.steps.shard.documents import Documents
from batchmill.steps.shard.sending import Sending


@dataclass(frozen=True)
class Dispatch:
    """The step. Its task ends when the token it was given is answered, by resume, sweep, cancel or itself."""

    objects: Objects
    batches: Batches
    sending: Sending
    answering: Answering
    clock: Clock
    data_bucket: str
    placed: dict[tuple[str, int], Placement] = field(default_factory=dict, compare=False)
    """Where shards go, by batch and run: a plan of many inputs has megabytes, and is fixed once it is admitted."""

    def __call__(self, asked: DispatchInput) -> None:
        """Send the shard, or park it where its batch is paused.

        Raises Cancelled or DeadlineExceeded, which end the task; Transient, which is retried.
        Raises StaleDispatch, which nobody hears, for a call that the state machine gave up on and has overtaken.
        """
        batch = self._open_batch(asked.batch_id)
        key = ShardKey(asked.batch_id, asked.run, asked.shard.n)
        place = self._place(batch, asked.run)
        now, call = self.clock.now(), (asked.entered, asked.retry)
        shard = self.batches.change_shard(
            key, asked.shard.span(), lambda old: dispatched(old, asked.token, place, batch.deadline, now, call)
        )
        part = standing_part(self.objects, self.data_bucket, key)
        if part is not None:
            # Resume may have met the record before the token was in it: answer our own.
            self.answering.part_stands(key, part)
            return
        if self._still_open(shard, asked.token).paused:
            self.batches.update_shard(key, lambda old: held_back(old, shard.dispatch, self.clock.now()))
            return
        self.sending(shard)

    def _open_batch(self, batch_id: str) -> Batch:
        batch = self.batches.get(batch_id)
        if batch.status is not BatchStatus.IN_PROGRESS:
            raise Cancelled(f"batch {batch_id} is {batch.status}")
        if self.clock.now() >= batch.deadline:
            raise DeadlineExceeded(f"batch {batch_id} is past its completion window")
        return batch

    def _still_open(self, shard: Shard, token: str) -> Batch:
        """Look at the batch again, now that the token is stored: a cancel in between has not seen it."""
        try:
            return self._open_batch(shard.key.batch_id)
        except (Cancelled, DeadlineExceeded):
            self.batches.update_shard(shard.key, lambda old: answered(old, token, self.clock.now()))
            raise

    def _place(self, batch: Batch, run: int) -> Placement:
        """Where the shard goes. The route is one pool, so a rerouted shard is sent there anew."""
        name = (batch.batch_id, run)
        if name not in self.placed:
            document = Documents(self.objects, self.data_bucket, *name).plan()
            self.placed.clear()  # one batch is enough: its shards come one after the other
            self.placed[name] = Placement("ecs", document.spec.pool, document.fingerprint)
        place = self.placed[name]
        self.sending.pool(place.pool)  # known before anything is written
        return place
