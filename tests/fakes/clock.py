"""Time in the test's hand."""

from __future__ import annotations

import asyncio
import heapq
import itertools


class FakeClock:
    """Implements `ports.clock.Clock`.

    With `auto` a sleep moves the time itself and lets other tasks run; without it sleepers wait until the test
    advances the time past them.
    """

    def __init__(self, now: float = 1_700_000_000.0, auto: bool = True) -> None:
        self._now = now
        self._auto = auto
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self.slept: list[float] = []

    def now(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if self._auto:
            self._now += max(seconds, 0.0)
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._order), woken))
        await woken

    def move(self, seconds: float) -> None:
        """Let time pass without waking anybody: for tests without tasks."""
        self._now += seconds

    async def advance(self, seconds: float) -> None:
        """Let time pass, waking sleepers in the order of their times, each at its own."""
        end = self._now + seconds
        while self._sleepers and self._sleepers[0][0] <= end:
            at, _, woken = heapq.heappop(self._sleepers)
            self._now = max(self._now, at)
            if not woken.done():
                woken.set_result(None)
            await self._settle()
        self._now = end
        await self._settle()

    @staticmethod
    async def _settle() -> None:
        for _ in range(5):
            await asyncio.sleep(0)
