"""The table of batches and shards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from batchmill.domain.batch import Batch
from batchmill.domain.shard import Shard, ShardKey
from batchmill.domain.span import Span


class Batches(Protocol):
    """Records changed by compare-and-swap: a change is a pure function, tried again until no other writer came between.

    Whatever the function raises reaches the caller, nothing written. A change that returns its argument writes nothing.
    Every method may raise Transient.
    """

    def create(self, batch: Batch) -> None:
        """Add a batch. Raises AlreadyExists."""
        ...

    def get(self, batch_id: str) -> Batch:
        """Read consistently. Raises BatchNotFound."""
        ...

    def change(self, batch_id: str, change: Callable[[Batch], Batch]) -> Batch:
        """Apply `change` and return the new record. Raises BatchNotFound."""
        ...

    def shard(self, key: ShardKey) -> Shard | None:
        """One shard's record, read consistently; None while it is planned only."""
        ...

    def change_shard(self, key: ShardKey, span: Span, change: Callable[[Shard], Shard]) -> Shard:
        """Apply `change` to the record, or to a new planned one of `span` where there is none yet."""
        ...

    def update_shard(self, key: ShardKey, change: Callable[[Shard], Shard]) -> Shard | None:
        """Apply `change` to the record if there is one; None if not."""
        ...

    def shards(self, batch_id: str, run: int) -> Iterator[Shard]:
        """The records of a run's shards, in order."""
        ...

    def open_shards(self) -> Iterator[Shard]:
        """Every shard of any batch whose token waits for an answer. May lag behind the writes by some seconds."""
        ...

    def live(self) -> Iterator[Batch]:
        """Every batch that is not final, oldest first. May lag behind the writes by some seconds."""
        ...

    def recent(self, limit: int, after: Batch | None = None) -> list[Batch]:
        """The newest batches first, at most `limit`; only those that follow `after` in that order, where it is given.

        May lag behind the writes by some seconds.
        """
        ...
