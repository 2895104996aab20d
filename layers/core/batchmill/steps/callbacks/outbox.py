"""The outbox: whoever makes a batch final puts its callbacks into a queue, and only then notes that they are there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from batchmill.contracts.callback import CallbackMessage, ChannelName
from batchmill.domain.batch import Batch
from batchmill.domain.errors import WebhookRefused
from batchmill.domain.webhook import target
from batchmill.ports.batches import Batches
from batchmill.ports.queue import Queue


@dataclass(frozen=True)
class Outbox:
    """Sends at least once: what ends between the messages and the note is done again by whoever comes next."""

    batches: Batches
    queue: Queue
    queue_url: str

    def announce(self, batch: Batch) -> Batch:
        """Send a message a channel for a final batch that is not noted yet; the batch as noted. Raises Transient."""
        if not batch.final or batch.notified:
            return batch
        for channel in _channels(batch):
            message = CallbackMessage(batch_id=batch.batch_id, run=batch.run, channel=channel)
            self.queue.send(self.queue_url, message.model_dump_json())
        return self.batches.change(batch.batch_id, _noted)


def webhook_url(batch: Batch) -> str | None:
    """Where the submission wants its webhook, if it wants one."""
    url = batch.spec.get("webhook_url")
    return str(url) if url else None


def callable_webhook(data: Mapping[str, object], allowed: frozenset[str]) -> dict[str, object]:
    """What is kept of a refused submission's fields: its webhook's URL, where it may be called."""
    url = data.get("webhook_url")
    try:
        return {"webhook_url": url} if isinstance(url, str) and target(url, allowed) else {}
    except WebhookRefused:
        return {}


def _channels(batch: Batch) -> Iterator[ChannelName]:
    yield "event"
    yield "sns"
    if webhook_url(batch):
        yield "webhook"


def _noted(batch: Batch) -> Batch:
    return replace(batch, notified=True) if batch.final else batch
