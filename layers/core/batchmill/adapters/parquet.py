"""The tables port over Parquet, read by ranges of exactly the version that was pinned.

A file is hostile until it is read: its footer, its row groups and its rows are held to limits, and what is damaged
costs its own rows.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from itertools import repeat
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from batchmill.adapters.parquet_values import text_bytes, value_bytes, values
from batchmill.domain.errors import InputInvalid
from batchmill.domain.lines import LINE_LIMIT
from batchmill.domain.request import RowError, located
from batchmill.ports.objects import ObjectInfo, Objects
from batchmill.ports.tables import RowGroup, TableFooter

FOOTER_LIMIT = 32 * 1024 * 1024
"""Bytes. It tells of some 300,000 column chunks, and takes several times as much of memory when it is read."""

GROUP_LIMIT = 4 * 1024**3
"""Bytes of a row group, decompressed: each of its shards reads it from its beginning, in pieces."""

RATIO_LIMIT, RATIO_FROM = 1000, 256 * 1024 * 1024
"""How many times larger than the whole file a row group may get, once it is larger than this (bytes)."""

SPAN_LIMIT = 1024**3
"""Bytes of the text of one span's rows: a dictionary can hold a long text once, for a million rows."""

_BATCH_ROWS, _BATCH_BYTES = 1024, 8 * 1024 * 1024
_WHOLE_COLUMNS = 64 * 1024 * 1024
"""Of a row group of up to this size, decompressed, whole columns are read; of a larger one, pieces of them."""
_STREAM_BYTES = 64 * 1024 * 1024
_READ_AHEAD = 4 * 1024 * 1024

_MAGIC, _ENCRYPTED, _TAIL = b"PAR1", b"PARE", 8
_BROKEN = (pa.ArrowException, OSError, ValueError)
_UNREADABLE = RowError("unreadable_row", "the table is damaged here: write it anew")
_TOO_LONG = RowError("line_too_long", f"longer than {LINE_LIMIT // 2**20} MiB, which no row may be")
_TOO_MUCH = RowError(
    "line_too_long", f"the rows of this shard hold more than {SPAN_LIMIT:,} bytes: give fewer shard_rows"
)


class ParquetTables:
    """Implements `ports.tables.Tables`. Threads may share it."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def footer(self, info: ObjectInfo) -> TableFooter:
        """The footer, by two reads: its length, and itself. Raises InputInvalid for what cannot be read."""
        metadata = self._metadata(info)
        groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
        return TableFooter(
            tuple(RowGroup(group.num_rows, group.total_byte_size) for group in groups),
            tuple(metadata.schema.to_arrow_schema().names),
        )

    def rows(self, info: ObjectInfo, start: int, end: int) -> Iterator[Mapping[str, object] | RowError]:
        """Rows [start, end). What is damaged, or holds what JSON does not have, is that row's error."""
        metadata = self._metadata(info)
        left, at = SPAN_LIMIT, 0
        for number in range(metadata.num_row_groups):
            rows = metadata.row_group(number).num_rows
            low, high = max(start - at, 0), min(end - at, rows)
            if low < high:
                group = _Group(self._objects, info, metadata, number, left)
                yield from group.rows(low, high)
                left = group.left
            at += rows

    def _metadata(self, info: ObjectInfo) -> Any:
        where = f"s3://{info.bucket}/{info.key}"
        tail = self._objects.read(info, max(info.size - _TAIL, 0), info.size)
        if tail[-4:] == _ENCRYPTED:
            raise InputInvalid(f"{where}: Parquet with an encrypted footer: write it without encryption")
        if tail[-4:] != _MAGIC or len(tail) < _TAIL:
            raise InputInvalid(f"{where}: not Parquet, or cut off: it does not end with PAR1")
        size = int.from_bytes(tail[:4], "little")
        begin = info.size - _TAIL - size
        if not 0 < size <= FOOTER_LIMIT or begin < len(_MAGIC):
            raise InputInvalid(f"{where}: a Parquet footer of {size:,} bytes, of at most {FOOTER_LIMIT:,}")
        footer = self._objects.read(info, begin, info.size - _TAIL)
        try:
            metadata = pq.read_metadata(pa.BufferReader(_MAGIC + footer + tail))
            names = metadata.schema.to_arrow_schema().names
        except _BROKEN as error:
            raise InputInvalid(f"{where}: a damaged Parquet footer ({type(error).__name__})") from None
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise InputInvalid(f"{where}: it names a column twice: {', '.join(twice[:10])}")
        for number in range(metadata.num_row_groups):
            _check(metadata.row_group(number), info, f"{where}: row group {number}")
        return metadata


def _check(group: Any, info: ObjectInfo, where: str) -> None:
    # Of a group as a whole alone: to ask for a column of a damaged one ends the process, it raises nothing.
    size, rows = group.total_byte_size, group.num_rows
    if size < 0 or rows < 0:
        raise InputInvalid(f"{where}: a damaged Parquet footer (a size below 0)")
    if size > GROUP_LIMIT:
        raise InputInvalid(f"{where} takes {size:,} bytes, at most {GROUP_LIMIT:,}: write smaller row groups")
    if size > RATIO_FROM and size > RATIO_LIMIT * info.size:
        raise InputInvalid(f"{where} takes {size:,} bytes, more than {RATIO_LIMIT:,} times the file's {info.size:,}")


class _Group:
    """One row group. `left`: bytes that the text of its rows, and of those after it, may still take."""

    def __init__(self, objects: Objects, info: ObjectInfo, metadata: Any, number: int, left: int) -> None:
        self._source = _Ranged(objects, info)
        self._metadata, self._number, self.left = metadata, number, left

    def rows(self, low: int, high: int) -> Iterator[Mapping[str, object] | RowError]:
        """Rows [low, high) of the group, exactly so many."""
        done, at = low, 0
        try:
            for batch in self._batches():
                if done == high:
                    return
                at += batch.num_rows
                if at <= done:
                    continue
                part = batch.slice(batch.num_rows - (at - done), high - done)
                size = sum(map(text_bytes, part.columns))
                self.left -= size
                for row in _rows(part, size) if self.left >= 0 else repeat(_TOO_MUCH, part.num_rows):
                    done += 1
                    yield row
        except _BROKEN:
            pass  # its rows are told below
        yield from repeat(_UNREADABLE, high - done)

    def _batches(self) -> Iterator[Any]:
        group, schema = self._metadata.row_group(self._number), self._metadata.schema
        large = group.total_byte_size > _WHOLE_COLUMNS
        self._source.ahead = 0 if large else _READ_AHEAD
        texts = [schema.column(i).path for i in range(len(schema)) if schema.column(i).physical_type == "BYTE_ARRAY"]
        file = pq.ParquetFile(
            self._source,
            metadata=self._metadata,
            read_dictionary=texts,  # so that a text that a million rows share is held once
            buffer_size=max(64 * 1024, _STREAM_BYTES // max(1, len(schema))) if large else 0,
            pre_buffer=False,
            coerce_int96_timestamp_unit="us",
            page_checksum_verification=True,
        )
        mean = max(1, group.total_byte_size // max(1, group.num_rows))
        rows = max(1, min(_BATCH_ROWS, _BATCH_BYTES // mean))
        return iter(file.iter_batches(batch_size=rows, row_groups=[self._number], use_threads=False))


def _rows(batch: Any, size: int) -> Iterator[Mapping[str, object] | RowError]:
    names = batch.schema.names
    columns = [values(column) for column in batch.columns]
    faults = {
        n: located(fault, name)
        for name, column in zip(names, columns, strict=True)
        for n, fault in column.faults.items()
    }
    rows = zip(*(column.values for column in columns), strict=True) if columns else repeat((), batch.num_rows)
    for n, row in enumerate(rows):
        if n in faults:
            yield faults[n]
        elif size > LINE_LIMIT and sum(map(value_bytes, row)) > LINE_LIMIT:
            yield _TOO_LONG
        else:
            yield dict(zip(names, row, strict=True))


class _Ranged(io.RawIOBase):
    """An object as a file: each read a ranged one, of `ahead` bytes at least, which later reads are served from."""

    def __init__(self, objects: Objects, info: ObjectInfo) -> None:
        super().__init__()
        self._objects, self._info, self._at = objects, info, 0
        self._begin, self._held = 0, b""
        self.ahead = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._info.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = self._info.size if size < 0 else min(self._at + size, self._info.size)
        if not self._begin <= self._at <= end <= self._begin + len(self._held):
            stop = min(max(end, self._at + self.ahead), self._info.size)
            self._begin, self._held = self._at, self._objects.read(self._info, self._at, stop)
        found = self._held[self._at - self._begin : end - self._begin]
        self._at += len(found)
        return found
