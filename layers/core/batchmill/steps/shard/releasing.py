"""Parked shards, once their batch goes on: sent again, by pause at once and by sweep where that missed one."""

from __future__ import annotations

from dataclasses import dataclass

from batchmill.domain.batch import BatchStatus
from batchmill.domain.errors import Rerouted, SpecInvalid
from batchmill.domain.shard import Shard, releasable, released
from batchmill.steps.shard.answering import Answering
from batchmill.steps.shard.sending import Sending


@dataclass(frozen=True)
class Releasing:
    """Counts the dispatch up, sends, and notes it as sent, in that order.

    Many may release one shard at once (sweep, several resumes): the message of the last to count is the one that is
    not of the past. None is lost: the shard stays parked until its message is in the queue.
    """

    sending: Sending
    answering: Answering

    def __call__(self, shard: Shard) -> bool:
        """Send the shard if it is parked and a token waits for it, and its batch runs, as of now; whether that was so.

        A shard whose pool is no longer deployed is dispatched anew, which says so. Raises Transient, BatchNotFound.
        """
        if not (releasable(shard) and self._runs(shard.key.batch_id)):
            return False
        sending = self.sending
        now = sending.batches.update_shard(shard.key, lambda old: released(old, sending.clock.now()))
        if now is None or not releasable(now):
            return False
        try:
            sending(now)
        except SpecInvalid as error:
            self.answering.fail(now, Rerouted(str(error)))
        return True

    def _runs(self, batch_id: str) -> bool:
        batch = self.sending.batches.get(batch_id)
        return batch.status is BatchStatus.IN_PROGRESS and not batch.paused
