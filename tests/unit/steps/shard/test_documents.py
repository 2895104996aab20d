from __future__ import annotations

import json

import pytest

from batchmill.contracts.plan import ShardItem
from batchmill.steps.shard.documents import Documents
from fakes.objects import MemoryObjects


@pytest.mark.parametrize("count", [0, 1, 1000, 2500])
def test_the_shards_are_one_json_array_however_many_there_are(count: int) -> None:
    objects = MemoryObjects()
    documents = Documents(objects, "data", "batch", 0)
    items = [ShardItem(n=n, object=0, start=10 * n, end=10 * n + 10) for n in range(count)]
    listed = documents.put_shards(iter(items))
    assert (listed.count, len(json.loads(objects.get(listed.bucket, listed.key)))) == (count, count)
    assert documents.shards() == items
    assert documents.planned() == listed
