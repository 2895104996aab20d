"""admit: a planned batch may run."""

from __future__ import annotations

import math
from dataclasses import dataclass

from batchmill.contracts.workflow import AdmitInput, AdmitOutput
from batchmill.domain.batch import BatchStatus, moved
from batchmill.domain.errors import Cancelled, DeadlineExceeded
from batchmill.ports.batches import Batches
from batchmill.ports.clock import Clock


@dataclass(frozen=True)
class Admit:
    """The step. `max_concurrency` bounds the shards out at one time."""

    batches: Batches
    clock: Clock
    max_concurrency: int

    def __call__(self, planned: AdmitInput) -> AdmitOutput:
        """Open the batch. Raises Cancelled or DeadlineExceeded where it is too late for it; Transient."""
        now = self.clock.now()
        batch = self.batches.change(planned.batch_id, lambda old: moved(old, BatchStatus.IN_PROGRESS, now))
        if batch.status is not BatchStatus.IN_PROGRESS:
            raise Cancelled(f"batch {batch.batch_id} is {batch.status}")
        if now >= batch.deadline:
            raise DeadlineExceeded(f"batch {batch.batch_id} is past its completion window")
        return AdmitOutput(
            batch_id=planned.batch_id,
            run=planned.run,
            shards=planned.shards,
            # Sweep ends what is late at the deadline; the task's own time-out is the backstop, a moment later.
            seconds_left=math.ceil(batch.deadline - now) + 1,
            max_concurrency=self.max_concurrency,
        )
