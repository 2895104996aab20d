"""What the API answers to what it does not do: one shape, the field to mend, and nothing stored."""

from __future__ import annotations

from typing import Any

import pytest

from batchmill.domain.errors import Transient
from support.calls import event
from support.front import BODY, NOBODY, URI, changed, error, got, listed, new_world, post, untouched
from support.world import DATA, World


@pytest.fixture
def world() -> World:
    return new_world()


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_a_key_of_no_use_is_refused(world: World, key: str) -> None:
    answer = post(world, BODY, key)
    assert (answer.status, error(answer)["param"]) == (400, "Idempotency-Key")
    assert untouched(world)


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"endpoint": "embeddings"}, "endpoint"),
        ({"endpoint": 5}, "endpoint"),
        ({"completion_window": "soon"}, "completion_window"),
        ({"completion_window": "90d"}, "completion_window"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"metadata": {"a": "b" * 513}}, "metadata"),
        ({"metadata": {str(n): "" for n in range(17)}}, "metadata"),
        ({"output_expires_after": {"anchor": "created_at", "seconds": 3600}}, "output_expires_after"),
        ({"shard_rows": 0}, "shard_rows"),
        ({"pool": "nobody's"}, "pool"),
        ({"model": "another"}, "model"),
        ({"params": {"model": "another"}}, "params"),
        ({"params": {"stream": True}}, "params"),
        ({"input": "{{ text"}, "input"),
        ({"params": {"user": "{{ text"}}, "input"),
        ({"params": {"structured_outputs": {"json": {"type": "x"}}}}, "params"),
        ({"params": {"response_format": {"type": "json_schema"}}}, "params"),
        ({"input": None, "body": {"structured_outputs": {"json": {"$ref": "http://127.0.0.1/x"}}}}, "body"),
        ({"input": None, "body": {"model": "another", "input": "x"}}, "body"),
        ({"repair": 1}, "repair"),
        ({"repair": 9}, "repair"),
        ({"context": "guess"}, "context"),
        ({"webhook_url": "http://127.0.0.1/hook"}, "webhook_url"),
        ({"input_file_id": None}, "input_file_id"),
        ({"input_file_id": "file-abc"}, "input_file_id"),
        ({"input_file_id": "s3://input"}, "input_file_id"),
        ({"input_file_id": "s3://input/folder/"}, "input_file_id"),
        ({"input_file_id": "s3://elsewhere/rows.jsonl"}, "input_file_id"),
        ({"input_file_id": "s3://elsewhere/"}, "input_file_id"),
        ({"input_file_id": f"s3://{DATA}/"}, "input_file_id"),
        ({"input_file_id": f"s3://{DATA}/batches/"}, "input_file_id"),
        ({"input_file_id": "s3://input/" + "k" * 1025}, "input_file_id"),
        ({"input_file_id": f"s3://{DATA}/batches/x/results/part-00000.parquet"}, "input_file_id"),
        ({"input_file_id": f"s3://{DATA}/profiles/embed.yaml"}, "input_file_id"),
        ({"input_file_id": "s3://input/nothing.jsonl"}, "input_file_id"),
        ({"inputs": [URI]}, "inputs"),
        ({"input_file_id": None, "inputs": []}, "inputs"),
        ({"input_file_id": None, "inputs": [URI] * 101}, "inputs"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_stored(world: World, change: dict[str, Any], param: str) -> None:
    answer = post(world, {**BODY, **change})
    assert (answer.status, error(answer)["param"]) == (400, param)
    assert error(answer)["type"] == "invalid_request_error"
    assert untouched(world)


def test_a_stream_is_told_by_a_code_of_its_own(world: World) -> None:
    assert error(post(world, {**BODY, "params": {"stream": True}}))["code"] == "streaming_unsupported"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"x"', b"\xff", b'{"params": {"x": NaN}}', b'{"params": {"x": 1e999}}', b"[" * 100_000]
)
def test_a_body_that_is_no_json_object_is_refused(world: World, body: bytes) -> None:
    answer = post(world, body)
    assert (answer.status, error(answer)["type"]) == (400, "invalid_request_error")
    assert untouched(world)


def test_a_body_with_half_a_character_is_refused(world: World) -> None:
    assert post(world, b'{"input": "\\ud800"}').status == 400
    assert untouched(world)


def test_a_body_that_a_record_could_not_hold_is_too_large(world: World) -> None:
    answer = post(world, {**BODY, "params": {"x": "y" * 300_000}})
    assert (answer.status, error(answer)["code"]) == (413, "request_too_large")
    assert untouched(world)


@pytest.mark.parametrize("batch_id", [NOBODY, "xyz", "é", "batch_" + "G" * 24, "../" + NOBODY, "x" * 5000])
def test_an_unknown_or_malformed_id_is_not_found(world: World, batch_id: str) -> None:
    asked = [changed(world, batch_id, verb) for verb in ("cancel", "pause", "resume")]
    for answer in (got(world, batch_id), *asked):
        assert (answer.status, error(answer)["code"]) == (404, "batch_not_found")
    assert world.functions.begun == []


@pytest.mark.parametrize(
    ("query", "status", "param"),
    [
        ({"limit": "0"}, 400, "limit"),
        ({"limit": "101"}, 400, "limit"),
        ({"limit": "ten"}, 400, "limit"),
        ({"after": "xyz"}, 404, "after"),
        ({"after": NOBODY}, 404, "after"),
    ],
)
def test_a_wrong_query_is_named(world: World, query: dict[str, str], status: int, param: str) -> None:
    answer = listed(world, **query)
    assert (answer.status, error(answer)["param"]) == (status, param)


def test_trouble_of_the_services_may_be_tried_again_and_says_nothing_of_itself(world: World) -> None:
    def busy(operation: str) -> None:
        raise Transient("table secret-name is busy")

    world.batches.before = busy
    answer = got(world, NOBODY)
    assert (answer.status, error(answer)["type"], error(answer)["code"]) == (503, "server_error", "unavailable")
    assert "secret-name" not in answer.body
    assert "x-should-retry" not in answer.headers


def test_what_nobody_thought_of_is_500_without_a_word_of_it(world: World, caplog: pytest.LogCaptureFixture) -> None:
    def broken(operation: str) -> None:
        raise ZeroDivisionError("in line 7")

    world.batches.before = broken
    answer = got(world, NOBODY)
    assert (answer.status, error(answer)["code"]) == (500, "internal_error")
    assert "line 7" not in answer.body
    assert caplog.records[0].exc_info is not None


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("PUT", "/batches", "GET, POST"), ("DELETE", f"/batches/{NOBODY}", "GET"), ("GET", "/batches/x/cancel", "POST")],
)
def test_a_wrong_method_is_told_the_right_ones(world: World, method: str, path: str, allowed: str) -> None:
    answer = world.api(event(method, path))
    assert (answer.status, answer.headers["allow"], error(answer)["code"]) == (405, allowed, "method_not_allowed")


def test_a_path_that_is_not_there_is_not_found(world: World) -> None:
    answer = world.api(event("POST", f"/batches/{NOBODY}/delete"))
    assert (answer.status, error(answer)["code"]) == (404, "not_found")
