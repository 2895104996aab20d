"""The batcher: texts of concurrent requests run together, and each request gets its own rows or its error."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import numpy as np
import pytest

from batchmill.local.engines.batcher import Batcher
from batchmill.local.engines.minilm_model import Array, Tokens


def text(number: int, length: int = 10) -> Tokens:
    return Tokens((number,) * length, 0)


class Echo:
    """Embeds a text as its first token, and keeps the sizes of the batches; waits for `gate` where one is set."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, texts: Sequence[Tokens]) -> Array:
        self.gate.wait(30)
        self.batches.append(len(texts))
        return np.array([[one.ids[0]] for one in texts], dtype=np.float32)


async def test_requests_that_come_together_run_together() -> None:
    echo = Echo()
    batcher = Batcher(echo, threads=1)
    rows = await asyncio.gather(*(batcher.embed([text(n), text(-n)]) for n in range(20)))
    batcher.close()
    assert [row.tolist() for row in rows] == [[[n], [-n]] for n in range(20)]
    assert echo.batches == [40]


async def test_two_threads_share_what_waits() -> None:
    echo = Echo()
    batcher = Batcher(echo, threads=2)
    await asyncio.gather(*(batcher.embed([text(n)]) for n in range(20)))
    batcher.close()
    assert sorted(echo.batches) == [10, 10]


async def test_a_batch_keeps_to_its_budget_of_tokens() -> None:
    echo = Echo()
    batcher = Batcher(echo, threads=1)
    rows = await batcher.embed([text(n, 512) for n in range(5)])
    batcher.close()
    assert rows[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert echo.batches == [2, 2, 1]


async def test_a_cancelled_request_is_not_computed() -> None:
    echo = Echo()
    echo.gate.clear()
    batcher = Batcher(echo, threads=1)
    first = asyncio.create_task(batcher.embed([text(1, 2000)]))
    await asyncio.sleep(0.01)
    second = asyncio.create_task(batcher.embed([text(2)]))
    third = asyncio.create_task(batcher.embed([text(3)]))
    await asyncio.sleep(0.01)
    second.cancel()
    await asyncio.sleep(0)
    echo.gate.set()
    assert (await first).tolist() == [[1]]
    assert (await third).tolist() == [[3]]
    batcher.close()
    assert echo.batches == [1, 1]


async def test_an_error_reaches_every_request_of_its_batch_and_the_next_batch_runs() -> None:
    calls: list[int] = []

    def fails_once(texts: Sequence[Tokens]) -> Array:
        calls.append(len(texts))
        if len(calls) == 1:
            raise ValueError("no luck")
        return np.zeros((len(texts), 1), dtype=np.float32)

    batcher = Batcher(fails_once, threads=1)
    outcomes = await asyncio.gather(*(batcher.embed([text(n)]) for n in range(2)), return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["no luck", "no luck"]
    with pytest.raises(ValueError, match="no luck"):
        raise outcomes[0]  # type: ignore[misc]
    assert (await batcher.embed([text(9)])).tolist() == [[0]]
    batcher.close()
