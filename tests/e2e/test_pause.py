"""Batches paused and resumed in the middle of a shard, over an engine that takes its time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest

from batchmill.domain.batch import BatchStatus
from batchmill.domain.shard import ShardState
from support.caller import Client
from support.deployed import Deployed, rows_jsonl
from support.waiting import until

ROWS, SHARD_ROWS = 600, 300
"""A worker takes some seconds for a shard, and learns of a pause within two."""
WINDOW, WORKERS = 16, 2
"""Of the stack: requests in flight at a worker, and workers."""


def command(stack: Deployed, *arguments: str) -> dict[str, Any]:
    """The command line's own document, of a process of its own beside the stack."""
    keys = {"AWS_ACCESS_KEY_ID": "batchmill", "AWS_SECRET_ACCESS_KEY": "local", "AWS_DEFAULT_REGION": "us-east-1"}
    done = subprocess.run(
        [sys.executable, "-m", "batchmill", *arguments, "--json"],
        env={**os.environ, **keys, "AWS_ENDPOINT_URL": stack.stack.endpoint_url},
        capture_output=True,
        text=True,
        check=True,
    )
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def parked(stack: Deployed, batch_id: str) -> bool:
    """Whether every shard of the batch is out of everybody's hands, and there is one left to do."""
    states = [(shard.state, shard.parked) for shard in stack.shards(batch_id)]
    rests = (ShardState.WAITING, True)
    return (
        len(states) == ROWS // SHARD_ROWS and rests in states and set(states) <= {rests, (ShardState.COMMITTED, False)}
    )


def asked(stack: Deployed, tag: str) -> Counter[str]:
    """How often the engine received each of the batch's rows."""
    return Counter({name: count for name, count in stack.received().items() if name.startswith(f"{tag}-")})


def paused_midway(stack: Deployed, tag: str) -> str:
    """A batch, paused by the API when some of its rows were saved, once every worker has learned it; its id."""
    client = Client(stack)
    body = client.body(client.put(tag, ROWS), shard_rows=SHARD_ROWS)
    batch_id: str = client.ask("POST", "/batches", json=body).json()["id"]
    stack.holder_pid(batch_id)
    answer = client.ask("POST", f"/batches/{batch_id}/pause")
    assert (answer.status_code, answer.json()["status"], answer.json()["paused"]) == (200, "in_progress", True)
    until(lambda: parked(stack, batch_id))
    return batch_id


def test_a_paused_batch_rests_and_goes_on_where_it_was(slow: Deployed) -> None:
    client = Client(slow)
    batch_id = paused_midway(slow, "paused")
    before = asked(slow, "paused")
    # Somebody else's batch runs meanwhile, by the same workers; it is done when this one's rest has been long enough.
    other = slow.drop("embed/other.jsonl", rows_jsonl(30, "other"))
    assert slow.final(other).status is BatchStatus.COMPLETED
    assert asked(slow, "paused") == before
    assert parked(slow, batch_id)
    shown = client.ask("GET", f"/batches/{batch_id}").json()
    assert (shown["paused"], 0 < shown["request_counts"]["completed"] < ROWS) == (True, True)
    told = command(slow, "resume", batch_id)
    assert (told["status"], told["paused"]) == ("in_progress", False)
    assert slow.final(batch_id).status is BatchStatus.COMPLETED
    rows = slow.rows(batch_id)
    assert sorted(int(row["id"]) for row in rows) == list(range(ROWS))
    assert {row["status"] for row in rows} == {"ok"}
    after = asked(slow, "paused")
    kept = [row for row in rows if row["attempt"] == 1]
    assert len(kept) >= shown["request_counts"]["completed"]
    assert {after[f"paused-{row['id']}"] for row in kept} == {1}
    again = sum(count - 1 for count in after.values())
    assert again <= WORKERS * WINDOW  # what was in flight, at most


def test_a_paused_batch_can_be_cancelled(slow: Deployed) -> None:
    batch_id = paused_midway(slow, "dropped")
    answer = Client(slow).ask("POST", f"/batches/{batch_id}/cancel")
    assert (answer.status_code, answer.json()["status"], answer.json()["paused"]) == (200, "cancelling", False)
    assert slow.final(batch_id).status is BatchStatus.CANCELLED
    rows = slow.rows(batch_id)
    assert sorted(int(row["id"]) for row in rows) == list(range(ROWS))
    assert {row["error_code"] for row in rows if row["status"] == "error"} == {"batch_cancelled"}
    assert any(row["status"] == "ok" for row in rows)


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_a_batch_that_has_ended_is_neither_paused_nor_resumed(slow: Deployed, verb: str) -> None:
    batch_id = slow.drop(f"embed/{verb}.jsonl", rows_jsonl(3, verb))
    slow.final(batch_id)
    answer = Client(slow).ask("POST", f"/batches/{batch_id}/{verb}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "batch_not_pausable")
