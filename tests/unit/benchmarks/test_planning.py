from pathlib import Path

import pyarrow.parquet as pq
import pytest

from batchmill.adapters.parquet import ParquetTables
from benchmarks import plan, planning, sparse, tables
from benchmarks.planning import Case, Kind
from benchmarks.sparse import INPUT, CountingObjects


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_the_bench_plans_lines_of_any_size_by_the_same_few_bytes(kind: Kind) -> None:
    small, large = (planning.measured(Case(kind, size)) for size in (10**9, 10**11))
    assert (small.bytes, small.requests) == (large.bytes, large.requests)
    assert small.bytes < 300_000
    assert large.shards > small.shards > 100


def test_the_bench_plans_a_table_by_a_footer_that_a_writer_wrote(tmp_path: Path) -> None:
    tail = tmp_path / "tail"
    tail.write_bytes(tables.footer(100))
    case = Case("parquet", 10**10, str(tail))
    objects = CountingObjects({"input.parquet": (case.size, planning.content(case))})
    footer = ParquetTables(objects).footer(objects.head(INPUT, "input.parquet"))
    assert (footer.rows, len(footer.groups)) == (100 * tables.GROUP_ROWS, 100)
    cost = planning.measured(case)
    assert tail.stat().st_size <= cost.bytes <= 1.05 * tail.stat().st_size
    assert cost.shards >= 100


def test_a_local_file_is_planned_as_a_sparse_one_is(tmp_path: Path) -> None:
    path = tmp_path / "local.jsonl"
    path.write_bytes(sparse.jsonl_tile())
    case = Case("jsonl", path.stat().st_size, file=str(path))
    assert planning.measured(case).bytes == planning.measured(Case("jsonl", case.size)).bytes


def test_the_footers_groups_are_as_large_as_it_is_said_of_the_object(tmp_path: Path) -> None:
    tail = tmp_path / "tail"
    tail.write_bytes(tables.footer(2))
    case = Case("parquet", 2 * plan.GROUP_BYTES, str(tail))
    objects = CountingObjects({"input.parquet": (case.size, planning.content(case))})
    groups = ParquetTables(objects).footer(objects.head(INPUT, "input.parquet")).groups
    assert [group.bytes for group in groups] == pytest.approx([plan.GROUP_BYTES] * 2, rel=0.01)


def test_a_local_table_has_the_rows_that_it_should(tmp_path: Path) -> None:
    assert tables.write(tmp_path / "x.parquet", 3) == pq.read_metadata(tmp_path / "x.parquet").num_rows
