"""One attempt at a shard: read, ask, checkpoint, commit; renewing its lease all the while."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from batchmill.contracts.plan import PlanDocument
from batchmill.domain.batch import BatchStatus
from batchmill.domain.errors import (
    BatchNotFound,
    Evicted,
    InputChanged,
    InputInvalid,
    InputMissing,
    TooManyFailures,
    Transient,
)
from batchmill.domain.request import Outcome, Request, RowError
from batchmill.domain.shard import RENEWALS_PER_LEASE, Shard, renewed
from batchmill.ports.batches import Batches
from batchmill.ports.clock import Clock
from batchmill.ports.objects import Objects
from batchmill.ports.parts import Parts
from batchmill.ports.schemas import Schemas
from batchmill.ports.tables import Tables
from batchmill.ports.templates import Templates
from batchmill.steps.shard.asking import Asking
from batchmill.steps.shard.checkpoints import Checkpoints
from batchmill.steps.shard.committing import Committed, commit, tally
from batchmill.steps.shard.reading import span_error, span_rows
from batchmill.steps.shard.rendering import Renderer, unasked
from batchmill.steps.shard.window import Window

CHECKPOINT_ROWS = 1000
"""Fresh outcomes that are enough for a checkpoint before its time."""

FAILURES_LIMIT = 3
"""Attempts at a shard that may end by an error of ours (not the engine's, the services' or a row's)."""

log = logging.getLogger(__name__)


class Ending(StrEnum):
    """How an attempt ended."""

    COMMITTED = "committed"
    EVICTED = "evicted"
    BATCH_ENDING = "batch_ending"
    STOPPED = "stopped"
    PAUSED = "paused"


@dataclass(frozen=True)
class Tools:
    """What every attempt of a worker shares. Times in seconds."""

    objects: Objects
    batches: Batches
    tables: Tables
    parts: Parts
    templates: Templates
    schemas: Schemas
    clock: Clock
    window: Window
    data_bucket: str
    holder: str
    lease_seconds: float
    checkpoint_seconds: float


class Attempt:
    """One attempt. `committed` holds the part that stands once the ending is COMMITTED."""

    def __init__(self, tools: Tools, shard: Shard, document: PlanDocument, stop: asyncio.Event) -> None:
        self._tools, self.shard, self._document, self._stop = tools, shard, document, stop
        self._checkpoints = Checkpoints(tools.objects, tools.parts, tools.data_bucket, shard.key, document)
        self._renderer = Renderer(document, tools.templates, tools.schemas)
        self._asking = Asking(tools.window, document.spec)
        self._outcomes: dict[int, Outcome] = {}
        self._fresh: list[Outcome] = []
        self._saving = asyncio.Lock()
        self._seq = 0
        self.committed: Committed | None = None

    async def run(self, keep_hidden: asyncio.Event) -> Ending:
        """Do the shard. Sets `keep_hidden` at each renewal, for the caller to extend its message by.

        Raises Transient (EngineDown too) with what is finished checkpointed.
        """
        work = asyncio.create_task(self._work())
        watch = asyncio.create_task(self._watch(keep_hidden))
        saver = asyncio.create_task(self._save_in_time())
        try:
            await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
            if work.done() and not work.cancelled() and work.exception() is None:
                return Ending.COMMITTED
            if watch.done() and not work.done():
                return watch.result()
            raise _first(work.exception())
        finally:
            for task in (work, watch, saver):
                task.cancel()
            await asyncio.gather(work, watch, saver, return_exceptions=True)
            if self.committed is None:
                await self._save()

    async def _work(self) -> None:
        try:
            requests = await asyncio.to_thread(self._prepare)
            await self._ask_all(requests)
            outcomes: Sequence[Outcome] = list(self._outcomes.values())
        except (InputChanged, InputInvalid, InputMissing, TooManyFailures) as error:
            why = RowError(error.code, str(error))
            outcomes = [span_error(self._document, self.shard.key, self.shard.span, why, self.shard.attempt)]
        self.committed = await asyncio.to_thread(self._commit, outcomes)

    def _prepare(self) -> list[Request]:
        """Rows that need asking, longest first; those that a checkpoint or their own fault has settled are settled."""
        if self.shard.failures >= FAILURES_LIMIT:
            raise TooManyFailures(f"{self.shard.failures} attempts at this shard failed; the workers' log says how")
        done = self._checkpoints.load()
        requests = []
        for row in span_rows(self._tools.objects, self._tools.tables, self._document, self.shard.span):
            if row.row in done:
                self._outcomes[row.row] = done[row.row]
                continue
            request = self._renderer.request(self.shard.key.shard, row)
            if isinstance(request, RowError):
                self._outcomes[row.row] = unasked(
                    self._document, self.shard.key.shard, row, request, self.shard.attempt, self.shard.backend
                )
            else:
                requests.append(request)
        return sorted(requests, key=lambda request: len(request.payload), reverse=True)

    async def _ask_all(self, requests: Sequence[Request]) -> None:
        async with asyncio.TaskGroup() as group:
            for request in requests:
                await self._tools.window.enter()
                # Not in the task's own `finally`: one that is cancelled before it starts would never run it.
                group.create_task(self._ask(request)).add_done_callback(lambda _: self._tools.window.leave())

    async def _ask(self, request: Request) -> None:
        made = await self._asking(request, self.shard.key.shard)
        made = replace(made, attempt=self.shard.attempt, backend=self.shard.backend)
        self._outcomes[made.row] = made
        self._fresh.append(made)
        if len(self._fresh) >= CHECKPOINT_ROWS and not self._saving.locked():
            await self._save()

    async def _save_in_time(self) -> None:
        """By the clock, not by answers: what is finished is saved also where no further answer comes."""
        while True:
            await asyncio.sleep(self._tools.checkpoint_seconds)
            await self._save()

    async def _save(self) -> None:
        """Checkpoint what is finished and not saved yet. Trouble is logged: a checkpoint saves work, not rows."""
        async with self._saving:
            fresh, self._fresh = self._fresh, []
            if not fresh:
                return
            self._seq += 1
            try:
                await asyncio.to_thread(self._checkpoints.save, self.shard.attempt, self._seq, fresh)
            except asyncio.CancelledError:
                self._fresh = fresh + self._fresh  # the write may still happen; twice is harmless, never is not
                raise
            except Transient as error:
                self._fresh = fresh + self._fresh
                log.warning("work: checkpoint of shard %d failed: %s", self.shard.key.shard, error)

    def _commit(self, outcomes: Sequence[Outcome]) -> Committed:
        tools, shard = self._tools, self.shard
        return commit(
            tools.objects,
            tools.parts,
            tools.data_bucket,
            shard.key,
            self._document,
            shard.span,
            outcomes,
            shard.attempt,
            tools.holder,
        )

    async def _watch(self, keep_hidden: asyncio.Event) -> Ending:
        """Renew until there is a reason to stop."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), self._tools.lease_seconds / RENEWALS_PER_LEASE)
                return Ending.STOPPED
            try:
                ending = await asyncio.to_thread(self._renew)
            except Transient as error:
                log.warning("work: renewal of shard %d failed: %s", self.shard.key.shard, error)
                continue
            if ending is not None:
                return ending
            keep_hidden.set()

    def _renew(self) -> Ending | None:
        progress = tally(list(self._outcomes.values()))
        batches, now = self._tools.batches, self._tools.clock.now()
        try:
            batch = batches.get(self.shard.key.batch_id)
            if batch.status is not BatchStatus.IN_PROGRESS:
                return Ending.BATCH_ENDING
            batches.update_shard(self.shard.key, lambda old: renewed(old, self.shard.attempt, progress, now))
        except (Evicted, BatchNotFound):
            return Ending.EVICTED
        return Ending.PAUSED if batch.paused else None


def _first(error: BaseException | None) -> BaseException:
    """The first real error of a group's."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error or RuntimeError("an attempt ended without an error or a result")
