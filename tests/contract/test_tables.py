"""What every reader of tables owes the steps."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchmill.adapters.late_tables import LateTables
from batchmill.adapters.parquet import ParquetTables
from batchmill.domain.errors import InputChanged, InputInvalid, InputMissing
from batchmill.ports.objects import ObjectInfo
from batchmill.ports.tables import Tables
from fakes.objects import MemoryObjects

ROWS = [{"id": n, "text": f"t{n}", "tags": ["x"] * (n % 3)} for n in range(10)]


def parquet(rows: Sequence[Mapping[str, Any]], group_rows: int) -> bytes:
    schema = pa.schema([("id", pa.int64()), ("text", pa.string()), ("tags", pa.list_(pa.string()))])
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), sink, row_group_size=group_rows)
    return sink.getvalue()


class Case:
    """A reader over a store of its own."""

    def __init__(self, tables: Callable[[MemoryObjects], Tables]) -> None:
        self.objects = MemoryObjects()
        self.tables = tables(self.objects)

    def put(self, rows: Sequence[Mapping[str, Any]], group_rows: int = 4) -> ObjectInfo:
        return self.put_body(parquet(rows, group_rows))

    def put_body(self, body: bytes) -> ObjectInfo:
        self.objects.put("input", "a.parquet", body)
        return self.objects.head("input", "a.parquet")


@pytest.fixture(params=[ParquetTables, LateTables])
def case(request: pytest.FixtureRequest) -> Case:
    return Case(request.param)


def test_the_footer_tells_the_groups_and_the_columns(case: Case) -> None:
    footer = case.tables.footer(case.put(ROWS))
    assert [group.rows for group in footer.groups] == [4, 4, 2]
    assert (footer.rows, footer.columns) == (10, ("id", "text", "tags"))
    assert footer.bytes > 0


def test_any_range_gives_its_rows_in_order(case: Case) -> None:
    info = case.put(ROWS)
    for start in range(11):
        for end in range(start, 11):
            assert list(case.tables.rows(info, start, end)) == ROWS[start:end]


def test_a_table_without_rows_is_one(case: Case) -> None:
    info = case.put([])
    assert case.tables.footer(info).rows == 0
    assert list(case.tables.rows(info, 0, 0)) == []


@pytest.mark.parametrize("body", [b"", b"PAR1", b"a,b\n1,2\n", b"PAR1" + b"x" * 100 + b"PAR1"])
def test_what_is_no_table_is_refused_by_name(case: Case, body: bytes) -> None:
    info = case.put_body(body)
    with pytest.raises(InputInvalid, match=r"s3://input/a\.parquet: "):
        case.tables.footer(info)


def test_a_table_that_was_overwritten_or_deleted_is_refused(case: Case) -> None:
    info = case.put(ROWS)
    case.put(ROWS[:3])
    with pytest.raises(InputChanged):
        case.tables.footer(info)
    with pytest.raises(InputChanged):
        list(case.tables.rows(info, 0, 3))
    case.objects.delete("input", "a.parquet")
    with pytest.raises(InputMissing):
        list(case.tables.rows(info, 0, 3))
