"""The plan's documents: batch.json, fixed before the first shard is sent, and the items of shards.json.

Readers ignore fields they do not know: workers of two versions may read one plan.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from batchmill.contracts.pools import UNKNOWN_MODEL
from batchmill.contracts.spec import BatchSpec
from batchmill.domain.formats import Format
from batchmill.domain.span import Span


class PinnedObject(BaseModel):
    """An input object in the version that the batch reads. `size` in bytes.

    `rows` is a table's (Parquet's) number of rows, by which its spans count. A piece that was laid anew from a
    compressed object has that one's URI as its `source`, and `first_line`, the 1-based number of its first line there.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    bucket: str
    key: str
    size: int
    etag: str
    version_id: str | None = None
    rows: int | None = None
    source: str | None = None
    first_line: int = 1

    @property
    def extent(self) -> int:
        """Where the last of its spans ends: rows of a table, else bytes."""
        return self.size if self.rows is None else self.rows

    @property
    def uri(self) -> str:
        """What a person knows it by: the URI of the user's own object."""
        return self.source or f"s3://{self.bucket}/{self.key}"

    @property
    def name(self) -> str:
        """The key within that URI."""
        return self.uri.removeprefix("s3://").partition("/")[2]

    @property
    def beginning(self) -> bool:
        """Whether its first byte is the first of the user's object, where a byte order mark and a header would be."""
        return self.first_line == 1


class PlanDocument(BaseModel):
    """batch.json: everything that a worker needs to know of a batch, and Complete to prove it whole.

    `columns` are carried into the results, in order; `header` are a CSV's field names, split by `delimiter`, and
    `header_line` says whether they stand at the beginning of each object. `template_sha256` names the templates by
    their content; empty for OpenAI batch lines, which have none. `ids_checked`: no two rows have the same custom_id.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    batch_id: str
    run: int
    spec: BatchSpec
    format: Format
    objects: tuple[PinnedObject, ...]
    columns: tuple[str, ...]
    header: tuple[str, ...] | None
    delimiter: str = ","
    header_line: bool = True
    shards: int
    rows_estimated: int
    model: str
    fingerprint: str
    template_sha256: str = ""
    ids_checked: bool = False

    @property
    def own_ids(self) -> bool:
        """Whether the rows' custom_ids are the user's own."""
        return self.format == "openai" or self.spec.custom_id is not None

    @property
    def model_served(self) -> str:
        """The one model that a row may name; empty where the engine does not say what it serves."""
        return "" if self.model == UNKNOWN_MODEL else self.model


class ShardItem(BaseModel):
    """One shard, as an item of shards.json and of missing.json: shard `n` is [start, end) of objects[object].

    In bytes, or in rows of a table.
    """

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
