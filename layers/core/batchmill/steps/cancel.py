"""cancel: the batch is to end; every task that waits ends at once, workers learn it at their next renewal."""

from __future__ import annotations

from dataclasses import dataclass

from batchmill.contracts.workflow import CancelInput
from batchmill.domain.batch import Batch, BatchStatus, moved
from batchmill.domain.errors import Cancelled
from batchmill.ports.batches import Batches
from batchmill.ports.clock import Clock
from batchmill.steps.shard.answering import Answering


@dataclass(frozen=True)
class Cancel:
    """The step."""

    batches: Batches
    answering: Answering
    clock: Clock

    def __call__(self, asked: CancelInput) -> Batch:
        """Cancel, and return the batch as it is then: one that is ending or final stays so. Raises BatchNotFound."""
        now = self.clock.now()
        batch = self.batches.change(asked.batch_id, lambda old: moved(old, BatchStatus.CANCELLING, now))
        if batch.status is BatchStatus.CANCELLING:
            for shard in self.batches.shards(batch.batch_id, batch.run):
                self.answering.fail(shard, Cancelled(f"batch {batch.batch_id} was cancelled"))
        return batch
