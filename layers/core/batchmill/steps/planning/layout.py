"""The objects that shards are cut of: plain inputs, tables with their rows, and the pieces of compressed inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from batchmill.contracts.plan import PinnedObject
from batchmill.domain.errors import InputInvalid
from batchmill.ports.objects import ObjectInfo
from batchmill.ports.tables import TableFooter, Tables
from batchmill.steps.planning.looking import Looked
from batchmill.steps.planning.relaying import Laid
from batchmill.steps.planning.sizing import RowSize

FOOTERS_AT_ONCE = 32


@dataclass(frozen=True)
class Layout:
    """`items` in the order of the inputs; `inputs` says of each which input it is of; `footers` are the tables'."""

    items: Sequence[PinnedObject]
    inputs: Sequence[int]
    footers: Mapping[int, TableFooter]
    looked: Looked

    @property
    def row(self) -> RowSize:
        """A mean row."""
        head, samples = self.looked.head, self.looked.samples.values()
        if self.footers:
            rows = max(1, sum(footer.rows for footer in self.footers.values()))
            stored = sum(item.size for item in self.items) / rows
            return RowSize(stored, sum(footer.bytes for footer in self.footers.values()) / rows)
        rows = sum(one.rows for one in samples)
        mean = max(1.0, sum(one.bytes for one in samples) / rows) if rows else 1.0
        return RowSize(mean, mean, head.output_tokens)

    @property
    def rows(self) -> int:
        """Rows of all inputs: as counted where that was possible, else estimated."""
        if self.footers:
            return sum(footer.rows for footer in self.footers.values())
        known = {i: one.rows for i, one in self.looked.samples.items() if one.whole}
        size = sum(item.size for item, i in zip(self.items, self.inputs, strict=True) if i not in known)
        return sum(known.values()) + int(size / self.row.stored)

    @property
    def footers_by_item(self) -> dict[int, TableFooter]:
        """The tables' footers by the number of the item. (A table is one item.)"""
        return {n: self.footers[i] for n, i in enumerate(self.inputs) if i in self.footers}

    @property
    def extents(self) -> list[int]:
        """Bytes of each item, or rows of a table."""
        return [item.extent for item in self.items]


def layout(found: Sequence[ObjectInfo], looked: Looked, laid: Laid, tables: Tables) -> Layout:
    """What is to be cut. Raises InputInvalid for a table that cannot be read or has other columns than the first."""
    items: list[PinnedObject] = []
    inputs: list[int] = []
    for i, info in enumerate(found):
        pieces = [_piece(piece, name.first_line, info) for name, piece in laid.get(i, ())]
        items += pieces or [plain(info)]
        inputs += [i] * max(1, len(pieces))
    if looked.head.format != "parquet":
        return Layout(items, inputs, {}, looked)
    footers = _footers(found, looked, tables)
    items = [
        item.model_copy(update={"rows": footers[i].rows}) if i in footers else item for i, item in enumerate(items)
    ]
    return Layout(items, inputs, footers, looked)


def plain(info: ObjectInfo) -> PinnedObject:
    """An object as the plan's documents have it."""
    return PinnedObject(bucket=info.bucket, key=info.key, size=info.size, etag=info.etag, version_id=info.version_id)


def _piece(piece: ObjectInfo, first_line: int, source: ObjectInfo) -> PinnedObject:
    uri = f"s3://{source.bucket}/{source.key}"
    return plain(piece).model_copy(update={"source": uri, "first_line": first_line})


def _footers(found: Sequence[ObjectInfo], looked: Looked, tables: Tables) -> dict[int, TableFooter]:
    """Every table's: it alone tells where a table may be cut."""
    known = {i: one.footer for i, one in looked.samples.items() if one.footer}
    left = [i for i, info in enumerate(found) if info.size and i not in known]
    with ThreadPoolExecutor(FOOTERS_AT_ONCE) as pool:
        footers = {**known, **dict(zip(left, pool.map(lambda i: tables.footer(found[i]), left), strict=True))}
    columns = set(looked.head.columns)
    for i, footer in sorted(footers.items()):
        if set(footer.columns) != columns:
            raise InputInvalid(
                f"s3://{found[i].bucket}/{found[i].key}: its columns differ from the first input's: "
                "submit a batch for each"
            )
    return dict(sorted(footers.items()))
