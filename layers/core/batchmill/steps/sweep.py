"""sweep: every minute, finds what events missed: parts without an answer, the dead, the late, the parked."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from batchmill.contracts.workflow import MachineInput
from batchmill.domain import ids
from batchmill.domain.batch import CLOSING, Batch, BatchStatus, closing_again, hopeless
from batchmill.domain.errors import (
    BatchmillError,
    BatchNotFound,
    Cancelled,
    DeadlineExceeded,
    Rerouted,
    Transient,
)
from batchmill.domain.shard import Shard, ShardState, lease_is_dead, observed, rerouted
from batchmill.ports.batches import Batches
from batchmill.ports.clock import Clock
from batchmill.ports.objects import Objects
from batchmill.steps.shard.answering import Answering
from batchmill.steps.shard.committing import standing_part
from batchmill.steps.shard.releasing import Releasing

DEAD_AFTER_LEASES = 3.0
"""A queue redelivers a dead worker's message after one lease; a shard not taken up long after is dispatched anew."""

OVERDUE_SECONDS = 1800.0
"""After a batch's deadline, and after each start at close: time enough to land and complete the largest batch."""

log = logging.getLogger(__name__)


@dataclass
class Swept:
    """What one sweep did, in shards. `closed`: batches that it started to close; `failed`: looks that met trouble.

    `oldest_seconds` leaves out paused batches, of which nobody is to do anything, and counts from when one was resumed.
    `stopped`: batches that it ended because too many of their rows are errors.
    """

    open: int = 0
    answered: int = 0
    rerouted: int = 0
    ended: int = 0
    released: int = 0
    closed: int = 0
    stopped: int = 0
    failed: int = 0
    oldest_seconds: float = 0.0


@dataclass(frozen=True)
class Sweep:
    """The step."""

    objects: Objects
    batches: Batches
    answering: Answering
    releasing: Releasing
    clock: Clock
    data_bucket: str
    lease_seconds: float
    _seen: dict[str, Batch | None] = field(default_factory=dict, compare=False)

    def __call__(self) -> Swept:
        """Look at every shard whose token waits, and at every batch that should be final by now.

        Trouble with one hides none of the others: it is logged, counted, and raised as Transient at the end.
        """
        swept = Swept()
        self._seen.clear()
        for shard in self.batches.open_shards():
            swept.open += 1
            with self._counted(swept, shard.key):
                self._look(shard, swept)
        for batch in self.batches.live():
            with self._counted(swept, batch.batch_id):
                self._close_overdue(batch, swept)
                self._stop_hopeless(batch, swept)
        if swept.failed:
            raise Transient(f"{swept.failed} of a sweep's looks failed; see its log")
        return swept

    @contextmanager
    def _counted(self, swept: Swept, what: object) -> Iterator[None]:
        try:
            yield
        except BatchmillError as error:
            swept.failed += 1
            log.error("sweep: %s: %s: %s", what, type(error).__name__, error)

    def _close_overdue(self, batch: Batch, swept: Swept) -> None:
        """A batch long past its deadline has lost its execution: start another, at close, and again while it takes."""
        now = self.clock.now()
        if now < max(batch.deadline, batch.times.get(CLOSING, 0.0)) + OVERDUE_SECONDS:
            return
        noted = self.batches.change(batch.batch_id, lambda old: closing_again(old, now))
        if not noted.final:
            payload = MachineInput(batch_id=noted.batch_id, run=noted.run, entry="close").model_dump()
            self.answering.workflow.start(ids.execution_name(noted.batch_id, noted.run, noted.closings), payload)
            swept.closed += 1

    def _stop_hopeless(self, batch: Batch, swept: Swept) -> None:
        """End a batch of which more rows are errors than its submission takes."""
        if batch.status is not BatchStatus.IN_PROGRESS or batch.spec.get("max_error_ratio") is None:
            return
        shards = list(self.batches.shards(batch.batch_id, batch.run))
        ok, errors = sum(one.progress.ok for one in shards), sum(one.progress.errors for one in shards)
        now, run = self.clock.now(), batch.run
        noted = self.batches.change(
            batch.batch_id, lambda old: hopeless(old, ok, errors, now) if old.run == run else old
        )
        if noted.status is BatchStatus.FINALIZING and noted.ending is BatchStatus.FAILED:
            swept.stopped += 1
            for shard in shards:  # those that this misses the next sweep's look finds, the batch not running any more
                if shard.token is not None and shard.state is not ShardState.COMMITTED:
                    self.answering.fail(shard, Cancelled(f"batch {batch.batch_id} has too many errors"))

    def _look(self, shard: Shard, swept: Swept) -> None:
        batch = self._batch(shard.key.batch_id)
        swept.oldest_seconds = max(swept.oldest_seconds, self._age(shard, batch))
        if shard.state is ShardState.COMMITTED:
            self.answering.succeed(shard)
            swept.answered += 1
            return
        if batch is None or batch.status is not BatchStatus.IN_PROGRESS:
            self.answering.fail(shard, Cancelled(f"batch {shard.key.batch_id} is not running"))
            swept.ended += 1
        elif self.clock.now() >= shard.deadline:
            self.answering.fail(shard, DeadlineExceeded("the batch is past its completion window"))
            swept.ended += 1
        elif shard.rerouting:
            self._reroute(shard, swept)  # an earlier one was cut off before the token was failed
        elif shard.state is ShardState.RUNNING:
            self._look_at_lease(shard, swept)
        elif not batch.paused:
            swept.released += self.releasing(shard)
            self.releasing.sending.wake(shard)  # whoever sent it may have failed to; a deployment undoes a wake

    def _age(self, shard: Shard, batch: Batch | None) -> float:
        """For how many seconds the shard could have been worked at."""
        if batch is None:
            return self.clock.now() - shard.created_at
        since = max(shard.created_at, batch.times.get("resumed", 0.0))
        return 0.0 if batch.paused else self.clock.now() - since

    def _look_at_lease(self, shard: Shard, swept: Swept) -> None:
        now = self.clock.now()
        noted = self.batches.update_shard(shard.key, lambda old: observed(old, now))
        if noted is None or not lease_is_dead(noted, DEAD_AFTER_LEASES * self.lease_seconds, now):
            return
        part = standing_part(self.objects, self.data_bucket, shard.key)
        if part is not None:
            self.answering.part_stands(shard.key, part)
            swept.answered += 1
            return
        renewal, attempt, token = noted.renewal, noted.attempt, noted.token

        def change(old: Shard) -> Shard:
            still = (old.renewal, old.attempt, old.token) == (renewal, attempt, token)
            return rerouted(old, now) if still and old.state is ShardState.RUNNING else old

        after = self.batches.update_shard(shard.key, change)
        if after is not None and after.rerouting:
            self._reroute(after, swept)

    def _reroute(self, shard: Shard, swept: Swept) -> None:
        self.answering.fail(shard, Rerouted(f"attempt {shard.attempt} has not been heard of"))
        swept.rerouted += 1

    def _batch(self, batch_id: str) -> Batch | None:
        if batch_id not in self._seen:
            try:
                self._seen[batch_id] = self.batches.get(batch_id)
            except BatchNotFound:
                self._seen[batch_id] = None
        return self._seen[batch_id]
