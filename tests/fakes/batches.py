"""The table in memory, its compare-and-swap real: a change that another writer came between is made again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from batchmill.domain.batch import Batch
from batchmill.domain.errors import AlreadyExists, BatchNotFound, Transient
from batchmill.domain.shard import Shard, ShardKey
from batchmill.domain.span import Span

_Key = TypeVar("_Key")
_Record = TypeVar("_Record", Batch, Shard)
_TRIES = 25


@dataclass
class MemoryBatches:
    """Implements `ports.batches.Batches`.

    `between` is called in every change between the read and the write, but not within itself: another writer may go
    there. `before` is called first in every operation with its name, and may raise. `history` has every state that
    a shard's record was written in, in order; `batch_history` a batch's.
    """

    between: Callable[[], None] | None = None
    before: Callable[[str], None] | None = None
    history: dict[ShardKey, list[Shard]] = field(default_factory=dict)
    batch_history: dict[str, list[Batch]] = field(default_factory=dict)
    conflicts: int = 0
    _batches: dict[str, tuple[int, Batch]] = field(default_factory=dict)
    _shards: dict[ShardKey, tuple[int, Shard]] = field(default_factory=dict)
    _interleaving: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def create(self, batch: Batch) -> None:
        self._begin("create")
        if batch.batch_id in self._batches:
            raise AlreadyExists(f"batch {batch.batch_id} is there already")
        self._batches[batch.batch_id] = (1, batch)
        self.batch_history[batch.batch_id] = [batch]

    def get(self, batch_id: str) -> Batch:
        self._begin("get")
        if batch_id not in self._batches:
            raise BatchNotFound(f"no batch {batch_id}")
        return self._batches[batch_id][1]

    def change(self, batch_id: str, change: Callable[[Batch], Batch]) -> Batch:
        self._begin("change")
        changed = self._swap(self._batches, batch_id, change, None, self.batch_history)
        if changed is None:
            raise BatchNotFound(f"no batch {batch_id}")
        return changed

    def shard(self, key: ShardKey) -> Shard | None:
        self._begin("shard")
        return self._shards[key][1] if key in self._shards else None

    def change_shard(self, key: ShardKey, span: Span, change: Callable[[Shard], Shard]) -> Shard:
        self._begin("change_shard")
        blank = Shard(key, span)
        return self._swap(self._shards, key, change, blank, self.history) or blank

    def update_shard(self, key: ShardKey, change: Callable[[Shard], Shard]) -> Shard | None:
        self._begin("update_shard")
        return self._swap(self._shards, key, change, None, self.history)

    def shards(self, batch_id: str, run: int) -> Iterator[Shard]:
        self._begin("shards")
        return iter(
            [self._shards[key][1] for key in sorted(self._shards) if (key.batch_id, key.run) == (batch_id, run)]
        )

    def open_shards(self) -> Iterator[Shard]:
        self._begin("open_shards")
        return iter([shard for _, shard in self._shards.values() if shard.token is not None])

    def live(self) -> Iterator[Batch]:
        self._begin("live")
        found = [batch for _, batch in self._batches.values() if not batch.final]
        return iter(sorted(found, key=lambda batch: batch.created_at))

    def recent(self, limit: int, after: Batch | None = None) -> list[Batch]:
        self._begin("recent")
        newest = sorted(
            (batch for _, batch in self._batches.values()),
            key=lambda batch: (batch.created_at, batch.batch_id),
            reverse=True,
        )
        start = newest.index(self._batches[after.batch_id][1]) + 1 if after else 0
        return newest[start : start + limit]

    def _begin(self, operation: str) -> None:
        if self.before:
            self.before(operation)

    def _interleave(self) -> None:
        if self.between is None or self._interleaving:
            return
        self._interleaving = True
        try:
            self.between()
        finally:
            self._interleaving = False

    def _swap(
        self,
        store: dict[_Key, tuple[int, _Record]],
        key: _Key,
        change: Callable[[_Record], _Record],
        blank: _Record | None,
        history: dict[_Key, list[_Record]],
    ) -> _Record | None:
        for _ in range(_TRIES):
            version, before = store.get(key, (0, blank))
            if before is None:
                return None
            after = change(before)
            if after == before:
                return after
            self._interleave()
            with self._lock:
                if store.get(key, (0, blank))[0] == version:
                    store[key] = (version + 1, after)
                    history.setdefault(key, []).append(after)
                    return after
            self.conflicts += 1
        raise Transient(f"other writers came between {_TRIES} times")
