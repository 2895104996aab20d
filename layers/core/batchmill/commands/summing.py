"""A final batch summed up without its results: what failed, by its manifest."""

from __future__ import annotations

from batchmill.client import StackClient
from batchmill.commands.writing import note
from batchmill.console import Summary
from batchmill.domain.batch import Batch
from batchmill.domain.errors import BatchmillError


def summed_up(client: StackClient, batch: Batch, seconds: float | None) -> Summary:
    """The summary of a final batch. A manifest that cannot be read is a note: the rest is true without it."""
    manifest = None
    if batch.counts.failed:
        try:
            manifest = client.manifest(batch)
        except BatchmillError as error:
            note(f"batchmill: what failed in {batch.batch_id} cannot be told: {error}")
    return Summary(batch, seconds, errors=manifest.error_codes if manifest else {})
