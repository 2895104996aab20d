"""Plan over whatever is brought: prefixes, lists, compressed inputs over several calls, and sizes of any kind."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchmill.contracts.workflow import CancelInput, RunInput
from batchmill.domain import unpacking
from batchmill.domain.batch import BatchStatus
from batchmill.domain.errors import (
    Cancelled,
    DeadlineExceeded,
    InputChanged,
    InputInvalid,
    InputMissing,
    InputTooLarge,
)
from batchmill.domain.pieces import PieceSizes
from batchmill.domain.span import gap
from batchmill.steps.planning import relaying
from batchmill.steps.shard.reading import span_rows
from support.world import DATA, INPUT, World, jsonl

SPEC = {"endpoint": "/v1/embeddings", "input": "{{ text }}"}


def submit(world: World, *names: str, **spec: Any) -> str:
    """A batch over what is named, by a batch file; its id."""
    job = {"inputs": list(names), "spec": {**SPEC, **spec}}
    return world.drop(json.dumps(job).encode(), key=f"jobs/{len(world.batches.recent(1000))}.batch.yaml", profile=None)


def texts(world: World, batch_id: str) -> list[object]:
    """The column `text` of every row of every shard, as a worker would read it; that they tile is asserted."""
    documents = world.documents(batch_id)
    document, items = documents.plan(), documents.shards()
    assert gap((item.span() for item in items), [item.extent for item in document.objects]) is None
    rows = [row for item in items for row in span_rows(world.objects, world.plan.tables, document, item.span())]
    assert [row.error for row in rows if row.error] == []
    return [row.columns["text"] for row in rows]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relaying, "SIZES", PieceSizes(limit=600, record=200, mark=64))
    monkeypatch.setattr(unpacking, "BLOCK_BYTES", 300)


def parquet(texts: list[str]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"text": texts}), sink, row_group_size=5)
    return sink.getvalue()


WANTED = [f"t{i}" for i in range(40)]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("key", "body"),
    [
        ("a.jsonl.gz", gzip.compress(jsonl(40))),
        ("a.jsonl.zst", bytes(pa.compress(jsonl(40), codec="zstd", asbytes=True))),
        ("a.csv.gz", gzip.compress(b"n,text\n" + b"".join(b'"%d\n",t%d\n' % (i, i) for i in range(40)))),
        ("a.tsv.gz", gzip.compress(b"\xef\xbb\xbftext\tn\n" + b"".join(b"t%d\tx\n" % i for i in range(40)))),
        ("a.txt.gz", gzip.compress("\n".join(WANTED).encode())),
        ("a.parquet", parquet(WANTED)),
        ("a b+c%20ü.jsonl", jsonl(40)),
    ],
    ids=["jsonl", "zstd", "csv", "tsv", "text", "parquet", "key"],
)
def test_every_row_of_any_input_is_in_one_shard_and_in_order(key: str, body: bytes) -> None:
    world = World(shard_rows=7)
    world.objects.put(INPUT, f"jobs/{key}", body)
    batch_id = submit(world, key)
    world.planned(batch_id)
    assert texts(world, batch_id) == WANTED
    document = world.documents(batch_id).plan()
    assert document.shards >= 3
    assert {item.uri for item in document.objects} == {f"s3://input/jobs/{key}"}
    assert world.batches.get(batch_id).counts.total == pytest.approx(40, abs=1)


@pytest.mark.usefixtures("small")
def test_a_prefix_of_plain_and_compressed_inputs_is_one_batch_in_key_order() -> None:
    world = World()
    world.objects.put(INPUT, "jobs/in/a.jsonl", jsonl(30))
    world.objects.put(INPUT, "jobs/in/b.jsonl.gz", gzip.compress(jsonl(40)))
    world.objects.put(INPUT, "jobs/in/c.jsonl", jsonl(3))
    world.objects.put(INPUT, "jobs/in/_SUCCESS", b"")
    batch_id = submit(world, "in/")
    world.planned(batch_id)
    assert texts(world, batch_id) == [*WANTED[:30], *WANTED, *WANTED[:3]]


def test_a_manifest_is_the_inputs_that_it_lists_in_its_order() -> None:
    world = World()
    world.objects.put(INPUT, "x/a.jsonl", jsonl(3))
    world.objects.put(INPUT, "x/b.jsonl", jsonl(2))
    world.objects.put(INPUT, "jobs/list.txt", b"s3://input/x/b.jsonl\ns3://input/x/a.jsonl\n")
    batch_id = submit(world, "list.txt", manifest=True)
    world.planned(batch_id)
    assert texts(world, batch_id) == ["t0", "t1", "t0", "t1", "t2"]


@pytest.mark.usefixtures("small")
def test_errors_in_a_compressed_input_name_its_own_lines() -> None:
    world = World(shard_rows=5)
    lines = jsonl(60).splitlines()
    for i in (0, 31, 59):
        lines[i] = b"{oops"
    world.objects.put(INPUT, "jobs/a.jsonl.gz", gzip.compress(b"\n".join(lines)))
    batch_id = submit(world, "a.jsonl.gz")
    world.planned(batch_id)
    documents = world.documents(batch_id)
    document = documents.plan()
    rows = [
        row
        for item in documents.shards()
        for row in span_rows(world.objects, world.plan.tables, document, item.span())
        if row.error
    ]
    assert [row.error.message.split(":")[0] for row in rows if row.error] == ["line 1", "line 32", "line 60"]


@pytest.mark.usefixtures("small")
def test_a_plan_that_runs_out_of_its_time_goes_on_at_its_next_call_and_is_the_same() -> None:
    def plan(step: float) -> tuple[World, str, int]:
        world = World(shard_rows=5)
        world.objects.before = lambda operation, _, key: world.clock.move(step) if operation == "create" else None
        world.objects.put(INPUT, "jobs/a.jsonl.gz", gzip.compress(jsonl(300)))
        batch_id = submit(world, "a.jsonl.gz")
        calls = 0
        while not world.plan(RunInput(batch_id=batch_id, run=0)).done:
            calls += 1
            assert world.batches.get(batch_id).status is BatchStatus.VALIDATING
        return world, batch_id, calls

    at_once, first, one = plan(0.0)
    in_steps, second, many = plan(300.0)
    assert one == 1
    assert many > 3
    assert at_once.documents(first).plan().objects == in_steps.documents(second).plan().objects
    assert at_once.documents(first).shards() == in_steps.documents(second).shards()
    assert texts(in_steps, second) == [f"t{i}" for i in range(300)]


@pytest.mark.usefixtures("small")
def test_what_is_added_to_a_prefix_between_two_calls_is_not_of_the_batch() -> None:
    world = World()
    world.objects.put(INPUT, "jobs/in/b.jsonl.gz", gzip.compress(jsonl(40)))
    batch_id = submit(world, "in/")
    assert not world.plan(RunInput(batch_id=batch_id, run=0)).done
    world.objects.put(INPUT, "jobs/in/a.jsonl", jsonl(5))
    world.planned(batch_id)
    assert texts(world, batch_id) == WANTED


@pytest.mark.usefixtures("small")
def test_an_input_overwritten_between_two_calls_fails_the_batch_and_is_named() -> None:
    world = World()
    world.objects.put(INPUT, "jobs/in/a.jsonl.gz", gzip.compress(jsonl(40)))
    world.objects.put(INPUT, "jobs/in/b.jsonl", jsonl(4))
    batch_id = submit(world, "in/")
    assert not world.plan(RunInput(batch_id=batch_id, run=0)).done
    world.objects.put(INPUT, "jobs/in/b.jsonl", jsonl(5))
    with pytest.raises(InputChanged):
        world.plan(RunInput(batch_id=batch_id, run=0))
    assert [problem.code for problem in world.batches.get(batch_id).problems] == ["input_changed"]


@pytest.mark.parametrize("harm", ["overwritten", "gone"])
def test_an_input_that_changes_while_it_is_planned_fails_the_batch_and_is_named(harm: str) -> None:
    world = World()
    world.objects.put(INPUT, "jobs/in/a.jsonl", jsonl(4))

    def change(operation: str, bucket: str, key: str) -> None:
        if operation == "read":
            world.objects.before = None
            world.objects.delete(bucket, "jobs/in/a.jsonl")
            if harm == "overwritten":
                world.objects.put(bucket, "jobs/in/a.jsonl", jsonl(5))

    batch_id = submit(world, "in/")
    world.objects.before = change
    with pytest.raises(InputChanged if harm == "overwritten" else InputMissing, match=r"jobs/in/a\.jsonl"):
        world.plan(RunInput(batch_id=batch_id, run=0))
    (problem,) = world.batches.get(batch_id).problems
    assert problem.code == ("input_changed" if harm == "overwritten" else "input_missing")


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("reason", ["cancelled", "late"])
def test_a_plan_does_not_go_on_for_a_batch_that_is_over(reason: str) -> None:
    world = World()
    world.objects.put(INPUT, "jobs/a.jsonl.gz", gzip.compress(jsonl(40)))
    batch_id = submit(world, "a.jsonl.gz")
    assert not world.plan(RunInput(batch_id=batch_id, run=0)).done
    if reason == "cancelled":
        world.cancel(CancelInput(batch_id=batch_id))
    else:
        world.clock.move(25 * 3600)
    with pytest.raises(Cancelled if reason == "cancelled" else DeadlineExceeded):
        world.plan(RunInput(batch_id=batch_id, run=0))
    assert world.batches.get(batch_id).problems == ()


def test_a_damaged_input_fails_the_batch_with_how_far_it_could_be_read() -> None:
    world = World()
    world.objects.put(INPUT, "jobs/a.jsonl.gz", gzip.compress(jsonl(200_000))[:-10])
    batch_id = submit(world, "a.jsonl.gz")
    with pytest.raises(InputInvalid, match=r"a\.jsonl\.gz: damaged gzip: .* bytes of its content could be read"):
        world.planned(batch_id)
    assert [problem.code for problem in world.batches.get(batch_id).problems] == ["input_invalid"]


def test_a_bomb_fails_the_batch_before_anything_is_dispatched() -> None:
    world = World()
    world.objects.put(INPUT, "jobs/a.txt.gz", gzip.compress(b"\n" * 30_000_000, 9))
    batch_id = submit(world, "a.txt.gz")
    with pytest.raises(InputTooLarge, match="more than 1,000 times as much"):
        world.planned(batch_id)
    assert [problem.code for problem in world.batches.get(batch_id).problems] == ["input_too_large"]


def test_a_template_that_cannot_be_rendered_is_refused_before_an_input_is_unpacked() -> None:
    world = World()
    world.objects.put(INPUT, "jobs/a.jsonl.gz", gzip.compress(jsonl(4)))
    batch_id = submit(world, "a.jsonl.gz", input=None)
    with pytest.raises(Exception, match="rows need a template"):
        world.plan(RunInput(batch_id=batch_id, run=0))
    assert not [key for key in world.objects.keys(DATA) if "/plan/" in key]


def test_finding_where_csv_may_be_cut_goes_on_over_calls_too(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b"n,text\n" + b"".join(b'"%d\n",t%d\n' % (i, i) for i in range(200))
    at_once, in_steps = World(shard_rows=10), World(shard_rows=10)
    planned = []
    for world, step in ((at_once, 0.0), (in_steps, 200.0)):
        world.objects.put(INPUT, "jobs/a.csv", body)
        batch_id = submit(world, "a.csv")
        now = world.clock.now
        monkeypatch.setattr(world.clock, "now", lambda now=now, clock=world.clock, step=step: clock.move(step) or now())
        world.planned(batch_id)
        monkeypatch.undo()
        planned.append(world.documents(batch_id).shards())
    assert planned[0] == planned[1]
    assert len(planned[0]) > 10
    assert texts(in_steps, batch_id) == [f"t{i}" for i in range(200)]
