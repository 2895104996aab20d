"""Inputs that turn out wrong when they are read: planned, then landed and completed, each row accounted for."""

from __future__ import annotations

import io
import json
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchmill.contracts.workflow import CloseInput, LandInput, RunInput
from batchmill.domain.batch import Batch
from batchmill.domain.request import Outcome
from batchmill.steps.planning import looking
from support.world import INPUT, World


def ended(world: World, *names: str) -> tuple[list[Outcome], Batch]:
    """The rows of a batch over these inputs, and the batch as it ended, that no worker ever took up."""
    job = {"inputs": list(names), "spec": {"endpoint": "/v1/embeddings", "input": "{{ a }}"}}
    batch_id = world.drop(json.dumps(job).encode(), key="jobs/a.batch.yaml", profile=None)
    world.open(batch_id)
    world.close(CloseInput(batch_id=batch_id, run=0))
    for item in world.documents(batch_id).shards():
        world.land(LandInput(batch_id=batch_id, run=0, shard=item))
    return world.results(batch_id), world.complete(RunInput(batch_id=batch_id, run=0))


def test_a_csv_with_a_header_that_plan_has_not_seen_is_one_error_a_shard_and_harms_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(looking, "LOOKED_AT", 1)
    world = World(shard_rows=2)
    world.objects.put(INPUT, "in/a.csv", b"a,b\n1,2\n3,4\n")
    world.objects.put(INPUT, "in/b.csv", b"b,a\n" + b"1,2\n" * 9)
    rows, batch = ended(world, "s3://input/in/")
    codes = Counter(row.error_code for row in rows)
    assert codes["batch_failed"] == 2
    assert codes["input_invalid"] >= 2
    errors = [str(row.error_message) for row in rows if row.error_code == "input_invalid"]
    assert all("of s3://input/in/b.csv: " in error and "header" in error for error in errors)
    assert batch.counts.failed == len(rows)


def test_a_damaged_table_is_an_error_for_each_row_of_its_damaged_part_alone() -> None:
    sink = io.BytesIO()
    table = pa.table({"a": [f"text {n}" for n in range(30)]})
    pq.write_table(table, sink, row_group_size=10, use_dictionary=False, compression="zstd")
    body = bytearray(sink.getvalue())
    column = pq.read_metadata(io.BytesIO(body)).row_group(1).column(0)
    at = column.data_page_offset + column.total_compressed_size // 2
    body[at : at + 9] = bytes(9)
    world = World(shard_rows=10)
    world.objects.put(INPUT, "in/a.parquet", bytes(body))
    rows, batch = ended(world, "s3://input/in/a.parquet")
    assert Counter(row.error_code for row in rows) == {"batch_failed": 20, "unreadable_row": 10}
    assert rows[10].error_message == "row 11: the table is damaged here: write it anew"
    assert batch.counts.total == 30


def test_a_table_is_complete_when_its_rows_are_tiled_whatever_its_size_in_bytes() -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"a": ["x"] * 25}), sink, row_group_size=10)
    world = World(shard_rows=4)
    world.objects.put(INPUT, "in/a.parquet", sink.getvalue())
    rows, batch = ended(world, "s3://input/in/a.parquet")
    assert (len(rows), batch.counts.total) == (25, 25)
    assert batch.final
