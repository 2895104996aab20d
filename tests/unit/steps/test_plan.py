from __future__ import annotations

from dataclasses import replace

import pytest

from batchmill.contracts.plan import PlanDocument
from batchmill.contracts.workflow import RunInput
from batchmill.domain.errors import UserError
from batchmill.domain.span import gap
from support.world import INPUT, PROFILE, World, jsonl

CSV = b"name,text\n" + b"".join(b'"n%d","line one\nline two, of %d"\n' % (i, i) for i in range(10))


def plan(world: World, batch_id: str) -> PlanDocument:
    world.plan(RunInput(batch_id=batch_id, run=0))
    return world.documents(batch_id).plan()


def test_shards_tile_the_input_and_know_their_first_lines() -> None:
    world = World(shard_rows=3)
    batch_id = world.drop(jsonl(10))
    document = plan(world, batch_id)
    items = world.documents(batch_id).shards()
    assert len(items) == document.shards > 2
    assert gap((item.span() for item in items), [document.objects[0].size]) is None
    assert items[0].first_line == 1
    assert document.rows_estimated == world.batches.get(batch_id).counts.total == 10


def test_a_csv_is_cut_only_where_a_record_begins() -> None:
    world = World(shard_rows=3)
    batch_id = world.drop(CSV, key="embed/rows.csv")
    document = plan(world, batch_id)
    assert (document.format, document.header, document.columns) == ("csv", ("name", "text"), ("name", "text"))
    for item in world.documents(batch_id).shards()[1:]:
        assert CSV[item.start : item.start + 2] == b'"n'
    assert document.rows_estimated == 10


def test_openai_lines_are_told_from_plain_rows() -> None:
    world = World()
    line = b'{"custom_id": "a", "method": "POST", "url": "/v1/embeddings", "body": {"input": "x"}}\n'
    assert plan(world, world.drop(line, profile=b"endpoint: /v1/embeddings\n")).format == "openai"
    assert plan(world, world.drop(jsonl(2))).format == "jsonl"


def test_a_template_that_openai_lines_would_not_heed_is_refused() -> None:
    world = World()
    line = b'{"custom_id": "a", "method": "POST", "url": "/v1/embeddings", "body": {"input": "x"}}\n'
    with pytest.raises(UserError, match="input: OpenAI batch lines carry their own bodies: remove input"):
        plan(world, world.drop(line))


def test_a_plan_made_twice_is_the_same_plan() -> None:
    world = World()
    batch_id = world.drop(jsonl(10))
    assert plan(world, batch_id) == plan(world, batch_id)


def test_the_fingerprint_changes_with_what_decides_an_outcome_and_with_nothing_else() -> None:
    def fingerprint(profile: bytes) -> str:
        world = World()
        return plan(world, world.drop(jsonl(2), profile=profile)).fingerprint

    one = fingerprint(b"endpoint: /v1/embeddings\ninput: '{{ text }}'\n")
    assert one == fingerprint(b"endpoint: /v1/embeddings\ninput: '{{ text }}'\ncompletion_window: 2h\nname: n\n")
    assert one != fingerprint(b"endpoint: /v1/embeddings\ninput: ' {{ text }}'\n")
    assert one != fingerprint(b"endpoint: /v1/embeddings\ninput: '{{ text }}'\nparams: {dimensions: 3}\n")


def test_the_version_that_was_dropped_is_planned_though_the_key_was_overwritten_since() -> None:
    world = World()
    batch_id = world.drop(jsonl(3))
    world.objects.put(INPUT, "embed/rows.jsonl", jsonl(100))
    assert plan(world, batch_id).rows_estimated == 3


@pytest.mark.parametrize(
    ("key", "body", "code", "words"),
    [
        ("embed/a.jsonl", b"", "empty_file", "empty (0 bytes)"),
        ("embed/a.csv", b"a,b\n", "empty_file", "no rows in s3://input/embed/a.csv"),
        ("embed/a.csv", b"a,a\n1,2\n", "input_invalid", "names a column twice: a"),
        ("embed/a.bin", b"\x00\x01\x02 nonsense", "input_invalid", "not JSON lines"),
    ],
)
def test_an_input_that_cannot_be_run_is_named_and_noted(key: str, body: bytes, code: str, words: str) -> None:
    world = World()
    batch_id = world.drop(body, key=key)
    with pytest.raises(UserError) as error:
        plan(world, batch_id)
    assert words in str(error.value)
    (problem,) = world.batches.get(batch_id).problems
    assert (problem.code, problem.message) == (code, str(error.value))


def test_an_input_that_is_not_there_is_named() -> None:
    world = World()
    text = b"inputs: [nothing.jsonl]\nspec: {endpoint: /v1/embeddings, input: '{{ text }}'}\n"
    batch_id = world.drop(text, key="x.batch.yaml", profile=None)
    with pytest.raises(UserError, match=r"s3://input/nothing.jsonl: no such object"):
        plan(world, batch_id)


def test_a_column_that_is_not_in_the_header_is_refused() -> None:
    world = World()
    profile = b"endpoint: /v1/embeddings\ninput: x\ncolumns: [name, colour]\n"
    with pytest.raises(UserError, match="colour not among the header's: name, text"):
        plan(world, world.drop(CSV, key="embed/rows.csv", profile=profile))


def test_rows_without_a_template_are_refused_before_anything_runs() -> None:
    world = World()
    with pytest.raises(UserError, match="rows need a template"):
        plan(world, world.drop(jsonl(3), profile=b"endpoint: /v1/embeddings\n"))


def test_inputs_that_differ_in_kind_are_refused_by_name() -> None:
    world = World()
    world.objects.put(INPUT, "a.csv", CSV)
    world.objects.put(INPUT, "b.jsonl", jsonl(3))
    text = b"inputs: [a.csv, b.jsonl]\nspec: {endpoint: /v1/embeddings, input: x}\n"
    with pytest.raises(UserError, match=r"s3://input/b.jsonl: its format differs from s3://input/a.csv's"):
        plan(world, world.drop(text, key="x.batch.yaml", profile=None))


def test_too_many_shards_are_refused_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batchmill.steps.planning.sizing.SHARDS_LIMIT", 2)
    world = World()
    with pytest.raises(UserError, match="at most 2: raise shard_rows"):
        plan(world, world.drop(jsonl(10), profile=PROFILE + b"shard_rows: 1\n"))


def test_where_nobody_asked_for_small_shards_they_grow_until_there_are_few_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("batchmill.steps.planning.sizing.SHARDS_LIMIT", 3)
    world = World(shard_rows=1)
    assert plan(world, world.drop(jsonl(10))).shards == 3


def test_a_file_too_large_to_count_is_cut_blindly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batchmill.steps.planning.cutting.COUNTED_BYTES", 10)
    world = World(shard_rows=3)
    batch_id = world.drop(jsonl(10))
    assert plan(world, batch_id).rows_estimated == pytest.approx(10, abs=1)
    assert {item.first_line for item in world.documents(batch_id).shards()} == {None}


def test_a_batch_that_was_admitted_keeps_its_plan_whatever_has_changed_since() -> None:
    world = World(shard_rows=2)
    batch_id = world.drop(jsonl(10))
    admitted = world.open(batch_id)
    document, shards = world.documents(batch_id).plan(), world.documents(batch_id).shards()
    world.plan = replace(world.plan, shard_rows=5)
    assert world.open(batch_id) == admitted
    assert (world.documents(batch_id).plan(), world.documents(batch_id).shards()) == (document, shards)


@pytest.mark.parametrize(
    ("profile", "code", "words"),
    [
        (
            b"endpoint: /v1/embeddings\ninput: '{{ nothing }}'\n",
            "render_failed",
            "line 1: input: the row lacks 'nothing'",
        ),
        (b"endpoint: /v1/embeddings\nbody: {input: x, model: '{{ text }}'}\n", "model_not_found", "serves m, not 't0'"),
    ],
)
def test_what_fails_for_all_the_first_rows_fails_the_batch(profile: bytes, code: str, words: str) -> None:
    world = World()
    batch_id = world.drop(jsonl(10), profile=profile)
    with pytest.raises(UserError, match=words):
        plan(world, batch_id)
    (problem,) = world.batches.get(batch_id).problems
    assert (problem.code, problem.message.startswith("all of the first 5 rows fail: ")) == (code, True)


def test_openai_lines_for_a_model_that_the_pool_does_not_serve_fail_by_that_code() -> None:
    world = World()
    line = b'{"custom_id": "a", "method": "POST", "url": "/v1/embeddings", "body": {"model": "gpt", "input": "x"}}\n'
    batch_id = world.drop(line, profile=b"endpoint: /v1/embeddings\n")
    with pytest.raises(UserError, match="ask for model gpt, pool 'default' serves m"):
        plan(world, batch_id)
    assert [problem.code for problem in world.batches.get(batch_id).problems] == ["model_not_found"]


def test_what_some_of_the_first_rows_lack_is_theirs_alone() -> None:
    world = World()
    lines = b'{"other": 1}\n' * 4 + b'{"text": "x"}\n'
    assert plan(world, world.drop(lines)).rows_estimated == 5


def test_the_plan_names_the_template_by_its_content() -> None:
    world = World()
    one = plan(world, world.drop(jsonl(3)))
    same = plan(world, world.drop(jsonl(4), profile=PROFILE + b"name: another\n"))
    other = plan(world, world.drop(jsonl(5), profile=PROFILE + b"params: {dimensions: 3}\n"))
    assert len(one.template_sha256) == 64
    assert one.template_sha256 == same.template_sha256 != other.template_sha256
