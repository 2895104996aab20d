from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from openai.types import Batch as OpenAiBatch

from batchmill.domain.batch import Batch, BatchStatus, Counts, Problem, moved
from batchmill.domain.errors import Transient
from batchmill.domain.shard import Progress, Shard, ShardKey
from batchmill.domain.span import Span
from support.front import BODY, URI, cancelled, changed, created, deliver, error, got, listed, new_world, post
from support.world import DATA, INPUT, INTAKE, OTHER, World, jsonl


@pytest.fixture
def world() -> World:
    return new_world()


def test_a_created_batch_is_there_at_once_and_starts_by_the_message(world: World) -> None:
    batch = created(world)
    record = world.batches.get(batch["id"])
    assert (record.status, record.inputs[0].version_id is not None) == (BatchStatus.VALIDATING, True)
    assert world.workflow.executions == {}
    deliver(world)
    assert list(world.workflow.executions) == [batch["id"]]
    assert world.batches.get(batch["id"]) == record


def test_the_message_alone_makes_the_same_batch_where_the_call_died_after_it(world: World) -> None:
    def die(operation: str) -> None:
        if operation == "create":
            raise Transient("gone")

    world.batches.before = die
    assert post(world, BODY, "k").status == 503
    world.batches.before = None
    deliver(world)
    [record] = world.batches.recent(10)
    assert created(world, BODY, "k")["id"] == record.batch_id
    assert list(world.workflow.executions) == [record.batch_id]


def test_the_answer_is_openais_batch_with_ours_beside_it(world: World) -> None:
    batch = created(world, {**BODY, "metadata": {"team": "a"}, "name": "mine"})
    parsed = OpenAiBatch.model_validate(batch)
    assert set(batch) == set(OpenAiBatch.model_fields) | {"name", "inputs", "results", "manifest", "paused"}
    assert (parsed.object, parsed.status, parsed.endpoint) == ("batch", "validating", "/v1/embeddings")
    assert (parsed.input_file_id, parsed.completion_window, parsed.model) == (URI, "24h", "m")
    assert (parsed.metadata, batch["name"], batch["inputs"]) == ({"team": "a"}, "mine", [URI])
    assert parsed.expires_at == parsed.created_at + 86400
    assert (parsed.output_file_id, parsed.error_file_id, parsed.errors) == (None, None, None)
    assert batch["results"] == f"s3://{DATA}/batches/{batch['id']}/results/"
    assert batch["manifest"] is None


def test_a_running_batchs_counts_are_its_shards(world: World) -> None:
    batch_id = created(world)["id"]
    deliver(world)
    world.open(batch_id)
    for number in range(2):
        key, span = ShardKey(batch_id, 0, number), Span(0, 0, 1)
        done = Progress(ok=5, errors=1, prompt_tokens=10, completion_tokens=4)
        world.batches.change_shard(key, span, partial(_with, done))
    shown = json.loads(got(world, batch_id).body)
    assert shown["status"] == "in_progress"
    assert (shown["request_counts"]["completed"], shown["request_counts"]["failed"]) == (10, 2)
    assert (shown["usage"]["input_tokens"], shown["usage"]["output_tokens"], shown["usage"]["total_tokens"]) == (
        20,
        8,
        28,
    )


def _with(progress: Progress, shard: Shard) -> Shard:
    return replace(shard, progress=progress)


def test_a_final_batch_tells_when_and_why_and_where(world: World) -> None:
    batch_id = created(world)["id"]

    def end(batch: Batch) -> Batch:
        ended = moved(moved(batch, BatchStatus.FINALIZING, 1_700_000_100), BatchStatus.FAILED, 1_700_000_200)
        problem = Problem("empty_file", "no row", "input", 7)
        return replace(ended, problems=(problem,), counts=Counts(10, 8, 2), prompt_tokens=30, completion_tokens=5)

    world.batches.change(batch_id, end)
    shown = json.loads(got(world, batch_id).body)
    OpenAiBatch.model_validate(shown)
    assert (shown["finalizing_at"], shown["failed_at"]) == (1_700_000_100, 1_700_000_200)
    assert shown["errors"] == {
        "object": "list",
        "data": [{"code": "empty_file", "message": "no row", "param": "input", "line": 7}],
    }
    assert shown["request_counts"] == {"total": 10, "completed": 8, "failed": 2}
    assert shown["manifest"] == f"s3://{DATA}/batches/{batch_id}/manifest.json"


def test_several_inputs_are_one_batch(world: World) -> None:
    world.objects.put(DATA, "uploads/more.jsonl", jsonl(2))
    body = {name: value for name, value in BODY.items() if name != "input_file_id"}
    batch = created(world, {**body, "inputs": [URI, f"s3://{DATA}/uploads/more.jsonl"]})
    assert batch["input_file_id"] == URI
    assert [item.uri for item in world.batches.get(batch["id"]).inputs] == batch["inputs"]


def test_an_input_in_a_bucket_that_the_deployment_names_is_read_there(world: World) -> None:
    world.objects.put(OTHER, "theirs.jsonl", jsonl(2))
    batch = created(world, {**BODY, "input_file_id": f"s3://{OTHER}/theirs.jsonl"})
    assert world.batches.get(batch["id"]).inputs[0].bucket == OTHER


@pytest.mark.parametrize("uri", [f"s3://{INPUT}/in/", f"s3://{DATA}/uploads/abc/"])
def test_a_prefix_is_an_input_as_it_is_by_one_listing(world: World, uri: str) -> None:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    world.objects.put(bucket, f"{key}a.jsonl", jsonl(2))
    asked: list[str] = []
    world.objects.before = lambda operation, _, __: asked.append(operation)
    batch = created(world, {**BODY, "input_file_id": uri})
    assert asked == ["list"]
    assert batch["inputs"] == [uri]
    deliver(world)
    (item,) = world.batches.get(batch["id"]).inputs
    assert (item.kind, item.uri, item.etag) == ("prefix", uri, None)


def test_a_manifest_is_an_object_whose_spec_says_so(world: World) -> None:
    world.objects.put(INPUT, "list.txt", f"{URI}\n".encode())
    batch = created(world, {**BODY, "input_file_id": f"s3://{INPUT}/list.txt", "manifest": True})
    assert world.batches.get(batch["id"]).spec["manifest"] is True


def test_without_a_key_every_call_is_a_batch(world: World) -> None:
    assert created(world, request_id="a")["id"] != created(world, request_id="b")["id"]


def test_the_same_key_and_body_is_the_same_batch_even_where_the_input_has_changed_or_gone(world: World) -> None:
    first = created(world, key="k")
    world.objects.put(INPUT, "rows.jsonl", jsonl(9))
    again = created(world, dict(reversed(BODY.items())), "k", "request-2")
    assert again == first
    assert len(world.batches.recent(10)) == 1
    assert world.queue.depth(INTAKE) == 1


@pytest.mark.parametrize("other", [{"input": "{{ text }}!"}, {"metadata": {"a": "b"}}, {"completion_window": "1h"}])
def test_the_same_key_with_another_body_is_refused_for_good(world: World, other: dict[str, Any]) -> None:
    first = created(world, key="k")
    answer = post(world, {**BODY, **other}, "k")
    assert (answer.status, error(answer)["code"]) == (409, "idempotency_key_reused")
    assert answer.headers["x-should-retry"] == "false"
    assert world.batches.get(first["id"]).spec["input"] == "{{ text }}"
    assert world.queue.depth(INTAKE) == 1


def test_a_cancel_shows_at_once_and_its_work_is_the_cancel_functions(world: World) -> None:
    batch_id = created(world)["id"]
    for _ in range(2):
        answer = cancelled(world, batch_id)
        shown = json.loads(answer.body)
        assert (answer.status, shown["status"], shown["cancelling_at"]) == (200, "cancelling", shown["created_at"])
    assert world.functions.begun == [("cancel", {"batch_id": batch_id})] * 2


def test_a_final_batch_cannot_be_cancelled(world: World) -> None:
    batch_id = created(world)["id"]
    world.batches.change(batch_id, lambda batch: moved(batch, BatchStatus.FAILED, 1.0))
    answer = cancelled(world, batch_id)
    assert (answer.status, answer.headers["x-should-retry"]) == (409, "false")
    assert error(answer)["message"] == "cannot cancel a batch with status 'failed'"
    assert world.functions.begun == []


def test_a_pause_shows_at_once_and_leaves_the_status_as_openai_has_it(world: World) -> None:
    batch_id = created(world)["id"]
    for _ in range(2):
        answer = changed(world, batch_id, "pause")
        shown = json.loads(answer.body)
        assert (answer.status, shown["status"], shown["paused"]) == (200, "validating", True)
        OpenAiBatch.model_validate(shown)
    assert json.loads(listed(world).body)["data"][0]["paused"]
    assert world.functions.begun == []


def test_a_resume_shows_at_once_and_what_is_parked_is_the_pause_functions(world: World) -> None:
    batch_id = created(world)["id"]
    changed(world, batch_id, "pause")
    for _ in range(2):
        answer = changed(world, batch_id, "resume")
        assert (answer.status, json.loads(answer.body)["paused"]) == (200, False)
        # The second changes nothing, and so begins nothing.
        assert world.functions.begun == [("pause", {"batch_id": batch_id})]


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_a_final_batch_is_neither_paused_nor_resumed(world: World, verb: str) -> None:
    batch_id = created(world)["id"]
    world.batches.change(batch_id, lambda batch: moved(batch, BatchStatus.FAILED, 1.0))
    answer = changed(world, batch_id, verb)
    assert (answer.status, answer.headers["x-should-retry"]) == (409, "false")
    told = error(answer)
    assert (told["code"], told["message"]) == ("batch_not_pausable", f"cannot {verb} a batch with status 'failed'")
    assert world.functions.begun == []


def test_pages_follow_each_other_from_the_newest_on(world: World) -> None:
    made = []
    for number in range(5):
        made.append(created(world, request_id=str(number))["id"])
        world.clock.move(1)
    newest = made[::-1]
    first = json.loads(listed(world, limit="2").body)
    assert ([item["id"] for item in first["data"]], first["has_more"], first["object"]) == (newest[:2], True, "list")
    assert (first["first_id"], first["last_id"]) == (newest[0], newest[1])
    last = json.loads(listed(world, limit="3", after=first["last_id"]).body)
    assert ([item["id"] for item in last["data"]], last["has_more"]) == (newest[2:], False)


def test_an_empty_list_has_no_ids(world: World) -> None:
    assert json.loads(listed(world).body) == {
        "object": "list",
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": False,
    }
