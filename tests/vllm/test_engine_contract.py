"""What the worker relies on of an engine, shown on vLLM itself."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from batchmill.adapters.engine import AiohttpEngine
from batchmill.ports.engine import Reply

MODEL = "tiny-llama"
CHAT = "/v1/chat/completions"


def chat(prompt: str, **more: object) -> dict[str, object]:
    messages = [{"role": "user", "content": prompt}]
    return {"model": MODEL, "messages": messages, "max_tokens": 8, "temperature": 0, **more}


def answer(reply: Reply) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(reply.body)
    return parsed


def text(reply: Reply) -> str:
    content: str = answer(reply)["choices"][0]["message"]["content"]
    return content


async def test_it_is_healthy_and_lists_its_model(engine: AiohttpEngine) -> None:
    assert await engine.healthy()
    assert await engine.models() == [MODEL]


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
    reply = await engine.send("/v1/completions", body)
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
    assert (await engine.send("/v1/embeddings", {"model": MODEL, "input": "hello"})).status == 404


async def test_many_at_once_are_each_answered_for_themselves(engine: AiohttpEngine) -> None:
    choices = [f"row {n}" for n in range(100)]
    bodies = [chat("which row?", structured_outputs={"choice": [choice]}, max_tokens=32) for choice in choices]
    replies = await asyncio.gather(*(engine.send(CHAT, body) for body in bodies))
    assert [text(reply) for reply in replies] == choices
