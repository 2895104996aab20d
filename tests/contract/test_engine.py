"""What every engine adapter owes the worker, shown against a real HTTP server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from batchmill.adapters.engine import AiohttpEngine
from batchmill.domain.errors import Transient
from batchmill.local.engines.script import Fault, FaultKind, Script
from batchmill.local.engines.scripted import ScriptedServer
from batchmill.local.engines.scripted_text import expected_text, expected_vector
from batchmill.ports.engine import Engine, Reply

CHAT = "/v1/chat/completions"


def chat(prompt: str, **more: object) -> dict[str, object]:
    return {"model": "any", "messages": [{"role": "user", "content": prompt}], **more}


async def send_to(server: ScriptedServer, body: dict[str, object], path: str = CHAT) -> Reply:
    engine = AiohttpEngine(server.url, timeout_s=5)
    try:
        return await engine.send(path, json.dumps(body).encode())
    finally:
        await engine.close()


async def reply_to_fault(kind: FaultKind) -> Reply:
    async with ScriptedServer(Script(faults=(Fault(kind=kind),), retry_after_s=0.25)) as server:
        return await send_to(server, chat("hello"))


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer() as running:
        yield running


async def test_the_adapter_is_an_engine(server: ScriptedServer) -> None:
    engine: Engine = AiohttpEngine(server.url)
    assert await engine.healthy()
    await engine.close()


async def test_an_answer_comes_back_as_it_was_sent(server: ScriptedServer) -> None:
    reply = await send_to(server, chat("hello"))
    answer = json.loads(reply.body)
    assert (reply.status, reply.error, reply.retry_after_s) == (200, "", None)
    assert answer["choices"][0]["message"]["content"] == expected_text("hello")
    assert reply.latency_ms >= 0


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
async def test_the_address_may_be_given_with_or_without_v1(server: ScriptedServer, suffix: str) -> None:
    engine = AiohttpEngine(server.url.removesuffix("/v1") + suffix)
    reply = await engine.send("/v1/embeddings", b'{"model": "any", "input": "hello"}')
    assert reply.status == 200
    assert json.loads(reply.body)["data"][0]["embedding"] == pytest.approx(expected_vector("hello"))
    assert await engine.models() == {"scripted": None}
    await engine.close()


@pytest.mark.parametrize(
    ("kind", "status"), [(FaultKind.SERVER_ERROR, 500), (FaultKind.BAD_REQUEST, 400), (FaultKind.GARBAGE, 200)]
)
async def test_an_error_status_is_a_reply_and_no_exception(kind: FaultKind, status: int) -> None:
    reply = await reply_to_fault(kind)
    assert (reply.status, reply.error, reply.retry_after_s) == (status, "", None)
    assert reply.body


@pytest.mark.parametrize(("kind", "status"), [(FaultKind.RATE_LIMIT, 429), (FaultKind.UNAVAILABLE, 503)])
async def test_a_busy_engine_says_how_long_to_wait(kind: FaultKind, status: int) -> None:
    reply = await reply_to_fault(kind)
    assert (reply.status, reply.retry_after_s) == (status, 0.25)


@pytest.mark.parametrize("kind", [FaultKind.RESET, FaultKind.CUT, FaultKind.POISON])
async def test_a_lost_connection_is_status_0_with_a_name(kind: FaultKind) -> None:
    reply = await reply_to_fault(kind)
    assert (reply.status, reply.body) == (0, b"")
    assert reply.error in {"ServerDisconnectedError", "ClientOSError", "ClientPayloadError"}


async def test_a_hanging_engine_is_status_0_after_the_time_limit() -> None:
    async with ScriptedServer(Script(faults=(Fault(kind=FaultKind.HANG),))) as server:
        engine = AiohttpEngine(server.url, timeout_s=0.2)
        reply = await engine.send(CHAT, json.dumps(chat("hello")).encode())
        await engine.close()
    assert reply.status == 0
    assert "Timeout" in reply.error


async def test_nobody_listening_is_status_0_and_not_healthy() -> None:
    async with ScriptedServer() as server:
        url = server.url
    engine = AiohttpEngine(url, timeout_s=2)
    reply = await engine.send(CHAT, json.dumps(chat("hello")).encode())
    assert (reply.status, reply.error) == (0, "ClientConnectorError")
    assert not await engine.healthy()
    with pytest.raises(Transient, match="no list of models"):
        await engine.models()
    await engine.close()


async def test_a_lone_surrogate_reaches_the_engine(server: ScriptedServer) -> None:
    reply = await send_to(server, chat("half \ud800 a pair"))
    assert reply.status == 200


async def test_the_models_are_told_with_their_context_where_the_server_tells_it() -> None:
    async with ScriptedServer(Script(models=("one", "two"), max_model_len=4096)) as server:
        engine = AiohttpEngine(server.url)
        assert list((await engine.models()).items()) == [("one", 4096), ("two", 4096)]
        await engine.close()


async def test_a_tokenizer_counts_where_there_is_one() -> None:
    async with ScriptedServer(Script(tokenizer=True)) as server:
        assert json.loads((await send_to(server, chat("three words here"), "/tokenize")).body)["count"] == 3
    async with ScriptedServer() as server:
        assert (await send_to(server, chat("three words here"), "/tokenize")).status == 404
