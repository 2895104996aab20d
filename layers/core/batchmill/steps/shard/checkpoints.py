"""What attempts of a shard have finished, saved before the shard is."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from batchmill.contracts.plan import PlanDocument
from batchmill.domain import ids
from batchmill.domain.errors import Gone
from batchmill.domain.request import Outcome
from batchmill.domain.shard import ShardKey
from batchmill.ports.objects import Objects
from batchmill.ports.parts import Parts

log = logging.getLogger(__name__)


class Checkpoints:
    """The checkpoints of one shard under one fingerprint."""

    def __init__(self, objects: Objects, parts: Parts, bucket: str, key: ShardKey, document: PlanDocument) -> None:
        self._objects, self._parts, self._bucket = objects, parts, bucket
        self._key, self._document = key, document

    def load(self) -> dict[int, Outcome]:
        """Row to outcome over all attempts. Where a row stands in two, the lowest attempt's wins."""
        found: dict[int, Outcome] = {}
        prefix = ids.checkpoint_prefix(self._key.batch_id, self._key.run, self._key.shard, self._document.fingerprint)
        for info in self._objects.list(self._bucket, prefix):
            for outcome in self._read(info.key):
                found.setdefault(outcome.row, outcome)
        return found

    def _read(self, key: str) -> Sequence[Outcome]:
        try:
            return self._parts.decode(self._objects.get(self._bucket, key))
        except (Gone, ValueError) as error:
            # Its rows are done again: a checkpoint saves work, it is never the only place of a row.
            log.warning("checkpoint %s is left out: %s", key, type(error).__name__)
            return ()

    def save(self, attempt: int, seq: int, outcomes: Sequence[Outcome]) -> None:
        """Write the `seq`-th checkpoint of an attempt."""
        key = ids.checkpoint_key(
            self._key.batch_id, self._key.run, self._key.shard, self._document.fingerprint, attempt, seq
        )
        self._objects.put(self._bucket, key, self._parts.encode(outcomes, self._document.columns), temporary=True)
