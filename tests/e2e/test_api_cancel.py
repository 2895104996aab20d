"""A cancel by HTTP in the middle of a run."""

from __future__ import annotations

from batchmill.domain.batch import BatchStatus
from support.caller import Client
from support.deployed import Deployed


def test_a_cancelled_batch_ends_cancelled_with_every_row(slow: Deployed) -> None:
    client = Client(slow)
    batch_id = client.ask("POST", "/batches", json=client.body(client.put("cancelled", 200))).json()["id"]
    slow.holder_pid(batch_id)
    answer = client.ask("POST", f"/batches/{batch_id}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelling")
    assert slow.final(batch_id).status is BatchStatus.CANCELLED
    shown = client.ask("GET", f"/batches/{batch_id}").json()
    assert shown["cancelled_at"] >= shown["cancelling_at"] >= shown["created_at"]
    assert len(slow.rows(batch_id)) == 200
