"""The window: how many requests are in flight at once, and each of them tried until it has an answer that counts."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping

from batchmill.domain.errors import EngineDown
from batchmill.domain.request import Request, RowError
from batchmill.domain.retry import backoff_seconds
from batchmill.ports.clock import Clock
from batchmill.ports.engine import Engine, Reply
from batchmill.steps.shard.judging import TryAgain, judge
from batchmill.steps.shard.media import Links
from batchmill.steps.shard.room import Room

TRIES = 5
"""Tries of one request, before its error is the row's."""

ENGINE_WAIT_SECONDS = 600.0
"""How long an engine may be away (crashed, restarting, loading) before the worker gives its shards back and ends."""

HEALTH_POLL_SECONDS = 1.0

NOT_SENT = Reply(0, b"", 0)

log = logging.getLogger(__name__)


class Window:
    """One window for all the shards that a worker holds, so that the engine never idles between two of them.

    `links` makes links of the s3:// URIs that requests name; without it they are sent as they are.
    """

    def __init__(self, engine: Engine, clock: Clock, size: int, links: Links | None = None) -> None:
        self._engine, self._clock, self._links = engine, clock, links
        self._free = asyncio.Semaphore(size)
        self.room = Room(engine)

    async def enter(self) -> None:
        """Wait for a place. Each is given up by one `leave`."""
        await self._free.acquire()

    def leave(self) -> None:
        """Give a place up."""
        self._free.release()

    async def ask(self, request: Request) -> tuple[Reply, Mapping[str, object] | RowError]:
        """The last reply, and the answer or the row's error; NOT_SENT where there was nothing that could be sent.

        Raises EngineDown where the engine does not come back, and Transient.
        """
        tries = 0
        while True:
            payload = await self._links.payload(request) if self._links else request.payload
            if isinstance(payload, RowError):
                return NOT_SENT, payload
            reply = await self._engine.send(request.url, payload)
            judged = judge(request, reply)
            if not isinstance(judged, TryAgain):
                return reply, judged
            tries += 1
            if tries >= TRIES:
                return reply, judged.error
            await self._clock.sleep(backoff_seconds(tries, random.random(), judged.retry_after_s))
            await self._engine_is_back()

    async def _engine_is_back(self) -> None:
        """A try against an engine that is away would only be used up: wait until it answers its health check."""
        began = self._clock.now()
        while not await self._engine.healthy():
            if self._clock.now() - began > ENGINE_WAIT_SECONDS:
                raise EngineDown(f"the engine has not been healthy for {ENGINE_WAIT_SECONDS:.0f} s")
            await self._clock.sleep(HEALTH_POLL_SECONDS)
