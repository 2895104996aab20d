"""land: commits a shard that no worker will: what its checkpoints hold, and an error row for every other row."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from batchmill.contracts.plan import PlanDocument
from batchmill.contracts.workflow import LandInput
from batchmill.domain.batch import Batch, BatchStatus
from batchmill.domain.errors import InputChanged, InputInvalid, InputMissing
from batchmill.domain.request import Outcome, RowError
from batchmill.domain.shard import ShardKey
from batchmill.domain.span import Span
from batchmill.ports.batches import Batches
from batchmill.ports.objects import Objects
from batchmill.ports.parts import Parts
from batchmill.ports.tables import Tables
from batchmill.steps.shard.answering import Answering
from batchmill.steps.shard.checkpoints import Checkpoints
from batchmill.steps.shard.committing import LAND_WRITER, commit
from batchmill.steps.shard.documents import Documents
from batchmill.steps.shard.reading import span_error, span_rows
from batchmill.steps.shard.rendering import unasked

log = logging.getLogger(__name__)

LAND_ATTEMPT = 0
"""Workers' attempts count from 1."""

REASONS = {
    BatchStatus.CANCELLED: RowError("batch_cancelled", "the batch was cancelled before this row was done"),
    BatchStatus.EXPIRED: RowError("batch_expired", "the batch's completion window ended before this row was done"),
}
FAILED = RowError("batch_failed", "the batch failed before this row was done")


@dataclass(frozen=True)
class Land:
    """The step."""

    objects: Objects
    tables: Tables
    batches: Batches
    parts: Parts
    answering: Answering
    data_bucket: str

    def __call__(self, asked: LandInput) -> None:
        """Commit the shard where nobody has. Raises Transient."""
        batch = self.batches.get(asked.batch_id)
        document = Documents(self.objects, self.data_bucket, asked.batch_id, asked.run).plan()
        key = ShardKey(asked.batch_id, asked.run, asked.shard.n)
        span = asked.shard.span()
        if asked.last_resort:
            outcomes = [span_error(document, key, span, _reason(batch), LAND_ATTEMPT)]
        else:
            done = Checkpoints(self.objects, self.parts, self.data_bucket, key, document).load()
            outcomes = self._outcomes(batch, document, key, span, done)
        standing = commit(
            self.objects, self.parts, self.data_bucket, key, document, span, outcomes, LAND_ATTEMPT, LAND_WRITER
        )
        log.info("land: shard %d of %s: attempt %d stands", key.shard, key.batch_id, standing.metadata.attempt)
        self.answering.part_stands(key, standing.metadata)

    def _outcomes(
        self, batch: Batch, document: PlanDocument, key: ShardKey, span: Span, done: dict[int, Outcome]
    ) -> list[Outcome]:
        reason = _reason(batch)
        try:
            return [
                done.get(row.row) or unasked(document, key.shard, row, row.error or reason, LAND_ATTEMPT)
                for row in span_rows(self.objects, self.tables, document, span)
            ]
        except (InputChanged, InputInvalid, InputMissing) as error:
            return [span_error(document, key, span, RowError(error.code, str(error)), LAND_ATTEMPT)]


def _reason(batch: Batch) -> RowError:
    return REASONS.get(batch.ending or BatchStatus.FAILED, FAILED)
