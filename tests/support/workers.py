"""A worker over the in-memory world, its engine a fake."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from batchmill.adapters.parquet import ParquetTables
from batchmill.domain.places import InputPlaces
from batchmill.ports.engine import Reply
from batchmill.ports.queue import Received
from batchmill.steps.shard.attempt import Tools
from batchmill.steps.shard.media import Links
from batchmill.steps.shard.window import Window
from batchmill.steps.work import Work
from fakes.clock import FakeClock
from fakes.engine import ScriptedEngine
from support.shards import Running
from support.world import DATA, INPUT, QUEUE

LEASE = 0.15
"""Real seconds: a worker renews three times as often."""


def worker(running: Running, engine: ScriptedEngine, checkpoint_seconds: float = 1e9, window: int = 4) -> Work:
    clock = FakeClock()
    world = running.world
    tools = Tools(
        objects=world.objects,
        tables=ParquetTables(world.objects),
        batches=world.batches,
        parts=world.parts,
        templates=world.templates,
        schemas=world.schemas,
        clock=clock,
        window=Window(engine, clock, window, Links(world.objects, InputPlaces(INPUT, DATA))),
        data_bucket=DATA,
        holder=f"worker-{id(engine)}",
        lease_seconds=LEASE,
        checkpoint_seconds=checkpoint_seconds,
    )
    return Work(tools, world.queue, QUEUE, world.pools["default"])


def take(running: Running) -> Received:
    taken = running.world.queue.receive(QUEUE, 0, 30)
    assert taken is not None
    return taken


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def interrupted(running: Running, engine: ScriptedEngine, stop: Callable[[Work], Awaitable[None]]) -> Work:
    """Run one shard until every row but one has its answer and is not yet saved, then `stop` it; the work."""
    engine.gate = asyncio.Event()
    engine.gate.set()
    last = "t0"

    def script(text: str, before: int) -> Reply | None:
        return Reply(503, b"", 1) if text == last and engine.gate is not None else None

    engine.script = script
    work = worker(running, engine)
    work.tools.window._clock = FakeClock(auto=False)
    task = asyncio.create_task(work.take(take(running)))
    rows = len(running.outcomes())
    await until(lambda: sum(engine.answered.values()) >= rows)
    await stop(work)
    await asyncio.wait_for(task, 10)
    return work
