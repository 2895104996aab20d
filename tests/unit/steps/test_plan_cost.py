"""Planning costs next to nothing, whatever the size: requests and bytes over a terabyte, or over 50,000 objects."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from batchmill.ports.objects import ObjectInfo
from support.world import DATA, INPUT, World

SPEC = {"endpoint": "/v1/embeddings", "input": "{{ text }}"}


class Sparse:
    """Objects of any size that hold one line over and over, and what is asked of them counted."""

    LINE = b'{"text": "%s"}\n' % (b"x" * 186)

    def __init__(self, world: World, sizes: Mapping[str, int]) -> None:
        self.asked: Counter[str] = Counter()
        self.bytes = 0
        self._sizes, self._objects = sizes, world.objects
        self._read, self._head, self._list = world.objects.read, world.objects.head, world.objects.list

    def read(self, pinned: ObjectInfo, start: int, end: int) -> bytes:
        if pinned.key not in self._sizes:
            return self._read(pinned, start, end)
        self.asked["read"] += 1
        end = min(end, pinned.size)
        self.bytes += end - start
        size = len(self.LINE)
        return (self.LINE * ((end - start) // size + 2))[start % size :][: end - start]

    def head(self, bucket: str, key: str, version_id: str | None = None) -> ObjectInfo:
        if key not in self._sizes:
            return self._head(bucket, key, version_id)
        self.asked["head"] += 1
        return ObjectInfo(bucket, key, self._sizes[key], "etag")

    def list(self, bucket: str, prefix: str) -> Any:
        if bucket != INPUT:
            return self._list(bucket, prefix)
        self.asked["list"] += 1
        return (ObjectInfo(bucket, key, size, "etag") for key, size in sorted(self._sizes.items()))


def submit(world: World, name: str) -> str:
    job = {"inputs": [name], "spec": SPEC}
    return world.drop(json.dumps(job).encode(), key="jobs/x.batch.yaml", profile=None)


def sparse(world: World, sizes: Mapping[str, int], monkeypatch: pytest.MonkeyPatch) -> Sparse:
    made = Sparse(world, sizes)
    for name in ("read", "head", "list"):
        monkeypatch.setattr(world.objects, name, getattr(made, name))
    return made


def test_a_terabyte_of_lines_is_planned_by_a_few_small_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(shard_rows=5000)
    made = sparse(world, {"jobs/big.jsonl": 10**12}, monkeypatch)
    batch_id = submit(world, "big.jsonl")
    world.planned(batch_id)
    document = world.documents(batch_id).plan()
    assert made.asked == {"head": 1, "read": 2}
    assert made.bytes <= 300_000
    assert document.shards <= 50_000
    assert document.rows_estimated == pytest.approx(10**12 / len(Sparse.LINE), rel=0.01)
    assert len(world.objects.get(DATA, f"batches/{batch_id}/plan/shards.json")) < 10_000_000


def test_fifty_thousand_objects_are_planned_by_a_listing_and_a_few_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(shard_rows=5000)
    size = 100 * len(Sparse.LINE)
    made = sparse(world, {f"jobs/in/{i:05d}.jsonl": size for i in range(50_000)}, monkeypatch)
    batch_id = submit(world, "in/")
    world.planned(batch_id)
    assert made.asked["head"] == 0
    assert made.asked["list"] == 1
    assert made.asked["read"] <= 200
    document = world.documents(batch_id).plan()
    assert (document.shards, len(document.objects)) == (50_000, 50_000)
    assert document.rows_estimated == pytest.approx(5_000_000, rel=0.02)
