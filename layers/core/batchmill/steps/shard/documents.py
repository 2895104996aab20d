"""The plan's documents in the data bucket."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import TypeAdapter

from batchmill.contracts.plan import PlanDocument, ShardItem
from batchmill.contracts.workflow import ShardList
from batchmill.domain import ids
from batchmill.ports.objects import Objects

_ITEMS: TypeAdapter[list[ShardItem]] = TypeAdapter(list[ShardItem])
_SHARDS = "plan/shards.json"


class Documents:
    """batch.json, shards.json, missing.json and manifest.json of one run."""

    def __init__(self, objects: Objects, bucket: str, batch_id: str, run: int) -> None:
        self._objects, self.bucket = objects, bucket
        self._prefix = ids.run_prefix(batch_id, run)

    def plan(self) -> PlanDocument:
        """Raises Gone where nothing has been planned."""
        return PlanDocument.model_validate_json(self._objects.get(self.bucket, self._prefix + "batch.json"))

    def put_plan(self, document: PlanDocument) -> None:
        """Write batch.json."""
        self._put("batch.json", document.model_dump_json(indent=2).encode())

    def shards(self) -> list[ShardItem]:
        """The plan's shards. Raises Gone where nothing has been planned."""
        return _ITEMS.validate_json(self._objects.get(self.bucket, self._prefix + _SHARDS))

    def planned(self) -> ShardList:
        """What `put_shards` returned. Raises Gone where nothing has been planned."""
        return ShardList(bucket=self.bucket, key=self._prefix + _SHARDS, count=len(self.shards()))

    def put_shards(self, items: Sequence[ShardItem]) -> ShardList:
        """Write shards.json."""
        return self._put_list(_SHARDS, items)

    def put_missing(self, items: Sequence[ShardItem]) -> ShardList:
        """Write missing.json."""
        return self._put_list("plan/missing.json", items)

    def put_manifest(self, body: bytes) -> None:
        """Write manifest.json."""
        self._put("manifest.json", body)

    def _put_list(self, name: str, items: Sequence[ShardItem]) -> ShardList:
        self._put(name, _ITEMS.dump_json(list(items), exclude_none=True))
        return ShardList(bucket=self.bucket, key=self._prefix + name, count=len(items))

    def _put(self, name: str, body: bytes) -> None:
        self._objects.put(self.bucket, self._prefix + name, body, "application/json")
