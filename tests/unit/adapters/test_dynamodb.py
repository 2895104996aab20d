"""How records lie in the table, and what becomes of answers that are lost."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from typing import Any

import pytest
from botocore.stub import Stubber

from batchmill.adapters import records
from batchmill.adapters.dynamodb import DynamoBatches
from batchmill.domain.batch import Batch, BatchStatus
from batchmill.domain.errors import AlreadyExists, Transient
from batchmill.domain.shard import Shard, ShardKey, ShardState
from batchmill.domain.span import Span
from fakes.stubbed import answer, refuse, stubbed

KEY = ShardKey("batch_1", 2, 13)
SHARD = Shard(KEY, Span(0, 0, 9), ShardState.SENT, dispatch=1, token="secret", updated_at=1_763_000_000.5)
BATCH = Batch("batch_1", BatchStatus.VALIDATING, {"prompt": "{{ x }}"}, (), 1_763_000_000.25, 1_763_000_060.0)


@pytest.fixture
def table() -> tuple[DynamoBatches, Stubber]:
    client, stubber = stubbed("dynamodb")
    return DynamoBatches(client, "table", sleep=lambda _: None), stubber


def stored(record: Batch | Shard, version: int = 1, writer: str = "another", **more: Any) -> dict[str, Any]:
    item = records.batch_item(record) if isinstance(record, Batch) else records.shard_item(record)
    return {"Item": {**item, "version": {"N": str(version)}, "writer": {"S": writer}, **more}}


class Sent:
    """What the last PutItem carried, and an answer for the next GetItem made of it: the write took place."""

    def __init__(self, stubber: Stubber) -> None:
        self.item: dict[str, Any] = {}
        stubber.client.meta.events.register("provide-client-params.dynamodb.PutItem", self._note)

    def _note(self, params: dict[str, Any], **_: Any) -> None:
        self.item.update(params["Item"])


def test_a_shards_item_has_the_run_in_its_key_and_is_open_while_its_token_waits() -> None:
    item = records.shard_item(SHARD)
    assert (item["pk"], item["sk"]) == ({"S": "BATCH#batch_1"}, {"S": "SHARD#002#00013"})
    assert (item["open"], item["open_at"]) == ({"S": "5"}, {"S": "2025-11-13T02:13:20.500000+00:00"})
    assert (item["dispatch"], item["updated_at"]) == ({"N": "1"}, {"N": "1763000000.5"})
    closed = records.shard_item(dataclasses.replace(SHARD, token=None))
    assert not {"open", "open_at", "token", "committed_attempt", "expires_at"} & set(closed)


def test_a_batchs_item_is_listed_by_its_time_and_holds_its_spec_as_text() -> None:
    item = records.batch_item(BATCH)
    assert (item["pk"], item["sk"]) == ({"S": "BATCH#batch_1"}, {"S": "BATCH"})
    assert (item["listed"], item["listed_at"]) == ({"S": "batch"}, {"S": "2025-11-13T02:13:20.250000+00:00"})
    assert json.loads(item["spec"]["S"]) == {"prompt": "{{ x }}"}


def test_a_batch_that_is_not_final_stands_in_the_open_index_of_batches_alone() -> None:
    assert records.batch_item(replace(BATCH, status=BatchStatus.IN_PROGRESS))["open"] == {"S": "batch"}
    assert "open" not in records.batch_item(replace(BATCH, status=BatchStatus.COMPLETED))


def test_items_of_an_older_version_take_defaults_and_of_a_newer_one_are_readable() -> None:
    item = records.shard_item(SHARD)
    for name in ("route_index", "progress", "seen_at", "holder", "parked"):
        del item[name]
    doubted = {"L": [{"N": "1"}, {"N": "0"}]}  # what an older version wrote of a doubt, without its message
    assert records.to_shard({**item, "reserved_usd": {"N": "1.5"}, "doubted": doubted}) == SHARD
    batch = records.batch_item(BATCH)
    del batch["counts"], batch["times"], batch["closings"], batch["paused"], batch["pausings"]
    assert records.to_batch({**batch, "tenant": {"M": {"id": {"S": "x"}}}}) == BATCH


def test_what_this_version_does_not_know_outlives_its_writes(table: tuple[DynamoBatches, Stubber]) -> None:
    batches, stubber = table
    sent = Sent(stubber)
    answer(stubber, "get_item", stored(SHARD, 4, reserved_usd={"N": "1.5"}, tags={"SS": ["a"]}))
    answer(stubber, "put_item", {})
    batches.update_shard(KEY, lambda shard: dataclasses.replace(shard, token=None))
    assert (sent.item["reserved_usd"], sent.item["tags"], sent.item["version"]) == (
        {"N": "1.5"},
        {"SS": ["a"]},
        {"N": "5"},
    )
    assert not {"open", "open_at", "token"} & set(sent.item)


def test_numbers_that_no_record_can_hold_are_refused() -> None:
    with pytest.raises(ValueError, match="float"):
        records.shard_item(dataclasses.replace(SHARD, deadline=float("inf")))


def test_a_write_whose_answer_was_lost_counts_once(table: tuple[DynamoBatches, Stubber]) -> None:
    batches, stubber = table
    sent = Sent(stubber)
    answer(stubber, "get_item", stored(SHARD))
    refuse(stubber, "put_item", "ConditionalCheckFailedException")
    # What botocore's first try wrote is there.
    answer(stubber, "get_item", {"Item": sent.item})
    changes = []

    def change(shard: Shard) -> Shard:
        changes.append(shard.route_index)
        return dataclasses.replace(shard, route_index=shard.route_index + 1)

    found = batches.update_shard(KEY, change)
    assert found is not None
    assert (found.route_index, changes) == (1, [0])
    stubber.assert_no_pending_responses()


def test_a_batch_created_by_a_try_whose_answer_was_lost_is_ours(table: tuple[DynamoBatches, Stubber]) -> None:
    batches, stubber = table
    sent = Sent(stubber)
    refuse(stubber, "put_item", "ConditionalCheckFailedException")
    answer(stubber, "get_item", {"Item": sent.item})
    batches.create(BATCH)
    refuse(stubber, "put_item", "ConditionalCheckFailedException")
    answer(stubber, "get_item", stored(BATCH))
    with pytest.raises(AlreadyExists):
        batches.create(BATCH)
    stubber.assert_no_pending_responses()


def test_a_change_of_nothing_writes_nothing(table: tuple[DynamoBatches, Stubber]) -> None:
    batches, stubber = table
    answer(stubber, "get_item", stored(SHARD))
    assert batches.update_shard(KEY, dataclasses.replace) == SHARD
    stubber.assert_no_pending_responses()


def test_throttling_is_transient(table: tuple[DynamoBatches, Stubber]) -> None:
    batches, stubber = table
    refuse(stubber, "get_item", "ProvisionedThroughputExceededException")
    with pytest.raises(Transient, match="table/BATCH#batch_1/SHARD#002#00013"):
        batches.shard(KEY)
