"""What the worker relies on of an engine, shown on vLLM itself."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from batchmill.adapters.engine import AiohttpEngine
from batchmill.domain.request import Request, RowError
from batchmill.ports.engine import Reply
from batchmill.steps.shard.judging import judge
from batchmill.steps.shard.room import EDGE_TOKENS, Room

MODEL = "tiny-llama"
CONTEXT = 1024
"""--max-model-len of the server."""
CHAT = "/v1/chat/completions"


def chat(prompt: str, **more: object) -> bytes:
    messages = [{"role": "user", "content": prompt}]
    return json.dumps({"model": MODEL, "messages": messages, "max_tokens": 8, "temperature": 0, **more}).encode()


def answer(reply: Reply) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(reply.body)
    return parsed


def text(reply: Reply) -> str:
    content: str = answer(reply)["choices"][0]["message"]["content"]
    return content


async def test_it_is_healthy_and_lists_its_model(engine: AiohttpEngine) -> None:
    assert await engine.healthy()
    assert await engine.models() == {MODEL: CONTEXT}


async def test_a_chat_completion_has_text_a_reason_and_counts(engine: AiohttpEngine) -> None:
    reply = await engine.send(CHAT, chat("hello"))
    body = answer(reply)
    (choice,) = body["choices"]
    assert (reply.status, body["object"], body["model"]) == (200, "chat.completion", MODEL)
    assert choice["message"]["role"] == "assistant"
    assert isinstance(choice["message"]["content"], str)
    assert choice["finish_reason"] == "length"
    assert body["usage"]["completion_tokens"] == 8
    assert body["usage"]["prompt_tokens"] > 0


async def test_a_completion_has_its_text_in_the_choice(engine: AiohttpEngine) -> None:
    body = {"model": MODEL, "prompt": "def main(", "max_tokens": 4}
    reply = await engine.send("/v1/completions", json.dumps(body).encode())
    assert (reply.status, answer(reply)["object"]) == (200, "text_completion")
    assert isinstance(answer(reply)["choices"][0]["text"], str)


async def test_an_output_held_to_a_choice_ends_with_stop(engine: AiohttpEngine) -> None:
    reply = await engine.send(CHAT, chat("well?", structured_outputs={"choice": ["yes", "no"]}, max_tokens=32))
    assert text(reply) in {"yes", "no"}
    assert answer(reply)["choices"][0]["finish_reason"] == "stop"


async def test_json_that_did_not_end_is_200_and_length(engine: AiohttpEngine) -> None:
    schema = {"type": "object", "properties": {"note": {"type": "string"}}, "required": ["note"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "note", "schema": schema}}
    reply = await engine.send(CHAT, chat("well?", response_format=wanted, max_tokens=2))
    assert (reply.status, answer(reply)["choices"][0]["finish_reason"]) == (200, "length")


async def test_a_deterministic_request_is_answered_alike_twice(engine: AiohttpEngine) -> None:
    first, second = [await engine.send(CHAT, chat("the same again")) for _ in range(2)]
    assert text(first) == text(second)


async def test_a_shared_prefix_is_reported_as_cached_tokens(engine: AiohttpEngine) -> None:
    prefix = " ".join(f"number{n}" for n in range(100))
    replies = [await engine.send(CHAT, chat(f"{prefix} {end}")) for end in ("one", "two")]
    before, after = [answer(reply)["usage"]["prompt_tokens_details"]["cached_tokens"] for reply in replies]
    assert before == 0
    assert after >= 100


async def test_a_prompt_too_long_is_400_and_says_so(engine: AiohttpEngine) -> None:
    reply = await engine.send(CHAT, chat("word " * 3000))
    assert reply.status == 400
    assert "maximum context length" in answer(reply)["error"]["message"]


async def test_a_bad_parameter_is_400(engine: AiohttpEngine) -> None:
    assert (await engine.send(CHAT, chat("hello", max_tokens=-1))).status == 400
    assert (await engine.send(CHAT, chat("hello", messages="none"))).status == 400


async def test_a_lone_surrogate_is_the_rows_fault_and_not_the_servers(engine: AiohttpEngine) -> None:
    assert (await engine.send(CHAT, chat("half \ud800 a pair"))).status == 400


async def test_a_model_or_endpoint_it_does_not_serve_is_404(engine: AiohttpEngine) -> None:
    assert (await engine.send(CHAT, chat("hello", model="other"))).status == 404
    assert (await engine.send("/v1/embeddings", json.dumps({"model": MODEL, "input": "hello"}).encode())).status == 404


async def test_many_at_once_are_each_answered_for_themselves(engine: AiohttpEngine) -> None:
    choices = [f"row {n}" for n in range(100)]
    bodies = [chat("which row?", structured_outputs={"choice": [choice]}, max_tokens=32) for choice in choices]
    replies = await asyncio.gather(*(engine.send(CHAT, body) for body in bodies))
    assert [text(reply) for reply in replies] == choices


async def test_its_tokenizer_counts_what_a_chat_will_cost(engine: AiohttpEngine) -> None:
    asked = chat("how many tokens is this?")
    counted = answer(await engine.send("/tokenize", asked))
    spent = answer(await engine.send(CHAT, asked))["usage"]["prompt_tokens"]
    assert (counted["count"], counted["max_model_len"]) == (spent, CONTEXT)


async def test_a_text_has_fewer_tokens_than_bytes(engine: AiohttpEngine) -> None:
    for text in ("plain words", "héllo wörld", "日本語のテキスト", "🙂🙂🙂", "\t\n  \x00"):
        asked = json.dumps({"model": MODEL, "prompt": text}).encode()
        assert answer(await engine.send("/tokenize", asked))["count"] <= len(text.encode()) + EDGE_TOKENS


async def test_a_row_without_room_is_an_error_a_truncated_one_a_result(engine: AiohttpEngine) -> None:
    long = Request(0, "c", CHAT, chat("word " * 3000, max_tokens=100), {}, 100)
    refused = await Room(engine).fitted(long, "error")
    assert isinstance(refused, RowError)
    assert (refused.code, "1,024 in all" in refused.message) == ("context_length_exceeded", True)
    cut = await Room(engine).fitted(long, "truncate")
    assert isinstance(cut, Request)
    reply = await engine.send(CHAT, cut.payload)
    assert (reply.status, answer(reply)["usage"]["prompt_tokens"]) == (200, CONTEXT - 100)
    sent = judge(long, await engine.send(CHAT, long.payload))
    assert isinstance(sent, RowError)
    assert sent.code == "context_length_exceeded"


async def test_a_model_it_does_not_serve_has_a_code_of_its_own(engine: AiohttpEngine) -> None:
    asked = Request(0, "c", CHAT, chat("hello", model="other"), {})
    judged = judge(asked, await engine.send(CHAT, asked.payload))
    assert isinstance(judged, RowError)
    assert judged.code == "model_not_found"
