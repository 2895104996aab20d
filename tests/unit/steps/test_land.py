from __future__ import annotations

import pytest

from batchmill.contracts.workflow import CancelInput, CloseInput, LandInput
from batchmill.steps.shard.checkpoints import Checkpoints
from support.shards import Running
from support.world import DATA, INPUT


def close_and_land(running: Running, n: int = 0) -> None:
    running.world.close(CloseInput(batch_id=running.batch_id, run=0))
    running.world.land(LandInput(batch_id=running.batch_id, run=0, shard=running.items[n]))


def test_what_checkpoints_hold_is_kept_and_every_other_row_is_an_error() -> None:
    running = Running()
    running.world.cancel(CancelInput(batch_id=running.batch_id))
    done = running.outcomes(0)[:1]
    Checkpoints(running.world.objects, running.world.parts, DATA, running.key(), running.documents.plan()).save(
        1, 1, done
    )
    close_and_land(running)
    rows = running.world.results(running.batch_id)
    assert (rows[0].status, rows[0].output_text, rows[0].attempt) == ("ok", done[0].output_text, 1)
    assert {row.error_code for row in rows[1:]} == {"batch_cancelled"}
    assert len(rows) == len(running.outcomes(0)) > 1


def test_a_part_that_a_worker_committed_in_between_stands() -> None:
    running = Running()
    running.world.close(CloseInput(batch_id=running.batch_id, run=0))
    running.commit()
    before = running.world.results(running.batch_id)
    running.world.land(LandInput(batch_id=running.batch_id, run=0, shard=running.items[0]))
    assert running.world.results(running.batch_id) == before
    assert len(running.world.parts_written) == 1


def test_a_worker_that_commits_after_a_land_has_lost() -> None:
    running = Running()
    close_and_land(running)
    late = running.commit()
    assert not late.won
    assert late.metadata.writer == "land"
    assert {row.error_code for row in running.world.results(running.batch_id)} == {"batch_failed"}


@pytest.mark.parametrize("gone", [True, False])
def test_an_input_that_is_no_longer_there_is_one_error_with_its_bytes(gone: bool) -> None:
    running = Running()
    (pinned,) = running.documents.plan().objects
    if gone:
        assert pinned.version_id
        running.world.objects.delete_version(INPUT, pinned.key, pinned.version_id)
    else:
        running.world.objects.versioned = frozenset()
        running.world.objects.put(INPUT, pinned.key, b"other")
    close_and_land(running)
    (row,) = running.world.results(running.batch_id)
    assert row.error_code == "input_missing"
    assert row.error_message is not None
    assert f"bytes 0 to {running.items[0].end} of s3://input/" in row.error_message


def test_as_a_last_resort_one_error_stands_for_all_rows_and_nothing_is_read() -> None:
    running = Running()
    running.world.close(CloseInput(batch_id=running.batch_id, run=0))
    reads: list[str] = []
    running.world.objects.before = lambda operation, bucket, key: reads.append(operation) if bucket == INPUT else None
    running.world.land(LandInput(batch_id=running.batch_id, run=0, shard=running.items[0], last_resort=True))
    (row,) = running.world.results(running.batch_id)
    assert row.error_code == "batch_failed"
    assert row.error_message is not None
    assert f"bytes 0 to {running.items[0].end}" in row.error_message
    assert reads == []


def test_a_land_again_changes_nothing() -> None:
    running = Running()
    close_and_land(running)
    before = running.world.results(running.batch_id)
    close_and_land(running)
    assert running.world.results(running.batch_id) == before
