"""work: the worker's loop. Takes shards from its pool's queue and does them, two at a time in one window."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from dataclasses import dataclass, field

from pydantic import ValidationError

from batchmill.contracts.plan import PlanDocument
from batchmill.contracts.pools import Pool
from batchmill.contracts.workflow import ShardMessage
from batchmill.domain.batch import BatchStatus
from batchmill.domain.errors import (
    BatchNotFound,
    Conflict,
    EngineDown,
    Evicted,
    PoolChanged,
    StaleDispatch,
    Transient,
)
from batchmill.domain.shard import Progress, Shard, ShardKey, claimed, committed, failed, given_back, parked
from batchmill.ports.queue import Queue, Received
from batchmill.steps.shard.attempt import Attempt, Ending, Tools
from batchmill.steps.shard.committing import standing_part, tally_of
from batchmill.steps.shard.documents import Documents
from batchmill.steps.shard.fingerprint import fingerprint

SHARDS_HELD = 2
"""Shards a worker holds at once: the next one's requests fill the window while the last one's drain."""

PAUSE_SECONDS = 2.0
"""After trouble of the services, before the next poll."""

log = logging.getLogger(__name__)


@dataclass
class Work:
    """The step. `run` returns when `stop` is set and every shard held has been committed, or saved and given back.

    `poll_seconds`: one long poll of the queue; a stop of an idle worker waits for it at most.
    """

    tools: Tools
    queue: Queue
    queue_url: str
    pool: Pool
    poll_seconds: int = 10
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    _down: EngineDown | None = None
    _plans: dict[tuple[str, int], PlanDocument] = field(default_factory=dict)

    async def run(self) -> None:
        """Work until stopped. Raises EngineDown, with its shards saved and given back."""
        async with asyncio.TaskGroup() as group:
            for _ in range(SHARDS_HELD):
                group.create_task(self._pull())
        if self._down is not None:
            raise self._down

    async def _pull(self) -> None:
        visibility = max(1, round(self.tools.lease_seconds))
        while not self.stop.is_set():
            try:
                taken = await asyncio.to_thread(self.queue.receive, self.queue_url, self.poll_seconds, visibility)
                if taken is not None:
                    await self.take(taken)
            except EngineDown as error:
                self._down = error  # raised when the other shard has been saved and given back too
                self.stop.set()
            except Transient as error:
                log.warning("work: %s", error)
                await self.tools.clock.sleep(PAUSE_SECONDS)

    async def take(self, taken: Received) -> None:
        """Do what a message asks. Raises Transient with the message given back.

        An error of ours in one shard is logged and counted in its record; the message comes again after a lease, and
        a shard that failed too often gets one error for all its rows.
        """
        try:
            message = ShardMessage.model_validate_json(taken.body)
        except ValidationError:
            log.error("work: left a message of no known form alone")  # a newer sender's, perhaps; else a dead letter
            return
        if self.stop.is_set():
            await self._hide(taken, 0)
            return
        key = ShardKey(message.batch_id, message.run, message.shard)
        name = self._name(taken)
        try:
            claim = await asyncio.to_thread(self._claim, key, message.dispatch, taken.message_id, name)
        except Transient:
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one shard must not end the others
            log.error("work: batch %s shard %d: %s: %s", key.batch_id, key.shard, type(error).__name__, error)
            return
        if claim is None:
            await self._delete(taken)
            return
        shard, paused = claim
        if shard.holder == name:
            await (self._park(shard, taken) if paused else self._do(shard, taken))

    async def _do(self, shard: Shard, taken: Received) -> None:
        key = shard.key
        log.info("work: batch %s shard %d attempt %d", key.batch_id, key.shard, shard.attempt)
        try:
            ending = await self._attempt(shard, taken)
        except Transient:
            await self._give_back(shard, taken)
            raise
        except Exception as error:  # noqa: BLE001 - as above; the message stays hidden for a lease
            log.error("work: batch %s shard %d failed: %s: %s", key.batch_id, key.shard, type(error).__name__, error)
            await asyncio.to_thread(self._note_failure, shard)
            return
        await self._settle(shard, taken, ending)

    def _note_failure(self, shard: Shard) -> None:
        now = self.tools.clock.now()
        with contextlib.suppress(Evicted):
            self.tools.batches.update_shard(shard.key, lambda old: failed(old, shard.attempt, now))

    def _name(self, taken: Received) -> str:
        """Who claims: this worker, by this taking of a message (it may hold another message of the same shard)."""
        return f"{self.tools.holder}/{hashlib.sha256(taken.receipt.encode()).hexdigest()[:12]}"

    def _claim(self, key: ShardKey, dispatch: int, message: str, holder: str) -> tuple[Shard, bool] | None:
        """The shard, as `holder`'s or as another's, and whether its batch is paused; None for a message of the past."""
        tools, now = self.tools, self.tools.clock.now()
        try:
            shard = tools.batches.update_shard(key, lambda old: claimed(old, dispatch, message, holder, now))
            batch = tools.batches.get(key.batch_id)
        except (StaleDispatch, BatchNotFound):
            return None
        if shard is None or batch.status is not BatchStatus.IN_PROGRESS:
            return None
        part = standing_part(tools.objects, tools.data_bucket, key)
        if part is not None:
            tools.batches.update_shard(key, lambda old: committed(old, part.attempt, now, tally_of(part)))
            return None
        return shard, batch.paused

    async def _attempt(self, shard: Shard, taken: Received) -> Ending:
        document = await asyncio.to_thread(self._plan, shard.key)
        attempt = Attempt(self.tools, shard, document, self.stop)
        renewed = asyncio.Event()
        hiding = asyncio.create_task(self._keep_hidden(taken, renewed))
        try:
            ending = await attempt.run(renewed)
        finally:
            hiding.cancel()
            await asyncio.gather(hiding, return_exceptions=True)
        if attempt.committed is not None:
            part = attempt.committed.metadata
            await asyncio.to_thread(self._note_part, shard.key, part.attempt, tally_of(part))
        return ending

    def _note_part(self, key: ShardKey, attempt: int, progress: Progress) -> None:
        now = self.tools.clock.now()
        self.tools.batches.update_shard(key, lambda old: committed(old, attempt, now, progress))

    async def _keep_hidden(self, taken: Received, renewed: asyncio.Event) -> None:
        while True:
            await renewed.wait()
            renewed.clear()
            try:
                await self._hide(taken, max(1, round(self.tools.lease_seconds)))
            except Transient as error:
                log.warning("work: %s", error)  # at worst the message comes again, and the next claim evicts us

    async def _settle(self, shard: Shard, taken: Received, ending: Ending) -> None:
        log.info("work: batch %s shard %d %s", shard.key.batch_id, shard.key.shard, ending)
        if ending is Ending.STOPPED:
            await self._give_back(shard, taken)
        elif ending is Ending.PAUSED:
            await self._park(shard, taken)
        elif ending is not Ending.EVICTED:
            # An evicted attempt leaves its message alone: whoever evicted it may be working by it.
            await self._delete(taken)

    async def _give_back(self, shard: Shard, taken: Received) -> None:
        now = self.tools.clock.now()
        try:
            await asyncio.to_thread(
                self.tools.batches.update_shard, shard.key, lambda old: given_back(old, shard.attempt, now)
            )
        except Evicted:
            return
        except Conflict as error:
            log.warning("work: %s", error)
        await self._hide(taken, 0)

    async def _park(self, shard: Shard, taken: Received) -> None:
        """Its batch is paused: note that nobody holds the shard, then let its message go."""
        now = self.tools.clock.now()
        try:
            await asyncio.to_thread(
                self.tools.batches.update_shard, shard.key, lambda old: parked(old, shard.attempt, now)
            )
        except Evicted:
            return
        await self._delete(taken)

    def _plan(self, key: ShardKey) -> PlanDocument:
        name = (key.batch_id, key.run)
        if name not in self._plans:
            self._plans.clear()  # one batch's plan is enough; a worker sees long runs of one batch
            documents = Documents(self.tools.objects, self.tools.data_bucket, *name)
            self._plans[name] = self._same_pool(documents.plan())
        return self._plans[name]

    def _same_pool(self, document: PlanDocument) -> PlanDocument:
        """Raises PoolChanged where this pool serves something else by now than the batch was planned for."""
        mine = fingerprint(document.spec, self.pool, document.format, document.columns)
        if mine != document.fingerprint:
            raise PoolChanged(
                f"batch {document.batch_id} was planned for another {document.model} than this pool serves"
            )
        return document

    async def _delete(self, taken: Received) -> None:
        await asyncio.to_thread(self.queue.delete, self.queue_url, taken.receipt)

    async def _hide(self, taken: Received, seconds: int) -> None:
        await asyncio.to_thread(self.queue.extend, self.queue_url, taken.receipt, seconds)
