"""Batch and shard records as DynamoDB items, and back.

A record's fields are the item's attributes, typed: numbers as N, mappings as M, None as no attribute at all. Beside
them stand the keys, `version` and `writer` (for the compare-and-swap), and the two sparse indexes' attributes. Fields
that an item lacks take their defaults, and attributes that this version does not know outlive its writes: versions
may run side by side.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter

from batchmill.domain.batch import Batch
from batchmill.domain.shard import Shard, ShardKey

OPEN_INDEX, LISTED_INDEX = "open", "listed"
OPEN_PARTITIONS = 8
"""Over how many partitions of the `open` index the shards that wait for an answer are spread."""
LISTED = "batch"
LIVE = "batch"
"""The `open` index's partition of the batches that are not final."""

_BATCH = TypeAdapter(Batch)
_SHARD = TypeAdapter(Shard)

Attributes = dict[str, Any]
"""An item as DynamoDB's client takes and gives it: `{"pk": {"S": "…"}, …}`."""

_INDEXED = frozenset({"open", "open_at", "listed", "listed_at"})


def batch_key(batch_id: str) -> Attributes:
    """The primary key of a batch's item."""
    return _attributes({"pk": partition(batch_id), "sk": "BATCH"})


def shard_key(key: ShardKey) -> Attributes:
    """The primary key of a shard's item."""
    return _attributes({"pk": partition(key.batch_id), "sk": f"{shard_prefix(key.run)}{key.shard:05d}"})


def partition(batch_id: str) -> str:
    """The partition key of a batch and all its shards."""
    return f"BATCH#{batch_id}"


def shard_prefix(run: int) -> str:
    """What the sort keys of a run's shards begin with."""
    return f"SHARD#{run:03d}#"


def batch_item(batch: Batch) -> Attributes:
    """A batch's item. The spec is kept as JSON text: its own shape is no business of the table's."""
    values = _BATCH.dump_python(batch, mode="json", warnings="error")
    return {**_attributes({**values, "spec": json.dumps(values["spec"]), **_live(batch)}), **listed_key(batch)}


def listed_key(batch: Batch) -> Attributes:
    """The key of a batch's item in the `listed` index, the table's own key included."""
    index = {"listed": LISTED, "listed_at": _iso(batch.created_at)}
    return {**_attributes(index), **batch_key(batch.batch_id)}


def _live(batch: Batch) -> dict[str, str]:
    return {} if batch.final else {"open": LIVE, "open_at": _iso(batch.created_at)}


def shard_item(shard: Shard) -> Attributes:
    """A shard's item; it stands in the `open` index as long as a token waits for it."""
    index = {}
    if shard.token is not None:
        index = {"open": str(shard.key.shard % OPEN_PARTITIONS), "open_at": _iso(shard.updated_at)}
    values = _SHARD.dump_python(shard, mode="json", warnings="error")
    return {**_attributes({**values, **index}), **shard_key(shard.key)}


def to_batch(item: Mapping[str, Any]) -> Batch:
    """The record of an item. Raises pydantic's ValidationError for an item that is no batch."""
    values = _plain_all(item)
    return _BATCH.validate_python({**values, "spec": json.loads(values["spec"])})


def to_shard(item: Mapping[str, Any]) -> Shard:
    """The record of an item. Raises pydantic's ValidationError for an item that is no shard."""
    return _SHARD.validate_python(_plain_all(item))


def left_alone(item: Mapping[str, Any], record: Batch | Shard) -> Attributes:
    """What an item holds beside the record's own fields: a newer version's, which a write must not lose."""
    ours = {field.name for field in fields(record)} | _INDEXED
    return {name: value for name, value in item.items() if name not in ours}


def _attributes(values: Mapping[str, Any]) -> Attributes:
    """None is left out. Raises ValueError for what DynamoDB cannot hold."""
    return {name: _attribute(value) for name, value in values.items() if value is not None}


def _attribute(value: Any) -> Attributes:
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, int):
        return {"N": str(value)}
    if isinstance(value, float) and math.isfinite(value):
        return {"N": repr(value)}  # 17 digits at most, of DynamoDB's 38: no loss
    if isinstance(value, Mapping):
        return {"M": _attributes(value)}
    if isinstance(value, list):
        return {"L": [_attribute(each) for each in value]}
    raise ValueError(f"a record cannot hold a {type(value).__name__} such as this")


def _plain(attribute: Mapping[str, Any]) -> Any:
    ((kind, value),) = attribute.items()
    if kind == "N":
        return _number(value)
    if kind == "M":
        return _plain_all(value)
    return [_plain(each) for each in value] if kind == "L" else value


def _plain_all(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in attributes.items()}


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _iso(seconds: float) -> str:
    """A time that sorts as text."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")
