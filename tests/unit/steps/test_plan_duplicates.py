"""custom_ids that occur twice in inputs that are small enough to look."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchmill.contracts.workflow import RunInput
from batchmill.domain.errors import DuplicateIds
from batchmill.steps.planning import duplicates
from support.world import World

PROFILE = b"endpoint: /v1/embeddings\ninput: '{{ text }}'\ncustom_id: id\n"


def lines(names: list[str]) -> bytes:
    return b"".join(json.dumps({"id": name, "text": "x"}).encode() + b"\n" for name in names)


def csv(names: list[str]) -> bytes:
    return b"id,text\n" + b"".join(f'{name},"a\nb"\n'.encode() for name in names)


def table(names: list[str]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"id": names, "text": ["x"] * len(names)}), sink)
    return sink.getvalue()


def openai(names: list[str]) -> bytes:
    rows = [{"custom_id": name, "method": "POST", "url": "/v1/embeddings", "body": {"input": "x"}} for name in names]
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def planned(world: World, name: str, body: bytes, profile: bytes = PROFILE) -> str:
    batch_id = world.drop(body, key=f"embed/{name}", profile=profile)
    while not world.plan(RunInput(batch_id=batch_id, run=0)).done:
        pass
    return batch_id


SHAPES: list[Any] = [
    ("a.jsonl", lines, PROFILE, "line 2 and line 4"),
    ("a.csv", csv, PROFILE, "line 4 and line 8"),
    ("a.parquet", table, PROFILE, "row 2 and row 4"),
    ("a.jsonl.gz", lambda names: gzip.compress(lines(names)), PROFILE, "line 2 and line 4"),
    ("o.jsonl", openai, b"endpoint: /v1/embeddings\n", "line 2 and line 4"),
]


@pytest.mark.parametrize(("name", "make", "profile", "places"), SHAPES, ids=[shape[0] for shape in SHAPES])
def test_an_id_that_two_rows_have_fails_the_batch_with_both_places(
    name: str, make: Any, profile: bytes, places: str
) -> None:
    world = World()
    with pytest.raises(DuplicateIds, match=f"'b' in {places}"):
        planned(world, name, make(["a", "b", "c", "b"]), profile)
    (batch,) = world.batches.recent(10)
    (problem,) = batch.problems
    assert (problem.code, problem.param) == ("duplicate_custom_id", "custom_id")
    assert name in problem.message
    assert world.documents(batch.batch_id).cut() == []


@pytest.mark.parametrize(("name", "make", "profile", "places"), SHAPES, ids=[shape[0] for shape in SHAPES])
def test_ids_that_differ_are_let_through(name: str, make: Any, profile: bytes, places: str) -> None:
    world = World()
    batch_id = planned(world, name, make(["a", "b", "c", "d"]), profile)
    assert world.documents(batch_id).plan().rows_estimated == 4, places


def test_many_duplicates_are_counted_and_some_are_named() -> None:
    with pytest.raises(DuplicateIds, match="and 15 more: give each row"):
        planned(World(), "a.jsonl", lines([str(n % 20) for n in range(40)]))


def test_ids_of_large_inputs_and_of_no_column_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    same = ["a", "a"]
    planned(World(), "a.jsonl", lines(same), b"endpoint: /v1/embeddings\ninput: '{{ text }}'\n")
    monkeypatch.setattr(duplicates, "LOOKED_BYTES", len(lines(same)) - 1)
    planned(World(), "a.jsonl", lines(same))
