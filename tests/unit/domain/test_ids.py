from __future__ import annotations

import pytest

from batchmill.domain import ids

BATCH = ids.batch_id("one")


def test_the_same_submission_has_the_same_id_and_another_another() -> None:
    assert ids.batch_id("one") == BATCH
    assert ids.batch_id("two") != BATCH
    assert ids.is_batch_id(BATCH)
    assert not ids.is_batch_id("batch_../../etc")


def test_fields_that_run_together_are_told_apart() -> None:
    assert ids.digest("ab", "c") != ids.digest("a", "bc")


def test_execution_names_tell_reruns_and_closings_apart() -> None:
    assert ids.execution_name(BATCH, 0) == BATCH
    assert ids.execution_name(BATCH, 2) == f"{BATCH}-r2"
    assert ids.execution_name(BATCH, 2, 1) == f"{BATCH}-r2-c1"


@pytest.mark.parametrize("name", ["x" * 81, "a b", "a/b", "ä", ""])
def test_a_name_that_step_functions_would_refuse_is_refused_here(name: str) -> None:
    with pytest.raises(ValueError, match="not a legal execution name"):
        ids.execution_name(name, 0)


@pytest.mark.parametrize("run", [0, 3])
def test_a_part_key_is_read_back_as_it_was_written(run: int) -> None:
    assert ids.parse_part_key(ids.part_key(BATCH, run, 7)) == (BATCH, run, 7)


@pytest.mark.parametrize(
    "key", ["batches/x/results/part-00001.parquet", f"batches/{BATCH}/manifest.json", "part-00001"]
)
def test_a_key_that_is_no_part_is_none(key: str) -> None:
    assert ids.parse_part_key(key) is None


def test_checkpoints_sort_by_attempt() -> None:
    keys = [ids.checkpoint_key(BATCH, 0, 1, "f", attempt, seq) for attempt, seq in [(1, 2), (2, 1), (10, 1)]]
    assert keys == sorted(keys)
