"""S3's "Object Created" events, as EventBridge delivers them.

moto sends them itself, before the object's metadata is set, with one id and one sequencer for all: its sender is
replaced by one that only notes what a request created, and the front of S3 publishes that after the request.
"""

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from batchmill.local.account import ACCOUNT
from batchmill.local.bus import event

_REASONS = {
    "s3:ObjectCreated:Put": "PutObject",
    "s3:ObjectCreated:Post": "POST Object",
    "s3:ObjectCreated:Copy": "CopyObject",
    "s3:ObjectCreated:CompleteMultipartUpload": "CompleteMultipartUpload",
}

_current = threading.local()


class Created:
    """What one request created: the last note of each object counts (moto notes a copy first as a put)."""

    def __init__(self) -> None:
        self._notes: dict[tuple[str, str], tuple[Any, Any, str]] = {}
        self._sequencer = _SEQUENCER.next()

    def note(self, bucket: Any, key: Any, reason: str) -> None:
        """Notes that moto's `key` was written to moto's `bucket`."""
        self._notes[bucket.name, key.name] = (bucket, key, reason)

    def events(self) -> list[dict[str, Any]]:
        """One EventBridge event for each object created."""
        return [object_created(bucket, key, reason, self._sequencer) for bucket, key, reason in self._notes.values()]


class _Sequencer:
    """Numbers that only grow, in 16 hex digits: later writes of a key compare greater, as S3 promises."""

    def __init__(self) -> None:
        self._last = 0
        self._lock = threading.Lock()

    def next(self) -> str:
        with self._lock:
            self._last = max(self._last + 1, time.time_ns())
            return f"{self._last:016x}"


_SEQUENCER = _Sequencer()


@contextmanager
def collecting() -> Iterator[Created]:
    """Collects what moto creates in this thread while the block runs."""
    created = Created()
    _current.created = created
    try:
        yield created
    finally:
        _current.created = None


def install() -> None:
    """Puts the note-taker in the place of moto's sender. Again: does nothing more."""
    from moto.s3 import notifications

    notifications._send_event_bridge_message = _note


def _note(account_id: str, bucket: Any, event_name: Any, key: Any) -> None:  # noqa: ARG001 - moto's signature
    created = getattr(_current, "created", None)
    reason = _REASONS.get(getattr(event_name, "value", event_name))
    if created is not None and reason is not None:
        created.note(bucket, key, reason)


def object_created(bucket: Any, key: Any, reason: str, sequencer: str) -> dict[str, Any]:
    """The event of one write, in the shape AWS documents. The key is not URL-encoded in it."""
    item = {"key": key.name, "size": key.size, "etag": key.etag.strip('"'), "sequencer": sequencer}
    if bucket.is_versioned:
        item["version-id"] = key.version_id
    detail = {
        "version": "0",
        "bucket": {"name": bucket.name},
        "object": item,
        "request-id": uuid.uuid4().hex[:16].upper(),
        "requester": ACCOUNT,
        "source-ip-address": "127.0.0.1",
        "reason": reason,
    }
    return event("aws.s3", "Object Created", [bucket.arn], detail)
