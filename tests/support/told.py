"""A callback as a test wants it."""

from __future__ import annotations

from batchmill.contracts.callback import CallbackCounts, CallbackData, CallbackTokens
from batchmill.ports.notifier import Callback

BATCH_ID = "batch_0f1e2d3c4b5a69788796a5b4"


def callback(url: str | None = None) -> Callback:
    """Of a completed batch."""
    data = CallbackData(
        event_id=f"evt_{BATCH_ID}-completed",
        batch_id=BATCH_ID,
        run=0,
        name="tickets",
        status="completed",
        counts=CallbackCounts(total=3, completed=2, failed=1),
        tokens=CallbackTokens(prompt=10, completion=20),
        problems=(),
        results=f"s3://data/batches/{BATCH_ID}/results/",
        manifest=f"s3://data/batches/{BATCH_ID}/manifest.json",
        metadata={"team": "blue"},
        created_at="2026-01-01T00:00:00.000Z",
        finished_at="2026-01-01T00:10:00.000Z",
        times={"completed": "2026-01-01T00:10:00.000Z"},
    )
    return Callback(data, url)
