"""What attempts of a shard have finished, saved before the shard is."""

from __future__ import annotations

from collections.abc import Sequence

from batchmill.contracts.plan import PlanDocument
from batchmill.domain import ids
from batchmill.domain.request import Outcome
from batchmill.domain.shard import ShardKey
from batchmill.ports.objects import Objects
from batchmill.ports.parts import Parts


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
            for outcome in self._parts.decode(self._objects.get(self._bucket, info.key)):
                found.setdefault(outcome.row, outcome)
        return found

    def save(self, attempt: int, seq: int, outcomes: Sequence[Outcome]) -> None:
        """Write the `seq`-th checkpoint of an attempt."""
        key = ids.checkpoint_key(
            self._key.batch_id, self._key.run, self._key.shard, self._document.fingerprint, attempt, seq
        )
        self._objects.put(self._bucket, key, self._parts.encode(outcomes, self._document.columns), temporary=True)
