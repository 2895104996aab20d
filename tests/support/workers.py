"""A worker over the in-memory world, its engine a fake."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from batchmill.adapters.parquet import ParquetTables
from batchmill.domain.places import InputPlaces
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
