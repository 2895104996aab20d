"""What every table of batches and shards owes the steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from batchmill.adapters.aws_clients import dynamodb_client
from batchmill.adapters.dynamodb import DynamoBatches
from batchmill.domain.batch import Batch, BatchStatus, Counts, Input, Problem, moved, with_problem
from batchmill.domain.errors import AlreadyExists, BatchNotFound, StaleDispatch, Transient
from batchmill.domain.shard import (
    Placement,
    Progress,
    Shard,
    ShardKey,
    ShardState,
    answered,
    claimed,
    committed,
    dispatched,
    renewed,
    sent,
)
from batchmill.domain.span import Span
from batchmill.ports.batches import Batches
from fakes.batches import MemoryBatches
from fakes.dynamodb_table import TABLE, make_table

NOW = 1_763_000_000.123456
KEY = ShardKey("batch_1", 0, 7)
SPAN = Span(0, 10, 20, first_line=3)
PLACE = Placement("ecs", "default", "f" * 16)


@pytest.fixture(params=["fake", "dynamodb"])
def batches(request: pytest.FixtureRequest) -> Batches:
    if request.param == "fake":
        return MemoryBatches()
    request.getfixturevalue("aws")
    client = dynamodb_client()
    make_table(client)
    return DynamoBatches(client, TABLE, sleep=lambda _: None)


def batch(batch_id: str = "batch_1", created_at: float = NOW) -> Batch:
    return Batch(
        batch_id=batch_id,
        status=BatchStatus.VALIDATING,
        spec={"endpoint": "/v1/embeddings", "params": {"temperature": 0.1, "stop": ["\n", "é"], "n": None, "x": {}}},
        inputs=(Input("in", "a.jsonl", "v1", "etag"), Input("in", "b.jsonl")),
        created_at=created_at,
        deadline=created_at + 86400,
    )


def dispatch(token: str) -> Callable[[Shard], Shard]:
    return lambda shard: dispatched(shard, token, PLACE, NOW + 60, NOW)


def test_a_batch_comes_back_as_it_was_created(batches: Batches) -> None:
    batches.create(batch())
    assert batches.get("batch_1") == batch()


def test_every_field_of_a_batch_is_kept(batches: Batches) -> None:
    batches.create(batch())
    whole = replace(
        batch(),
        status=BatchStatus.FINALIZING,
        profile="tickets",
        name="a name",
        run=2,
        closings=1,
        ending=BatchStatus.EXPIRED,
        problems=(Problem("empty_file", "no rows", "input", 4), Problem("other", "message")),
        shards=12,
        counts=Counts(5, 3, 2),
        prompt_tokens=2**40,
        completion_tokens=7,
        times={"in_progress": NOW + 0.1, "finalizing": 1e9},
        notified=True,
        paused=True,
        pausings=3,
    )
    assert batches.change("batch_1", lambda _: whole) == whole
    assert batches.get("batch_1") == whole


def test_a_batch_is_created_once(batches: Batches) -> None:
    batches.create(batch())
    with pytest.raises(AlreadyExists):
        batches.create(replace(batch(), name="another"))
    assert batches.get("batch_1").name == ""


def test_an_unknown_batch_is_not_found(batches: Batches) -> None:
    with pytest.raises(BatchNotFound):
        batches.get("batch_0")
    with pytest.raises(BatchNotFound):
        batches.change("batch_0", lambda found: found)


def test_a_change_that_another_came_before_is_made_again_on_top(batches: Batches) -> None:
    batches.create(batch())
    others = [Problem("other", "another writer's")]

    def change(found: Batch) -> Batch:
        if others:
            problem = others.pop()
            batches.change("batch_1", lambda there: with_problem(there, problem))
        return moved(found, BatchStatus.IN_PROGRESS, NOW)

    changed = batches.change("batch_1", change)
    assert (changed.status, len(changed.problems)) == (BatchStatus.IN_PROGRESS, 1)
    assert batches.get("batch_1") == changed


def test_a_change_that_always_loses_is_transient(batches: Batches) -> None:
    batches.create(batch())

    def change(found: Batch) -> Batch:
        batches.change("batch_1", lambda there: replace(there, shards=there.shards + 1))
        return replace(found, name="never")

    with pytest.raises(Transient):
        batches.change("batch_1", change)
    assert batches.get("batch_1").name == ""


def test_what_a_change_raises_reaches_the_caller_and_nothing_is_written(batches: Batches) -> None:
    batches.change_shard(KEY, SPAN, dispatch("token"))
    with pytest.raises(StaleDispatch):
        batches.update_shard(KEY, lambda shard: claimed(shard, 99, "m-1", "worker", NOW))
    found = batches.shard(KEY)
    assert found is not None
    assert (found.state, found.attempt) == (ShardState.WAITING, 0)


def test_a_planned_shard_has_no_record(batches: Batches) -> None:
    assert batches.shard(KEY) is None
    assert batches.update_shard(KEY, dispatch("token")) is None
    assert batches.shard(KEY) is None


def test_a_change_of_nothing_to_a_planned_shard_writes_no_record(batches: Batches) -> None:
    assert batches.change_shard(KEY, SPAN, lambda shard: shard) == Shard(KEY, SPAN)
    assert batches.shard(KEY) is None


def test_every_field_of_a_shard_is_kept(batches: Batches) -> None:
    whole = Shard(
        key=KEY,
        span=SPAN,
        state=ShardState.RUNNING,
        dispatch=3,
        attempt=4,
        token="t" * 900,
        route_index=1,
        backend="ecs",
        pool="default",
        fingerprint="f",
        deadline=NOW + 0.5,
        holder="worker-1",
        renewal=9,
        seen_renewal=8,
        seen_at=NOW - 1e-6,
        committed_attempt=2,
        progress=Progress(1, 2, 3, 4),
        doubt=("m-1", 4, 9),
        parked=True,
        created_at=0.1 + 0.2,
        updated_at=NOW,
    )
    assert batches.change_shard(KEY, SPAN, lambda _: whole) == whole
    assert batches.shard(KEY) == whole


def test_a_shard_goes_through_its_life(batches: Batches) -> None:
    batches.change_shard(KEY, SPAN, dispatch("token"))
    batches.update_shard(KEY, lambda shard: sent(shard, shard, NOW))
    batches.update_shard(KEY, lambda shard: claimed(shard, 1, "m-1", "worker", NOW))
    batches.update_shard(KEY, lambda shard: renewed(shard, 1, Progress(ok=5), NOW))
    done = batches.update_shard(KEY, lambda shard: committed(shard, 1, NOW))
    assert done == batches.shard(KEY)
    assert done is not None
    assert (done.state, done.committed_attempt, done.progress.ok) == (ShardState.COMMITTED, 1, 5)


def test_of_two_claims_that_race_one_holds_the_shard_and_the_other_doubts_it(batches: Batches) -> None:
    batches.change_shard(KEY, SPAN, dispatch("token"))
    rivals = ["rival"]

    def claim(shard: Shard) -> Shard:
        if rivals:
            batches.update_shard(KEY, lambda there: claimed(there, 1, "m-1", rivals.pop(), NOW))
        return claimed(shard, 1, "m-1", "worker", NOW)

    found = batches.update_shard(KEY, claim)
    assert found is not None
    assert (found.attempt, found.holder, found.doubt) == (1, "rival", ("m-1", 1, 0))


def test_of_two_first_records_that_race_neither_is_lost(batches: Batches) -> None:
    rivals = ["rival"]

    def change(shard: Shard) -> Shard:
        if rivals:
            batches.change_shard(KEY, SPAN, dispatch(rivals.pop()))
        return dispatched(shard, "mine", PLACE, NOW + 60, NOW)

    assert batches.change_shard(KEY, SPAN, change).dispatch == 2


def test_a_runs_shards_come_in_order_and_are_its_own(batches: Batches) -> None:
    for run, number in ((0, 10_000), (0, 2), (0, 10), (1, 3), (10, 4)):
        batches.change_shard(ShardKey("batch_1", run, number), SPAN, dispatch(f"{run}-{number}"))
    batches.change_shard(ShardKey("batch_2", 0, 5), SPAN, dispatch("another"))
    batches.create(batch())
    assert [shard.key.shard for shard in batches.shards("batch_1", 0)] == [2, 10, 10_000]
    assert [shard.key.shard for shard in batches.shards("batch_1", 1)] == [3]
    assert list(batches.shards("batch_3", 0)) == []


def test_open_shards_are_those_whose_token_waits(batches: Batches) -> None:
    keys = [ShardKey("batch_1", 0, number) for number in range(20)]
    for key in keys:
        batches.change_shard(key, SPAN, dispatch(f"token-{key.shard}"))
    batches.update_shard(keys[3], lambda shard: answered(shard, "token-3", NOW))
    batches.create(batch())
    waiting = sorted(shard.key.shard for shard in batches.open_shards())
    assert waiting == [number for number in range(20) if number != 3]


def test_the_newest_batches_come_first(batches: Batches) -> None:
    for number in (3, 1, 5, 2, 4):
        batches.create(batch(f"batch_{number}", NOW + number / 1000))
    batches.change("batch_1", lambda found: moved(found, BatchStatus.FAILED, NOW + 99))
    assert [each.batch_id for each in batches.recent(3)] == ["batch_5", "batch_4", "batch_3"]
    assert len(batches.recent(10)) == 5
    assert batches.recent(0) == []


def test_the_list_goes_on_after_a_batch(batches: Batches) -> None:
    for number in (3, 1, 5, 2, 4):
        batches.create(batch(f"batch_{number}", NOW + number / 1000))
    assert [each.batch_id for each in batches.recent(2, batches.get("batch_4"))] == ["batch_3", "batch_2"]
    assert [each.batch_id for each in batches.recent(9, batches.get("batch_3"))] == ["batch_2", "batch_1"]
    assert batches.recent(9, batches.get("batch_1")) == []
