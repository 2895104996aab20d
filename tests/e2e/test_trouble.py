"""Workers killed, executions aborted, batches cancelled: still one outcome a row, and nothing saved is done twice."""

from __future__ import annotations

import asyncio
import json
import signal
from collections import Counter

import pytest
from botocore.exceptions import ClientError

from batchmill.domain.batch import BatchStatus
from support.deployed import Deployed, kill, rows_jsonl

ROWS = 200


def check_each_row_once(stack: Deployed, batch_id: str, tag: str) -> list[dict[str, object]]:
    """A part for every shard, every row in one of them; rows that a checkpoint saved were sent once. The rows."""
    rows = stack.rows(batch_id)
    batch = stack.batch(batch_id)
    assert len(stack.parts(batch_id)) == batch.shards
    assert sorted(int(row["id"]) for row in rows) == list(range(ROWS))
    assert batch.counts.completed == sum(row["status"] == "ok" for row in rows)
    received = stack.received()
    saved = [row for row in rows if row["status"] == "ok" and row["attempt"] == 1]
    assert saved
    assert {received[f"{tag}-{row['id']}"] for row in saved} == {1}
    return rows


def test_a_worker_killed_in_mid_shard_costs_only_what_it_had_in_flight(slow: Deployed) -> None:
    batch_id = slow.drop("embed/kill.jsonl", rows_jsonl(ROWS, "kill"))
    kill(slow.holder_pid(batch_id))
    assert slow.final(batch_id).status is BatchStatus.COMPLETED
    rows = check_each_row_once(slow, batch_id, "kill")
    assert Counter(row["status"] for row in rows) == {"ok": ROWS}
    assert {row["attempt"] for row in rows} == {1, 2}
    received = slow.received()
    again = sum(received[f"kill-{i}"] - 1 for i in range(ROWS))
    # In flight (a window of 16), and at most what one checkpoint interval adds to it.
    assert 0 < again <= 3 * 16


def test_a_worker_told_to_stop_gives_its_shard_back_and_redoes_only_what_was_in_flight(slow: Deployed) -> None:
    batch_id = slow.drop("embed/stop.jsonl", rows_jsonl(ROWS, "stop"))
    kill(slow.holder_pid(batch_id), signal.SIGTERM)
    assert slow.final(batch_id).status is BatchStatus.COMPLETED
    check_each_row_once(slow, batch_id, "stop")
    received = slow.received()
    assert sum(received[f"stop-{i}"] - 1 for i in range(ROWS)) <= 16


def test_an_execution_aborted_from_outside_is_closed_by_another(slow: Deployed) -> None:
    batch_id = slow.drop("embed/abort.jsonl", rows_jsonl(ROWS, "abort"))
    slow.holder_pid(batch_id)
    (execution,) = slow.machine_executions(batch_id)
    slow.stack.client("stepfunctions").stop_execution(executionArn=execution)
    batch = slow.final(batch_id)
    assert batch.status is BatchStatus.FAILED
    assert [problem.code for problem in batch.problems] == ["execution_aborted"]
    rows = check_each_row_once(slow, batch_id, "abort")
    assert {row["error_code"] for row in rows if row["status"] == "error"} == {"batch_failed"}
    assert len(slow.machine_executions(batch_id)) == 2
    _late_commits_change_nothing(slow, batch_id)


def test_a_cancel_in_mid_run_keeps_what_was_saved(slow: Deployed) -> None:
    batch_id = slow.drop("embed/cancel.jsonl", rows_jsonl(ROWS, "cancel"))
    slow.holder_pid(batch_id)
    answer = slow.stack.client("lambda").invoke(
        FunctionName=slow.outputs["CancelFunctionName"], Payload=json.dumps({"batch_id": batch_id})
    )
    assert json.loads(answer["Payload"].read())["status"] == "cancelling"
    assert slow.final(batch_id).status is BatchStatus.CANCELLED
    rows = check_each_row_once(slow, batch_id, "cancel")
    assert {row["error_code"] for row in rows if row["status"] == "error"} == {"batch_cancelled"}
    _late_commits_change_nothing(slow, batch_id)


def _late_commits_change_nothing(slow: Deployed, batch_id: str) -> None:
    """A worker that slept through the ending tries to commit: refused, and nothing has changed."""
    batch, parts, manifest = slow.batch(batch_id), slow.parts(batch_id), slow.manifest(batch_id)
    for key in parts:
        with pytest.raises(ClientError) as refused:
            slow.s3.put_object(Bucket=slow.data, Key=key, Body=b"late", IfNoneMatch="*")
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
    slow.sweep()
    assert (slow.batch(batch_id), slow.parts(batch_id), slow.manifest(batch_id)) == (batch, parts, manifest)


def test_a_worker_that_sleeps_past_its_lease_loses_its_shard_and_changes_nothing_when_it_wakes(slow: Deployed) -> None:
    batch_id = slow.drop("embed/sleep.jsonl", rows_jsonl(ROWS, "sleep"))
    pid = slow.holder_pid(batch_id)
    kill(pid, signal.SIGSTOP)
    try:
        assert slow.final(batch_id).status is BatchStatus.COMPLETED
        parts, rows = slow.parts(batch_id), slow.rows(batch_id)
    finally:
        kill(pid, signal.SIGCONT)
    last = slow.drop("embed/after.jsonl", rows_jsonl(3, "after"))
    slow.final(last)
    assert (slow.parts(batch_id), slow.rows(batch_id)) == (parts, rows)
    assert sorted(int(str(row["id"])) for row in rows) == list(range(ROWS))


def test_an_engine_that_dies_and_comes_back_loses_no_row(slow: Deployed) -> None:
    batch_id = slow.drop("embed/engine.jsonl", rows_jsonl(ROWS, "engine"))
    slow.holder_pid(batch_id)
    asyncio.run(slow.engine.restart())
    batch = slow.final(batch_id)
    assert (batch.status, batch.counts.completed) == (BatchStatus.COMPLETED, ROWS)
