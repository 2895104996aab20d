"""The batches port over one DynamoDB table: every write is a PutItem conditional on the version that was read.

Each write carries a random `writer` mark: where an answer was lost and botocore wrote again, the failed condition is
our own doing, and the mark tells it from another writer's.
"""

from __future__ import annotations

import logging
import random
import time
import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from batchmill.adapters import records
from batchmill.adapters.aws_errors import translated
from batchmill.domain.batch import Batch
from batchmill.domain.errors import AlreadyExists, BatchNotFound, Conflict, Transient
from batchmill.domain.shard import Shard, ShardKey
from batchmill.domain.span import Span

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

LOG = logging.getLogger(__name__)

_TRIES = 25
_SHORTEST_S, _LONGEST_S = 0.01, 0.5

_Record = TypeVar("_Record", Batch, Shard)


class DynamoBatches:
    """Implements `ports.batches.Batches`. Threads may share it."""

    def __init__(self, client: DynamoDBClient, table_name: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._dynamodb = client
        self._table = table_name
        self._sleep = sleep

    def create(self, batch: Batch) -> None:
        """Add a batch. Raises AlreadyExists."""
        if not self._put(records.batch_item(batch), 0):
            raise AlreadyExists(f"batch {batch.batch_id} is there already")

    def get(self, batch_id: str) -> Batch:
        """Read consistently. Raises BatchNotFound."""
        item = self._get(records.batch_key(batch_id))
        if item is None:
            raise BatchNotFound(f"no batch {batch_id}")
        return records.to_batch(item)

    def change(self, batch_id: str, change: Callable[[Batch], Batch]) -> Batch:
        """Apply `change` and return the new record. Raises BatchNotFound."""
        key = records.batch_key(batch_id)
        changed = self._change(key, records.to_batch, records.batch_item, change, None)
        if changed is None:
            raise BatchNotFound(f"no batch {batch_id}")
        return changed

    def shard(self, key: ShardKey) -> Shard | None:
        """One shard's record, read consistently; None while it is planned only."""
        item = self._get(records.shard_key(key))
        return records.to_shard(item) if item else None

    def change_shard(self, key: ShardKey, span: Span, change: Callable[[Shard], Shard]) -> Shard:
        """Apply `change` to the record, or to a new planned one of `span` where there is none yet."""
        blank = Shard(key, span)
        changed = self._change(records.shard_key(key), records.to_shard, records.shard_item, change, blank)
        return changed or blank

    def update_shard(self, key: ShardKey, change: Callable[[Shard], Shard]) -> Shard | None:
        """Apply `change` to the record if there is one; None if not."""
        return self._change(records.shard_key(key), records.to_shard, records.shard_item, change, None)

    def shards(self, batch_id: str, run: int) -> Iterator[Shard]:
        """The records of a run's shards, in order."""
        names = {"pk": records.partition(batch_id), "sk": records.shard_prefix(run)}
        pages = self._pages(
            KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
            ExpressionAttributeValues={f":{name}": {"S": value} for name, value in names.items()},
            ConsistentRead=True,
        )
        return map(records.to_shard, pages)

    def open_shards(self) -> Iterator[Shard]:
        """Every shard of any batch whose token waits for an answer. Lags behind the writes (an index)."""
        for number in range(records.OPEN_PARTITIONS):
            yield from map(records.to_shard, self._index(records.OPEN_INDEX, str(number)))

    def live(self) -> Iterator[Batch]:
        """Every batch that is not final, oldest first. Lags behind the writes (an index)."""
        return map(records.to_batch, self._index(records.OPEN_INDEX, records.LIVE))

    def recent(self, limit: int, after: Batch | None = None) -> list[Batch]:
        """The newest batches first, at most `limit`, from `after` on. Lags behind the writes (an index)."""
        found: list[Batch] = []
        start = {"ExclusiveStartKey": records.listed_key(after)} if after else {}
        query = {"ScanIndexForward": False, "Limit": max(limit, 1), **start}
        for item in self._index(records.LISTED_INDEX, records.LISTED, **query):
            if len(found) >= limit:
                break
            found.append(records.to_batch(item))
        return found

    def _change(
        self,
        key: records.Attributes,
        read: Callable[[records.Attributes], _Record],
        write: Callable[[_Record], records.Attributes],
        change: Callable[[_Record], _Record],
        blank: _Record | None,
    ) -> _Record | None:
        for attempt in range(_TRIES):
            item = self._get(key)
            before = read(item) if item else blank
            if before is None:
                return None
            after = change(before)
            if after == before or self._put({**records.left_alone(item or {}, after), **write(after)}, _version(item)):
                return after
            pause = random.uniform(0, min(_LONGEST_S, _SHORTEST_S * 2**attempt))
            LOG.debug("%s changed under us, again in %.3f s", self._name(key), pause)
            self._sleep(pause)
        raise Transient(f"{self._name(key)}: other writers came between {_TRIES} times")

    def _get(self, key: records.Attributes) -> records.Attributes | None:
        with translated(self._name(key)):
            return self._dynamodb.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")

    def _put(self, item: records.Attributes, version: int) -> bool:
        """Write over `version` (0: over nothing). False if another writer came between."""
        mark = {"S": uuid.uuid4().hex}
        new = {**item, "version": {"N": str(version + 1)}, "writer": mark}
        try:
            with translated(self._name(item)):
                self._put_if(new, version)
        except Conflict:
            there = self._get({"pk": item["pk"], "sk": item["sk"]})
            return there is not None and there.get("writer") == mark
        return True

    def _put_if(self, item: records.Attributes, version: int) -> None:
        if version == 0:
            self._dynamodb.put_item(TableName=self._table, Item=item, ConditionExpression="attribute_not_exists(pk)")
            return
        self._dynamodb.put_item(
            TableName=self._table,
            Item=item,
            ConditionExpression="#version = :version",
            ExpressionAttributeNames={"#version": "version"},
            ExpressionAttributeValues={":version": {"N": str(version)}},
        )

    def _name(self, key: records.Attributes) -> str:
        return f"{self._table}/{key['pk']['S']}/{key['sk']['S']}"

    def _index(self, index: str, partition: str, **more: Any) -> Iterator[records.Attributes]:
        return self._pages(
            IndexName=index,
            KeyConditionExpression="#hash = :hash",
            ExpressionAttributeNames={"#hash": index},
            ExpressionAttributeValues={":hash": {"S": partition}},
            **more,
        )

    def _pages(self, **query: Any) -> Iterator[records.Attributes]:
        with translated(f"{self._table}/{query.get('IndexName', '')}"):
            for page in self._dynamodb.get_paginator("query").paginate(TableName=self._table, **query):
                yield from page["Items"]


def _version(item: records.Attributes | None) -> int:
    return int(item["version"]["N"]) if item else 0
