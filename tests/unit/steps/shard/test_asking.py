from __future__ import annotations

import json
from typing import Any

import pytest

from batchmill.adapters.json_schema import JsonSchemas
from batchmill.contracts.spec import BatchSpec
from batchmill.domain.places import InputPlaces
from batchmill.domain.request import Outcome, Request
from batchmill.ports.engine import Reply
from batchmill.steps.shard.asking import Asking
from batchmill.steps.shard.media import Links
from batchmill.steps.shard.window import Window
from fakes.clock import FakeClock
from fakes.engine import ScriptedEngine, chat
from fakes.objects import MemoryObjects

CHAT = "/v1/chat/completions"
SCHEMA = {"type": "object", "required": ["a"]}
GOOD, WRONG = chat('{"a": 1}'), chat("{}")


def request(content: object = "hello", misfit: bool = True, **body: Any) -> Request:
    payload = json.dumps({"model": "m", "messages": [{"role": "user", "content": content}], **body}).encode()
    schema = JsonSchemas().compile(SCHEMA) if misfit else None
    return Request(3, "c", CHAT, payload, {"a": "b"}, misfit=schema, template_sha256="t", place="line 4")


async def asked(engine: ScriptedEngine, made: Request, links: Links | None = None, **spec: Any) -> Outcome:
    window = Window(engine, FakeClock(), 4, links)
    return await Asking(window, BatchSpec(prompt="x", **spec))(made, 7)


def answering(*replies: Reply) -> ScriptedEngine:
    """An engine that gives these answers, one after the other."""
    left = iter(replies)
    return ScriptedEngine(script=lambda text, before: next(left))


async def test_an_output_that_fits_is_asked_for_once() -> None:
    engine = answering(GOOD)
    made = await asked(engine, request(), repair=3)
    assert (made.ok, made.repairs, made.prompt_tokens, len(engine.sent)) == (True, 0, 3, 1)


async def test_an_output_that_does_not_fit_is_asked_again_with_what_is_wrong() -> None:
    engine, first = answering(WRONG, GOOD), request()
    made = await asked(engine, first, repair=1)
    assert (made.ok, made.repairs, made.output_json) == (True, 1, '{"a": 1}')
    assert (made.shard, made.row, made.template_sha256, made.request_sha256) == (7, 3, "t", first.sha256)
    before, again = (body["messages"] for _, body in engine.sent)
    assert again[: len(before)] == before
    assert again[len(before)] == {"role": "assistant", "content": "{}"}
    assert again[-1]["role"] == "user"
    assert "$: lacks 'a'" in again[-1]["content"]


async def test_the_tokens_of_all_answers_are_added_up() -> None:
    made = await asked(answering(WRONG, WRONG, GOOD), request(), repair=3)
    assert (made.repairs, made.prompt_tokens, made.completion_tokens, made.cached_tokens) == (2, 9, 6, 3)


async def test_an_output_that_never_fits_is_an_error_after_the_repairs_allowed() -> None:
    engine = answering(WRONG, WRONG, WRONG)
    made = await asked(engine, request(), repair=2)
    assert (made.error_code, made.repairs, made.prompt_tokens) == ("schema_mismatch", 2, 9)
    assert len(engine.sent) == 3


async def test_without_repairs_nothing_is_asked_again() -> None:
    made = await asked(answering(WRONG), request())
    assert (made.error_code, made.repairs) == ("schema_mismatch", 0)
    assert made.error_message == "line 4: the output does not fit its schema: $: lacks 'a'"


async def test_a_repair_that_fails_otherwise_leaves_the_row_with_what_is_wrong_with_it() -> None:
    refusal = Reply(400, b'{"error": {"message": "maximum context length is 5"}}', 1)
    made = await asked(answering(WRONG, refusal), request(), repair=3)
    assert (made.error_code, made.repairs, made.prompt_tokens) == ("schema_mismatch", 1, 3)
    assert "asked again: line 4: HTTP 400" in (made.error_message or "")
    assert json.loads(made.response or "")["choices"][0]["message"]["content"] == "{}"


async def test_a_row_that_has_no_room_is_an_error_and_never_sent() -> None:
    engine = ScriptedEngine(served={"m": 2000}, tokenizer=True)
    made = await asked(engine, request("word " * 3000, misfit=False))
    assert (made.error_code, made.template_sha256, made.latency_ms) == ("context_length_exceeded", "t", None)
    assert (made.error_message or "").startswith("line 4: 3,000 tokens of prompt and 1 of output")
    assert [path for path, _ in engine.sent] == ["/tokenize"]


async def test_what_an_s3_uri_names_is_linked_to_at_each_sending_and_the_hash_is_of_the_uri() -> None:
    engine = answering(Reply(503, b"", 1), chat("a cat"))
    image = [{"type": "image_url", "image_url": {"url": "s3://input/cat.png"}}]
    made_of = request(image, misfit=False)
    made = await asked(engine, made_of, Links(MemoryObjects(), InputPlaces("input", "data")))
    urls = [body["messages"][0]["content"][0]["image_url"]["url"] for _, body in engine.sent]
    assert len(urls) == 2
    assert all(url.startswith("https://input.memory/cat.png?X-Amz-") for url in urls)
    assert (made.ok, made.request_sha256) == (True, made_of.sha256)


@pytest.mark.parametrize("uri", ["s3://other/cat.png", "s3://data/batches/b/results/part.parquet", "s3://input/"])
async def test_what_no_input_may_be_is_never_linked_to(uri: str) -> None:
    engine = answering()
    image = [{"type": "image_url", "image_url": {"url": uri}}]
    made = await asked(engine, request(image, misfit=False), Links(MemoryObjects(), InputPlaces("input", "data")))
    assert (made.error_code, engine.sent) == ("invalid_image_url", [])
    assert (made.error_message or "").startswith("line 4: images lie under s3://input/")
