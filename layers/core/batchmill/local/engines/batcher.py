"""Gathers the texts of concurrent requests and computes them together, on a few threads."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from batchmill.local.engines.minilm_model import Array, Tokens

_GATHER_S = 0.002  # long enough for the requests of a window to arrive, short beside a batch's 50 ms
_BUDGET = 1024  # tokens a batch: more is no faster, and the others wait longer

_Item = tuple[Tokens, "asyncio.Future[Array]"]


class Batcher:
    """First come, first served; each thread takes its share of what waits. For one event loop."""

    def __init__(self, embed: Callable[[Sequence[Tokens]], Array], threads: int) -> None:
        """`embed`: [texts] to [texts, dimensions], safe to call from several threads."""
        self._embed = embed
        self._idle = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="embed")
        self._waiting: deque[_Item] = deque()
        self._armed = False

    async def embed(self, texts: Sequence[Tokens]) -> Array:
        """[len(texts), dimensions]. Raises what the computation raises."""
        loop = asyncio.get_running_loop()
        futures = [loop.create_future() for _ in texts]
        self._waiting.extend(zip(texts, futures, strict=True))
        if not self._armed:
            self._armed = True
            loop.call_later(_GATHER_S, self._go)
        rows: list[Array] = await asyncio.gather(*futures)
        return np.stack(rows)

    def close(self) -> None:
        """End the threads, once they are through with what they have."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _go(self) -> None:
        self._armed = False
        loop = asyncio.get_running_loop()
        while self._idle and self._waiting:
            items = self._take()
            if items:
                self._idle -= 1
                work = loop.run_in_executor(self._pool, self._embed, [tokens for tokens, _ in items])
                work.add_done_callback(partial(self._done, items))

    def _take(self) -> list[_Item]:
        """The next batch: an even share of what waits, up to the budget; at least one text."""
        total = sum(len(tokens.ids) for tokens, _ in self._waiting)
        share = min(_BUDGET, -(-total // self._idle))
        items: list[_Item] = []
        while self._waiting and share > 0:
            item = self._waiting.popleft()
            if not item[1].done():  # else its request was cancelled
                items.append(item)
                share -= len(item[0].ids)
        return items

    def _done(self, items: Sequence[_Item], work: asyncio.Future[Array]) -> None:
        self._idle += 1
        failure = None if work.cancelled() else work.exception()
        for index, (_, future) in enumerate(items):
            if future.done():
                continue
            if work.cancelled():
                future.cancel()
            elif failure is not None:
                future.set_exception(failure)
            else:
                future.set_result(work.result()[index])
        self._go()
