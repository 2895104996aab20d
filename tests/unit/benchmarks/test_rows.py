import json
from itertools import cycle

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchmill.adapters.arrow import ArrowParts
from batchmill.domain.formats import Format
from benchmarks import reading, rows
from benchmarks.workload import BenchFailed


@pytest.mark.parametrize("kind", rows.KINDS)
def test_the_bench_renders_every_row_of_its_file_as_often_as_it_stands_there(kind: Format) -> None:
    tile = reading.file_of(kind, 3, 2)
    made = list(reading.requests(kind, tile, 2 * len(tile)))
    assert [one.custom_id for one in made] == [f"ticket-{n:07d}" for n in (0, 1, 2)] * 2
    assert reading.TEXT.format(n=1) * 2 in json.loads(made[1].payload)["messages"][1]["content"]
    assert rows.bare_json(tile) == 3


def test_a_row_that_cannot_be_read_is_no_measurement() -> None:
    with pytest.raises(BenchFailed, match="invalid_json_line"):
        list(reading.requests("jsonl", b"{\n", 2))


def test_the_peer_writes_the_same_columns() -> None:
    outcomes = rows.results(10)
    ours = pq.read_table(pa.BufferReader(ArrowParts().encode(outcomes, rows.COLUMNS)))
    theirs = pq.read_table(pa.BufferReader(rows.bare_parquet(rows.as_lists(outcomes))))
    assert ours.equals(theirs)


def test_both_take_turns_and_the_first_does_not_count() -> None:
    order: list[str] = []
    done = cycle([5])

    def run(name: str) -> int:
        order.append(name)
        return next(done)

    times = rows.in_turns(2, lambda: run("ours"), lambda: run("theirs"), 5)
    assert order == ["ours", "theirs"] * 3
    assert len(times) == 2
    with pytest.raises(BenchFailed, match="5 rows of 6"):
        rows.in_turns(1, lambda: run("ours"), lambda: run("theirs"), 6)
