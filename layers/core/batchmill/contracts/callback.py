"""What is told of a final batch: the same JSON on the bus, by SNS and by webhook; and the outbox's messages."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from batchmill.contracts.manifest import ManifestProblem

ChannelName = Literal["event", "sns", "webhook"]
CALLBACK_LIMIT = 60 * 1024
"""Bytes of CallbackData as JSON at most, so that a webhook's whole body stays under 64 KiB."""


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CallbackMessage(_Shape):
    """One message of the callback queue: a final batch, and one channel to tell it by."""

    batch_id: str
    run: int
    channel: ChannelName


class CallbackCounts(_Shape):
    """Rows by outcome."""

    total: int
    completed: int
    failed: int


class CallbackTokens(_Shape):
    """Tokens of all rows."""

    prompt: int
    completion: int


class CallbackData(_Shape):
    """A final batch. It never holds a prompt or a response.

    `event_id` is the same at every delivery by every channel: receivers tell doubles by it. `results` is the prefix of
    the parts and `manifest` the manifest, as s3:// URIs; null for a batch that was refused before it had any. `times`
    are when each status was reached, ISO 8601 in UTC. `truncated`: problems or metadata were too long and are cut.
    """

    event_id: str
    batch_id: str
    run: int
    name: str
    status: str
    counts: CallbackCounts
    tokens: CallbackTokens
    problems: tuple[ManifestProblem, ...]
    results: str | None
    manifest: str | None
    metadata: dict[str, str]
    created_at: str
    finished_at: str
    times: dict[str, str]
    truncated: bool = False


class WebhookBody(_Shape):
    """The body of a webhook, as Standard Webhooks advise: `type` is `batch.completed` or the like."""

    type: str
    timestamp: str
    data: CallbackData
