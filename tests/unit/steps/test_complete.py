from __future__ import annotations

import hashlib

import pytest

from batchmill.contracts.manifest import Manifest
from batchmill.contracts.workflow import CloseInput, LandInput, RunInput
from batchmill.domain.batch import BatchStatus
from batchmill.domain.errors import EmptyInput, PartsMissing, Transient
from support.shards import Running
from support.world import DATA, World, jsonl


def finished(rows: int = 6) -> Running:
    running = Running(rows)
    for item in running.items:
        running.commit(item.n)
    running.world.close(CloseInput(batch_id=running.batch_id, run=0))
    return running


def manifest(running: Running) -> Manifest:
    return Manifest.model_validate_json(running.world.objects.get(DATA, f"batches/{running.batch_id}/manifest.json"))


def test_a_whole_batch_becomes_final_with_its_counts() -> None:
    running = finished()
    batch = running.world.complete(RunInput(batch_id=running.batch_id, run=0))
    assert batch.status is BatchStatus.COMPLETED
    assert (batch.counts.total, batch.counts.completed, batch.counts.failed) == (6, 6, 0)


def test_the_manifest_names_every_file_with_its_hash_and_every_input_with_its_version() -> None:
    running = finished()
    running.world.complete(RunInput(batch_id=running.batch_id, run=0))
    told = manifest(running)
    assert (told.status, told.rows, told.ok) == ("completed", 6, 6)
    assert told.inputs[0].version_id is not None
    for file in told.files:
        body = running.world.objects.get(DATA, file.key)
        assert (file.sha256, file.bytes) == (hashlib.sha256(body).hexdigest(), len(body))


def test_the_manifest_counts_the_rows_that_failed_by_code_the_most_frequent_first() -> None:
    world = World()
    batch_id = world.drop(jsonl(2) + b'{"text": 1\n[]\n' + jsonl(1) + b"{\n")
    world.open(batch_id)
    world.close(CloseInput(batch_id=batch_id, run=0))
    for item in world.documents(batch_id).shards():
        world.land(LandInput(batch_id=batch_id, run=0, shard=item))
    world.complete(RunInput(batch_id=batch_id, run=0))
    told = Manifest.model_validate_json(world.objects.get(DATA, f"batches/{batch_id}/manifest.json"))
    assert list(told.error_codes.items()) == [("batch_failed", 3), ("invalid_json_line", 2), ("invalid_row", 1)]
    assert sum(sum(file.error_codes.values()) for file in told.files) == told.errors == 6


def test_complete_again_changes_nothing() -> None:
    running = finished()
    first = running.world.complete(RunInput(batch_id=running.batch_id, run=0))
    told = manifest(running)
    running.world.clock.move(60)
    assert running.world.complete(RunInput(batch_id=running.batch_id, run=0)) == first
    assert manifest(running) == told


@pytest.mark.parametrize(("writer", "status"), [("worker", BatchStatus.COMPLETED), ("land", BatchStatus.FAILED)])
def test_a_batch_whose_last_parts_workers_wrote_after_close_has_completed_after_all(
    writer: str, status: BatchStatus
) -> None:
    running = Running()
    running.commit(1)
    running.world.close(CloseInput(batch_id=running.batch_id, run=0))
    for item in running.items:
        if writer == "worker":
            running.commit(item.n)
        running.world.land(LandInput(batch_id=running.batch_id, run=0, shard=item))
    batch = running.world.complete(RunInput(batch_id=running.batch_id, run=0))
    assert batch.status is status
    assert bool(batch.problems) == (status is BatchStatus.FAILED)


def test_a_shard_without_a_part_is_refused() -> None:
    running = Running()
    running.commit(1)
    with pytest.raises(PartsMissing, match="shards have no part, the first being 0"):
        running.world.complete(RunInput(batch_id=running.batch_id, run=0))


def test_parts_that_do_not_tile_the_input_are_refused() -> None:
    running = Running()
    running.items[0] = running.items[0].model_copy(update={"end": running.items[0].end - 1})
    for item in running.items:
        running.commit(item.n)
    with pytest.raises(PartsMissing, match="do not tile its input: gap in object 0"):
        running.world.complete(RunInput(batch_id=running.batch_id, run=0))


def test_a_batch_whose_plan_failed_ends_failed_with_a_manifest_that_says_why() -> None:
    world = World()
    batch_id = world.drop(b"")
    with pytest.raises(EmptyInput):
        world.plan(RunInput(batch_id=batch_id, run=0))
    world.close(CloseInput(batch_id=batch_id, run=0))
    assert world.complete(RunInput(batch_id=batch_id, run=0)).status is BatchStatus.FAILED
    told = Manifest.model_validate_json(world.objects.get(DATA, f"batches/{batch_id}/manifest.json"))
    assert [problem.code for problem in told.problems] == ["empty_file"]


def test_callbacks_are_sent_once_the_batch_is_final_and_not_before_nor_again() -> None:
    running = finished()
    assert running.world.callbacks() == []
    running.world.complete(RunInput(batch_id=running.batch_id, run=0))
    assert [message.channel for message in running.world.callbacks()] == ["event", "sns"]
    running.world.complete(RunInput(batch_id=running.batch_id, run=0))
    assert len(running.world.callbacks()) == 2


def test_parts_that_are_missing_call_nobody() -> None:
    running = Running()
    with pytest.raises(PartsMissing):
        running.world.complete(RunInput(batch_id=running.batch_id, run=0))
    assert running.world.callbacks() == []


def test_callbacks_that_were_cut_off_are_sent_when_it_runs_again() -> None:
    running = finished()

    def cut(operation: str) -> None:
        raise Transient("cut off")

    running.world.queue.before = cut
    with pytest.raises(Transient):
        running.world.complete(RunInput(batch_id=running.batch_id, run=0))
    running.world.queue.before = None
    first = running.world.batches.get(running.batch_id)
    again = running.world.complete(RunInput(batch_id=running.batch_id, run=0))
    assert (first.final, first.notified, again.notified) == (True, False, True)
    assert [message.channel for message in running.world.callbacks()] == ["event", "sns"]
