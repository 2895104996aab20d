"""pause: nobody works at a batch for as long as it is paused; resumed, its parked shards are sent again at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

from batchmill.contracts.workflow import PauseInput
from batchmill.domain.batch import Batch, pausing
from batchmill.ports.batches import Batches
from batchmill.ports.clock import Clock
from batchmill.steps.shard.releasing import Releasing

WAITED_FOR_SECONDS = 20.0
"""For how long a call that somebody waits for sends shards; clients give up after a minute. Sweep sends the others."""


@dataclass(frozen=True)
class Pause:
    """The step, for both ways. Workers learn of a pause at their next renewal or claim."""

    batches: Batches
    releasing: Releasing
    clock: Clock

    def __call__(self, asked: PauseInput) -> Batch:
        """Pause or resume, and return the batch as it is then. Raises BatchNotFound, NotPausable, Transient."""
        batch = self._asked(asked)
        until = self.clock.now() + (math.inf if asked.paused is None else WAITED_FOR_SECONDS)
        if not batch.paused:
            for shard in self.batches.shards(batch.batch_id, batch.run):
                if self.clock.now() >= until:
                    break
                self.releasing(shard)
        return batch

    def _asked(self, asked: PauseInput) -> Batch:
        wanted, now = asked.paused, self.clock.now()
        if wanted is None:
            return self.batches.get(asked.batch_id)
        return self.batches.change(asked.batch_id, lambda old: pausing(old, wanted, now, asked.seen))
