"""Parquet: a real file, and the footer of one that is too large to be written here."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

GROUP_ROWS = 5000
TEXT_BYTES = 20_000
"""Of each row of a large group: 100 MB of them, decompressed."""


def footer(groups: int) -> bytes:
    """The end of a Parquet file of so many row groups: footer, its length, and PAR1.

    One group is really written, and stands in the footer so often: all is as a writer writes it, but the offsets.
    """
    table = _table(["x" * TEXT_BYTES] * GROUP_ROWS)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", use_dictionary=["subject"])
    one, whole = (pq.read_metadata(pa.BufferReader(sink.getvalue())) for _ in range(2))
    for _ in range(groups - 1):
        whole.append_row_groups(one)
    written = io.BytesIO()
    whole.write_metadata_file(written)
    return written.getvalue()[len(b"PAR1") :]


def write(path: Path, groups: int) -> int:
    """A real file of so many row groups; how many rows it has."""
    table = _table([f"Parcel {n} should have come on day {n % 31}, and has not." for n in range(GROUP_ROWS)])
    with pq.ParquetWriter(path, table.schema, compression="zstd") as writer:
        for _ in range(groups):
            writer.write_table(table)
    return groups * GROUP_ROWS


def _table(texts: list[str]) -> pa.Table:
    numbers = range(GROUP_ROWS)
    names, subjects = [f"row-{n:08d}" for n in numbers], ["a parcel is late"] * GROUP_ROWS
    return pa.table({"id": names, "subject": subjects, "body": texts, "price": [n / 100 for n in numbers]})
