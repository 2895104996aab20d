"""What is cut: plain inputs, tables with their rows, and pieces in their source's place."""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchmill.adapters import zstd
from batchmill.adapters.parquet import ParquetTables
from batchmill.contracts.spec import BatchSpec
from batchmill.domain.errors import InputInvalid
from batchmill.domain.pieces import PieceName
from batchmill.ports.objects import ObjectInfo
from batchmill.steps.planning.layout import Layout, layout
from batchmill.steps.planning.looking import Looking
from batchmill.steps.planning.relaying import Laid
from fakes.objects import MemoryObjects

INPUT = "input"


def laid_out(files: dict[str, bytes], laid: Laid | None = None) -> Layout:
    objects = MemoryObjects()
    for key, body in files.items():
        objects.put(INPUT, key, body)
    found = [objects.head(INPUT, key) for key in files]
    tables = ParquetTables(objects)
    return layout(
        found, Looking(objects, tables, zstd.unpacked)(found, BatchSpec.model_validate({})), laid or {}, tables
    )


def parquet(rows: int, **more: list[Any]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"text": [f"t{i}" for i in range(rows)], **more}), sink, row_group_size=10)
    return sink.getvalue()


def test_tables_have_their_rows_by_their_footers() -> None:
    made = laid_out({"a.parquet": parquet(25), "b.parquet": parquet(0), "c.parquet": parquet(7)})
    assert [item.rows for item in made.items] == [25, 0, 7]
    assert made.extents == [25, 0, 7]
    assert made.rows == 32
    assert [group.rows for group in made.footers_by_item[0].groups] == [10, 10, 5]
    assert made.row.stored > 10
    assert made.row.text > 0


def test_tables_with_other_columns_are_refused_by_name() -> None:
    files = {"a.parquet": parquet(2), "b.parquet": parquet(2), "c.parquet": parquet(2, more=[1, 2])}
    with pytest.raises(InputInvalid, match=r"s3://input/c\.parquet: its (columns|header|format) differ"):
        laid_out(files)


def test_pieces_stand_in_the_place_of_their_source() -> None:
    body = b'{"text": "a"}\n' * 4
    pieces = [
        (PieceName(1, 0, 1, False), ObjectInfo("data", "laid/00001-00000-1", 28, "e0")),
        (PieceName(1, 1, 3, True), ObjectInfo("data", "laid/00001-00001-3-last", 28, "e1")),
    ]
    made = laid_out({"a.jsonl": body, "b.jsonl": body, "c.jsonl": body}, {1: pieces})
    assert list(made.inputs) == [0, 1, 1, 2]
    assert [item.key for item in made.items] == ["a.jsonl", pieces[0][1].key, pieces[1][1].key, "c.jsonl"]
    assert [(item.source, item.first_line) for item in made.items[1:3]] == [
        ("s3://input/b.jsonl", 1),
        ("s3://input/b.jsonl", 3),
    ]
    assert made.rows == 12


def test_rows_are_counted_where_a_sample_was_all_and_estimated_else() -> None:
    long = b'{"text": "%s"}\n' % (b"x" * 88)
    made = laid_out({"a.jsonl": long * 10_000, "b.jsonl": long * 5})
    assert made.rows == pytest.approx(10_005, rel=0.01)
    assert made.row.stored == pytest.approx(len(long), rel=0.01)
