"""How much a shard holds, by the work that its rows are."""

from __future__ import annotations

from typing import Any

import pytest

from batchmill.contracts.pools import Pool
from batchmill.contracts.spec import BatchSpec
from batchmill.domain.errors import PlanTooLarge
from batchmill.steps.planning import sizing
from batchmill.steps.planning.sizing import RowSize

POOL = Pool(queue_url="q", model="m", tokens_per_second=1000.0)
MANY = 10**9
OPENAI = BatchSpec.model_validate({})


def spec(**fields: Any) -> BatchSpec:
    return BatchSpec.model_validate({"endpoint": "/v1/embeddings", "input": "{{ t }}", **fields})


def chat(**fields: Any) -> BatchSpec:
    return BatchSpec.model_validate({"prompt": "{{ t }}", **fields})


def row(size: float, output: float | None = None) -> RowSize:
    return RowSize(stored=size, text=size, output_tokens=output)


def test_a_shard_is_ten_minutes_of_a_workers_tokens() -> None:
    rows = sizing.shard_rows(spec(), POOL, row(4000), MANY)
    assert rows == pytest.approx(600 * 1000 / (4000 / 4), rel=0.01)


def test_twice_the_throughput_is_twice_the_rows_and_longer_rows_are_fewer() -> None:
    one = sizing.shard_rows(spec(), POOL, row(4000), MANY)
    faster = POOL.model_copy(update={"tokens_per_second": 2000.0})
    assert sizing.shard_rows(spec(), faster, row(4000), MANY) == pytest.approx(2 * one, rel=0.01)
    assert sizing.shard_rows(spec(), POOL, row(8000), MANY) == pytest.approx(one / 2, rel=0.01)


@pytest.mark.parametrize(
    ("asked", "given", "tokens"),
    [
        (chat(), None, sizing.OUTPUT_TOKENS),
        (chat(params={"max_tokens": 1000}), None, 1000),
        (chat(params={"max_tokens": 1000, "max_completion_tokens": 50}), None, 50),
        (BatchSpec.model_validate({"body": {"messages": [], "max_tokens": 7}}), None, 7),
        (chat(params={"max_tokens": "{{ n | native }}"}), None, sizing.OUTPUT_TOKENS),
        (OPENAI, 31.5, 31.5),
        (OPENAI, None, sizing.OUTPUT_TOKENS),
        (spec(), None, 0),
        (spec(endpoint="/v1/score", input=None, body={"text_1": "a"}), None, 0),
    ],
)
def test_an_answers_tokens_are_what_bounds_it(asked: BatchSpec, given: float | None, tokens: float) -> None:
    assert sizing.output_tokens(asked, row(1, given)) == tokens


def test_what_the_template_adds_to_each_row_is_work_too() -> None:
    plain, wordy = chat(), chat(system="x" * 4000)
    assert sizing.row_tokens(wordy, row(40)) == pytest.approx(sizing.row_tokens(plain, row(40)) + 1000, rel=0.05)


def test_no_shard_has_more_rows_than_the_deployment_says_but_where_the_submission_says_itself() -> None:
    assert sizing.shard_rows(spec(), POOL, row(10), 500) == 500
    assert sizing.shard_rows(spec(shard_rows=70_000), POOL, row(10), 500) == 70_000
    assert sizing.shard_rows(spec(shard_rows=3), POOL, row(10), 500) == 3


def test_no_shard_has_more_bytes_than_a_worker_holds_nor_less_than_a_row() -> None:
    limit = sizing.SHARD_BYTES_LIMIT
    assert sizing.shard_rows(spec(shard_rows=1_000_000), POOL, row(limit / 10), MANY) == 10
    assert sizing.shard_rows(spec(), POOL, row(3 * limit), MANY) == 1
    # What a table holds compressed may be little; its text counts.
    assert sizing.shard_rows(spec(shard_rows=1_000_000), POOL, RowSize(1, limit / 10), MANY) == 10


def test_a_target_grows_until_there_are_few_enough_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizing, "SHARDS_LIMIT", 100)
    sizes = [10_000, 20_000, 0]
    target = sizing.widened(10, 10**6, lambda wanted: sizing.shards_of(sizes, wanted))
    assert 75 <= sizing.shards_of(sizes, target) <= 100
    assert sizing.widened(1000, 10**6, lambda wanted: sizing.shards_of(sizes, wanted)) == 1000
    with pytest.raises(PlanTooLarge, match="150 shards, at most 100: raise shard_rows"):
        sizing.widened(10, 200, lambda wanted: sizing.shards_of(sizes, wanted))


def test_a_terabyte_of_short_rows_is_planned_within_what_a_state_machine_carries() -> None:
    sizes = [10**12]
    rows = sizing.shard_rows(spec(), POOL, row(200), 5000)
    target = sizing.widened(rows * 200, sizing.SHARD_BYTES_LIMIT, lambda wanted: sizing.shards_of(sizes, wanted))
    assert sizing.shards_of(sizes, target) <= 50_000
    assert target <= sizing.SHARD_BYTES_LIMIT
