"""The plan's documents in the data bucket."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from pydantic import TypeAdapter

from batchmill.contracts.plan import PinnedObject, PlanDocument, ShardItem
from batchmill.contracts.workflow import ShardList
from batchmill.domain import ids
from batchmill.domain.errors import AlreadyExists, Gone
from batchmill.ports.objects import Objects

_ITEMS: TypeAdapter[list[ShardItem]] = TypeAdapter(list[ShardItem])
_OBJECTS: TypeAdapter[list[PinnedObject]] = TypeAdapter(list[PinnedObject])
_AT_ONCE = 1000
"""Items that are written together: a plan's 50,000 would be 70 MB, and the collector goes through them all."""

_SHARDS, _INPUTS, _CUT = "plan/shards.json", "plan/inputs.json", "plan/cut.json"


class Documents:
    """batch.json, shards.json, missing.json and manifest.json of one run, and what plan notes between its calls."""

    def __init__(self, objects: Objects, bucket: str, batch_id: str, run: int) -> None:
        self._objects, self.bucket = objects, bucket
        self._prefix = ids.run_prefix(batch_id, run)

    def plan(self) -> PlanDocument:
        """Raises Gone where nothing has been planned."""
        return PlanDocument.model_validate_json(self._objects.get(self.bucket, self._prefix + "batch.json"))

    def put_plan(self, document: PlanDocument) -> None:
        """Write batch.json."""
        self._put("batch.json", document.model_dump_json(indent=2).encode())

    @property
    def laid_prefix(self) -> str:
        """Where plan lays pieces of compressed inputs, with a closing slash."""
        return f"{self._prefix}plan/laid/"

    def inputs(self) -> list[PinnedObject] | None:
        """The inputs as an earlier call of plan has pinned them; None where none had to."""
        try:
            return _OBJECTS.validate_json(self._objects.get(self.bucket, self._prefix + _INPUTS))
        except Gone:
            return None

    def keep_inputs(self, objects: Sequence[PinnedObject]) -> list[PinnedObject]:
        """Note the inputs for later calls of plan. Those that another call has noted before stay, and are returned."""
        body = _OBJECTS.dump_json(list(objects), exclude_defaults=True)
        try:
            self._objects.create(self.bucket, self._prefix + _INPUTS, body, {})
        except AlreadyExists:
            return self.inputs() or list(objects)
        return list(objects)

    def cut(self) -> list[ShardItem]:
        """The shards that earlier calls of plan have cut."""
        try:
            return _ITEMS.validate_json(self._objects.get(self.bucket, self._prefix + _CUT))
        except Gone:
            return []

    def put_cut(self, items: Iterable[ShardItem]) -> None:
        """Note the shards that are cut so far."""
        self._put_list(_CUT, items)

    def shards(self) -> list[ShardItem]:
        """The plan's shards. Raises Gone where nothing has been planned."""
        return _ITEMS.validate_json(self._objects.get(self.bucket, self._prefix + _SHARDS))

    def planned(self) -> ShardList:
        """What `put_shards` returned. Raises Gone where nothing has been planned."""
        return ShardList(bucket=self.bucket, key=self._prefix + _SHARDS, count=len(self.shards()))

    def put_shards(self, items: Iterable[ShardItem]) -> ShardList:
        """Write shards.json."""
        return self._put_list(_SHARDS, items)

    def put_missing(self, items: Iterable[ShardItem]) -> ShardList:
        """Write missing.json."""
        return self._put_list("plan/missing.json", items)

    def put_manifest(self, body: bytes) -> None:
        """Write manifest.json."""
        self._put("manifest.json", body)

    def _put_list(self, name: str, items: Iterable[ShardItem]) -> ShardList:
        left, count, written = iter(items), 0, []
        while some := list(islice(left, _AT_ONCE)):
            count += len(some)
            written.append(_ITEMS.dump_json(some, exclude_none=True)[1:-1])
        self._put(name, b"[" + b",".join(written) + b"]")
        return ShardList(bucket=self.bucket, key=self._prefix + name, count=count)

    def _put(self, name: str, body: bytes) -> None:
        self._objects.put(self.bucket, self._prefix + name, body, "application/json")
