"""The plan's documents: batch.json, fixed before the first shard is sent, and the items of shards.json.

Readers ignore fields they do not know: workers of two versions may read one plan.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from batchmill.contracts.spec import BatchSpec
from batchmill.domain.span import Span


class PinnedObject(BaseModel):
    """An input object in the version that the batch reads. `size` in bytes."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    bucket: str
    key: str
    size: int
    etag: str
    version_id: str | None = None


class PlanDocument(BaseModel):
    """batch.json: everything that a worker needs to know of a batch, and Complete to prove it whole.

    `columns` are carried into the results, in order; `header` are a CSV's field names.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    batch_id: str
    run: int
    spec: BatchSpec
    format: Literal["openai", "jsonl", "csv"]
    objects: tuple[PinnedObject, ...]
    columns: tuple[str, ...]
    header: tuple[str, ...] | None
    shards: int
    rows_estimated: int
    model: str
    fingerprint: str


class ShardItem(BaseModel):
    """One shard, as an item of shards.json and of missing.json: shard `n` is bytes [start, end) of objects[object]."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    n: int
    object: int
    start: int
    end: int
    first_line: int | None = None

    def span(self) -> Span:
        """The item as the domain's span."""
        return Span(self.object, self.start, self.end, self.first_line)

    @classmethod
    def of(cls, n: int, span: Span) -> ShardItem:
        """The item of a span."""
        return cls(n=n, object=span.object, start=span.start, end=span.end, first_line=span.first_line)
