"""Parked shards, once their batch goes on: sent again, by pause at once and by sweep where that missed one."""

from __future__ import annotations

from dataclasses import dataclass

from batchmill.domain.batch import Batch, BatchStatus
from batchmill.domain.errors import Rerouted, SpecInvalid
from batchmill.domain.shard import Shard
from batchmill.steps.shard.answering import Answering
from batchmill.steps.shard.sending import Sending


@dataclass(frozen=True)
class Releasing:
    """Sends first and then notes it: a message too many is harmless, a lost one is not."""

    sending: Sending
    answering: Answering

    def __call__(self, batch: Batch, shard: Shard) -> bool:
        """Send the shard if it is parked, its batch runs and a token waits for it; whether that was so.

        A shard whose pool is no longer deployed is dispatched anew, which says so. Raises Transient.
        """
        runs = batch.status is BatchStatus.IN_PROGRESS and not batch.paused
        due = runs and shard.parked and shard.token is not None
        if due:
            self._send(shard)
        return due

    def _send(self, shard: Shard) -> None:
        try:
            self.sending(shard)
        except SpecInvalid as error:
            self.answering.fail(shard, Rerouted(str(error)))
