"""close: makes every ending the same. Finds the shards without a part, and how the batch ends."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace

from batchmill.contracts.plan import ShardItem
from batchmill.contracts.workflow import CloseInput, CloseOutput, MachineError
from batchmill.domain import ids
from batchmill.domain.batch import Batch, BatchStatus, Problem, moved, with_problem
from batchmill.domain.errors import Gone
from batchmill.domain.shard import RENEWALS_PER_LEASE, ShardState
from batchmill.ports.batches import Batches
from batchmill.ports.clock import Clock
from batchmill.ports.objects import Objects
from batchmill.steps.shard.documents import Documents

CAUSE_LIMIT = 500
"""Characters kept of a failure's cause."""

SAVING_SECONDS = 2
"""For a checkpoint's write."""

EXPECTED_ERRORS = frozenset({"Cancelled", "DeadlineExceeded"})
"""Errors of plan and admit that are an ending, not a failure."""


@dataclass(frozen=True)
class Close:
    """The step. It may run several times, and again after it was cut off."""

    objects: Objects
    batches: Batches
    clock: Clock
    data_bucket: str
    lease_seconds: float

    def __call__(self, asked: CloseInput) -> CloseOutput:
        """Fix the ending, and list what is still to land. Raises Transient."""
        documents = Documents(self.objects, self.data_bucket, asked.batch_id, asked.run)
        missing = self._missing(documents, asked)
        now = self.clock.now()
        self.batches.change(asked.batch_id, lambda old: _closing(old, asked.error, bool(missing), now))
        return CloseOutput(
            batch_id=asked.batch_id,
            run=asked.run,
            missing=documents.put_missing(missing),
            grace_seconds=self._grace(asked) if missing else 0,
        )

    def _grace(self, asked: CloseInput) -> int:
        """Seconds in which a worker that holds a shard learns of the end and saves: one renewal, and some to write."""
        held = any(shard.state is ShardState.RUNNING for shard in self.batches.shards(asked.batch_id, asked.run))
        return math.ceil(self.lease_seconds / RENEWALS_PER_LEASE) + SAVING_SECONDS if held else 0

    def _missing(self, documents: Documents, asked: CloseInput) -> list[ShardItem]:
        try:
            items = documents.shards()
        except Gone:
            return []  # nothing was planned, so nothing is missing
        prefix = ids.results_prefix(asked.batch_id, asked.run)
        keys = (ids.parse_part_key(info.key) for info in self.objects.list(self.data_bucket, prefix + "part-"))
        there = {key[2] for key in keys if key}
        return [item for item in items if item.n not in there]


def _closing(batch: Batch, error: MachineError | None, missing: bool, now: float) -> Batch:
    if error is not None and error.error not in EXPECTED_ERRORS and not batch.problems:
        batch = with_problem(batch, Problem("internal_error", f"{error.error}: {_said(error)}"))
    ending = batch.ending or _ending(batch, error, missing, now)
    if ending is BatchStatus.COMPLETED:
        batch = replace(batch, problems=())  # an execution may have ended badly, its batch did not
    if ending is BatchStatus.FAILED and not batch.problems:
        batch = with_problem(batch, Problem("shards_lost", "shards ended without a result before the batch's deadline"))
    return moved(replace(batch, ending=ending), BatchStatus.FINALIZING, now)


def _said(error: MachineError) -> str:
    """The message of a function's error, without its stack trace; any other cause as it is."""
    try:
        cause = json.loads(error.cause)
        message = str(cause["errorMessage"])
    except (ValueError, LookupError, TypeError):
        message = error.cause
    return message[:CAUSE_LIMIT]


def _ending(batch: Batch, error: MachineError | None, missing: bool, now: float) -> BatchStatus:
    """The final status: a cancel comes before what happened, and nothing missing means nothing went wrong."""
    if batch.status is BatchStatus.CANCELLING:
        return BatchStatus.CANCELLED
    if error is not None and error.error == "DeadlineExceeded":
        return BatchStatus.EXPIRED
    if not batch.shards:
        return BatchStatus.FAILED
    if not missing:
        return BatchStatus.COMPLETED
    return BatchStatus.EXPIRED if now >= batch.deadline else BatchStatus.FAILED
