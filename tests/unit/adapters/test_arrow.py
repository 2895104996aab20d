"""The results schema as a reader finds it."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchmill.adapters.arrow import ArrowParts, results_schema
from batchmill.domain.request import Outcome

TEXT = pa.string()
EXPECTED = [
    ("custom_id", TEXT),
    ("shard", pa.int32()),
    ("row", pa.int32()),
    ("ticket", TEXT),
    ("input_status", TEXT),
    ("status", TEXT),
    ("output_text", TEXT),
    ("output_json", TEXT),
    ("response", TEXT),
    ("finish_reason", TEXT),
    ("error_code", TEXT),
    ("error_message", TEXT),
    ("prompt_tokens", pa.int64()),
    ("completion_tokens", pa.int64()),
    ("cached_tokens", pa.int64()),
    ("latency_ms", pa.int64()),
    ("model", TEXT),
    ("backend", TEXT),
    ("attempt", pa.int32()),
    ("request_sha256", TEXT),
    ("response_sha256", TEXT),
    ("template_sha256", TEXT),
    ("repairs", pa.int32()),
]


def outcome(row: int, status: str = "ok") -> Outcome:
    return Outcome(f"id-{row}", 0, row, status, {"ticket": f"ticket {row}", "status": "open"}, latency_ms=row)


def read(body: bytes) -> pa.Table:
    return pq.read_table(pa.BufferReader(body))


@pytest.mark.parametrize("rows", [0, 3])
def test_every_part_has_the_one_schema(rows: int) -> None:
    table = read(ArrowParts().encode([outcome(row) for row in range(rows)], ["ticket", "status"]))
    assert [(field.name, field.type) for field in table.schema] == EXPECTED
    assert table.schema.metadata[b"batchmill"] == b"2"
    assert table.schema.equals(results_schema(["ticket", "status"]), check_metadata=True)


def test_names_that_would_clash_are_told_apart() -> None:
    names = results_schema(["status", "input_status", "other"]).names
    assert names[3:7] == ["input_status", "input_input_status", "other", "status"]


def test_parts_are_compressed_by_zstd() -> None:
    body = ArrowParts().encode([outcome(row) for row in range(1000)], ["ticket", "status"])
    column = pq.ParquetFile(pa.BufferReader(body)).metadata.row_group(0).column(0)
    assert column.compression == "ZSTD"


def test_many_rows_are_several_groups_and_all_there() -> None:
    outcomes = (outcome(row) for row in range(100_001))
    body = ArrowParts().encode(outcomes, ["ticket"])
    assert pq.ParquetFile(pa.BufferReader(body)).metadata.num_row_groups == 3
    assert read(body).column("row").to_pylist() == list(range(100_001))


def test_a_number_beyond_64_bits_is_null() -> None:
    (found,) = ArrowParts().decode(ArrowParts().encode([Outcome("a", 0, 0, "ok", prompt_tokens=2**70)], []))
    assert found.prompt_tokens is None


def test_a_column_name_with_half_a_surrogate_pair_is_kept_for_us_and_mended_for_readers() -> None:
    body = ArrowParts().encode([Outcome("a", 0, 0, "ok", {"t\ud800": "x"})], ["t\ud800"])
    assert read(body).schema.names[3] == "t\ufffd"
    assert ArrowParts().decode(body)[0].columns == {"t\ud800": "x"}


def test_duckdb_reads_a_glob_of_parts(tmp_path: Path) -> None:
    for number, outcomes in enumerate([[], [outcome(0), outcome(1, "error")], [outcome(2)]]):
        (tmp_path / f"part-{number:05d}.parquet").write_bytes(ArrowParts().encode(outcomes, ["ticket", "status"]))
    query = f"select status, input_status, count(*) from '{tmp_path}/*.parquet' group by all order by all"
    with duckdb.connect() as connection:
        assert connection.sql(query).fetchall() == [("error", "open", 1), ("ok", "open", 2)]


def test_a_parquet_file_of_another_make_is_refused() -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"a": [1]}), sink)
    with pytest.raises(ValueError, match="not a results file"):
        ArrowParts().decode(bytes(sink.getvalue()))
