"""The scripted engine: answers that follow from the request, faults on cue, and a ledger of all it was sent."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from batchmill.adapters.engine import AiohttpEngine
from batchmill.local.engines.ledger import body_digest
from batchmill.local.engines.script import Fault, FaultKind, Latency, Script
from batchmill.local.engines.scripted import ScriptedServer
from batchmill.local.engines.scripted_text import expected_json, expected_text, expected_vector
from batchmill.ports.engine import Reply

CHAT = "/v1/chat/completions"


def chat(prompt: str, **more: object) -> dict[str, object]:
    return {"model": "any", "messages": [{"role": "user", "content": prompt}], **more}


async def ask(server: ScriptedServer, *bodies: dict[str, object], path: str = CHAT) -> list[Reply]:
    """Sends the bodies one after another."""
    engine = AiohttpEngine(server.url, timeout_s=5)
    try:
        return [await engine.send(path, json.dumps(body).encode()) for body in bodies]
    finally:
        await engine.close()


async def until(condition: Callable[[], bool], limit_s: float = 30.0) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.005)


def choice(reply: Reply) -> dict[str, Any]:
    first: dict[str, Any] = json.loads(reply.body)["choices"][0]
    return first


async def test_an_answer_follows_from_its_prompt_and_says_it_is_simulated() -> None:
    async with ScriptedServer() as server:
        one, two = await ask(server, chat("one"), chat("two"))
    assert choice(one)["message"]["content"] == expected_text("one")
    assert choice(two)["message"]["content"] == expected_text("two")
    assert choice(one)["finish_reason"] == "stop"
    assert json.loads(one.body)["model"] == "scripted"


async def test_completions_and_embeddings_are_answered_too() -> None:
    async with ScriptedServer() as server:
        (text,) = await ask(server, {"model": "any", "prompt": "one"}, path="/v1/completions")
        (vectors,) = await ask(server, {"model": "any", "input": ["a", "b"]}, path="/v1/embeddings")
    assert choice(text)["text"] == expected_text("one")
    assert [row["embedding"] for row in json.loads(vectors.body)["data"]] == [
        pytest.approx(expected_vector("a")),
        pytest.approx(expected_vector("b")),
    ]


async def test_a_json_format_is_answered_with_json() -> None:
    async with ScriptedServer() as server:
        (reply,) = await ask(server, chat("one", response_format={"type": "json_object"}))
    assert choice(reply)["message"]["content"] == expected_json("one")


async def test_a_small_max_tokens_ends_in_length() -> None:
    async with ScriptedServer() as server:
        (reply,) = await ask(server, chat("one", max_tokens=3))
    assert choice(reply)["finish_reason"] == "length"
    assert json.loads(reply.body)["usage"]["completion_tokens"] == 3


@pytest.mark.parametrize(
    "body",
    [{}, {"messages": []}, {"messages": "hello"}, chat("x", max_tokens=0), {"input": [], "prompt": None}],
)
async def test_a_bad_request_is_400_in_openais_shape(body: dict[str, object]) -> None:
    path = "/v1/embeddings" if "input" in body else CHAT
    async with ScriptedServer() as server:
        (reply,) = await ask(server, body, path=path)
    assert reply.status == 400
    assert json.loads(reply.body)["error"]["type"] == "BadRequestError"


async def test_too_long_prompts_and_unknown_models_are_refused() -> None:
    async with ScriptedServer(Script(models=("llama",), max_prompt_tokens=3)) as server:
        wrong, long = await ask(server, chat("a"), {**chat("one two three four"), "model": "llama"})
        (path,) = await ask(server, {}, path="/v1/rerank")
    assert (wrong.status, long.status, path.status) == (404, 400, 404)


@pytest.mark.parametrize(("kind", "reason"), [(FaultKind.ABORT, "abort"), (FaultKind.LENGTH, "length")])
async def test_a_partial_answer_is_200_with_its_reason(kind: FaultKind, reason: str) -> None:
    async with ScriptedServer(Script(faults=(Fault(kind=kind),))) as server:
        (reply,) = await ask(server, chat("one"))
    text = choice(reply)["message"]["content"]
    assert (reply.status, choice(reply)["finish_reason"]) == (200, reason)
    assert expected_text("one").startswith(text)
    assert text != expected_text("one")


async def test_a_marked_fault_strikes_only_what_it_marks() -> None:
    fault = Fault(kind=FaultKind.SERVER_ERROR, marker="[[b]]")
    async with ScriptedServer(Script(faults=(fault,))) as server:
        replies = await ask(server, chat("[[a]]"), chat("[[b]]"), chat("[[b]]"))
    assert [reply.status for reply in replies] == [200, 500, 500]


async def test_a_fault_of_some_times_lets_the_retry_pass() -> None:
    async with ScriptedServer(Script(faults=(Fault(kind=FaultKind.RATE_LIMIT, times=2),))) as server:
        replies = await ask(server, chat("a"), chat("a"), chat("a"))
    assert [reply.status for reply in replies] == [429, 429, 200]


async def test_an_nth_fault_counts_arrivals() -> None:
    async with ScriptedServer(Script(faults=(Fault(kind=FaultKind.SERVER_ERROR, nth=(2,)),))) as server:
        replies = await ask(server, chat("a"), chat("b"), chat("c"))
    assert [reply.status for reply in replies] == [200, 500, 200]


async def test_a_faults_chance_is_the_same_whatever_the_order() -> None:
    script = Script(seed=7, faults=(Fault(kind=FaultKind.SERVER_ERROR, probability=0.5),))
    bodies = [chat(f"row {n}") for n in range(20)]
    async with ScriptedServer(script) as server:
        forward = await ask(server, *bodies)
    async with ScriptedServer(script) as server:
        backward = await ask(server, *bodies[::-1])
    statuses = [reply.status for reply in forward]
    assert statuses == [reply.status for reply in backward][::-1]
    assert set(statuses) == {200, 500}


async def test_the_ledger_tells_received_from_completed() -> None:
    fault = Fault(kind=FaultKind.RESET, marker="[[b]]", times=1)
    async with ScriptedServer(Script(faults=(fault,))) as server:
        await ask(server, chat("[[a]]"), chat("[[b]]"), chat("[[b]]"))
        stats = server.stats()
    assert stats["by_marker"] == {"a": {"received": 1, "completed": 1}, "b": {"received": 2, "completed": 1}}
    assert stats["by_request"][body_digest(chat("[[b]]"))] == {"received": 2, "completed": 1}
    assert stats["totals"] == {"received": 3, "completed": 2, "fault:reset": 1}
    assert stats["simulated"] is True


async def test_a_journal_keeps_the_counts_over_a_death(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    async with ScriptedServer(Script(die_after=2), journal) as server:
        replies = await ask(server, chat("[[a]]"), chat("[[b]]"), chat("[[c]]"))
    assert [reply.status for reply in replies] == [200, 0, 0]
    async with ScriptedServer(Script(), journal) as server:
        await ask(server, chat("[[b]]"))
        counts = server.stats()["by_marker"]
    assert counts["a"] == {"received": 1, "completed": 1}
    assert counts["b"] == {"received": 2, "completed": 1}


async def test_a_stop_aborts_what_is_in_flight_as_vllm_does() -> None:
    async with ScriptedServer(Script(latency=Latency(median_ms=60_000))) as server:
        asking = asyncio.create_task(ask(server, chat("a")))
        await until(lambda: server.stats()["in_flight"] == 1)
        server.engine.stop()
        (reply,) = await asking
        completed = server.stats()["totals"].get("completed", 0)
    assert (reply.status, choice(reply)["finish_reason"], completed) == (200, "abort", 0)


async def test_a_full_engine_queues_then_refuses() -> None:
    script = Script(max_running=1, max_waiting=1, latency=Latency(median_ms=60_000))
    async with ScriptedServer(script) as server:
        held = [asyncio.create_task(ask(server, chat(name))) for name in "ab"]
        await until(lambda: server.stats()["waiting"] == 1)
        (refused,) = await ask(server, chat("c"))
        async with aiohttp.ClientSession() as session:
            answer = await session.get(server.url.replace("/v1", "/metrics"))
            metrics = await answer.text()
        server.engine.stop()
        await asyncio.gather(*held)
    assert refused.status == 429
    assert 'vllm:num_requests_waiting{engine="0",model_name="scripted"} 1.0' in metrics


async def test_cached_tokens_are_reported_for_a_shared_prefix() -> None:
    prefix = " ".join(f"word{n}" for n in range(32))
    async with ScriptedServer(Script(cache_blocks=100)) as server:
        replies = await ask(server, chat(prefix + " one"), chat(prefix + " two"), chat("else"))
    counts = [json.loads(reply.body)["usage"]["prompt_tokens_details"]["cached_tokens"] for reply in replies]
    assert counts == [0, 32, 0]


def test_latency_grows_with_tokens_and_keeps_to_its_seed() -> None:
    latency = Latency(median_ms=100, sigma=0.5, prompt_token_ms=1, completion_token_ms=2)
    one = latency.seconds(10, 5, random.Random(1))
    assert one == latency.seconds(10, 5, random.Random(1))
    assert latency.seconds(20, 5, random.Random(1)) == pytest.approx(one + 0.01)
