"""Sending a shard to its pool: the message in the queue, and a worker to take it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from batchmill.contracts.pools import Pool
from batchmill.contracts.workflow import ShardMessage
from batchmill.domain.errors import SpecInvalid
from batchmill.domain.shard import Shard, sent
from batchmill.ports.batches import Batches
from batchmill.ports.capacity import Capacity
from batchmill.ports.clock import Clock
from batchmill.ports.queue import Queue


@dataclass(frozen=True)
class Sending:
    """Sends shards whose record is written. `pools` by name."""

    batches: Batches
    queue: Queue
    capacity: Capacity
    clock: Clock
    pools: Mapping[str, Pool]

    def __call__(self, shard: Shard) -> None:
        """Send the message of the shard's current dispatch, note it as sent, and wake its pool.

        A shard that has moved on meanwhile keeps its state. Raises Transient; SpecInvalid as `pool` does.
        """
        key, pool = shard.key, self.pool(shard.pool)
        message = ShardMessage(batch_id=key.batch_id, run=key.run, shard=key.shard, dispatch=shard.dispatch)
        self.queue.send(pool.queue_url, message.model_dump_json())
        self.batches.update_shard(key, lambda old: sent(old, shard, self.clock.now()))
        self.capacity.wake(pool)  # last: nothing waits for it, and it may take its time

    def wake(self, shard: Shard) -> None:
        """Wake the pool of a shard whose message was sent before; nothing where that pool is no longer deployed."""
        if shard.pool in self.pools:
            self.capacity.wake(self.pools[shard.pool])

    def pool(self, name: str) -> Pool:
        """The pool of a name. Raises SpecInvalid where it is no longer deployed."""
        if name not in self.pools:
            raise SpecInvalid(f"pool {name!r} is no longer deployed")
        return self.pools[name]
