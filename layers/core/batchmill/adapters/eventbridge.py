"""The notifier port over EventBridge: one event on the default bus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchmill.adapters.aws_errors import translated
from batchmill.domain.errors import Transient
from batchmill.ports.notifier import Callback

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

SOURCE = "batchmill"


class EventBridgeNotifier:
    """Implements `ports.notifier.Notifier`. The detail-type is `Batch Completed` or the like."""

    def __init__(self, client: EventBridgeClient) -> None:
        self._events = client

    def deliver(self, callback: Callback) -> None:
        """Put the event. Raises Transient, also where EventBridge refuses the one entry."""
        data = callback.data
        entry_type = f"Batch {data.status.capitalize()}"
        with translated("the default event bus"):
            answer = self._events.put_events(
                Entries=[{"Source": SOURCE, "DetailType": entry_type, "Detail": data.model_dump_json()}]
            )
        if answer["FailedEntryCount"]:
            code = answer["Entries"][0].get("ErrorCode", "no code")
            raise Transient(f"the default event bus did not take the event of {data.batch_id}: {code}")
