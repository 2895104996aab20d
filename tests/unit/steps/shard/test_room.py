from __future__ import annotations

import asyncio
import json
from typing import Any, Literal

import pytest

from batchmill.domain.request import Request, RowError
from batchmill.steps.shard.room import LISTINGS, Room
from fakes.engine import ScriptedEngine

CHAT, EMBEDDINGS, SCORE = "/v1/chat/completions", "/v1/embeddings", "/v1/score"
LONG = "word " * 3000


def chat(text: str, max_tokens: int = 0, **body: Any) -> Request:
    payload = json.dumps({"model": "m", "messages": [{"role": "user", "content": text}], **body}).encode()
    return Request(0, "c", CHAT, payload, {}, max_tokens)


def other(url: str, **body: Any) -> Request:
    return Request(0, "c", url, json.dumps({"model": "m", **body}).encode(), {})


def engine(context: int | None = 2000, tokenizer: bool = True) -> ScriptedEngine:
    return ScriptedEngine(served={"m": context}, tokenizer=tokenizer)


async def fitted(
    made: Request, of: ScriptedEngine, policy: Literal["error", "truncate", "send"] = "error"
) -> Request | RowError:
    return await Room(of).fitted(made, policy)


async def test_what_has_fewer_bytes_than_there_is_room_for_tokens_is_not_counted() -> None:
    of, made = engine(), chat("short", max_tokens=500)
    assert await fitted(made, of) is made
    assert of.sent == []


async def test_what_may_not_fit_is_counted_and_goes_where_it_does() -> None:
    of, made = engine(), chat("word " * 1900, max_tokens=100)
    assert await fitted(made, of) is made
    assert [path for path, _ in of.sent] == ["/tokenize"]


@pytest.mark.parametrize(
    ("words", "max_tokens", "said"),
    [(1900, 101, "1,900 tokens of prompt and 101 of output"), (2000, 0, "2,000 tokens of prompt and 1 of output")],
)
async def test_what_does_not_fit_is_the_rows_error_with_the_numbers(words: int, max_tokens: int, said: str) -> None:
    error = await fitted(chat("word " * words, max_tokens), engine())
    assert isinstance(error, RowError)
    assert error.code == "context_length_exceeded"
    assert said in error.message
    assert "takes 2,000 in all" in error.message


async def test_an_embedding_needs_no_room_for_an_answer_and_its_longest_text_counts() -> None:
    fits = other(EMBEDDINGS, input=["word " * 2000, "word " * 10])
    assert await fitted(fits, engine()) is fits
    assert isinstance(await fitted(other(EMBEDDINGS, input=["x", "word " * 2001]), engine()), RowError)


async def test_truncation_is_asked_of_the_engine_only_where_it_is_needed() -> None:
    made = await fitted(chat(LONG, 100), engine(), "truncate")
    assert isinstance(made, Request)
    assert json.loads(made.payload)["truncate_prompt_tokens"] == 1900
    short = chat("short")
    assert await fitted(short, engine(), "truncate") is short
    assert isinstance(await fitted(chat(LONG, 2000), engine(), "truncate"), RowError)


async def test_send_looks_at_nothing() -> None:
    of, made = engine(), chat(LONG)
    assert await fitted(made, of, "send") is made
    assert (of.sent, of.listed) == ([], 0)


@pytest.mark.parametrize(
    "made",
    [
        chat(LONG, response_format={}, extra=[{"type": "image_url", "image_url": {"url": "x"}}]),
        other(SCORE, text_1=LONG, text_2="y"),
        other(EMBEDDINGS, input=[[1, 2, 3] * 3000]),
    ],
)
async def test_what_only_the_engine_can_count_is_sent(made: Request) -> None:
    assert await fitted(made, engine()) is made


async def test_an_engine_without_a_tokenizer_is_asked_for_it_once() -> None:
    of = engine(tokenizer=False)
    room, made = Room(of), chat(LONG)
    assert [await room.fitted(made, "error") for _ in range(3)] == [made] * 3
    assert len(of.sent) == 1


async def test_an_engine_that_does_not_tell_its_context_is_asked_for_it_once() -> None:
    of = engine(context=None)
    room, made = Room(of), chat(LONG)
    found = await asyncio.gather(*(room.fitted(made, "error") for _ in range(5)))
    assert (found, of.listed) == ([made] * 5, 1)


async def test_an_engine_that_lists_no_models_is_soon_left_in_peace() -> None:
    of = ScriptedEngine(served=None)
    room, made = Room(of), chat(LONG)
    for _ in range(LISTINGS + 5):
        assert await room.fitted(made, "error") is made
    assert of.listed == LISTINGS
